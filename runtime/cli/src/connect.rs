//! Whom to ask, as whom, in which namespace.

use std::path::PathBuf;

use trimtab_client::{Client, Kubeconfig};

/// The flags that every command has.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The kubeconfig file; otherwise those of $KUBECONFIG, or ~/.kube/config.
    #[arg(long, global = true)]
    pub kubeconfig: Option<PathBuf>,
    /// The context; otherwise the current one.
    #[arg(long, global = true)]
    context: Option<String>,
    /// The namespace; otherwise the context's.
    #[arg(short, long, global = true)]
    namespace: Option<String>,
}

impl Args {
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let config = match &self.kubeconfig {
            Some(path) => Kubeconfig::read(path)?,
            None => Kubeconfig::load()?,
        };
        let client = config.client(self.context.as_deref())?;
        Ok(match &self.namespace {
            Some(namespace) => client.with_namespace(namespace),
            None => client,
        })
    }
}
