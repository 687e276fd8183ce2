//! StorageClasses and VolumeAttributesClasses (`pkg/apis/storage/validation`).

use crate::at::At;
use crate::cells;
use crate::check::Checks;
use crate::field::Error;
use crate::kinds::persistent_volume::check_driver;
use crate::kinds::ruled::{Ruled, default};
use crate::names;
use crate::object::Object;

/// StorageClasses.
pub const STORAGE_CLASS: Ruled = Ruled::printed(cells::storage_class)
    .filled(|class| {
        default(class, &["reclaimPolicy"], "Delete");
        default(class, &["volumeBindingMode"], "Immediate");
    })
    .checked(check)
    .updated(|new, old, checks| {
        for field in ["parameters", "provisioner", "reclaimPolicy"] {
            let at = At::of(new, field);
            if !at.same(&At::of(old, field)) {
                at.forbidden(&format!("updates to {field} are forbidden."), checks);
            }
        }
        At::of(new, "volumeBindingMode").immutable(&At::of(old, "volumeBindingMode"), checks);
    });

/// VolumeAttributesClasses.
pub const VOLUME_ATTRIBUTES_CLASS: Ruled = Ruled::new()
    .checked(|class, checks| {
        let driver = At::of(class, "driverName");
        driver.present(checks);
        check_driver(&driver, checks);
        let parameters = At::of(class, "parameters");
        if parameters.is_empty() {
            parameters.required("must contain at least one key/value pair", checks);
        }
        check_parameters(&parameters, checks);
    })
    .updated(|new, old, checks| {
        for field in ["driverName", "parameters"] {
            At::of(new, field).immutable(&At::of(old, field), checks);
        }
    });

const MAX_PARAMETERS: usize = 512;
/// In bytes.
const MAX_SIZE: usize = 256 * 1024;

fn check(class: &Object, checks: &mut Checks) {
    let provisioner = At::of(class, "provisioner");
    provisioner.present(checks);
    let lower = provisioner.text().to_lowercase();
    checks.maybe_named(&provisioner.path, &lower, names::qualified_name);
    check_parameters(&At::of(class, "parameters"), checks);
    At::of(class, "reclaimPolicy").maybe_one_of(&["Delete", "Retain"], checks);
    At::of(class, "volumeBindingMode").maybe_one_of(&["Immediate", "WaitForFirstConsumer"], checks);
    check_topologies(&At::of(class, "allowedTopologies"), checks);
}

fn check_parameters(parameters: &At<'_>, checks: &mut Checks) {
    if parameters.len() > MAX_PARAMETERS {
        return checks.push(Error::too_long(&parameters.path, MAX_PARAMETERS));
    }
    if parameters.entries().any(|(key, _)| key.is_empty()) {
        checks.invalid(&parameters.path, "", "field can not be empty.");
    }
    if parameters.entries().map(|(key, value)| key.len() + value.text().len()).sum::<usize>() > MAX_SIZE {
        checks.push(Error::too_long(&parameters.path, MAX_SIZE));
    }
}

/// Each term tells of labels, each of them once; no term is there twice.
fn check_topologies(topologies: &At<'_>, checks: &mut Checks) {
    for (index, term) in topologies.items().enumerate() {
        let expressions = term.get("matchLabelExpressions");
        for (at, expression) in expressions.items().enumerate() {
            let key = expression.get("key");
            checks.follows(&key.path, key.text(), names::qualified_name);
            if expressions.items().take(at).any(|earlier| earlier.get("key").value == key.value) {
                checks.push(Error::duplicate(&key.path, key.text()));
            }
            let values = expression.get("values");
            values.present(checks);
            for (at, value) in values.items().enumerate() {
                if values.items().take(at).any(|earlier| earlier.value == value.value) {
                    value.duplicate(checks);
                }
                checks.follows(&value.path, value.text(), names::label_value);
            }
        }
        if topologies.items().take(index).any(|earlier| earlier.value == term.value) {
            checks.push(Error::duplicate(&expressions.path, ""));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::fixture::{create_errors, created, update_errors};

    #[test]
    fn what_does_not_fit_is_named() {
        const FINE: &str = "{metadata: {name: c}, provisioner: Example.com/disks, parameters: {a: b}}";
        assert_eq!(created(&STORAGE_CLASS, FINE).str_at(&["reclaimPolicy"]), "Delete");
        let term = "{matchLabelExpressions: [{key: zone, values: [a]}]}";
        for (yaml, expected) in [
            ("{metadata: {name: c}}".to_owned(), "provisioner: Required value"),
            (
                "{metadata: {name: c}, provisioner: p, reclaimPolicy: Recycle}".to_owned(),
                "reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\"",
            ),
            (
                "{metadata: {name: c}, provisioner: p, volumeBindingMode: Late}".to_owned(),
                "volumeBindingMode: Unsupported value: \"Late\": supported values: \"Immediate\", \"WaitForFirstConsumer\"",
            ),
            (
                "{metadata: {name: c}, provisioner: p, parameters: {'': b}}".to_owned(),
                "parameters: Invalid value: \"\": field can not be empty.",
            ),
            (
                format!("{{metadata: {{name: c}}, provisioner: p, allowedTopologies: [{term}, {term}]}}"),
                "allowedTopologies[1].matchLabelExpressions: Duplicate value: \"\"",
            ),
            (
                "{metadata: {name: c}, provisioner: p, allowedTopologies: [{matchLabelExpressions: [{key: zone}]}]}"
                    .to_owned(),
                "allowedTopologies[0].matchLabelExpressions[0].values: Required value",
            ),
        ] {
            assert_eq!(create_errors(&STORAGE_CLASS, &yaml), [expected], "{yaml}");
        }
        let found = update_errors(&STORAGE_CLASS, FINE, |new| {
            new.set(&["parameters", "a"], "c");
            new.set(&["provisioner"], "p");
            new.set(&["reclaimPolicy"], "Retain");
            new.set(&["volumeBindingMode"], "WaitForFirstConsumer");
            new.set(&["allowVolumeExpansion"], true);
        });
        let expected = [
            "parameters: Forbidden: updates to parameters are forbidden.",
            "provisioner: Forbidden: updates to provisioner are forbidden.",
            "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.",
            "volumeBindingMode: Invalid value: \"WaitForFirstConsumer\": field is immutable",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn attributes_stay() {
        let found = create_errors(&VOLUME_ATTRIBUTES_CLASS, "{metadata: {name: c}}");
        let parameters = "parameters: Required value: must contain at least one key/value pair";
        assert_eq!(found, ["driverName: Required value", parameters]);
        let yaml = "{metadata: {name: c}, driverName: d, parameters: {a: b}}";
        let found = update_errors(&VOLUME_ATTRIBUTES_CLASS, yaml, |new| new.set(&["parameters"], json!({"a": "c"})));
        assert_eq!(found, ["parameters: Invalid value: {\"a\":\"c\"}: field is immutable"]);
    }
}
