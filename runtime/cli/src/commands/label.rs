//! `trimtab label` and `trimtab annotate`: the same but for the field.

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Map, Value, json};
use trimtab_api::Object;
use trimtab_client::{Api, Patch};

use crate::session::{Filter, Session, display_name};

/// Update the labels (or annotations) on a resource
#[derive(Args, Clone, Debug)]
pub(crate) struct Label {
    /// `pod web key=value other-`: what, then pairs to set and keys to remove
    #[arg(required = true, value_name = "TYPE[/NAME] [NAME] KEY=VALUE|KEY-")]
    words: Vec<String>,
    #[command(flatten)]
    filter: Filter,
    /// Select all resources in the namespace of the specified resource types
    #[arg(long)]
    all: bool,
    /// If true, allow values to be overwritten, otherwise reject updates that overwrite existing ones
    #[arg(long)]
    overwrite: bool,
    /// If true, display the labels (or annotations) for a given resource
    #[arg(long)]
    list: bool,
}

/// Which of the two is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Labels,
    Annotations,
}

impl Field {
    fn name(self) -> &'static str {
        match self {
            Self::Labels => "labels",
            Self::Annotations => "annotations",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Labels => "labeled",
            Self::Annotations => "annotated",
        }
    }
}

/// Keys with their new values; `None` removes.
type Changes = Vec<(String, Option<String>)>;

/// Runs the command on `field`.
pub(crate) async fn run(args: Label, field: Field, session: &mut Session) -> Result<u8> {
    let (resources, changes) = split(&args.words);
    if resources.is_empty() {
        bail!("one or more resources must be specified as <resource> <name> or <resource>/<name>");
    }
    if changes.is_empty() && !args.list {
        bail!("at least one {} update is required", field.name().trim_end_matches('s'));
    }
    for (kind, object) in session.objects(&resources, &args.filter, args.all).await? {
        let name = display_name(&kind, object.name());
        if args.list {
            session.console.line(format!("Listing {} for {name}:", field.name()))?;
            pairs(&object, field).try_for_each(|(key, value)| session.console.line(format!(" {key}={value}")))?;
        }
        let api = Api::<Object>::dynamic(&session.client, &kind.resource, Some(object.namespace()));
        if let Some(done) = change(&args, field, &changes, &api, &object).await? {
            session.console.line(format!("{name} {done}"))?;
        }
    }
    Ok(0)
}

fn pairs(object: &Object, field: Field) -> Box<dyn Iterator<Item = (&str, &str)> + '_> {
    match field {
        Field::Labels => Box::new(object.labels()),
        Field::Annotations => Box::new(object.annotations()),
    }
}

/// Pairs and removals come last.
fn split(words: &[String]) -> (Vec<String>, Changes) {
    let is_change = |word: &&String| word.contains('=') || word.ends_with('-');
    let first = words.iter().position(|word| is_change(&word)).unwrap_or(words.len());
    let change = |word: &String| match word.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (word.trim_end_matches('-').to_owned(), None),
    };
    (words[..first].to_vec(), words[first..].iter().map(change).collect())
}

async fn change(
    args: &Label,
    field: Field,
    changes: &Changes,
    api: &Api<Object>,
    object: &Object,
) -> Result<Option<String>> {
    if changes.is_empty() {
        return Ok(None);
    }
    let now = |key: &str| pairs(object, field).find(|(k, _)| *k == key).map(|(_, value)| value);
    let mut patch = Map::new();
    for (key, value) in changes {
        match (now(key), value) {
            (Some(old), Some(new)) if old != new && !args.overwrite => {
                bail!("'{key}' already has a value ({old}), and --overwrite is false");
            }
            (old, new) if old == new.as_deref() => {}
            (_, new) => {
                patch.insert(key.clone(), new.clone().map_or(Value::Null, Value::String));
            }
        }
    }
    if patch.is_empty() {
        return Ok(Some(format!("not {}", field.done())));
    }
    let only_removed = patch.values().all(Value::is_null);
    let patch = Patch::Merge(json!({"metadata": {field.name(): patch}}));
    api.patch(object.name(), &patch).await?;
    let removed = only_removed && field == Field::Labels;
    Ok(Some(if removed { "unlabeled".to_owned() } else { field.done().to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_at_the_first_change() {
        let words = ["pod", "web", "a=b=c", "d-", "e="].map(str::to_owned);
        let (resources, changes) = split(&words);
        assert_eq!(resources, ["pod", "web"]);
        let expected = [("a", Some("b=c")), ("d", None), ("e", Some(""))];
        assert_eq!(changes, expected.map(|(key, value)| (key.to_owned(), value.map(str::to_owned))));
    }
}
