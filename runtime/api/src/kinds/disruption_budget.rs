//! PodDisruptionBudgets (`pkg/apis/policy/validation`).

use crate::at::At;
use crate::cells;
use crate::kinds::ruled::Ruled;
use crate::kinds::share;

/// PodDisruptionBudgets.
pub const POD_DISRUPTION_BUDGET: Ruled = Ruled::printed(cells::disruption_budget)
    .checked(|budget, checks| {
        let spec = At::of(budget, "spec");
        let (least, most) = (spec.get("minAvailable"), spec.get("maxUnavailable"));
        if least.is_set() && most.is_set() {
            spec.invalid("minAvailable and maxUnavailable cannot be both set", checks);
        }
        for at in [least, most] {
            share::check(&at, checks);
            share::check_whole(&at, checks);
        }
        if spec.get("selector").is_set() {
            spec.get("selector").label_selector(checks);
        }
        spec.get("unhealthyPodEvictionPolicy").maybe_one_of(&["AlwaysAllow", "IfHealthyBudget"], checks);
    })
    .status(|new, _, checks| {
        const COUNTS: [&str; 4] = ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"];
        At::of(new, "status").all_non_negative(&COUNTS, checks);
    });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, created, status_errors};

    #[test]
    fn what_does_not_fit_is_named() {
        let budget = |spec: &str| format!("{{metadata: {{name: b, namespace: n}}, spec: {spec}}}");
        created(&POD_DISRUPTION_BUDGET, &budget("{minAvailable: 50%, selector: {matchLabels: {a: b}}}"));
        for (spec, expected) in [
            (
                "{minAvailable: 1, maxUnavailable: 1}",
                "spec: Invalid value: {\"maxUnavailable\":1,\"minAvailable\":1}: minAvailable and maxUnavailable cannot be both set",
            ),
            ("{minAvailable: -1}", "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"),
            ("{maxUnavailable: 101%}", "spec.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%"),
            (
                "{unhealthyPodEvictionPolicy: Never}",
                "spec.unhealthyPodEvictionPolicy: Unsupported value: \"Never\": supported values: \"AlwaysAllow\", \"IfHealthyBudget\"",
            ),
        ] {
            assert_eq!(create_errors(&POD_DISRUPTION_BUDGET, &budget(spec)), [expected], "{spec}");
        }
        let status = serde_json::json!({"expectedPods": -1});
        let found = status_errors(&POD_DISRUPTION_BUDGET, &budget("{}"), status);
        assert_eq!(found, ["status.expectedPods: Invalid value: -1: must be greater than or equal to 0"]);
    }
}
