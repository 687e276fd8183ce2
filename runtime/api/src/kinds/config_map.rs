//! Config maps: keys, size, and immutable ones (`ValidateConfigMap`).

use k8s_openapi::api::core::v1::ConfigMap as Typed;
use serde_json::Value;

use crate::cells;
use crate::check::Checks;
use crate::field::{Error, Path};
use crate::kinds::{stored, typed};
use crate::names;
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

/// How many bytes the values of a config map or a secret take together at most: 1 MiB.
pub(super) const MAX_SIZE: usize = 1024 * 1024;

/// Config maps.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConfigMap;

impl Strategy for ConfigMap {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        typed(object, |map: &mut Typed, checks| {
            check(map, checks);
            if let Operation::Update { old } = operation
                && let Some(old) = stored::<Typed>(old, checks)
            {
                check_update(map, &old, checks);
            }
        })
    }

    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        cells::config_map(name, object, now)
    }
}

fn check(map: &Typed, checks: &mut Checks) {
    let (data, binary) = (Path::new("data"), Path::new("binaryData"));
    let mut size = 0;
    for (key, value) in map.data.iter().flatten() {
        checks.follows(&data.key(key), key, names::config_map_key);
        if map.binary_data.as_ref().is_some_and(|binary| binary.contains_key(key)) {
            checks.invalid(&data.key(key), key, "duplicate of key present in binaryData");
        }
        size += value.len();
    }
    for (key, value) in map.binary_data.iter().flatten() {
        checks.follows(&binary.key(key), key, names::config_map_key);
        size += value.0.len();
    }
    if size > MAX_SIZE {
        // Upstream names the whole object by an empty path.
        checks.push(Error::too_long(&Path::new(""), MAX_SIZE));
    }
}

fn check_update(new: &Typed, old: &Typed, checks: &mut Checks) {
    if old.immutable != Some(true) {
        return;
    }
    let detail = "field is immutable when `immutable` is set";
    if new.immutable != Some(true) {
        checks.forbidden(&Path::new("immutable"), detail);
    }
    if new.data != old.data {
        checks.forbidden(&Path::new("data"), detail);
    }
    if new.binary_data != old.binary_data {
        checks.forbidden(&Path::new("binaryData"), detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, update_errors};

    #[test]
    fn keys_are_checked() {
        for (data, expected) in [
            ("data: {a.b: c}", vec![]),
            (
                "data: {'a b': c}",
                vec![
                    "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
                ],
            ),
            (
                "data: {a: c}, binaryData: {a: Yw==}",
                vec!["data[a]: Invalid value: \"a\": duplicate of key present in binaryData"],
            ),
        ] {
            let yaml = format!("{{metadata: {{name: m, namespace: d}}, {data}}}");
            assert_eq!(create_errors(&ConfigMap, &yaml), expected, "{data}");
        }
    }

    #[test]
    fn an_immutable_map_stays() {
        let yaml = "{metadata: {name: m, namespace: d}, immutable: true, data: {a: b}}";
        let errors = update_errors(&ConfigMap, yaml, |map| map.set(&["data", "a"], "c"));
        assert_eq!(errors, ["data: Forbidden: field is immutable when `immutable` is set"]);
    }
}
