//! `trimtab version`.

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::console::Console;
use crate::output;
use crate::session::{Connection, Session};

/// Print the client and server version information
#[derive(Args, Clone, Debug)]
pub(crate) struct Version {
    /// If true, shows client version only (no server required)
    #[arg(long)]
    client: bool,
    /// Output format
    #[arg(short, long, value_enum)]
    output: Option<Format>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Json,
    Yaml,
}

/// Runs the command.
pub(crate) async fn run(args: Version, connection: &Connection, mut console: Console) -> Result<u8> {
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    if args.client {
        print(&args, json!({"clientVersion": {"gitVersion": version}}), &mut console)?;
        return Ok(0);
    }
    let mut session = Session::connect(connection, console)?;
    let server = session.client.get::<Value>("/version").await;
    let mut versions = json!({"clientVersion": {"gitVersion": version}});
    if let Ok(server) = &server {
        versions["serverVersion"] = server.clone();
    }
    // What is known is printed also when the server is away.
    print(&args, versions, &mut session.console)?;
    server?;
    Ok(0)
}

fn print(args: &Version, versions: Value, console: &mut Console) -> Result<()> {
    match args.output {
        Some(Format::Json) => console.line(output::indented(&versions)?)?,
        Some(Format::Yaml) => console.raw(trimtab_api::to_yaml(&versions).as_bytes())?,
        None => {
            for (name, key) in [("Client", "clientVersion"), ("Server", "serverVersion")] {
                if let Some(version) = versions[key]["gitVersion"].as_str() {
                    console.line(format!("{name} Version: {version}"))?;
                }
            }
        }
    }
    Ok(())
}
