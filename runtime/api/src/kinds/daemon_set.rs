//! DaemonSets (`pkg/apis/apps/validation`, `pkg/registry/apps/daemonset`).

use serde_json::json;

use crate::at::At;
use crate::cells;
use crate::check::Checks;
use crate::kinds::ruled::{Ruled, default};
use crate::kinds::share;
use crate::kinds::workload::{self, SelectorTexts};
use crate::object::Object;

/// DaemonSets.
pub const DAEMON_SET: Ruled = Ruled::printed(cells::workload)
    .filled(|set| {
        default(set, &["spec", "revisionHistoryLimit"], 10);
        workload::fill_strategy(set, "updateStrategy", &[("maxUnavailable", json!(1)), ("maxSurge", json!(0))]);
        workload::fill_template(set, &["spec", "template"]);
        for count in ["currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"] {
            default(set, &["status", count], 0);
        }
    })
    .checked(check)
    .updated(|new, old, checks| {
        At::of(new, "spec").all_immutable(&At::of(old, "spec"), &["selector"], checks);
    })
    .status(check_status);

const SELECTOR: SelectorTexts =
    SelectorTexts { required: false, empty: "empty selector is invalid for daemonset", unreadable: None };

fn check(set: &Object, checks: &mut Checks) {
    let spec = At::of(set, "spec");
    let template = workload::template(&spec.get("template"), checks);
    workload::check_selector(&spec, &template, &SELECTOR, checks);
    workload::check_lasting_pods(&spec.get("template"), &template, "DaemonSet", true, checks);
    spec.get("minReadySeconds").non_negative(checks);
    check_strategy(&spec.get("updateStrategy"), checks);
    spec.get("revisionHistoryLimit").non_negative(checks);
}

fn check_strategy(strategy: &At<'_>, checks: &mut Checks) {
    match strategy.get("type").text() {
        "OnDelete" => {}
        "RollingUpdate" => {
            let rolling = strategy.get("rollingUpdate");
            let (unavailable, surge) = (rolling.get("maxUnavailable"), rolling.get("maxSurge"));
            for rule in [share::check, share::check_whole] {
                rule(&unavailable, checks);
                rule(&surge, checks);
            }
            match (share::is_none(&unavailable), share::is_none(&surge)) {
                (false, false) => surge.invalid("may not be set when maxUnavailable is non-zero", checks),
                (true, true) => unavailable.required("cannot be 0 when maxSurge is 0", checks),
                _ => {}
            }
        }
        _ => strategy.unsupported(&["RollingUpdate", "OnDelete"], checks),
    }
}

fn check_status(new: &Object, old: &Object, checks: &mut Checks) {
    const COUNTS: [&str; 9] = [
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
    ];
    let status = At::of(new, "status");
    status.all_non_negative(&COUNTS, checks);
    workload::check_collisions(&status, old, checks);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, created, status_errors, update_errors};

    const FINE: &str = "{kind: DaemonSet, metadata: {name: d, namespace: n}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}";

    #[test]
    fn what_does_not_fit_is_named() {
        let strategy = created(&DAEMON_SET, FINE).at(&["spec", "updateStrategy"]).cloned();
        let rolling = json!({"maxUnavailable": 1, "maxSurge": 0});
        assert_eq!(strategy, Some(json!({"type": "RollingUpdate", "rollingUpdate": rolling})));
        let with = |rest: &str| FINE.replace("{selector:", &format!("{{{rest}, selector:"));
        for (yaml, expected) in [
            (
                with("updateStrategy: {rollingUpdate: {maxUnavailable: 0}}"),
                "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
            ),
            (
                with("updateStrategy: {rollingUpdate: {maxSurge: 10%}}"),
                "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: \"10%\": may not be set when maxUnavailable is non-zero",
            ),
            (
                with("updateStrategy: {type: Never}"),
                "spec.updateStrategy: Unsupported value: {\"type\":\"Never\"}: supported values: \"RollingUpdate\", \"OnDelete\"",
            ),
            (
                FINE.replace("selector: {matchLabels: {a: b}}", "selector: {}"),
                "spec.selector: Invalid value: {}: empty selector is invalid for daemonset",
            ),
            (
                FINE.replace("spec: {containers", "spec: {restartPolicy: OnFailure, containers"),
                "spec.template.spec.restartPolicy: Unsupported value: \"OnFailure\": supported values: \"Always\"",
            ),
            (
                with("minReadySeconds: -3"),
                "spec.minReadySeconds: Invalid value: -3: must be greater than or equal to 0",
            ),
        ] {
            assert_eq!(create_errors(&DAEMON_SET, &yaml), [expected], "{yaml}");
        }
        let other = json!({"matchExpressions": [{"key": "a", "operator": "Exists"}]});
        let found = update_errors(&DAEMON_SET, FINE, |new| new.set(&["spec", "selector"], other));
        assert!(found[0].ends_with(": field is immutable"), "{found:?}");
        let found = status_errors(&DAEMON_SET, FINE, json!({"numberReady": -1}));
        assert_eq!(found, ["status.numberReady: Invalid value: -1: must be greater than or equal to 0"]);
    }
}
