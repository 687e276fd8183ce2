//! `run`.

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use trimtab_client::{Client, Kubeconfig};
use trimtab_env::{CancellationToken, Env, Tasks};
use trimtab_reconcile::{LeaderElection, Manager};

use crate::arguments::{Address, Run};
use crate::health::{self, Health};
use crate::install;
use crate::operator::Operator;
use crate::webhook::{self, Certificate};

/// Runs the controllers until `stop` or a signal; then each ends after its current reconcile, and health and
/// conversions are answered to the last.
pub(crate) async fn run(operator: &Operator, args: &Run, stop: &CancellationToken) -> anyhow::Result<()> {
    let (tasks, stop) = (Tasks::new(), stop.child_token());
    heed_signals(&stop, &tasks)?;
    let result = serve(operator, args, &stop, &tasks).await;
    tasks.shutdown().await;
    result
}

async fn serve(operator: &Operator, args: &Run, stop: &CancellationToken, tasks: &Tasks) -> anyhow::Result<()> {
    let env = Env::system();
    let client = connect(args)?.with_user_agent(operator.name);
    let health = Health::default();
    if let Some(listener) = listen("--metrics-bind-address", args.metrics_bind_address).await? {
        health.serve(listener, tasks);
    }
    let certificate = certificate(operator, args)?;
    if let Some(certificate) = &certificate
        && let Some(listener) = listen("--webhook-bind-address", args.webhook_bind_address).await?
    {
        health::serve_conversions(listener, certificate.server_config()?, operator.converted().collect(), tasks);
    }
    let prepared = async {
        if args.install_crds {
            let authority = certificate.as_ref().and_then(|certificate| certificate.authority.as_deref());
            let webhook = args.webhook.client_config(authority);
            let all = operator.definitions.iter().map(|known| webhook::definition(known, webhook.as_ref()));
            install::install(&client, &env, operator.name, all).await?;
        }
        install::check(&client, operator.name, &operator.definitions).await
    };
    match stop.run_until_cancelled(prepared).await {
        None => return Ok(()),
        Some(prepared) => prepared?,
    }
    let manager = if args.namespaces.is_empty() {
        Manager::new(client, env)
    } else {
        Manager::in_namespaces(client, env, args.namespaces.clone())
    };
    operator.add_to(&manager);
    health.tells_of(&manager);
    tracing::info!(server = manager.client().server(), namespaces = ?args.namespaces, "the controllers run");
    if args.leader_elect {
        let namespace = args.leader_election_namespace.as_deref().unwrap_or(manager.client().default_namespace());
        let election = LeaderElection::new(namespace, operator.name, identity(manager.env()));
        manager.run_as_leader(election, stop.clone()).await?;
    } else {
        manager.run(stop.clone()).await;
    }
    tracing::info!("the controllers have ended");
    Ok(())
}

/// Who this process is among its like: the name of its pod, where it has one.
fn identity(env: &Env) -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    format!("{host}_{}", env.uuid())
}

fn connect(args: &Run) -> anyhow::Result<Client> {
    Ok(Kubeconfig::find(args.kubeconfig.as_deref())?.client(args.context.as_deref())?)
}

/// The webhook's certificate, if versions are converted here.
fn certificate(operator: &Operator, args: &Run) -> anyhow::Result<Option<Certificate>> {
    let Some(kind) = operator.converted().next().map(|declaration| declaration.names.kind) else { return Ok(None) };
    match &args.webhook_cert_dir {
        Some(_) if args.install_crds && !args.webhook.is_given() => bail!("{}", where_is_it(kind)),
        Some(dir) => Certificate::read(dir).map(Some),
        None if !args.install_crds => {
            tracing::warn!(
                kind,
                "has several versions, and nothing here converts between them: give --webhook-cert-dir, or --install-crds"
            );
            Ok(None)
        }
        None if !args.webhook.is_given() => bail!("{}", where_is_it(kind)),
        None => Certificate::make(args.webhook.names()).map(Some),
    }
}

fn where_is_it(kind: &str) -> String {
    format!(
        "{kind} has several versions: say where the API server finds what converts between them, by --webhook-service NAMESPACE/NAME or --webhook-url URL"
    )
}

async fn listen(flag: &str, address: Address) -> anyhow::Result<Option<TcpListener>> {
    let Address(Some(address)) = address else { return Ok(None) };
    let bound = TcpListener::bind(address).await;
    bound.map(Some).with_context(|| format!("cannot listen on {address}; say where else by {flag}, or 0 for nowhere"))
}

/// The first signal ends the program in order, the second at once.
fn heed_signals(stop: &CancellationToken, tasks: &Tasks) -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = stop.clone();
    tasks.spawn_cancellable("signals", async move {
        let mut next = async || {
            tokio::select! {
                biased;
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
            }
        };
        next().await;
        stop.cancel();
        std::process::exit(next().await);
    });
    Ok(())
}
