//! The roles and bindings that every cluster has, from `manifests/rbac/`, and how they are kept:
//! what is missing is added at each start, what was added stays (`pkg/registry/rbac/reconciliation`).
//! What else every cluster has, from `manifests/defaults/`, is made when it is not there; what is of flow control is
//! looked at again whenever somebody has changed it
//! (<https://kubernetes.io/docs/concepts/cluster-administration/flow-control/>, on maintenance).

use std::net::Ipv4Addr;
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::rbac::v1::PolicyRule;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;
use serde::Deserialize;
use serde_json::{Value, json};
use trimtab_api::apply::{self, Given, Writer};
use trimtab_api::kinds::flow_control;
use trimtab_api::rbac::{GROUP, uncovered};
use trimtab_api::{Kind, Object, manifest};
use trimtab_env::lock;
use trimtab_store::{Page, Precondition, Write};

use super::node;
use crate::server::{ApiServer, Inner};
use crate::write::{Committed, commit};
use crate::{delete, encode, flow};

const FILES: [&str; 4] = [
    include_str!("../../../../manifests/defaults/priority-classes.yaml"),
    include_str!("../../../../manifests/rbac/cluster-roles.yaml"),
    include_str!("../../../../manifests/rbac/controllers.yaml"),
    include_str!("../../../../manifests/rbac/bindings.yaml"),
];
const LABEL: &str = "kubernetes.io/bootstrapping";
/// Set to `false`, it keeps an object as it is.
const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";
const OF_CONTROLLERS: &str = "system:controller:";
/// Who is recorded as the writer.
const MANAGER: &str = "kube-apiserver";
/// How often a write is tried that somebody else was quicker than.
const TRIES: usize = 3;
/// How long until it is tried again after a write has failed.
const RETRY: Duration = Duration::from_secs(1);

fn read(text: &str) -> Vec<Object> {
    manifest::read(text).expect("the files are read by a test")
}

/// What the other files say. It is kept no longer than somebody looks at it: a server does so once, at
/// its start; tests make many servers at a time.
fn defaults() -> Arc<Vec<Object>> {
    static READ: Mutex<Weak<Vec<Object>>> = Mutex::new(Weak::new());
    let mut read_before = lock(&READ);
    if let Some(defaults) = read_before.upgrade() {
        return defaults;
    }
    let mut all: Vec<Object> = FILES.into_iter().flat_map(read).collect();
    let roles = all.iter().filter(|role| role.kind() == "ClusterRole");
    let controllers = roles.filter_map(|role| Some((role.name(), role.name().strip_prefix(OF_CONTROLLERS)?)));
    let bindings: Vec<Object> = controllers.map(|(role, account)| of_controller(role, account)).collect();
    all.extend(bindings);
    for object in all.iter_mut().filter(|object| is_of_roles(object)) {
        object.set(&["metadata", "labels", LABEL], "rbac-defaults");
        object.set(&["metadata", "annotations", AUTOUPDATE], "true");
    }
    let all = Arc::new(all);
    *read_before = Arc::downgrade(&all);
    all
}

fn is_of_roles(object: &Object) -> bool {
    is_of(object, GROUP)
}

fn is_of(object: &Object, group: &str) -> bool {
    object.api_version().strip_prefix(group).is_some_and(|rest| rest.starts_with('/'))
}

/// The range that Services get their addresses from when nobody says otherwise.
fn range(server: &ApiServer, (first, length): (Ipv4Addr, u8)) -> Object {
    let ready = json!({"type": "Ready", "status": "True", "reason": "", "lastTransitionTime": server.inner.timestamp(),
        "message": "Kubernetes default Service CIDR is ready"});
    // Held from the start on, as its controller would have it.
    let metadata = json!({"name": "kubernetes", "finalizers": ["networking.k8s.io/service-cidr-finalizer"]});
    let range = json!({"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": metadata,
        "spec": {"cidrs": [format!("{first}/{length}")]}, "status": {"conditions": [ready]}});
    Object(range.as_object().cloned().unwrap_or_default())
}

