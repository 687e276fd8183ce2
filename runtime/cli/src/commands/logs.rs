//! `trimtab logs`.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use http::Method;
use serde_json::Value;
use trimtab_api::Object;

use crate::lines::Lines;
use crate::session::{Session, duration, list};

/// Print the logs for a container in a pod or specified resource
#[derive(Args, Clone, Debug)]
pub(crate) struct Logs {
    /// A pod's name, or TYPE/NAME of what selects pods
    #[arg(value_name = "POD | TYPE/NAME", required_unless_present = "selector")]
    resource: Option<String>,
    /// The container, when there are several
    #[arg(value_name = "CONTAINER")]
    positional_container: Option<String>,
    /// Print the logs of this container
    #[arg(short, long)]
    container: Option<String>,
    /// Get all containers' logs in the pod(s)
    #[arg(long, conflicts_with = "container")]
    all_containers: bool,
    /// Selector (label query) to filter on
    #[arg(short = 'l', long, conflicts_with = "resource")]
    selector: Option<String>,
    /// Specify if the logs should be streamed
    #[arg(short, long)]
    follow: bool,
    /// If true, print the logs for the previous instance of the container in a pod if it exists
    #[arg(short, long)]
    previous: bool,
    /// Lines of recent log file to display; -1 shows all, with a selector 10
    #[arg(long, allow_hyphen_values = true)]
    tail: Option<i64>,
    /// Only return logs newer than a relative duration like 5s, 2m, or 3h
    #[arg(long, value_parser = duration)]
    since: Option<Duration>,
    /// Only return logs after a specific date (RFC3339)
    #[arg(long, conflicts_with = "since")]
    since_time: Option<String>,
    /// Maximum bytes of logs to return
    #[arg(long)]
    limit_bytes: Option<u64>,
    /// Include timestamps on each line in the log output
    #[arg(long)]
    timestamps: bool,
    /// Prefix each log line with the log source (pod name and container name)
    #[arg(long)]
    prefix: bool,
}

/// Runs the command: one log after the other.
pub(crate) async fn run(args: Logs, session: &mut Session) -> Result<u8> {
    let pods = pods(&args, session).await?;
    let mut sources = Vec::new();
    for pod in &pods {
        for container in containers(&args, pod, session)? {
            sources.push((pod.name().to_owned(), container));
        }
    }
    if args.follow && sources.len() > 1 {
        bail!("you are attempting to follow {} log streams, but only one can be followed at a time", sources.len());
    }
    if sources.is_empty() {
        session.console.note(format!("No resources found in {} namespace.", session.namespace));
    }
    for (pod, container) in sources {
        print(&args, &pod, &container, session).await?;
    }
    Ok(0)
}

async fn pods(args: &Logs, session: &mut Session) -> Result<Vec<Object>> {
    let kind = session.kind("pods").await?;
    let api = session.api(&kind, false);
    let selector = match (&args.selector, &args.resource) {
        (Some(selector), _) => selector.clone(),
        (None, Some(resource)) => match resource.split_once('/') {
            None => return Ok(vec![api.get(resource).await?]),
            Some(("pod" | "pods" | "po", name)) => return Ok(vec![api.get(name).await?]),
            Some(_) => selector_of(resource, session).await?,
        },
        (None, None) => bail!("expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'"),
    };
    let found = list(&api, trimtab_client::ListParams::default().labels(selector)).await?;
    // Of what selects pods one is enough, as for kubectl; a selector means them all.
    Ok(if args.selector.is_some() { found } else { found.into_iter().take(1).collect() })
}

async fn selector_of(resource: &str, session: &mut Session) -> Result<String> {
    let (kind, name) = session.single(&[resource.to_owned()]).await?;
    let object = session.api(&kind, false).get(&name).await?;
    let selector = object.at(&["spec", "selector"]);
    let labels = selector.and_then(|s| s.get("matchLabels")).or(selector).and_then(Value::as_object);
    let pairs: Vec<_> =
        labels.into_iter().flatten().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
    if pairs.is_empty() {
        bail!("cannot get the logs from {}: it selects no pods", kind.resource.kind);
    }
    Ok(pairs.join(","))
}

fn containers(args: &Logs, pod: &Object, session: &mut Session) -> Result<Vec<String>> {
    if let Some(name) = args.container.as_ref().or(args.positional_container.as_ref()) {
        return Ok(vec![name.clone()]);
    }
    let names = |field: &str| -> Vec<String> {
        let list = pod.at(&["spec", field]).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(|c| c["name"].as_str().map(str::to_owned)).collect()
    };
    let mut all = names("containers");
    if args.all_containers {
        let mut first = names("initContainers");
        first.append(&mut all);
        return Ok(first);
    }
    let default = pod.annotations().find(|(key, _)| *key == "kubectl.kubernetes.io/default-container");
    if let Some((_, name)) = default {
        return Ok(vec![name.to_owned()]);
    }
    if all.len() > 1 {
        let list = all.join(", ");
        session.console.note(format!("Defaulted container {:?} out of: {list}", all[0]));
    }
    Ok(all.into_iter().take(1).collect())
}

async fn print(args: &Logs, pod: &str, container: &str, session: &mut Session) -> Result<()> {
    let kind = session.kind("pods").await?;
    let path = session.api(&kind, false).path(pod, "log", &query(args, container));
    let response = session.client.send(trimtab_client::request(Method::GET, &path, None)?).await?;
    let mut lines = Lines::new(response.into_body());
    if !args.prefix {
        while let Some(piece) = lines.piece().await? {
            session.console.raw(&piece)?;
        }
        return Ok(());
    }
    while let Some(line) = lines.line().await? {
        session.console.raw(&[format!("[pod/{pod}/{container}] ").as_bytes(), &line, b"\n"].concat())?;
    }
    Ok(())
}

fn query(args: &Logs, container: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("container", container);
    for (key, given) in [("follow", args.follow), ("previous", args.previous), ("timestamps", args.timestamps)] {
        if given {
            query.append_pair(key, "true");
        }
    }
    let tail = args.tail.or(args.selector.is_some().then_some(10)).filter(|tail| *tail >= 0);
    let since = args.since.map(|since| since.as_secs().max(1).to_string());
    let pairs = [
        ("tailLines", tail.map(|tail| tail.to_string())),
        ("sinceSeconds", since),
        ("sinceTime", args.since_time.clone()),
        ("limitBytes", args.limit_bytes.map(|limit| limit.to_string())),
    ];
    query.extend_pairs(pairs.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))));
    query.finish()
}
