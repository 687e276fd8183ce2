//! `trimtab logs`.

use anyhow::Context;
use http::Method;
use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::Pod;
use trimtab_client::{Api, Client, request};

use crate::print;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The pod.
    pod: String,
    /// The container, when the pod has several.
    #[arg(short, long)]
    container: Option<String>,
    /// Go on as it writes.
    #[arg(short, long)]
    follow: bool,
    /// Only the last so many lines.
    #[arg(long)]
    tail: Option<i64>,
    /// Only what is younger than this many seconds.
    #[arg(long, value_parser = seconds)]
    since: Option<i64>,
    /// Of the container before this one.
    #[arg(short, long)]
    previous: bool,
    /// With the time of each line.
    #[arg(long)]
    timestamps: bool,
}

/// `90`, `90s`, `5m` or `2h`, in seconds.
pub(crate) fn seconds(text: &str) -> Result<i64, String> {
    let (number, factor) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3_600),
        _ => (text, 1),
    };
    number.parse::<i64>().map(|n| n * factor).map_err(|_| format!("{text:?} is no duration; write 90s, 5m or 2h"))
}

pub(crate) async fn run(args: Args, client: &Client) -> anyhow::Result<()> {
    let pods: Api<Pod> = Api::namespaced(client, client.default_namespace());
    let mut query = Vec::new();
    query.extend(args.container.map(|name| format!("container={name}")));
    query.extend(args.tail.map(|lines| format!("tailLines={lines}")));
    query.extend(args.since.map(|seconds| format!("sinceSeconds={seconds}")));
    for (flag, name) in [(args.follow, "follow"), (args.previous, "previous"), (args.timestamps, "timestamps")] {
        query.extend(flag.then(|| format!("{name}=true")));
    }
    let name = args.pod.strip_prefix("pod/").unwrap_or(&args.pod);
    let path = pods.path(name, "log", &query.join("&"));
    let mut body = client.send(request(Method::GET, &path, None)?).await?.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(anyhow::Error::from_boxed).context("the log broke off")?;
        if let Some(data) = frame.data_ref() {
            print::raw(data);
        }
    }
    Ok(())
}
