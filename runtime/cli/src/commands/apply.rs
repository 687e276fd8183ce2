//! `trimtab apply`: makes objects as a manifest says.
//!
//! Always a server-side apply. Without `--server-side` it takes the fields that others own, as
//! kubectl's client-side apply does, and tells what changed in the same words.

use std::path::PathBuf;

use anyhow::{Result, bail};
use bytes::Bytes;
use clap::Args;
use http::Method;
use trimtab_api::Object;

use crate::error;
use crate::files;
use crate::output::{self, Output};
use crate::session::{Session, When, display_name};

const MANAGER: &str = "trimtab-apply";

/// Apply a configuration to a resource by file name or stdin
#[derive(Args, Clone, Debug)]
pub(crate) struct Apply {
    /// The files, folders or URLs that contain the configurations to apply; `-` for stdin
    #[arg(short, long = "filename", required = true, value_delimiter = ',')]
    filename: Vec<PathBuf>,
    /// Process the folders used in -f, --filename recursively
    #[arg(short = 'R', long)]
    recursive: bool,
    /// If true, fields that others own are not taken, but reported as conflicts
    #[arg(long)]
    server_side: bool,
    /// If true, server-side apply will force the changes against conflicts
    #[arg(long, requires = "server_side")]
    force_conflicts: bool,
    /// Name of the manager used to track field ownership
    #[arg(long, default_value = MANAGER)]
    field_manager: String,
    /// Must be "none" or "server": with "server", submit the request without persisting the resource
    #[arg(long, default_value = "none", value_parser = ["none", "server"])]
    dry_run: String,
    /// Must be "strict", "warn" or "ignore": what becomes of unknown fields
    #[arg(long, default_value = "strict", value_parser = ["strict", "warn", "ignore"])]
    validate: String,
    /// Output format: yaml, json, name or jsonpath=TEMPLATE
    #[arg(short, long, value_parser = str::parse::<Output>)]
    output: Option<Output>,
}

/// Runs the command. One bad object does not keep the others from being applied.
pub(crate) async fn run(args: Apply, session: &mut Session) -> Result<u8> {
    let mut code = 0;
    for file in files::read(&args.filename, args.recursive).await? {
        for object in file.objects? {
            if let Err(error) = apply(&args, &file.name, object, session).await {
                session.console.note(error::render(&error));
                code = 1;
            }
        }
    }
    Ok(code)
}

async fn apply(args: &Apply, file: &str, mut object: Object, session: &mut Session) -> Result<()> {
    if object.name().is_empty() {
        bail!("error when applying {file:?}: resource name may not be empty");
    }
    let kind = files::kind_of(session, file, &object).await?;
    files::settle_namespace(session, &kind, &mut object)?;
    object.remove(&["metadata", "managedFields"]);
    let api = trimtab_client::Api::<Object>::dynamic(&session.client, &kind.resource, Some(object.namespace()));
    let before = api.get_opt(object.name()).await.when(|| format!("retrieving current configuration of {file:?}"))?;
    let body = Bytes::from(serde_json::to_vec(&object)?);
    let path = api.path(object.name(), "", &query(args));
    let request = trimtab_client::request(Method::PATCH, &path, Some(("application/apply-patch+yaml", body)))?;
    let after: Object = session.client.json(request).await.when(|| format!("applying {file:?}"))?;
    let verb = match &before {
        _ if args.server_side => "serverside-applied",
        None => "created",
        Some(before) if before.resource_version() == after.resource_version() => "unchanged",
        Some(_) => "configured",
    };
    let name = display_name(&kind, after.name());
    match &args.output {
        None if args.dry_run == "server" => session.console.line(format!("{name} {verb} (server dry run)"))?,
        None => session.console.line(format!("{name} {verb}"))?,
        Some(Output::Name) => session.console.line(name)?,
        Some(output) => output::print(&mut session.console, output, &[output::without_managed_fields(after)], true)?,
    }
    Ok(())
}

fn query(args: &Apply) -> String {
    let validation = match args.validate.as_str() {
        "warn" => "Warn",
        "ignore" => "Ignore",
        _ => "Strict",
    };
    let force = !args.server_side || args.force_conflicts;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("fieldManager", &args.field_manager).append_pair("fieldValidation", validation);
    query.append_pair("force", if force { "true" } else { "false" });
    if args.dry_run == "server" {
        query.append_pair("dryRun", "All");
    }
    query.finish()
}
