//! One component at a time.

use trimtab_client::Client;
use trimtab_env::{Env, Tasks};
use trimtab_reconcile::Manager;

use crate::cluster::{StartError, other};

/// Adds the built-in controllers to `manager`, and runs the garbage collector beside them.
pub(crate) fn controllers(manager: &Manager, tasks: &Tasks) {
    trimtab_controllers::install(manager, &trimtab_controllers::Config::default());
    let (client, env, token) = (manager.client().clone(), manager.env().clone(), tasks.token().clone());
    tasks.spawn("garbage-collector", async move { trimtab_controllers::garbage::run(client, env, token).await });
}

/// Runs the node agent.
pub(crate) fn node(client: &Client, env: &Env, config: trimtab_node::Config, tasks: &Tasks) {
    let (client, env, token) = (client.clone(), env.clone(), tasks.token().clone());
    tasks.spawn("node", async move {
        if let Err(error) = trimtab_node::run(client, env, config, token).await {
            tracing::error!(%error, "the node agent stopped");
        }
    });
}

/// Runs the watched directories. A directory that is not there is told at once.
pub(crate) async fn sync(
    client: &Client,
    env: &Env,
    config: trimtab_sync::Config,
    tasks: &Tasks,
) -> Result<(), StartError> {
    for dir in &config.dirs {
        let _readable = tokio::fs::read_dir(dir).await.map_err(|source| {
            other("watch the manifests")(std::io::Error::new(source.kind(), format!("{}: {source}", dir.display())))
        })?;
    }
    let (client, env, token) = (client.clone(), env.clone(), tasks.token().clone());
    tasks.spawn("sync", async move {
        if let Err(error) = trimtab_sync::run(client, env, config, token).await {
            tracing::error!(%error, "the manifests are no longer watched");
        }
    });
    Ok(())
}

/// Runs the component called `name` against the API server of `client` until `tasks` is shut down.
///
/// # Errors
/// When there is no such component, or it cannot start.
pub async fn run(name: &str, client: Client, env: Env, tasks: &Tasks) -> Result<(), StartError> {
    let manager = Manager::new(client, env);
    match name {
        "controllers" => controllers(&manager, tasks),
        "scheduler" => tasks.spawn("scheduler", trimtab_scheduler::run(manager.clone(), tasks.token().clone())),
        _ => {
            let text = format!("{name:?} cannot run as a process of its own yet; expected controllers or scheduler");
            return Err(other("run the component")(text));
        }
    }
    manager.run(tasks.token().clone()).await;
    tasks.join().await;
    Ok(())
}
