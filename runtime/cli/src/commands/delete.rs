//! `trimtab delete`.

use std::time::Duration;

use anyhow::bail;
use trimtab_api::Object;
use trimtab_client::discovery::Discovered;
use trimtab_client::{Api, Client, DeleteParams, ListParams, Propagation};
use trimtab_env::Env;

use super::apply;
use crate::print;
use crate::target::{self, label};

/// How often it is looked whether an object is gone.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// `KIND NAME…`, or `KIND/NAME…`.
    what: Vec<String>,
    /// What these files declare.
    #[arg(short, long)]
    filename: Vec<String>,
    /// Everything with these labels.
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Everything of the kind in the namespace.
    #[arg(long)]
    all: bool,
    /// That it is not there is fine.
    #[arg(long)]
    ignore_not_found: bool,
    /// Seconds given to end.
    #[arg(long)]
    grace_period: Option<u32>,
    /// At once.
    #[arg(long)]
    force: bool,
    /// `background`, `foreground` or `orphan`.
    #[arg(long, default_value = "background")]
    cascade: String,
    /// Wait until it is gone.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    wait: bool,
}

pub(crate) async fn run(args: Args, client: &Client) -> anyhow::Result<()> {
    let propagation = match args.cascade.as_str() {
        "background" | "true" => Propagation::Background,
        "foreground" => Propagation::Foreground,
        "orphan" | "false" => Propagation::Orphan,
        other => bail!("invalid cascade value {other:?}, must be \"background\", \"foreground\", or \"orphan\""),
    };
    let params = DeleteParams {
        grace_period_seconds: if args.force { Some(0) } else { args.grace_period },
        propagation: Some(propagation),
        ..DeleteParams::default()
    };
    let mut doomed = Vec::new();
    for (discovered, namespace, name) in named(&args, client).await? {
        let api = Api::dynamic(client, &discovered.resource, Some(&namespace));
        match api.delete(&name, &params).await {
            Ok(_) => {
                let verb = if args.force { "force deleted" } else { "deleted" };
                print::line(format_args!("{} {verb}", label(&discovered, &name).replacen('/', " \"", 1) + "\""));
                doomed.push((api, name));
            }
            Err(error) if error.is_not_found() && args.ignore_not_found => {}
            Err(error) => return Err(error.into()),
        }
    }
    if args.wait && !args.force {
        for (api, name) in doomed {
            gone(&api, &name).await?;
        }
    }
    Ok(())
}

async fn named(args: &Args, client: &Client) -> anyhow::Result<Vec<(Discovered, String, String)>> {
    let mut found = Vec::new();
    if !args.filename.is_empty() {
        let served = client.discover().await?;
        for (_, object) in apply::read_all(&args.filename)? {
            let namespace = if object.namespace().is_empty() { client.default_namespace() } else { object.namespace() };
            found.push((apply::find(&served, &object)?.clone(), namespace.to_owned(), object.name().to_owned()));
        }
        return Ok(found);
    }
    for target in target::parse(client, &args.what).await? {
        let namespace = client.default_namespace().to_owned();
        match &target.name {
            Some(name) => found.push((target.discovered.clone(), namespace, name.clone())),
            None if args.all || args.selector.is_some() => {
                let params = ListParams { labels: args.selector.clone(), ..ListParams::default() };
                let list = target.api(client, Some(&namespace)).list(&params).await?;
                found.extend(list.items.iter().map(|o| (target.discovered.clone(), namespace.clone(), o.name().to_owned())));
            }
            None => bail!("resource(s) were provided, but no name was specified; name some, or say --all"),
        }
    }
    Ok(found)
}

async fn gone(api: &Api<Object>, name: &str) -> anyhow::Result<()> {
    let env = Env::system();
    let before = api.get_opt(name).await?.map(|object| object.uid().to_owned());
    while let Some(object) = api.get_opt(name).await? {
        if Some(object.uid()) != before.as_deref() {
            break;
        }
        env.sleep(LOOK_EVERY).await;
    }
    Ok(())
}
