//! `trimtab version`.

use serde_json::Value;
use trimtab_client::Client;

use crate::print;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this program's version.
    #[arg(long)]
    client: bool,
}

pub(crate) async fn run(args: Args, client: Option<&Client>) -> anyhow::Result<()> {
    print::line(concat!("Client Version: ", env!("CARGO_PKG_VERSION")));
    if let (false, Some(client)) = (args.client, client) {
        let version: Value = client.get("/version").await?;
        print::line(format_args!("Server Version: {}", print::cell(&version["gitVersion"])));
    }
    Ok(())
}
