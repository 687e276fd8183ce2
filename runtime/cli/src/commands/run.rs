//! `trimtab run COMPONENT`.

use tokio::signal::unix::{SignalKind, signal};
use trimtab_client::Client;
use trimtab_cluster::component;
use trimtab_env::{Env, Tasks};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// `controllers` or `scheduler`.
    component: String,
}

pub(crate) async fn run(args: Args, client: Client) -> anyhow::Result<()> {
    let tasks = Tasks::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let running = component::run(&args.component, client, Env::system(), &tasks);
    let mut running = std::pin::pin!(running);
    tokio::select! {
        result = running.as_mut() => return Ok(result?),
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tasks.token().cancel();
    Ok(running.await?)
}