/// The rules of one of the default ClusterRoles; none when there is no such role.
pub(super) fn rules_of(name: &str) -> Vec<PolicyRule> {
    let defaults = defaults();
    let role = defaults.iter().find(|object| object.kind() == "ClusterRole" && object.name() == name);
    role.and_then(|role| Vec::deserialize(role.0.get("rules")?).ok()).unwrap_or_default()
}

fn of_controller(role: &str, account: &str) -> Object {
    let binding = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": role},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [
            {"kind": "ServiceAccount", "name": account, "namespace": "kube-system"},
            {"apiGroup": GROUP, "kind": "User", "name": "system:kube-controller-manager"},
        ],
    });
    Object(binding.as_object().cloned().unwrap_or_default())
}

/// Brings what is stored up to date. What cannot be written is told and left.
pub(crate) async fn reconcile(server: &ApiServer, service_cidr: (Ipv4Addr, u8)) {
    let (defaults, range) = (defaults(), range(server, service_cidr));
    // While the files are read anyway: the nodes' rules are among them.
    LazyLock::force(&node::RULES);
    let is_kept = keep_all(server, defaults.iter().chain(&*flow_control::DEFAULTS).chain([&range])).await;
    if !(drop_strays(server).await && is_kept) {
        server.inner.flows.changed.notify_one();
    }
}

/// Keeps what is of flow control until the server has gone, whenever somebody has written such an object. The server
/// owns this task: it must not keep the server.
pub(crate) async fn keep_flows(server: Weak<Inner>) {
    let Some(flows) = server.upgrade().map(|inner| Arc::clone(&inner.flows)) else { return };
    loop {
        flows.changed.notified().await;
        let Some(inner) = server.upgrade() else { return };
        let server_now = ApiServer { inner };
        let is_kept = keep_all(&server_now, flow_control::DEFAULTS.iter()).await;
        if !(drop_strays(&server_now).await && is_kept) {
            let env = server_now.inner.env.clone();
            drop(server_now);
            env.sleep(RETRY).await;
            flows.changed.notify_one();
        }
    }
}

/// Whether all is as it is wanted.
async fn keep_all(server: &ApiServer, wanted: impl Iterator<Item = &Object>) -> bool {
    let kinds = server.inner.kinds();
    // All at once: the store makes one step of them.
    let writes = wanted.filter_map(|wanted| {
        // A registry without the kind needs none.
        let kind = kinds.by_kind(wanted.api_version(), wanted.kind())?;
        Some(async move {
            let kept = keep(server, kind, wanted).await;
            if let Err(error) = &kept {
                tracing::warn!(kind = &*kind.kind, name = wanted.name(), %error, "a default could not be written");
            }
            kept.is_ok()
        })
    });
    join_all(writes).await.into_iter().all(|kept| kept)
}

/// Deletes what of flow control says that it is as by default, and is no default: so one goes that an older server
/// made. Answers whether none is left.
async fn drop_strays(server: &ApiServer) -> bool {
    let kinds = server.inner.kinds();
    let mut is_done = true;
    for kind in flow::PLURALS.iter().filter_map(|plural| kinds.by_resource(flow::GROUP, flow::VERSION, plural)) {
        let is_default = |object: &Object| {
            flow_control::DEFAULTS
                .iter()
                .any(|default| default.kind() == &*kind.kind && default.name() == object.name())
        };
        let Ok(stored) = server.inner.store.list(&encode::prefix(kind, ""), Page::default()).await else {
            return false;
        };
        for entry in stored.entries {
            let object = encode::to_object(kind, &entry);
            if object.str_at(&["metadata", "annotations", flow_control::AUTOUPDATE]) != "true" || is_default(&object) {
                continue;
            }
            // One that somebody has just written is looked at again, as all are.
            let deleted = delete::attempt(server, kind, &DeleteOptions::default(), &entry, object).await;
            is_done &= !matches!(deleted, Err(Committed::Other(_)));
        }
    }
    is_done
}

