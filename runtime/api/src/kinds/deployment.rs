//! Deployments (`pkg/apis/apps/validation`, `pkg/registry/apps/deployment`).

use serde_json::json;

use crate::at::At;
use crate::cells;
use crate::check::Checks;
use crate::kinds::ruled::{Ruled, default};
use crate::kinds::share;
use crate::kinds::workload::{self, SelectorTexts};
use crate::object::Object;

/// Deployments.
pub const DEPLOYMENT: Ruled = Ruled::printed(cells::workload)
    .filled(fill)
    .checked(check)
    .updated(|new, old, checks| {
        At::of(new, "spec").all_immutable(&At::of(old, "spec"), &["selector"], checks);
    })
    .status(check_status)
    // The annotations go to the ReplicaSets: they are something to act on.
    .generation(|old, new| !old.annotations().eq(new.annotations()));

/// What a Deployment and a ReplicaSet say of their selector.
pub(super) const SELECTOR: SelectorTexts = SelectorTexts {
    required: true,
    empty: "empty selector is invalid for deployment",
    unreadable: Some("invalid label selector"),
};

fn fill(deployment: &mut Object) {
    default(deployment, &["spec", "replicas"], 1);
    default(deployment, &["spec", "revisionHistoryLimit"], 10);
    default(deployment, &["spec", "progressDeadlineSeconds"], 600);
    workload::fill_strategy(deployment, "strategy", &[("maxUnavailable", json!("25%")), ("maxSurge", json!("25%"))]);
    workload::fill_template(deployment, &["spec", "template"]);
}

fn check(deployment: &Object, checks: &mut Checks) {
    let spec = At::of(deployment, "spec");
    let replicas = spec.get("replicas");
    replicas.non_negative(checks);
    let template = workload::template(&spec.get("template"), checks);
    workload::check_selector(&spec, &template, &SELECTOR, checks);
    let many = replicas.int() > Some(1);
    workload::check_lasting_pods(&spec.get("template"), &template, "ReplicaSet", many, checks);
    check_strategy(&spec.get("strategy"), checks);
    spec.all_non_negative(&["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"], checks);
    let (deadline, ready) = (spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds").int().unwrap_or(0));
    if deadline.int().is_some_and(|deadline| deadline <= ready) {
        deadline.invalid("must be greater than minReadySeconds", checks);
    }
}

fn check_strategy(strategy: &At<'_>, checks: &mut Checks) {
    let rolling = strategy.get("rollingUpdate");
    match strategy.get("type").text() {
        "Recreate" if rolling.is_set() => {
            rolling.forbidden("may not be specified when strategy `type` is 'Recreate'", checks);
        }
        "Recreate" => {}
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.get("maxUnavailable"), rolling.get("maxSurge"));
            share::check(&unavailable, checks);
            share::check(&surge, checks);
            if share::is_none(&unavailable) && share::is_none(&surge) {
                unavailable.invalid("may not be 0 when `maxSurge` is 0", checks);
            }
            share::check_whole(&unavailable, checks);
        }
        _ => strategy.unsupported(&["Recreate", "RollingUpdate"], checks),
    }
}

