//! The built-in reconcilers, one file per kind. They meet the API server through the client alone.
//!
//! Start at [`run`], or at [`install`] to run them beside others over the same caches.

mod backends;
mod certificates;
mod clusterrole_aggregation;
mod disruption;
mod endpoints;
mod endpointslice;
mod endpointslice_mirroring;
mod flow_schema;
mod follow;
pub mod garbage;
mod heartbeat;
mod metadata;
mod namespace;
mod node_lifecycle;
mod policy_status;
mod protection;
mod replication;
mod resource_quota;
mod root_ca;
mod served;
mod service_account;
mod service_account_tokens;
mod service_cidr;
mod taints;
mod token_cleaner;

use std::sync::Arc;
use std::time::Duration;

use trimtab_client::Client;
use trimtab_env::{CancellationToken, Env};
use trimtab_reconcile::Manager;

pub use certificates::{CertificateApproving, CertificateCleaning, CertificateSigning, Signer};
pub use clusterrole_aggregation::ClusterRoleAggregation;
pub use disruption::Disruption;
pub use endpoints::EndpointsController;
pub use endpointslice::EndpointSliceController;
pub use endpointslice_mirroring::EndpointSliceMirroring;
pub use flow_schema::FlowSchemaStatusController;
pub use namespace::NamespaceLifecycle;
pub use node_lifecycle::NodeLifecycle;
pub use policy_status::ValidatingAdmissionPolicyStatusController;
pub use protection::{ClaimProtection, VolumeProtection};
pub use replication::Replication;
pub use resource_quota::ResourceQuotaController;
pub use root_ca::RootCaPublisher;
pub use service_account::DefaultServiceAccount;
pub use service_account_tokens::{ServiceAccountTokens, TokenSigner};
pub use service_cidr::ServiceRanges;
pub use token_cleaner::TokenCleaner;

/// What may be set.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long a node may be silent before it counts as dead (`--node-monitor-grace-period`).
    pub node_grace: Duration,
    /// The authority of the API server's certificate, in PEM, which every namespace is told (`--root-ca-file`);
    /// without it, none is.
    pub root_ca: Option<String>,
    /// Who signs certificates for the cluster's own signers; without it, nobody here does.
    pub signer: Option<Arc<dyn Signer>>,
    /// Who signs the tokens of service accounts that Secrets hold (`--service-account-private-key-file`); without it,
    /// such Secrets stay as they are.
    pub tokens: Option<Arc<dyn TokenSigner>>,
}

impl Default for Config {
    fn default() -> Self {
        Self { node_grace: Duration::from_secs(50), root_ca: None, signer: None, tokens: None }
    }
}

/// Adds every built-in controller to `manager`. [`garbage::run`] is not among them: it follows all
/// kinds at once, and runs by itself.
pub fn install(manager: &Manager, config: &Config) {
    manager.add(CertificateApproving);
    manager.add(CertificateCleaning);
    if let Some(signer) = &config.signer {
        manager.add(CertificateSigning::new(Arc::clone(signer)));
    }
    manager.add(ClaimProtection);
    manager.add(ClusterRoleAggregation);
    manager.add(DefaultServiceAccount);
    manager.add(Disruption::default());
    manager.add(EndpointsController);
    manager.add(EndpointSliceController);
    manager.add(EndpointSliceMirroring);
    manager.add(FlowSchemaStatusController);
    manager.add(NamespaceLifecycle);
    manager.add(NodeLifecycle::new(config.node_grace));
    manager.add(Replication);
    manager.add(ResourceQuotaController::default());
    manager.add(ServiceRanges);
    manager.add(TokenCleaner);
    manager.add(ValidatingAdmissionPolicyStatusController);
    manager.add(VolumeProtection);
    if let Some(pem) = &config.root_ca {
        manager.add(RootCaPublisher::new(pem));
    }
    if let Some(signer) = &config.tokens {
        manager.add(ServiceAccountTokens::new(Arc::clone(signer), config.root_ca.clone()));
    }
}

/// Runs everything in this crate, until `shutdown`.
pub async fn run(client: Client, env: Env, config: Config, shutdown: CancellationToken) {
    let manager = Manager::new(client.clone(), env.clone());
    install(&manager, &config);
    tokio::join!(manager.run(shutdown.clone()), garbage::run(client, env, shutdown));
}
