//! What people mean by `pods`, `rc/web` or `po web-1 web-2`.

use anyhow::{Context, bail};
use trimtab_api::Object;
use trimtab_client::discovery::Discovered;
use trimtab_client::{Api, Client};

/// Kinds and names that a command was given.
pub(crate) struct Target {
    pub discovered: Discovered,
    /// `None` for all of the kind.
    pub name: Option<String>,
}

impl Target {
    /// The API of the kind in `namespace`.
    pub(crate) fn api(&self, client: &Client, namespace: Option<&str>) -> Api<Object> {
        Api::dynamic(client, &self.discovered.resource, namespace)
    }

    /// `pod/web-1`, or `website.demo.io/w`, as results name objects.
    pub(crate) fn label(&self, name: &str) -> String {
        label(&self.discovered, name)
    }
}

/// How results name an object.
pub(crate) fn label(discovered: &Discovered, name: &str) -> String {
    let resource = &discovered.resource;
    if resource.group.is_empty() {
        format!("{}/{name}", discovered.singular)
    } else {
        format!("{}.{}/{name}", discovered.singular, resource.group)
    }
}

/// Reads a command's words: `KIND[,KIND…] [NAME…]`, or `KIND/NAME…`.
///
/// # Errors
/// When a kind is not served, or the words make no sense.
pub(crate) async fn parse(client: &Client, words: &[String]) -> anyhow::Result<Vec<Target>> {
    let served = client.discover().await?;
    let Some((first, names)) = words.split_first() else { bail!("you must specify the type of resource") };
    if words.iter().any(|word| word.contains('/')) {
        return words.iter().map(|word| slashed(&served, word)).collect();
    }
    let mut targets = Vec::new();
    for kind in first.split(',').filter(|kind| !kind.is_empty()) {
        for discovered in called(&served, kind)? {
            if names.is_empty() {
                targets.push(Target { discovered: discovered.clone(), name: None });
            }
            targets
                .extend(names.iter().map(|name| Target { discovered: discovered.clone(), name: Some(name.clone()) }));
        }
    }
    Ok(targets)
}

fn slashed(served: &[Discovered], word: &str) -> anyhow::Result<Target> {
    let (kind, name) = word
        .split_once('/')
        .filter(|(_, name)| !name.is_empty())
        .with_context(|| format!("there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (found {word:?})"))?;
    let discovered = called(served, kind)?.into_iter().next().with_context(|| format!("{kind:?} is empty"))?;
    Ok(Target { discovered, name: Some(name.to_owned()) })
}

fn called(served: &[Discovered], name: &str) -> anyhow::Result<Vec<Discovered>> {
    if let Some(found) = served.iter().find(|discovered| discovered.is_called(name)) {
        return Ok(vec![found.clone()]);
    }
    let category: Vec<_> =
        served.iter().filter(|discovered| discovered.categories.iter().any(|c| c == name)).cloned().collect();
    if category.is_empty() {
        bail!("the server doesn't have a resource type {name:?}");
    }
    Ok(category)
}
