//! `trimtab scale`.

use anyhow::{Result, bail};
use clap::Args;

use crate::session::{Filter, Session, display_name};

/// Set a new size for a replication controller
#[derive(Args, Clone, Debug)]
pub(crate) struct Scale {
    /// `rc web`, `rc/web rc/db`
    #[arg(required = true, value_name = "TYPE[/NAME] [NAME]")]
    resources: Vec<String>,
    /// The new desired number of replicas
    #[arg(long)]
    replicas: i32,
    /// Precondition for current size: requires that the current size match this value
    #[arg(long)]
    current_replicas: Option<i32>,
    #[command(flatten)]
    filter: Filter,
    /// Select all resources in the namespace of the specified resource types
    #[arg(long)]
    all: bool,
}

/// Runs the command.
pub(crate) async fn run(args: Scale, session: &mut Session) -> Result<u8> {
    if args.replicas < 0 {
        bail!("The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0");
    }
    for (kind, object) in session.objects(&args.resources, &args.filter, args.all).await? {
        let api = trimtab_client::Api::<trimtab_api::Object>::dynamic(
            &session.client,
            &kind.resource,
            Some(object.namespace()),
        );
        set(&api, object.name(), &args).await?;
        session.console.line(format!("{} scaled", display_name(&kind, object.name())))?;
    }
    Ok(0)
}

/// Writes the scale; begins again when somebody else wrote meanwhile, unless that breaks the
/// precondition.
async fn set(api: &trimtab_client::Api<trimtab_api::Object>, name: &str, args: &Scale) -> Result<()> {
    loop {
        let mut scale = api.scale(name).await?;
        let current = scale.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
        if let Some(expected) = args.current_replicas.filter(|expected| *expected != current) {
            bail!("Expected replicas to be {expected}, was {current}");
        }
        scale.spec.get_or_insert_default().replicas = Some(args.replicas);
        match api.replace_scale(name, &scale).await {
            Err(error) if error.is_conflict() => {}
            done => return Ok(done.map(drop)?),
        }
    }
}