async fn keep(server: &ApiServer, kind: &Kind, wanted: &Object) -> Result<(), trimtab_api::ApiError> {
    let key = encode::key(kind, wanted.namespace(), wanted.name());
    for _ in 0..TRIES {
        let there = server.inner.store.get(&key).await.map_err(crate::read::read_error)?;
        let (new, precondition) = match &there {
            None => (made(server, kind, wanted), Precondition::Absent),
            Some(entry) => {
                let merge = match () {
                    () if is_of_roles(wanted) => merged,
                    () if is_of(wanted, flow::GROUP) => put_right,
                    () => return Ok(()),
                };
                let at = Precondition::At(entry.mod_revision);
                let old = encode::to_object(kind, entry);
                match merge(&old, wanted) {
                    Merged::Same => return Ok(()),
                    Merged::Changed(mut new) => {
                        if kind.generations && kind.strategy.generation_changes(&old, &new) {
                            new.set(&["metadata", "generation"], generation(&old) + 1);
                        }
                        (tracked(server, kind, Some(&old), new), at)
                    }
                    Merged::Other => {
                        // A binding's role cannot be changed.
                        let write = Write { key: key.clone(), value: None, precondition: at };
                        let _ = server.inner.store.commit(write).await;
                        continue;
                    }
                }
            }
        };
        match commit(server, kind, &new, precondition).await {
            Ok(_) => return Ok(()),
            Err(Committed::Conflict(_)) => {}
            Err(Committed::Other(error)) => return Err(error),
        }
    }
    Ok(())
}

fn made(server: &ApiServer, kind: &Kind, wanted: &Object) -> Object {
    let mut new = wanted.clone();
    new.set(&["metadata", "uid"], server.inner.env.uuid());
    new.set(&["metadata", "creationTimestamp"], server.inner.timestamp());
    if kind.generations {
        new.set(&["metadata", "generation"], 1);
    }
    tracked(server, kind, None, new)
}

fn tracked(server: &ApiServer, kind: &Kind, old: Option<&Object>, new: Object) -> Object {
    let (time, version) = (server.inner.timestamp(), kind.api_version());
    let writer = Writer { manager: MANAGER, api_version: &version, subresource: "", time: &time };
    apply::track(old, new, &Given::default(), writer, kind.schema.get())
}

/// What there should be, in place of what is there.
#[derive(Debug, PartialEq)]
enum Merged {
    Same,
    Changed(Object),
    /// It is a binding of another role.
    Other,
}

fn merged(there: &Object, wanted: &Object) -> Merged {
    if there.str_at(&["metadata", "annotations", AUTOUPDATE]) == "false" {
        return Merged::Same;
    }
    if there.0.get("roleRef") != wanted.0.get("roleRef") {
        return Merged::Other;
    }
    if has_all(there, wanted) {
        return Merged::Same;
    }
    let mut new = there.clone();
    for field in ["labels", "annotations"] {
        let mut pairs = wanted.at(&["metadata", field]).and_then(Value::as_object).cloned().unwrap_or_default();
        pairs.extend(there.at(&["metadata", field]).and_then(Value::as_object).cloned().unwrap_or_default());
        new.set(&["metadata", field], pairs);
    }
    let rules = |role: &Object| Vec::<PolicyRule>::deserialize(list(role, &["rules"])).unwrap_or_default();
    let missing = uncovered(&rules(there), &rules(wanted));
    extend(&mut new, &["rules"], missing.iter().filter_map(|rule| serde_json::to_value(rule).ok()));
    for path in [&["subjects"][..], &["aggregationRule", "clusterRoleSelectors"]] {
        let there = list(there, path);
        let there = there.as_array().map(Vec::as_slice).unwrap_or_default();
        let wanted = list(wanted, path);
        let missing = wanted.as_array().into_iter().flatten().filter(|item| !there.contains(item));
        extend(&mut new, path, missing.cloned());
    }
    if new == *there { Merged::Same } else { Merged::Changed(new) }
}

