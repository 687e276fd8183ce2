//! Tells that this server is there, by a Lease of its own, and forgets those of servers that are there no more
//! (<https://kubernetes.io/docs/concepts/architecture/leases/#api-server-identity>).

use std::sync::Weak;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use ring::digest;
use trimtab_client::{Api, Client, DeleteParams, Error, ListParams};

use crate::auth::Identity;
use crate::server::{ApiServer, Inner};

const NAMESPACE: &str = "kube-system";
const LABEL: &str = "apiserver.kubernetes.io/identity";
/// What the label says, and who writes.
const COMPONENT: &str = "kube-apiserver";
const HOSTNAME: &str = "kubernetes.io/hostname";
const RENEW: Duration = Duration::from_secs(10);
/// How long after its last renewal a server counts as gone.
const SECONDS: i32 = 3_600;
/// Leases of others are looked at once an hour.
const LOOK: u32 = 360;

/// Keeps the Lease of the server on the machine `hostname`, for as long as the server is there. Who starts anew there
/// takes over the Lease of his predecessor.
pub(crate) async fn keep(server: Weak<Inner>, hostname: String) {
    let name = name(&hostname);
    let Some(env) = server.upgrade().map(|inner| inner.env.clone()) else { return };
    let holder = format!("{name}_{}", env.uuid());
    for beat in (0..LOOK).cycle() {
        let Some(inner) = server.upgrade() else { return };
        let leases = leases(&ApiServer { inner });
        let now = env.now();
        if let Err(error) = leases.apply(&lease(&name, &holder, &hostname, now), COMPONENT, true).await {
            tracing::warn!(%error, "the server's lease could not be renewed");
        }
        if beat == 0
            && let Err(error) = forget(&leases, now).await
        {
            tracing::warn!(%error, "the leases of servers that are gone could not be deleted");
        }
        // They keep the server, which may end before the next.
        drop(leases);
        env.sleep(RENEW).await;
    }
}

fn leases(server: &ApiServer) -> Api<Lease> {
    let transport = server.transport(Identity::new("system:apiserver", &["system:masters"]));
    Api::namespaced(&Client::new(transport).with_user_agent(COMPONENT), NAMESPACE)
}

/// The name that a machine's server has, whatever the machine is called.
fn name(hostname: &str) -> String {
    let digest = digest::digest(&digest::SHA256, hostname.as_bytes());
    let digest: String = digest.as_ref()[..13].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("apiserver-{digest}")
}

fn lease(name: &str, holder: &str, hostname: &str, now: Timestamp) -> Lease {
    let labels = [(HOSTNAME, hostname), (LABEL, COMPONENT)].map(|(key, value)| (key.to_owned(), value.to_owned()));
    Lease {
        metadata: ObjectMeta { name: Some(name.to_owned()), labels: Some(labels.into()), ..ObjectMeta::default() },
        spec: Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(SECONDS),
            renew_time: Some(MicroTime(now)),
            ..LeaseSpec::default()
        }),
    }
}

/// Deletes the Leases of servers that are gone.
async fn forget(leases: &Api<Lease>, now: Timestamp) -> Result<(), Error> {
    let servers = ListParams::default().labels(format!("{LABEL}={COMPONENT}"));
    for lease in leases.list(&servers).await?.items.into_iter().filter(|lease| is_over(lease, now)) {
        let ObjectMeta { name, resource_version, .. } = lease.metadata;
        let params = DeleteParams { resource_version, ..DeleteParams::default() };
        match leases.delete(&name.unwrap_or_default(), &params).await {
            // Another server was quicker, or that one lives after all.
            Err(error) if !error.is_not_found() && !error.is_conflict() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn is_over(lease: &Lease, now: Timestamp) -> bool {
    let spec = lease.spec.as_ref();
    let renewed = spec.and_then(|spec| Some((spec.renew_time.as_ref()?.0, spec.lease_duration_seconds?)));
    renewed.is_none_or(|(at, seconds)| now.duration_since(at) > SignedDuration::from_secs(seconds.into()))
}
