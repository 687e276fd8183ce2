//! PriorityClasses (`pkg/apis/scheduling/validation`).

use crate::at::At;
use crate::cells;
use crate::check::Checks;
use crate::field::Path;
use crate::kinds::ruled::{Ruled, default};
use crate::object::Object;

/// PriorityClasses.
pub const PRIORITY_CLASS: Ruled = Ruled::printed(cells::priority_class)
    .filled(|class| default(class, &["preemptionPolicy"], "PreemptLowerPriority"))
    .checked(check)
    .updated(|new, old, checks| {
        let value = At::of(new, "value");
        if !value.same(&At::of(old, "value")) {
            value.forbidden("may not be changed in an update.", checks);
        }
        At::of(new, "preemptionPolicy").immutable(&At::of(old, "preemptionPolicy"), checks);
    });

/// Above it is what the cluster itself needs.
const HIGHEST: i64 = 1_000_000_000;
const SYSTEM: [(&str, i64); 2] =
    [("system-cluster-critical", 2 * HIGHEST), ("system-node-critical", 2 * HIGHEST + 1000)];

fn check(class: &Object, checks: &mut Checks) {
    let (name, value) = (class.name(), At::of(class, "value"));
    if name.starts_with("system-") {
        if let Err(error) = check_system(class) {
            let detail =
                format!("priority class names with 'system-' prefix are reserved for system use only. error: {error}");
            checks.forbidden(&Path::new("metadata").child("name"), &detail);
        }
    } else if value.int() > Some(HIGHEST) {
        let detail = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        value.forbidden(&detail, checks);
    }
    At::of(class, "preemptionPolicy").maybe_one_of(&["PreemptLowerPriority", "Never"], checks);
}

fn check_system(class: &Object) -> Result<(), String> {
    let name = class.name();
    let Some((_, value)) = SYSTEM.iter().find(|(known, _)| *known == name) else {
        return Err(format!("{name} is not a known system priority class"));
    };
    if At::of(class, "value").int() != Some(*value) {
        return Err(format!("value of {name} PriorityClass must be {value}"));
    }
    if At::of(class, "globalDefault").flag() {
        return Err(format!("globalDefault of {name} PriorityClass must be false"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, created, update_errors};

    #[test]
    fn what_does_not_fit_is_named() {
        created(&PRIORITY_CLASS, "{metadata: {name: system-node-critical}, value: 2000001000}");
        for (yaml, expected) in [
            (
                "{metadata: {name: a}, value: 1000000001}",
                "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
            ),
            (
                "{metadata: {name: system-mine}, value: 1}",
                "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-mine is not a known system priority class",
            ),
            (
                "{metadata: {name: system-node-critical}, value: 1}",
                "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: value of system-node-critical PriorityClass must be 2000001000",
            ),
            (
                "{metadata: {name: a}, value: 1, preemptionPolicy: Always}",
                "preemptionPolicy: Unsupported value: \"Always\": supported values: \"PreemptLowerPriority\", \"Never\"",
            ),
        ] {
            assert_eq!(create_errors(&PRIORITY_CLASS, yaml), [expected], "{yaml}");
        }
        let found = update_errors(&PRIORITY_CLASS, "{metadata: {name: a}, value: 1}", |new| {
            new.set(&["value"], 2);
            new.set(&["preemptionPolicy"], "Never");
        });
        let policy = "preemptionPolicy: Invalid value: \"Never\": field is immutable";
        assert_eq!(found, ["value: Forbidden: may not be changed in an update.", policy]);
    }
}
