//! PriorityLevelConfigurations: how many requests are served at once (`pkg/apis/flowcontrol/validation`,
//! `pkg/apis/flowcontrol/v1/defaults.go`).

use crate::at::At;
use crate::cells;
use crate::check::Checks;
use crate::kinds::flow_control::check_mandatory;
use crate::kinds::flow_schema::check_conditions;
use crate::kinds::ruled::{Ruled, default};
use crate::object::Object;

/// PriorityLevelConfigurations.
pub const PRIORITY_LEVEL_CONFIGURATION: Ruled =
    Ruled::printed(cells::priority_level).filled(fill).checked(check).status(|new, _, checks| {
        check_conditions(new, checks);
    });

const MAX_QUEUES: i64 = 10_000_000;
/// The bits of the hash by which requests are dealt to queues.
const HASH_BITS: f64 = 60.0;

fn fill(level: &mut Object) {
    let is_set = |level: &Object, path: &[&str]| level.at(path).is_some();
    if is_set(level, &["spec", "exempt"]) || level.str_at(&["spec", "type"]) == "Exempt" {
        default(level, &["spec", "exempt", "nominalConcurrencyShares"], 0);
        default(level, &["spec", "exempt", "lendablePercent"], 0);
    }
    if is_set(level, &["spec", "limited"]) {
        default(level, &["spec", "limited", "nominalConcurrencyShares"], 30);
        default(level, &["spec", "limited", "lendablePercent"], 0);
    }
    if is_set(level, &["spec", "limited", "limitResponse", "queuing"]) {
        for (field, value) in [("handSize", 8), ("queues", 64), ("queueLengthLimit", 50)] {
            default(level, &["spec", "limited", "limitResponse", "queuing", field], value);
        }
    }
}

fn check(level: &Object, checks: &mut Checks) {
    check_spec(level, checks);
    check_mandatory(level, (level.name() == "exempt").then_some("exempt"), checks);
}

fn check_spec(level: &Object, checks: &mut Checks) {
    let spec = At::of(level, "spec");
    let (type_, limited, exempt) = (spec.get("type"), spec.get("limited"), spec.get("exempt"));
    if (level.name() == "exempt") != (type_.text() == "Exempt") {
        checks.invalid(&type_.path, type_.text(), "type must be 'Exempt' if and only if `name` is 'exempt'");
    }
    match type_.text() {
        "Exempt" => {
            if limited.is_set() {
                limited.forbidden("must be nil if the type is Exempt", checks);
            }
            check_shares(&exempt, checks);
        }
        "Limited" => {
            if exempt.is_set() {
                exempt.forbidden("must be nil if the type is Limited", checks);
            }
            if !limited.is_set() {
                return limited.required("must not be empty when type is Limited", checks);
            }
            check_shares(&limited, checks);
            let borrowing = limited.get("borrowingLimitPercent");
            if borrowing.int() < Some(0) && borrowing.is_set() {
                borrowing.invalid("if specified, must be a non-negative integer", checks);
            }
            check_response(&limited.get("limitResponse"), checks);
        }
        other => checks.push(crate::field::Error::not_supported(&type_.path, other, &["Exempt", "Limited"])),
    }
}

fn check_shares(at: &At<'_>, checks: &mut Checks) {
    let (shares, lendable) = (at.get("nominalConcurrencyShares"), at.get("lendablePercent"));
    if shares.int().is_some_and(|shares| shares < 0) {
        shares.invalid("must be a non-negative integer", checks);
    }
    if lendable.int().is_some_and(|percent| !(0..=100).contains(&percent)) {
        lendable.invalid("must be between 0 and 100, inclusive", checks);
    }
}

fn check_response(response: &At<'_>, checks: &mut Checks) {
    let (type_, queuing) = (response.get("type"), response.get("queuing"));
    match type_.text() {
        "Reject" if queuing.is_set() => {
            queuing.forbidden("must be nil if limited.limitResponse.type is not Limited", checks);
        }
        "Reject" => {}
        "Queue" if !queuing.is_set() => {
            queuing.required("must not be empty if limited.limitResponse.type is Limited", checks);
        }
        "Queue" => check_queuing(&queuing, checks),
        other => checks.push(crate::field::Error::not_supported(&type_.path, other, &["Queue", "Reject"])),
    }
}

fn check_queuing(queuing: &At<'_>, checks: &mut Checks) {
    let [length, queues, hand] = ["queueLengthLimit", "queues", "handSize"].map(|field| queuing.get(field));
    let positive = |at: &At<'_>, checks: &mut Checks| {
        let is_positive = at.int().unwrap_or(0) > 0;
        if !is_positive {
            at.invalid("must be positive", checks);
        }
        is_positive
    };
    positive(&length, checks);
    let count = queues.int().unwrap_or(0);
    if positive(&queues, checks) && count > MAX_QUEUES {
        queues.invalid(&format!("must not be greater than {MAX_QUEUES}"), checks);
    }
    if !positive(&hand, checks) {
        return;
    }
    let size = hand.int().unwrap_or(0);
    if size > count {
        return hand.invalid(&format!("should not be greater than queues ({count})"), checks);
    }
    // Both are 32-bit numbers on the wire.
    let double = |number: i64| f64::from(i32::try_from(number).unwrap_or(i32::MAX));
    if (double(count).log2() * double(size)).ceil() > HASH_BITS {
        let detail = format!(
            "required entropy bits of deckSize {count} and handSize {size} should not be greater than {HASH_BITS}"
        );
        hand.invalid(&detail, checks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, created};

    #[test]
    fn what_does_not_fit_is_named() {
        let level = |spec: &str| format!("{{metadata: {{name: l}}, spec: {spec}}}");
        let queuing = |queuing: &str| {
            level(&format!("{{type: Limited, limited: {{limitResponse: {{type: Queue, queuing: {queuing}}}}}}}"))
        };
        let made = created(&PRIORITY_LEVEL_CONFIGURATION, &queuing("{}"));
        let filled = serde_json::json!({"handSize": 8, "queues": 64, "queueLengthLimit": 50});
        assert_eq!(made.at(&["spec", "limited", "limitResponse", "queuing"]), Some(&filled));
        assert_eq!(made.at(&["spec", "limited", "nominalConcurrencyShares"]), Some(&30.into()));
        let at = "spec.limited.limitResponse.queuing";
        for (yaml, expected) in [
            (
                level("{type: Exempt}"),
                "spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if `name` is 'exempt'"
                    .to_owned(),
            ),
            (
                level("{type: Limited}"),
                "spec.limited: Required value: must not be empty when type is Limited".to_owned(),
            ),
            (
                level("{type: Some}"),
                "spec.type: Unsupported value: \"Some\": supported values: \"Exempt\", \"Limited\"".to_owned(),
            ),
            (
                level("{type: Limited, limited: {nominalConcurrencyShares: -1, limitResponse: {type: Reject}}}"),
                "spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer".to_owned(),
            ),
            (
                level("{type: Limited, limited: {limitResponse: {type: Queue}}}"),
                format!("{at}: Required value: must not be empty if limited.limitResponse.type is Limited"),
            ),
            (queuing("{queues: 4}"), format!("{at}.handSize: Invalid value: 8: should not be greater than queues (4)")),
            (
                queuing("{queues: 1024}"),
                format!(
                    "{at}.handSize: Invalid value: 8: required entropy bits of deckSize 1024 and handSize 8 should not be greater than 60"
                ),
            ),
        ] {
            assert_eq!(create_errors(&PRIORITY_LEVEL_CONFIGURATION, &yaml), [expected], "{yaml}");
        }
    }
}
