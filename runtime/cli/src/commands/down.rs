//! `trimtab down`.

use std::path::PathBuf;

use trimtab_cluster::{SERVICE_CIDR_TEXT, default_data_dir, down};
use trimtab_env::Env;

use crate::print;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The data directory of the cluster.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let data_dir = args.data_dir.unwrap_or_else(default_data_dir);
    let removed = down(&data_dir, SERVICE_CIDR_TEXT, &Env::system()).await?;
    print::line(format_args!(
        "stopped; {removed} containers removed; what is declared stays in {}",
        data_dir.display()
    ));
    Ok(())
}
