//! `trimtab apply`: server-side apply of what files declare.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::Value;
use trimtab_api::{Object, manifest};
use trimtab_client::discovery::Discovered;
use trimtab_client::{Api, Client, Patch};

use crate::print;
use crate::target::label;

const MANAGER: &str = "trimtab";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A file, a folder, or `-` for standard input; may be given several times.
    #[arg(short, long, required = true)]
    pub filename: Vec<String>,
    /// Leave fields alone that others own, and fail instead.
    #[arg(long)]
    no_force: bool,
}

pub(crate) async fn run(args: Args, client: &Client) -> anyhow::Result<()> {
    let served = client.discover().await?;
    let mut failed = None;
    for (source, object) in read_all(&args.filename)? {
        match apply(client, &served, object, !args.no_force).await {
            Ok(done) => print::line(done),
            // One bad object stops no other.
            Err(error) => {
                let error = error.context(source);
                if let Some(before) = failed.replace(error) {
                    print::error(&before);
                }
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn apply(client: &Client, served: &[Discovered], object: Object, force: bool) -> anyhow::Result<String> {
    let discovered = find(served, &object)?;
    let name = object.name().to_owned();
    let namespace = if object.namespace().is_empty() { client.default_namespace() } else { object.namespace() }.to_owned();
    let api = Api::dynamic(client, &discovered.resource, Some(&namespace));
    let before = api.get_opt(&name).await?;
    let path = api.path(&name, "", &format!("fieldManager={MANAGER}&force={force}&fieldValidation=Strict"));
    let patch = Patch::Apply { object: Value::Object(object.0), manager: MANAGER.to_owned(), force };
    let after: Object = api.send_patch(&path, &patch).await?;
    let verb = match before {
        None => "created",
        Some(before) if before.resource_version() == after.resource_version() => "unchanged",
        Some(_) => "configured",
    };
    Ok(format!("{} {verb}", label(discovered, &name)))
}

/// How an object's kind is served.
pub(crate) fn find<'a>(served: &'a [Discovered], object: &Object) -> anyhow::Result<&'a Discovered> {
    let found = served.iter().find(|d| d.resource.kind == object.kind() && d.resource.api_version() == object.api_version());
    found.with_context(|| {
        format!("no matches for kind {:?} in version {:?}; `trimtab api-resources` lists what is served", object.kind(), object.api_version())
    })
}

/// Every object of every file, with where it stands; namespaces first.
pub(crate) fn read_all(names: &[String]) -> anyhow::Result<Vec<(String, Object)>> {
    let mut objects = Vec::new();
    for name in names {
        if name.starts_with("http://") || name.starts_with("https://") {
            bail!("{name}: a URL cannot be read yet; download the file and name it instead");
        }
        if name == "-" {
            let mut text = String::new();
            std::io::stdin().take(manifest::MAX_BYTES as u64 + 1).read_to_string(&mut text).context("could not read standard input")?;
            collect("standard input", &text, &mut objects)?;
            continue;
        }
        for file in files(Path::new(name))? {
            let text = std::fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
            collect(&file.display().to_string(), &text, &mut objects)?;
        }
    }
    objects.sort_by_key(|(_, object)| object.kind() != "Namespace");
    Ok(objects)
}

fn collect(source: &str, text: &str, objects: &mut Vec<(String, Object)>) -> anyhow::Result<()> {
    let read = manifest::read(text).with_context(|| source.to_owned())?;
    objects.extend(read.into_iter().map(|object| (source.to_owned(), object)));
    Ok(())
}

fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let about = || format!("could not read {}", path.display());
    if !std::fs::metadata(path).with_context(about)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).with_context(about)? {
        let entry = entry?.path();
        if entry.extension().is_some_and(|e| ["yaml", "yml", "json"].iter().any(|known| e == *known)) {
            found.push(entry);
        }
    }
    found.sort();
    Ok(found)
}
