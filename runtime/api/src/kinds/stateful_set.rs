//! StatefulSets (`pkg/apis/apps/validation`, `pkg/registry/apps/statefulset`).

use k8s_openapi::api::core::v1::{PersistentVolumeClaimVolumeSource, PodTemplateSpec, Volume};
use serde_json::{Value, json};

use crate::at::{self, At};
use crate::cells;
use crate::check::Checks;
use crate::kinds::ruled::{Ruled, default};
use crate::kinds::workload::{self, SelectorTexts};
use crate::kinds::{persistent_volume_claim, share};
use crate::names;
use crate::object::Object;

/// StatefulSets. Their names become those of pods, with an ordinal.
pub const STATEFUL_SET: Ruled = Ruled::printed(cells::workload)
    .named(names::dns1123_label)
    .filled(fill)
    .checked(check)
    .updated(check_update)
    .status(check_status);

const SELECTOR: SelectorTexts =
    SelectorTexts { required: true, empty: "empty selector is invalid for statefulset", unreadable: Some("") };

/// What may change once the set exists.
const UPDATABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

fn fill(set: &mut Object) {
    default(set, &["spec", "replicas"], 1);
    default(set, &["spec", "revisionHistoryLimit"], 10);
    default(set, &["spec", "podManagementPolicy"], "OrderedReady");
    for when in ["whenDeleted", "whenScaled"] {
        default(set, &["spec", "persistentVolumeClaimRetentionPolicy", when], "Retain");
    }
    workload::fill_strategy(set, "updateStrategy", &[("partition", json!(0))]);
    workload::fill_template(set, &["spec", "template"]);
    for claim in at::items_mut(at::at_mut(set, &["spec", "volumeClaimTemplates"])) {
        at::default_in(claim, "apiVersion", "v1");
        at::default_in(claim, "kind", "PersistentVolumeClaim");
        at::default_in(claim, "status", json!({"phase": "Pending"}));
        claim.get_mut("spec").into_iter().for_each(persistent_volume_claim::fill_spec);
    }
    for count in ["replicas", "availableReplicas"] {
        default(set, &["status", count], 0);
    }
}

fn check(set: &Object, checks: &mut Checks) {
    let spec = At::of(set, "spec");
    let policy = spec.get("podManagementPolicy");
    if !["OrderedReady", "Parallel"].contains(&policy.text()) {
        policy.invalid("must be 'OrderedReady' or 'Parallel'", checks);
    }
    check_strategy(&spec.get("updateStrategy"), checks);
    for when in ["whenDeleted", "whenScaled"] {
        let policy = spec.get("persistentVolumeClaimRetentionPolicy").get(when);
        policy.maybe_one_of(&["Retain", "Delete"], checks);
    }
    spec.all_non_negative(&["replicas", "minReadySeconds", "revisionHistoryLimit"], checks);
    spec.get("ordinals").get("start").non_negative(checks);
    spec.get("serviceName").maybe_named(names::dns1123_label, checks);
    for claim in spec.get("volumeClaimTemplates").items() {
        persistent_volume_claim::check_spec(&claim.get("spec"), checks);
    }
    let mut template = workload::template(&spec.get("template"), checks);
    workload::check_selector(&spec, &template, &SELECTOR, checks);
    add_claims(&mut template, &spec.get("volumeClaimTemplates"));
    workload::check_lasting_pods(&spec.get("template"), &template, "StatefulSet", false, checks);
}

/// The pods may mount what is claimed for them, in place of a volume of that name.
fn add_claims(template: &mut PodTemplateSpec, claims: &At<'_>) {
    let Some(pod) = &mut template.spec else { return };
    for name in claims.items().map(|claim| claim.get("metadata").get("name").text()) {
        let source = PersistentVolumeClaimVolumeSource { claim_name: name.to_owned(), read_only: None };
        let volume = Volume { name: name.to_owned(), persistent_volume_claim: Some(source), ..Volume::default() };
        let volumes = pod.volumes.get_or_insert_default();
        volumes.retain(|volume| volume.name != name);
        volumes.push(volume);
    }
}

fn check_strategy(strategy: &At<'_>, checks: &mut Checks) {
    let rolling = strategy.get("rollingUpdate");
    match strategy.get("type").text() {
        "" => strategy.required("", checks),
        "OnDelete" if rolling.is_set() => rolling.invalid("only allowed for updateStrategy 'RollingUpdate'", checks),
        "OnDelete" => {}
        "RollingUpdate" => {
            rolling.get("partition").non_negative(checks);
            let unavailable = rolling.get("maxUnavailable");
            if unavailable.is_set() {
                share::check(&unavailable, checks);
                if share::is_none(&unavailable) {
                    unavailable.invalid("cannot be 0", checks);
                }
                share::check_whole(&unavailable, checks);
            }
        }
        _ => strategy.invalid("must be 'RollingUpdate' or 'OnDelete'", checks),
    }
}

