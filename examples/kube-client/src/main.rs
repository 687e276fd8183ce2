//! Bookmarks, kept in a cluster: the crate `kube` talks to the server, the types are ours.

#[cfg(test)]
mod tests;

use std::io::{self, Write};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, ResourceExt};
use serde::{Deserialize, Serialize};
use trimtab::{Resource, Schema};

/// A place that somebody wants to find again.
#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(group = "demo.io", version = "v1", kind = "Bookmark", short = "bm", column("URL", ".spec.url"))]
struct BookmarkSpec {
    #[resource(rule("isURL(self)", message = "a bookmark is a URL"))]
    url: String,
}

const MANAGER: &str = "bookmarks";

/// Has the server know the kind.
async fn define(client: &Client) -> anyhow::Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition: CustomResourceDefinition = serde_json::from_value(Bookmark::crd())?;
    let name = definition.name_any();
    definitions.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&definition)).await?;
    await_condition(definitions, &name, conditions::is_crd_established()).await?;
    Ok(())
}

/// Keeps a place under a name.
async fn keep(client: &Client, name: &str, url: &str) -> anyhow::Result<Bookmark> {
    let bookmark = Bookmark::new(name, BookmarkSpec { url: url.to_owned() });
    let bookmarks: Api<Bookmark> = Api::default_namespaced(client.clone());
    Ok(bookmarks.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&bookmark)).await?)
}

/// All places, by their names.
async fn list(client: &Client, out: &mut dyn Write) -> anyhow::Result<()> {
    let bookmarks: Api<Bookmark> = Api::default_namespaced(client.clone());
    for bookmark in bookmarks.list(&ListParams::default()).await? {
        writeln!(out, "{}\t{}", bookmark.name_any(), bookmark.spec.url)?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let client = Client::try_default().await?;
    define(&client).await?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [] => list(&client, &mut io::stdout()).await,
        [name, url] => keep(&client, name, url).await.map(drop),
        _ => anyhow::bail!("expected nothing, or NAME URL"),
    }
}
