//! The `trimtab` binary: parse, connect, run one command, exit code.

mod commands;
mod console;
mod error;
mod files;
mod lines;
mod output;
mod print;
mod session;
mod table;
mod terminal;
#[cfg(test)]
mod tests;
mod watching;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

use commands::{
    api_resources, apply, completion, delete, describe, down, events, exec, get, label, logs, new, rolling_update, run,
    scale, up, version, wait,
};
use console::Console;
use session::{Connection, Session};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// jemalloc reads its settings under this name. Its default is four arenas for each core, each of
/// which keeps pages of its own; threads seldom come to an arena past their caches. What is free is
/// given back after a second, in place of ten: the start needs more than what follows.
#[expect(unsafe_code, reason = "nothing else has this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_SETTINGS: &[u8; 46] = b"narenas:2,tcache_max:4096,dirty_decay_ms:1000\0";

/// A Kubernetes-compatible cluster in one binary, on the Docker Engine you already have.
#[derive(Parser)]
#[command(name = "trimtab", version)]
struct Cli {
    #[command(flatten)]
    connection: Connection,
    /// How much is logged, as `info` or `trimtab_node=debug`
    #[arg(long, global = true, default_value = "warn", env = "TRIMTAB_LOG")]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a cluster in the foreground
    Up(up::Args),
    /// Stop the cluster and remove the containers it made
    Down(down::Args),
    /// Run one component as a process of its own
    Run(run::Args),
    New(new::Args),
    Apply(apply::Apply),
    Get(get::Get),
    Describe(describe::Args),
    Delete(delete::Delete),
    Logs(logs::Logs),
    Exec(exec::Args),
    Scale(scale::Scale),
    RollingUpdate(rolling_update::Args),
    /// Update the labels on a resource
    Label(label::Label),
    /// Update the annotations on a resource
    Annotate(label::Label),
    Events(events::Events),
    Wait(wait::Wait),
    ApiResources(api_resources::ApiResources),
    Version(version::Version),
    Completion(completion::Completion),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_new(&cli.log).unwrap_or_default();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(print::colours()).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return finish(Err(error.into())),
    };
    let result = runtime.block_on(execute(cli));
    // A read of the terminal that nobody ends must not keep the process.
    runtime.shutdown_background();
    finish(result)
}

fn finish(result: Result<u8>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) if error::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            print::note(error::render(&error));
            ExitCode::FAILURE
        }
    }
}

async fn execute(cli: Cli) -> Result<u8> {
    let connection = &cli.connection;
    match cli.command {
        Command::Up(args) => up::run(args, connection).await.map(|()| 0),
        Command::Down(args) => down::run(args).await.map(|()| 0),
        Command::Run(args) => run::run(args, connection).await.map(|()| 0),
        Command::New(args) => new::run(&args, Console::standard()),
        Command::Version(args) => version::run(args, connection, Console::standard()).await,
        Command::Completion(args) => completion::run(&args, Cli::command(), Console::standard()),
        command => connected(command, &mut Session::connect(connection, Console::standard())?).await,
    }
}

/// Runs a command that talks to a server.
async fn connected(command: Command, session: &mut Session) -> Result<u8> {
    match command {
        Command::Apply(args) => apply::run(args, session).await,
        Command::Get(args) => get::run(args, session).await,
        Command::Describe(args) => describe::run(args, session).await,
        Command::Delete(args) => delete::run(args, session).await,
        Command::Logs(args) => logs::run(args, session).await,
        Command::Exec(args) => exec::run(args, session).await,
        Command::Scale(args) => scale::run(args, session).await,
        Command::RollingUpdate(args) => rolling_update::run(args, session).await,
        Command::Label(args) => label::run(args, label::Field::Labels, session).await,
        Command::Annotate(args) => label::run(args, label::Field::Annotations, session).await,
        Command::Events(args) => events::run(args, session).await,
        Command::Wait(args) => wait::run(args, session).await,
        Command::ApiResources(args) => api_resources::run(args, session).await,
        Command::Up(_)
        | Command::Down(_)
        | Command::Run(_)
        | Command::New(_)
        | Command::Version(_)
        | Command::Completion(_) => {
            unreachable!("run without a session")
        }
    }
}
