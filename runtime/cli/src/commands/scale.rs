//! `trimtab scale`.

use anyhow::bail;
use trimtab_client::Client;

use crate::print;
use crate::target;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// `KIND NAME…`, or `KIND/NAME…`.
    #[arg(required = true)]
    what: Vec<String>,
    /// How many.
    #[arg(long)]
    replicas: i32,
    /// Only if there are this many now.
    #[arg(long)]
    current_replicas: Option<i32>,
}

pub(crate) async fn run(args: Args, client: &Client) -> anyhow::Result<()> {
    for target in target::parse(client, &args.what).await? {
        let Some(name) = &target.name else { bail!("name what to scale") };
        let api = target.api(client, Some(client.default_namespace()));
        // Somebody else's write in between is no reason to fail.
        loop {
            let mut scale = api.scale(name).await?;
            let spec = scale.spec.get_or_insert_default();
            if let Some(expected) = args.current_replicas.filter(|expected| Some(*expected) != spec.replicas) {
                bail!("expected replicas to be {expected}, was {}", spec.replicas.unwrap_or(0));
            }
            spec.replicas = Some(args.replicas);
            match api.replace_scale(name, &scale).await {
                Ok(_) => break,
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
        }
        print::line(format_args!("{} scaled", target.label(name)));
    }
    Ok(())
}