fn check_update(new: &Object, old: &Object, checks: &mut Checks) {
    let rest = |object: &Object| {
        let mut spec = At::of(object, "spec").value.clone();
        if let Value::Object(fields) = &mut spec {
            fields.retain(|name, _| !UPDATABLE.contains(&name.as_str()));
        }
        at::normal(&spec)
    };
    if rest(new) != rest(old) {
        let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        At::of(new, "spec").forbidden(detail, checks);
    }
}

fn check_status(new: &Object, old: &Object, checks: &mut Checks) {
    const PARTS: [&str; 4] = ["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"];
    let status = At::of(new, "status");
    status.get("replicas").non_negative(checks);
    status.all_non_negative(&PARTS, checks);
    status.all_non_negative(&["observedGeneration", "collisionCount"], checks);
    workload::check_counts(&status, &PARTS, checks);
    workload::check_available(&status, "cannot be greater than status.readyReplicas", checks);
    workload::check_collisions(&status, old, checks);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, created, status_errors, update_errors};
    use crate::strategy::Strategy;

    const FINE: &str = "{kind: StatefulSet, metadata: {name: s, namespace: n}, spec: {serviceName: web, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i, volumeMounts: [{name: data, mountPath: /data}]}]}}, volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]}}";

    #[test]
    fn a_set_is_filled() {
        let set = created(&STATEFUL_SET, FINE);
        assert_eq!(set.str_at(&["spec", "podManagementPolicy"]), "OrderedReady");
        let retain = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
        assert_eq!(set.at(&["spec", "persistentVolumeClaimRetentionPolicy"]), Some(&retain));
        let claim = &set.0["spec"]["volumeClaimTemplates"][0];
        assert_eq!(
            (&claim["kind"], &claim["spec"]["volumeMode"]),
            (&json!("PersistentVolumeClaim"), &json!("Filesystem"))
        );
        assert!(!STATEFUL_SET.check_name("a.b").is_empty());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let with = |rest: &str| FINE.replace("{serviceName: web,", &format!("{{serviceName: web, {rest},"));
        for (yaml, expected) in [
            (
                with("podManagementPolicy: Random"),
                "spec.podManagementPolicy: Invalid value: \"Random\": must be 'OrderedReady' or 'Parallel'",
            ),
            (
                with("updateStrategy: {type: OnDelete, rollingUpdate: {partition: 1}}"),
                "spec.updateStrategy.rollingUpdate: Invalid value: {\"partition\":1}: only allowed for updateStrategy 'RollingUpdate'",
            ),
            (
                with("updateStrategy: {type: Now}"),
                "spec.updateStrategy: Invalid value: {\"type\":\"Now\"}: must be 'RollingUpdate' or 'OnDelete'",
            ),
            (
                with("updateStrategy: {rollingUpdate: {partition: -1}}"),
                "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                with("updateStrategy: {rollingUpdate: {maxUnavailable: 0}}"),
                "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0",
            ),
            (
                with("persistentVolumeClaimRetentionPolicy: {whenDeleted: Keep}"),
                "spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: \"Keep\": supported values: \"Retain\", \"Delete\"",
            ),
            (
                with("ordinals: {start: -1}"),
                "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                FINE.replace("volumeMounts: [{name: data", "volumeMounts: [{name: other"),
                "spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"other\"",
            ),
            (
                FINE.replace("accessModes: [ReadWriteOnce], ", ""),
                "spec.volumeClaimTemplates[0].spec.accessModes: Required value: at least 1 access mode is required",
            ),
            (
                FINE.replace("spec: {containers", "spec: {restartPolicy: Never, containers"),
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            ),
        ] {
            assert_eq!(create_errors(&STATEFUL_SET, &yaml), [expected], "{yaml}");
        }
    }

    #[test]
    fn little_may_change() {
        const FORBIDDEN: &str = "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        let service = |new: &mut Object| new.set(&["spec", "serviceName"], "other");
        assert_eq!(update_errors(&STATEFUL_SET, FINE, service), [FORBIDDEN]);
        let claims = |new: &mut Object| {
            new.0["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] = json!("2Gi");
        };
        assert_eq!(update_errors(&STATEFUL_SET, FINE, claims), [FORBIDDEN]);
        let grow = |new: &mut Object| {
            new.set(&["spec", "replicas"], 3);
            new.set(&["spec", "minReadySeconds"], 3);
            new.set(&["spec", "ordinals", "start"], 1);
        };
        assert_eq!(update_errors(&STATEFUL_SET, FINE, grow), [""; 0]);
        let found = status_errors(&STATEFUL_SET, FINE, json!({"replicas": 2, "availableReplicas": 1}));
        assert_eq!(found, ["status.availableReplicas: Invalid value: 1: cannot be greater than status.readyReplicas"]);
    }
}
