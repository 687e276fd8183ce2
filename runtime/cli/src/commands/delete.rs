//! `trimtab delete`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use trimtab_api::Object;
use trimtab_client::discovery::Discovered;
use trimtab_client::{Api, DeleteParams, Propagation};

use crate::session::{Filter, Session, Target, display_name, duration, list};
use crate::{error, files, watching};

/// How long `--wait` waits without a `--timeout`: as long as anybody would.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Delete resources by file names, stdin, resources and names, or by resources and label selector
#[derive(Args, Clone, Debug)]
pub(crate) struct Delete {
    /// `pod web db`, `pod/web svc/web`, or a kind with -l or --all
    #[arg(value_name = "TYPE[/NAME] [NAME]", required_unless_present = "filename")]
    resources: Vec<String>,
    /// Files, folders or URLs that contain the resources to delete; `-` for stdin
    #[arg(short, long, value_delimiter = ',', conflicts_with = "resources")]
    filename: Vec<PathBuf>,
    /// Process the folders used in -f, --filename recursively
    #[arg(short = 'R', long)]
    recursive: bool,
    #[command(flatten)]
    filter: Filter,
    /// Delete all resources, in the namespace of the specified resource types
    #[arg(long)]
    all: bool,
    /// Treat "resource not found" as a successful delete
    #[arg(long)]
    ignore_not_found: bool,
    /// If true, wait for resources to be gone before returning
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    wait: bool,
    /// The length of time to wait before giving up on a delete; zero waits as long as it takes
    #[arg(long, default_value = "0s", value_parser = duration)]
    timeout: Duration,
    /// Period of time in seconds given to the resource to terminate gracefully; 1 for an immediate shutdown
    #[arg(long)]
    grace_period: Option<u32>,
    /// If true, immediately remove resources from API and bypass graceful deletion
    #[arg(long)]
    force: bool,
    /// Delete immediately: the same as a grace period of 1 second
    #[arg(long, conflicts_with_all = ["grace_period", "force"])]
    now: bool,
    /// What becomes of the objects that a deleted one owns
    #[arg(long, value_enum, default_value = "background")]
    cascade: Cascade,
    /// Must be "none" or "server"
    #[arg(long, default_value = "none", value_parser = ["none", "server"])]
    dry_run: String,
    /// Output mode: use "name" for shorter output (resource/name)
    #[arg(short, long, value_parser = ["name"])]
    output: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Cascade {
    Background,
    Foreground,
    Orphan,
}

impl Delete {
    fn params(&self) -> DeleteParams {
        let grace = if self.now { Some(1) } else { self.grace_period.or(self.force.then_some(0)) };
        let propagation = match self.cascade {
            Cascade::Background => Propagation::Background,
            Cascade::Foreground => Propagation::Foreground,
            Cascade::Orphan => Propagation::Orphan,
        };
        let dry_run = self.dry_run == "server";
        DeleteParams { grace_period_seconds: grace, dry_run, ..DeleteParams::default() }.propagation(propagation)
    }
}

struct Doomed {
    kind: Discovered,
    api: Api<Object>,
    name: String,
}

/// Runs the command: every object is asked to go, then all are waited for.
pub(crate) async fn run(args: Delete, session: &mut Session) -> Result<u8> {
    if args.grace_period == Some(0) && !args.force {
        bail!("to delete at once, with --grace-period=0, say --force as well");
    }
    let doomed =
        if args.filename.is_empty() { of_args(&args, session).await? } else { of_files(&args, session).await? };
    if doomed.is_empty() && args.filename.is_empty() {
        session.console.note("No resources found");
        return Ok(0);
    }
    let (mut waits, mut code) = (Vec::new(), 0);
    for Doomed { kind, api, name } in doomed {
        let uid = match api.delete(&name, &args.params()).await {
            Ok(object) => uid(&object),
            Err(error) if error.is_not_found() && args.ignore_not_found => continue,
            Err(error) => {
                session.console.note(error::render(&error.into()));
                code = 1;
                continue;
            }
        };
        announce(&args, &kind, &name, session)?;
        waits.push((kind, api, name, uid));
    }
    if args.wait && args.dry_run == "none" {
        for (kind, api, name, uid) in waits {
            await_gone(&args, &kind, &api, &name, &uid, session).await?;
        }
    }
    Ok(code)
}

fn announce(args: &Delete, kind: &Discovered, name: &str, session: &mut Session) -> Result<()> {
    if args.output.is_some() {
        return Ok(session.console.line(display_name(kind, name))?);
    }
    let type_ = display_name(kind, "");
    let forced = if args.force { " force" } else { "" };
    let dry = if args.dry_run == "server" { " (server dry run)" } else { "" };
    Ok(session.console.line(format!("{} {name:?}{forced} deleted{dry}", type_.trim_end_matches('/')))?)
}

/// The answer is the object while it is still there, a `Status` when it went at once.
fn uid(answer: &Object) -> String {
    let of_status = answer.str_at(&["details", "uid"]);
    if of_status.is_empty() { answer.uid().to_owned() } else { of_status.to_owned() }
}

async fn await_gone(
    args: &Delete,
    kind: &Discovered,
    api: &Api<Object>,
    name: &str,
    uid: &str,
    session: &Session,
) -> Result<()> {
    let timeout = if args.timeout.is_zero() { PATIENCE } else { args.timeout };
    let gone = |object: Option<&Object>| Ok(object.is_none_or(|object| !uid.is_empty() && object.uid() != uid));
    if !watching::until(&session.env, api, name, timeout, gone).await? {
        bail!("timed out waiting for the condition on {}/{name}", kind.resource.plural);
    }
    Ok(())
}

async fn of_args(args: &Delete, session: &mut Session) -> Result<Vec<Doomed>> {
    let mut doomed = Vec::new();
    for Target { kind, names } in session.targets(&args.resources).await? {
        let api = session.api(&kind, args.filter.all_namespaces);
        if !names.is_empty() {
            doomed.extend(names.into_iter().map(|name| Doomed { kind: kind.clone(), api: api.clone(), name }));
            continue;
        }
        if !args.all && !args.filter.is_given() {
            bail!("resource(s) were provided, but no name was specified");
        }
        for object in list(&api, args.filter.params()).await? {
            let api = Api::dynamic(&session.client, &kind.resource, Some(object.namespace()));
            doomed.push(Doomed { kind: kind.clone(), api, name: object.name().to_owned() });
        }
    }
    Ok(doomed)
}

async fn of_files(args: &Delete, session: &mut Session) -> Result<Vec<Doomed>> {
    let mut doomed = Vec::new();
    for file in files::read(&args.filename, args.recursive).await? {
        for mut object in file.objects? {
            let kind = files::kind_of(session, &file.name, &object).await?;
            files::settle_namespace(session, &kind, &mut object)?;
            let api = Api::dynamic(&session.client, &kind.resource, Some(object.namespace()));
            doomed.push(Doomed { kind, api, name: object.name().to_owned() });
        }
    }
    Ok(doomed)
}