fn check_status(new: &Object, old: &Object, checks: &mut Checks) {
    const COUNTS: [&str; 8] = [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "terminatingReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "collisionCount",
    ];
    let status = At::of(new, "status");
    status.all_non_negative(&COUNTS, checks);
    workload::check_counts(&status, &["updatedReplicas", "readyReplicas", "availableReplicas"], checks);
    workload::check_available(&status, "cannot be greater than readyReplicas", checks);
    workload::check_collisions(&status, old, checks);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, created, object, status_errors, update_errors};
    use crate::strategy::Strategy;

    const FINE: &str = "selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}";

    fn deployment(spec: &str) -> String {
        format!("{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: d, namespace: n}}, spec: {{{spec}}}}}")
    }

    #[test]
    fn a_deployment_is_filled() {
        let made = created(&DEPLOYMENT, &deployment(FINE));
        assert_eq!(made.at(&["spec", "replicas"]), Some(&json!(1)));
        let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}});
        assert_eq!(made.at(&["spec", "strategy"]), Some(&strategy));
        assert_eq!(made.str_at(&["spec", "template", "spec", "dnsPolicy"]), "ClusterFirst");
        assert_eq!(DEPLOYMENT.cell("Ready", &made, 0), "0/1");
        let recreated = created(&DEPLOYMENT, &deployment(&format!("{FINE}, strategy: {{type: Recreate}}")));
        assert_eq!(recreated.at(&["spec", "strategy"]), Some(&json!({"type": "Recreate"})));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        const TEMPLATE: &str = "template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}";
        const UNMATCHED: &str =
            "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`";
        let with = |rest: &str| format!("{FINE}, {rest}");
        for (spec, expected) in [
            (TEMPLATE.to_owned(), vec!["spec.selector: Required value", UNMATCHED]),
            (
                format!("selector: {{}}, {TEMPLATE}"),
                vec!["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
            ),
            (format!("selector: {{matchLabels: {{a: x}}}}, {TEMPLATE}"), vec![UNMATCHED]),
            (
                format!("selector: {{matchExpressions: [{{key: a, operator: Is}}]}}, {TEMPLATE}"),
                vec![
                    "spec.selector.matchExpressions[0].operator: Invalid value: \"Is\": not a valid selector operator",
                    "spec.selector: Invalid value: {\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Is\"}]}: invalid label selector",
                ],
            ),
            (with("replicas: -1"), vec!["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]),
            (
                FINE.replace("spec: {", "spec: {restartPolicy: Never, activeDeadlineSeconds: 5, "),
                vec![
                    "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
                    "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
                ],
            ),
            (
                with("strategy: {type: Recreate, rollingUpdate: {maxSurge: 1}}"),
                vec!["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
            ),
            (
                with("strategy: {type: Fast}"),
                vec![
                    "spec.strategy: Unsupported value: {\"type\":\"Fast\"}: supported values: \"Recreate\", \"RollingUpdate\"",
                ],
            ),
            (
                with("strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0%}}"),
                vec![
                    "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0",
                ],
            ),
            (
                with("strategy: {rollingUpdate: {maxSurge: -1, maxUnavailable: 101%}}"),
                vec![
                    "spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0",
                    "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
                ],
            ),
            (
                with("strategy: {rollingUpdate: {maxUnavailable: some}}"),
                vec![
                    "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"some\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
                ],
            ),
            (
                with("minReadySeconds: 600, revisionHistoryLimit: -1"),
                vec![
                    "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
                    "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds",
                ],
            ),
        ] {
            assert_eq!(create_errors(&DEPLOYMENT, &deployment(&spec)), expected, "{spec}");
        }
    }

    #[test]
    fn a_selector_stays() {
        let found = update_errors(&DEPLOYMENT, &deployment(FINE), |new| {
            new.set(&["spec", "selector"], json!({"matchExpressions": [{"key": "a", "operator": "Exists"}]}));
        });
        let expected = "spec.selector: Invalid value: {\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Exists\"}]}: field is immutable";
        assert_eq!(found, [expected]);
        let same = |new: &mut Object| new.set(&["spec", "selector", "matchExpressions"], json!([]));
        assert_eq!(update_errors(&DEPLOYMENT, &deployment(FINE), same), [""; 0]);
    }

    #[test]
    fn a_status_adds_up() {
        let status = json!({"replicas": 1, "readyReplicas": 1, "availableReplicas": 2, "unavailableReplicas": -1});
        let expected = [
            "status.unavailableReplicas: Invalid value: -1: must be greater than or equal to 0",
            "status.availableReplicas: Invalid value: 2: cannot be greater than status.replicas",
            "status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas",
        ];
        assert_eq!(status_errors(&DEPLOYMENT, &deployment(FINE), status), expected);
    }

    #[test]
    fn an_annotation_is_a_new_generation() {
        let old = created(&DEPLOYMENT, &deployment(FINE));
        let mut new = old.clone();
        assert!(!DEPLOYMENT.generation_changes(&old, &new));
        new.set(&["metadata", "annotations", "a"], "b");
        assert!(DEPLOYMENT.generation_changes(&old, &new));
        assert_eq!(object(&deployment(FINE)).name(), "d");
    }
}