/// An object of flow control is the server's when it must be as it is, or says so; or says nothing, and nobody has
/// changed its spec yet.
fn put_right(there: &Object, wanted: &Object) -> Merged {
    let is_ours = flow_control::is_mandatory(wanted.name())
        || match there.str_at(&["metadata", "annotations", flow_control::AUTOUPDATE]) {
            "true" => true,
            "false" => false,
            _ => generation(there) == 1,
        };
    let mut new = there.clone();
    if is_ours {
        new.set(&["spec"], wanted.0.get("spec").cloned().unwrap_or_default());
        // What of the exempt requests anybody may set, says the reference of ExemptPriorityLevelConfiguration.
        for field in ["nominalConcurrencyShares", "lendablePercent"] {
            let path = ["spec", "exempt", field];
            if let Some(set) = there.at(&path).filter(|_| wanted.at(&path).is_some()) {
                new.set(&path, set.clone());
            }
        }
    }
    new.set(&["metadata", "annotations", flow_control::AUTOUPDATE], is_ours.to_string());
    if new == *there { Merged::Same } else { Merged::Changed(new) }
}

fn generation(object: &Object) -> i64 {
    object.at(&["metadata", "generation"]).and_then(Value::as_i64).unwrap_or(0)
}

/// Whether `there` says all that is wanted, in the same words: so it is but after an upgrade, or when somebody has
/// changed it.
fn has_all(there: &Object, wanted: &Object) -> bool {
    let equal = ["rules", "subjects", "aggregationRule"].into_iter().all(|field| {
        let wanted = wanted.0.get(field);
        wanted.is_none() || wanted == there.0.get(field)
    });
    equal
        && ["labels", "annotations"].into_iter().all(|field| {
            let path = ["metadata", field];
            let mut wanted = wanted.at(&path).and_then(Value::as_object).into_iter().flatten();
            wanted.all(|(key, value)| there.at(&[path[0], field, key]) == Some(value))
        })
}

fn list(object: &Object, path: &[&str]) -> Value {
    object.at(path).filter(|list| list.is_array()).cloned().unwrap_or_else(|| json!([]))
}

fn extend(object: &mut Object, path: &[&str], more: impl Iterator<Item = Value>) {
    let more: Vec<Value> = more.collect();
    if more.is_empty() {
        return;
    }
    let Value::Array(mut all) = list(object, path) else { return };
    all.extend(more);
    object.set(path, all);
}

#[cfg(test)]
mod tests {
    use serde_json::Map;
    use trimtab_api::Operation;

    use super::*;

    #[test]
    fn every_default_is_as_the_server_would_store_it() {
        let kinds = trimtab_api::builtin();
        let defaults = defaults();
        assert_eq!(defaults.len() + flow_control::DEFAULTS.len(), 112);
        for object in defaults.iter().chain(&*flow_control::DEFAULTS) {
            let kind = kinds.by_kind(object.api_version(), object.kind()).unwrap();
            let mut admitted = object.clone();
            let unknown = kind.schema.get().check(&mut admitted.0).unwrap().unknown;
            assert!(unknown.is_empty(), "{}: {unknown:?}", object.name());
            let errors = kind.strategy.admit(Operation::Create, &mut admitted).errors;
            assert!(errors.is_empty(), "{}: {errors:?}", object.name());
            for field in ["rules", "roleRef", "subjects", "aggregationRule", "spec"] {
                assert_eq!(admitted.0.get(field), object.0.get(field), "{}", object.name());
            }
        }
    }

