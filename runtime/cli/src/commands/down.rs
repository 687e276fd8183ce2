//! `trimtab down`.

use std::path::PathBuf;

use trimtab_cluster::{Data, SERVICE_CIDR_TEXT, default_data_dir, down};
use trimtab_env::Env;

use crate::print;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The data directory of the cluster.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Also delete the data directory: all that is declared, and the certificates.
    #[arg(long)]
    delete_data: bool,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let data_dir = args.data_dir.unwrap_or_else(default_data_dir);
    let data = if args.delete_data { Data::Deleted } else { Data::Kept };
    let removed = down(&data_dir, SERVICE_CIDR_TEXT, data, &Env::system()).await?;
    let dir = data_dir.display();
    let left = match data {
        Data::Deleted => format!("{dir} deleted, with all that was declared"),
        Data::Kept => format!("what is declared stays in {dir} for the next `trimtab up` (--delete-data deletes it)"),
    };
    print::line(format_args!("stopped; {removed} containers removed; {left}"));
    Ok(())
}
