//! IPAddresses: each address of a Service has one, made and deleted in one step with it
//! (<https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/>). Those that
//! people make are in the way of Services, as an address that is taken.
//!
//! ```text
//! Service [clusterIP] ── ServiceAddresses ──▶ IPAddress [parentRef]
//! ```

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use trimtab_api::apply::{self, Given, Writer};
use trimtab_api::{Kind, Kinds, Object};
use trimtab_env::Env;
use trimtab_store::{CommitError, Entry, Page, Precondition, ReadError, Revision, Store, Write};

use crate::allocate::{Hook, ServiceAddresses};
use crate::encode;
use crate::server::format_time;

pub(crate) const GROUP: &str = "networking.k8s.io";
pub(crate) const PLURAL: &str = "ipaddresses";
const FAMILY: &str = "ipaddress.kubernetes.io/ip-family";
const MANAGED_BY: &str = "ipaddress.kubernetes.io/managed-by";
const MANAGER: &str = "ipallocator.k8s.io";
/// Who is recorded as the writer.
const WRITER: &str = "kube-apiserver";
/// How long until it is tried again after the store has failed.
const RETRY: Duration = Duration::from_secs(1);
/// How long a Service that goes with its IPAddress has to give the address back.
const MOMENT: Duration = Duration::from_millis(50);

/// Makes the IPAddresses of Services.
pub(crate) struct Addresses {
    env: Env,
    kind: Arc<Kind>,
    services: Arc<Kind>,
}

impl Addresses {
    /// `None` where the kinds are not served.
    pub(crate) fn new(kinds: &Kinds, env: &Env) -> Option<Self> {
        let kind = Arc::clone(kinds.by_resource(GROUP, "v1", PLURAL)?);
        let services = Arc::clone(kinds.by_resource("", "v1", "services")?);
        Some(Self { env: env.clone(), kind, services })
    }

    fn key(&self, ip: Ipv4Addr) -> String {
        encode::key(&self.kind, "", &ip.to_string())
    }

    /// Makes the one of `ip`, which is the address of a Service.
    pub(crate) fn made(&self, ip: Ipv4Addr, (namespace, name): (&str, &str)) -> Write {
        let time = format_time(self.env.now());
        let object = json!({
            "apiVersion": self.kind.api_version(),
            "kind": &*self.kind.kind,
            "metadata": {
                "name": ip, "uid": self.env.uuid(), "creationTimestamp": time,
                "labels": {FAMILY: "IPv4", MANAGED_BY: MANAGER},
            },
            "spec": {"parentRef": {"group": "", "resource": "services", "namespace": namespace, "name": name}},
        });
        let object = Object(object.as_object().cloned().unwrap_or_default());
        let version = self.kind.api_version();
        let writer = Writer { manager: WRITER, api_version: &version, subresource: "", time: &time };
        let object = apply::track(None, object, &Given::default(), writer, self.kind.schema.get());
        let value = Some(encode::to_stored(&self.kind, &object));
        Write { key: self.key(ip), value, precondition: Precondition::Absent }
    }

    /// Deletes the one of `ip`, if it is there.
    pub(crate) fn gone(&self, ip: Ipv4Addr) -> Write {
        Write { key: self.key(ip), value: None, precondition: Precondition::None }
    }

    /// Brings what is stored to what the Services have: those that are missing are made, and those of
    /// Services that are no more deleted. Answers the addresses that others have made one for.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn mend(&self, store: &dyn Store) -> Result<Vec<Ipv4Addr>, ReadError> {
        loop {
            let services = store.list(&encode::prefix(&self.services, ""), Page::default()).await?;
            let at = Page { revision: Some(services.revision), ..Page::default() };
            let there = store.list(&encode::prefix(&self.kind, ""), at).await?;
            let services: Vec<_> =
                services.entries.iter().map(|entry| encode::to_object(&self.services, entry)).collect();
            let mut missing: BTreeMap<Ipv4Addr, (&str, &str)> = BTreeMap::new();
            for service in &services {
                if let Ok(ip) = service.str_at(&["spec", "clusterIP"]).parse() {
                    missing.insert(ip, (service.namespace(), service.name()));
                }
            }
            let (mut writes, mut others) = (Vec::new(), Vec::new());
            for entry in &there.entries {
                let address = encode::to_object(&self.kind, entry);
                let Ok(ip) = address.name().parse::<Ipv4Addr>() else { continue };
                let wanted = missing.remove(&ip);
                if address.str_at(&["metadata", "labels", MANAGED_BY]) != MANAGER {
                    others.push(ip);
                } else if wanted != Some(parent(&address)) {
                    let precondition = Precondition::At(entry.mod_revision);
                    writes.push(Write { key: entry.key.to_string(), value: None, precondition });
                }
            }
            writes.extend(missing.into_iter().map(|(ip, service)| self.made(ip, service)));
            if writes.is_empty() {
                return Ok(others);
            }
            // All at once: the store makes one step of them. What has changed meanwhile is looked at again.
            let outcomes = join_all(writes.into_iter().map(|write| store.commit(write))).await;
            for outcome in outcomes {
                if let Err(error @ (CommitError::Backend(_) | CommitError::Closed)) = outcome {
                    tracing::warn!(%error, "an IPAddress could not be written");
                    return Ok(others);
                }
            }
        }
    }
}

/// The Service of an IPAddress, by namespace and name.
fn parent(address: &Object) -> (&str, &str) {
    let parent = |field| address.str_at(&["spec", "parentRef", field]);
    match (parent("group"), parent("resource")) {
        ("", "services") => (parent("namespace"), parent("name")),
        _ => ("", ""),
    }
}

/// Takes note of the IPAddresses that others write.
pub(crate) struct Noted(pub Arc<ServiceAddresses>);

impl Hook for Noted {
    fn written(&self, entry: &Entry) {
        self.0.note(address_of(entry), true);
    }

    fn removed(&self, entry: &Entry, _revision: Revision) {
        self.0.note(address_of(entry), false);
    }
}

fn address_of(entry: &Entry) -> Option<Ipv4Addr> {
    entry.key.rsplit('/').next()?.parse().ok()
}

/// Makes those again that somebody deletes while a Service has the address.
pub(crate) async fn keep(services: Arc<ServiceAddresses>, store: Arc<dyn Store>, env: Env) {
    loop {
        services.work.notified().await;
        env.sleep(MOMENT).await;
        if !services.is_bare() {
            continue;
        }
        while let Err(error) = services.mend(&*store).await {
            tracing::warn!(%error, "the IPAddresses could not be looked at");
            env.sleep(RETRY).await;
        }
    }
}