    #[test]
    fn every_binding_names_a_role_that_is_there() {
        let defaults = defaults();
        let is_role = |kind: &str, name: &str| defaults.iter().any(|o| o.kind() == kind && o.name() == name);
        for binding in defaults.iter().filter(|object| object.kind().ends_with("Binding")) {
            let (kind, name) = (binding.str_at(&["roleRef", "kind"]), binding.str_at(&["roleRef", "name"]));
            assert!(is_role(kind, name), "{name}");
        }
    }

    fn object(yaml: &str) -> Object {
        Object(serde_yaml::from_str::<Map<String, Value>>(yaml).unwrap())
    }

    fn check(there: &str, wanted: &str, expected: Option<&str>) {
        let found = merged(&object(there), &object(wanted));
        let expected = expected.map_or(Merged::Same, |yaml| Merged::Changed(object(yaml)));
        assert_eq!(found, expected, "{there}");
    }

    #[test]
    fn what_is_missing_is_added_and_what_was_added_stays() {
        let wanted = "{metadata: {labels: {a: x}, annotations: {b: x}}, rules: [{verbs: [get, list], apiGroups: [''], resources: [pods]}]}";
        check(wanted, wanted, None);
        check(
            "{metadata: {labels: {a: y}, annotations: {b: x, c: z}}, rules: [{verbs: [get], apiGroups: ['', x], resources: [pods]}]}",
            wanted,
            Some(
                "{metadata: {labels: {a: y}, annotations: {b: x, c: z}}, rules: [{verbs: [get], apiGroups: ['', x], resources: [pods]}, {verbs: [list], apiGroups: [''], resources: [pods]}]}",
            ),
        );
        check("{metadata: {annotations: {rbac.authorization.kubernetes.io/autoupdate: 'false'}}}", wanted, None);
    }

    #[test]
    fn subjects_are_added_and_another_role_is_another_binding() {
        let binding = |role: &str, subjects: &str| {
            format!(
                "{{metadata: {{labels: {{}}, annotations: {{}}}}, roleRef: {{name: {role}}}, subjects: {subjects}}}"
            )
        };
        check(
            &binding("r", "[{name: b}]"),
            &binding("r", "[{name: a}]"),
            Some(&binding("r", "[{name: b}, {name: a}]")),
        );
        check(&binding("r", "[{name: b}, {name: a}]"), &binding("r", "[{name: a}]"), None);
        assert_eq!(merged(&object(&binding("r", "[]")), &object(&binding("s", "[]"))), Merged::Other);
    }

    #[test]
    fn what_is_of_flow_control_is_put_right_where_it_is_the_servers() {
        let level = |name: &str, metadata: &str, spec: &str| {
            object(&format!("{{metadata: {{name: {name}, {metadata}}}, spec: {spec}}}"))
        };
        let key = flow_control::AUTOUPDATE;
        let says = |value: &str| format!("annotations: {{{key}: '{value}'}}");
        let put = |name: &str, metadata: &str| {
            let (there, wanted) = (level(name, metadata, "{a: 1}"), level(name, &says("true"), "{a: 2}"));
            match put_right(&there, &wanted) {
                Merged::Changed(new) => (
                    new.0["spec"]["a"].clone(),
                    new.str_at(&["metadata", "annotations", flow_control::AUTOUPDATE]).to_owned(),
                ),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(put("system", &says("true")), (json!(2), "true".to_owned()));
        assert_eq!(put("system", "generation: 1"), (json!(2), "true".to_owned()));
        assert_eq!(put("system", "generation: 2"), (json!(1), "false".to_owned()));
        assert_eq!(put("catch-all", &says("false")), (json!(2), "true".to_owned()));
        let theirs = level("system", &says("false"), "{a: 1}");
        assert_eq!(put_right(&theirs, &level("system", &says("true"), "{a: 2}")), Merged::Same);
        let exempt =
            |shares: i32| level("exempt", &says("true"), &format!("{{exempt: {{lendablePercent: {shares}}}}}"));
        assert_eq!(put_right(&exempt(7), &exempt(0)), Merged::Same);
    }
}
