//! `trimtab label` and `trimtab annotate`.

use anyhow::bail;
use serde_json::{Map, Value, json};
use trimtab_client::{Client, ListParams, Patch};

use crate::print;
use crate::target;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What, then `KEY=VALUE` to set and `KEY-` to remove.
    #[arg(required = true)]
    words: Vec<String>,
    /// Change what is set already.
    #[arg(long)]
    overwrite: bool,
    /// Everything with these labels.
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Everything of the kind in the namespace.
    #[arg(long)]
    all: bool,
}

pub(crate) async fn run(args: Args, field: &str, client: &Client) -> anyhow::Result<()> {
    let is_change = |word: &String| word.contains('=') || word.ends_with('-');
    let (changes, what): (Vec<String>, Vec<String>) = args.words.iter().cloned().partition(is_change);
    if changes.is_empty() {
        bail!("at least one change is required: KEY=VALUE or KEY-");
    }
    let wanted: Map<String, Value> = changes.iter().map(|change| pair(change)).collect();
    for target in target::parse(client, &what).await? {
        let api = target.api(client, Some(client.default_namespace()));
        let names = match &target.name {
            Some(name) => vec![name.clone()],
            None if args.all || args.selector.is_some() => {
                let params = ListParams { labels: args.selector.clone(), ..ListParams::default() };
                api.list(&params).await?.items.iter().map(|object| object.name().to_owned()).collect()
            }
            None => bail!("name what to change, or say --all"),
        };
        for name in names {
            let object = api.get(&name).await?;
            let current = object.at(&["metadata", field]);
            let taken = wanted.iter().find(|(key, value)| {
                value.is_string() && current.and_then(|c| c.get(key.as_str())).is_some_and(|have| have != *value)
            });
            if let Some((key, _)) = taken.filter(|_| !args.overwrite) {
                bail!("'{key}' already has a value, and --overwrite is false");
            }
            api.patch(&name, &Patch::Merge(json!({"metadata": {field: wanted}}))).await?;
            let verb = if field == "labels" { "labeled" } else { "annotated" };
            print::line(format_args!("{} {verb}", target.label(&name)));
        }
    }
    Ok(())
}

fn pair(change: &str) -> (String, Value) {
    match change.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.into()),
        None => (change.trim_end_matches('-').to_owned(), Value::Null),
    }
}
