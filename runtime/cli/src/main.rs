//! The `trimtab` binary: parse, connect, run one command, exit code.

mod commands;
mod connect;
mod print;
mod target;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use commands::{api_resources, apply, delete, down, events, get, label, logs, run, scale, up, version, wait};

/// A Kubernetes-compatible cluster in one binary, on the Docker Engine you already have.
#[derive(Parser)]
#[command(name = "trimtab", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    connection: connect::Args,
    /// How much is logged, as `info` or `trimtab_node=debug`.
    #[arg(long, global = true, default_value = "warn", env = "TRIMTAB_LOG")]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a cluster in the foreground.
    Up(up::Args),
    /// Stop the cluster and remove the containers it made.
    Down(down::Args),
    /// Run one component as a process of its own.
    Run(run::Args),
    /// Make what is declared in files so.
    Apply(apply::Args),
    /// Show objects.
    Get(get::Args),
    /// Delete objects.
    Delete(delete::Args),
    /// Show what a container wrote.
    Logs(logs::Args),
    /// Set the number of replicas.
    Scale(scale::Args),
    /// Change labels.
    Label(label::Args),
    /// Change annotations.
    Annotate(label::Args),
    /// Show events, oldest first.
    Events(events::Args),
    /// Wait for a condition.
    Wait(wait::Args),
    /// Show what the server serves.
    ApiResources(api_resources::Args),
    /// Show the versions of client and server.
    Version(version::Args),
    /// Write a completion script for a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_new(&cli.log).unwrap_or_default();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(print::colours()).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(execute(cli)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print::error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn execute(cli: Cli) -> anyhow::Result<()> {
    let client = || cli.connection.client();
    match cli.command {
        Command::Up(args) => up::run(args, cli.connection.kubeconfig).await,
        Command::Down(args) => down::run(args).await,
        Command::Run(args) => run::run(args, client()?).await,
        Command::Apply(args) => apply::run(args, &client()?).await,
        Command::Get(args) => get::run(args, &client()?).await,
        Command::Delete(args) => delete::run(args, &client()?).await,
        Command::Logs(args) => logs::run(args, &client()?).await,
        Command::Scale(args) => scale::run(args, &client()?).await,
        Command::Label(args) => label::run(args, "labels", &client()?).await,
        Command::Annotate(args) => label::run(args, "annotations", &client()?).await,
        Command::Events(args) => events::run(args, &client()?).await,
        Command::Wait(args) => wait::run(args, &client()?).await,
        Command::ApiResources(args) => api_resources::run(args, &client()?).await,
        Command::Version(args) => version::run(args, client().ok().as_ref()).await,
        Command::Completion { shell } => {
            let mut command = <Cli as clap::CommandFactory>::command();
            clap_complete::generate(shell, &mut command, "trimtab", &mut std::io::stdout());
            Ok(())
        }
    }
}
