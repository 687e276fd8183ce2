//! RuntimeClasses (`pkg/apis/node/validation`).

use k8s_openapi::api::core::v1::Toleration;
use serde::Deserialize;

use crate::at::{self, At};
use crate::check::Checks;
use crate::kinds::pod::{check_quantity, check_tolerations};
use crate::kinds::ruled::Ruled;
use crate::names;
use crate::object::Object;

/// RuntimeClasses.
pub const RUNTIME_CLASS: Ruled = Ruled::new()
    .filled(|class| {
        at::at_mut(class, &["overhead", "podFixed"]).into_iter().for_each(at::canonical_quantities);
    })
    .checked(check)
    .updated(|new, old, checks| {
        At::of(new, "handler").immutable(&At::of(old, "handler"), checks);
    });

fn check(class: &Object, checks: &mut Checks) {
    let handler = At::of(class, "handler");
    checks.follows(&handler.path, handler.text(), names::dns1123_label);
    for (name, amount) in At::of(class, "overhead").get("podFixed").entries() {
        match amount.quantity() {
            Some(Ok(quantity)) => check_quantity(&amount.path, name, quantity, checks),
            Some(Err(error)) => amount.invalid(&error.to_string(), checks),
            None => {}
        }
    }
    let scheduling = At::of(class, "scheduling");
    for (key, value) in scheduling.get("nodeSelector").entries() {
        let path = scheduling.path.child("nodeSelector");
        checks.follows(&path, key, names::qualified_name);
        checks.follows(&path, value.text(), names::label_value);
    }
    let at = scheduling.get("tolerations");
    let tolerations = Vec::<Toleration>::deserialize(at.value).unwrap_or_default();
    check_tolerations(&at.path, &tolerations, checks);
    for (index, toleration) in at.items().enumerate() {
        if at.items().take(index).any(|earlier| earlier.value == toleration.value) {
            toleration.duplicate(checks);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, update_errors};

    #[test]
    fn what_does_not_fit_is_named() {
        let found = create_errors(&RUNTIME_CLASS, "{metadata: {name: r}, handler: A}");
        assert!(found[0].starts_with("handler: Invalid value: \"A\": a lowercase RFC 1123 label"), "{found:?}");
        let yaml = "{metadata: {name: r}, handler: a, overhead: {podFixed: {cpu: -1}}, scheduling: {tolerations: [{operator: Exists}, {operator: Exists}]}}";
        let expected = [
            "overhead.podFixed[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
            "scheduling.tolerations[1]: Duplicate value: {\"operator\":\"Exists\"}",
        ];
        assert_eq!(create_errors(&RUNTIME_CLASS, yaml), expected);
        let yaml = "{metadata: {name: r}, handler: a}";
        let found = update_errors(&RUNTIME_CLASS, yaml, |new| new.set(&["handler"], "b"));
        assert_eq!(found, ["handler: Invalid value: \"b\": field is immutable"]);
    }
}
