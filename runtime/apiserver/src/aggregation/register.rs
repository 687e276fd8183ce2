//! The APIServices of what this server serves itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use serde_json::{Value, json};
use trimtab_api::kinds::api_service::set_local;
use trimtab_api::{Kind, Kinds, Object, Operation};
use trimtab_store::Precondition;

use super::{GROUP, Known, PLURAL};
use crate::server::ApiServer;
use crate::write::{Committed, commit};
use crate::{delete, encode};

/// The label of the APIServices that this server keeps.
pub(super) const MANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";
/// Kept as they should be when the server starts; then they are their administrator's.
const ON_START: &str = "onstart";
/// Always kept as they should be.
const ALWAYS: &str = "true";

/// Those of the groups that come with Kubernetes, as upstream.
const PRIORITIES: [(&str, i64); 21] = [
    ("", 18_000),
    ("apps", 17_800),
    ("events.k8s.io", 17_750),
    ("authentication.k8s.io", 17_700),
    ("authorization.k8s.io", 17_600),
    ("autoscaling", 17_500),
    ("batch", 17_400),
    ("certificates.k8s.io", 17_300),
    ("networking.k8s.io", 17_200),
    ("policy", 17_100),
    ("rbac.authorization.k8s.io", 17_000),
    ("storage.k8s.io", 16_800),
    ("apiextensions.k8s.io", 16_700),
    ("admissionregistration.k8s.io", 16_700),
    ("scheduling.k8s.io", 16_600),
    ("coordination.k8s.io", 16_500),
    ("node.k8s.io", 16_300),
    ("discovery.k8s.io", 16_200),
    ("flowcontrol.apiserver.k8s.io", 16_100),
    ("internal.apiserver.k8s.io", 16_000),
    ("resource.k8s.io", 15_900),
];

/// The priorities of a group and its version as long as no APIService says others.
pub(super) fn priority(group: &str, version: &str) -> (i64, i64) {
    let Some((_, of_group)) = PRIORITIES.iter().find(|(known, _)| *known == group) else { return (1_000, 100) };
    let of_version = match (group, version) {
        ("", _) => 1,
        ("autoscaling", "v2") => 30,
        ("flowcontrol.apiserver.k8s.io", "v1") => 21,
        _ => 15,
    };
    (*of_group, of_version)
}

/// What is to be known of the groups and versions that this server serves, by name.
fn wanted(kinds: &Kinds) -> BTreeMap<String, Known> {
    let mut found: Vec<Known> = Vec::new();
    // As upstream, the group of the APIServices themselves has none.
    for kind in kinds.iter().filter(|kind| kind.group != GROUP) {
        let managed = if kind.defined.is_some() { ALWAYS } else { ON_START };
        // They are ordered by group and version.
        match found.last_mut().filter(|last| last.group == *kind.group && last.version == *kind.version) {
            Some(last) if managed == ON_START => last.managed = managed.to_owned(),
            Some(_) => {}
            None => found.push(Known {
                group: kind.group.to_string(),
                version: kind.version.to_string(),
                priority: priority(&kind.group, &kind.version),
                managed: managed.to_owned(),
                remote: None,
                available: true,
            }),
        }
    }
    found.into_iter().map(|known| (known.name(), known)).collect()
}

/// Brings the APIServices that this server keeps to what it serves: all of them at the `start`, and
/// later those of definitions.
pub(crate) async fn reconcile(server: &ApiServer, start: bool) {
    let kinds = server.inner.kinds();
    let Some(kind) = kinds.by_resource(GROUP, "v1", PLURAL) else { return };
    let (there, wanted) = (server.inner.aggregation.all(), wanted(&kinds));
    let keeps = |managed: &str| managed == ALWAYS || (start && managed == ON_START);
    let gone = there.iter().filter(|(name, known)| keeps(&known.managed) && !wanted.contains_key(*name));
    let gone = gone.map(|(name, _)| (name, None));
    let missing = wanted.iter().filter(|(name, wanted)| match there.get(*name) {
        None => keeps(&wanted.managed),
        Some(known) => keeps(&known.managed) && **known != **wanted,
    });
    let missing = missing.map(|(name, wanted)| (name, Some(wanted)));
    // One that has become this server's own is available again.
    let lost = there.iter().filter(|(_, known)| known.remote.is_none() && !known.available);
    let lost = lost.filter(|(name, known)| !keeps(&known.managed) || !wanted.contains_key(*name));
    let lost = lost.map(|(name, known)| (name, Some(&**known)));
    // All at once: the store makes one step of them.
    let writes = gone.chain(missing).chain(lost).map(|(name, wanted)| async move {
        if let Err(Committed::Other(error)) = keep(server, kind, name, wanted).await {
            tracing::warn!(name, %error, "an APIService could not be written");
        }
    });
    join_all(writes).await;
}

/// Makes one as `wanted`, or takes it away. A conflict is left: whoever wrote it has woken the keeper.
async fn keep(server: &ApiServer, kind: &Arc<Kind>, name: &str, wanted: Option<&Known>) -> Result<(), Committed> {
    let there = server.inner.store.get(&encode::key(kind, "", name)).await;
    let there = there.map_err(|error| Committed::Other(crate::read::read_error(error)))?;
    match (there, wanted) {
        (None, None) => Ok(()),
        (Some(entry), None) => delete::remove(server, kind, &entry).await,
        (None, Some(wanted)) => commit(server, kind, &made(server, kind, wanted), Precondition::Absent).await.map(drop),
        (Some(entry), Some(wanted)) => {
            let old = encode::to_object(kind, &entry);
            let mut new = old.clone();
            if !wanted.managed.is_empty() {
                new.set(&["metadata", "labels", MANAGED], &*wanted.managed);
            }
            new.set(&["spec"], spec(wanted));
            set_local(&mut new, &server.inner.timestamp());
            if new == old {
                return Ok(());
            }
            commit(server, kind, &new, Precondition::At(entry.mod_revision)).await.map(drop)
        }
    }
}

fn spec(wanted: &Known) -> Value {
    let (of_group, of_version) = wanted.priority;
    let mut spec = json!({"version": wanted.version, "groupPriorityMinimum": of_group, "versionPriority": of_version});
    if !wanted.group.is_empty() {
        spec["group"] = (&*wanted.group).into();
    }
    spec
}

// Nobody else owns a field of these, so nobody need know that we own them all.
fn made(server: &ApiServer, kind: &Kind, wanted: &Known) -> Object {
    let metadata = json!({
        "name": wanted.name(), "labels": {MANAGED: wanted.managed},
        "uid": server.inner.env.uuid(), "creationTimestamp": server.inner.timestamp(),
    });
    let object =
        json!({"apiVersion": kind.api_version(), "kind": &*kind.kind, "metadata": metadata, "spec": spec(wanted)});
    let mut object = Object(object.as_object().cloned().unwrap_or_default());
    // It says that a local one is available.
    let admission = kind.strategy.admit(Operation::Create, &mut object);
    debug_assert!(admission.errors.is_empty(), "{:?}", admission.errors);
    object.set(&["apiVersion"], kind.api_version());
    object.set(&["kind"], &*kind.kind);
    object
}
