//! ReplicaSets (`pkg/apis/apps/validation`, `pkg/registry/apps/replicaset`).

use crate::at::At;
use crate::cells;
use crate::check::Checks;
use crate::kinds::ruled::{Ruled, default};
use crate::kinds::{deployment, workload};
use crate::object::Object;

/// ReplicaSets.
pub const REPLICA_SET: Ruled = Ruled::printed(cells::workload)
    .filled(fill)
    .checked(check)
    .updated(|new, old, checks| {
        At::of(new, "spec").all_immutable(&At::of(old, "spec"), &["selector"], checks);
    })
    .status(check_status);

fn fill(set: &mut Object) {
    default(set, &["spec", "replicas"], 1);
    workload::fill_template(set, &["spec", "template"]);
    default(set, &["status", "replicas"], 0);
}

fn check(set: &Object, checks: &mut Checks) {
    let spec = At::of(set, "spec");
    spec.all_non_negative(&["replicas", "minReadySeconds"], checks);
    let template = workload::template(&spec.get("template"), checks);
    workload::check_selector(&spec, &template, &deployment::SELECTOR, checks);
    let many = spec.get("replicas").int() > Some(1);
    workload::check_lasting_pods(&spec.get("template"), &template, "ReplicaSet", many, checks);
}

fn check_status(new: &Object, _: &Object, checks: &mut Checks) {
    const COUNTS: [&str; 6] = [
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "terminatingReplicas",
        "observedGeneration",
    ];
    let status = At::of(new, "status");
    status.all_non_negative(&COUNTS, checks);
    workload::check_counts(&status, &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"], checks);
    workload::check_available(&status, "cannot be greater than readyReplicas", checks);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::fixture::{create_errors, created, status_errors, update_errors};

    const FINE: &str = "{kind: ReplicaSet, metadata: {name: r, namespace: n}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}";

    #[test]
    fn a_set_is_one_pod_unless_told() {
        let set = created(&REPLICA_SET, FINE);
        assert_eq!(set.at(&["spec", "replicas"]), Some(&json!(1)));
        assert_eq!(set.at(&["status", "replicas"]), Some(&json!(0)));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let disk = "replicas: 2, template: {metadata: {labels: {a: b}}, spec: {volumes: [{name: v, gcePersistentDisk: {pdName: d}}], containers: [{name: c, image: i}]}}";
        for (yaml, expected) in [
            (
                FINE.replace("{a: b}}, template", "{a: c}}, template"),
                "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
            ),
            (
                FINE.replace("{selector: ", "{minReadySeconds: -1, selector: "),
                "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                FINE.replace("template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}", disk),
                "spec.template.spec.volumes[0].gcePersistentDisk.readOnly: Invalid value: false: must be true for replicated pods > 1; GCE PD can only be mounted on multiple machines if it is read-only",
            ),
        ] {
            assert_eq!(create_errors(&REPLICA_SET, &yaml), [expected], "{yaml}");
        }
        let other = json!({"matchLabels": {}, "matchExpressions": [{"key": "a", "operator": "Exists"}]});
        let found = update_errors(&REPLICA_SET, FINE, |new| new.set(&["spec", "selector"], other));
        assert!(found[0].ends_with(": field is immutable"), "{found:?}");
        let found = status_errors(&REPLICA_SET, FINE, json!({"replicas": 1, "fullyLabeledReplicas": 2}));
        let expected = "status.fullyLabeledReplicas: Invalid value: 2: cannot be greater than status.replicas";
        assert_eq!(found, [expected]);
    }
}
