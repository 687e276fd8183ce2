//! Secrets: their types and what each type must hold (`ValidateSecret`).

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret as Typed;
use serde_json::{Map, Value};

use super::config_map::MAX_SIZE;
use super::service_account::{ACCOUNT_NAME, TOKEN_SECRET};
use crate::cells;
use crate::check::{Checks, text};
use crate::field::{Error, Path};
use crate::kinds::{stored, typed};
use crate::names;
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

/// Secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Secret;

impl Strategy for Secret {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        typed(object, |secret: &mut Typed, checks| {
            fill(secret);
            check(secret, checks);
            if let Operation::Update { old } = operation
                && let Some(old) = stored::<Typed>(old, checks)
            {
                check_update(secret, &old, checks);
            }
        })
    }

    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        cells::secret(name, object, now)
    }
}

/// `stringData` is written to `data`, and never stored.
fn fill(secret: &mut Typed) {
    if text(&secret.type_).is_empty() {
        secret.type_ = Some("Opaque".to_owned());
    }
    for (key, value) in secret.string_data.take().into_iter().flatten() {
        secret.data.get_or_insert_default().insert(key, ByteString(value.into_bytes()));
    }
}

fn check(secret: &Typed, checks: &mut Checks) {
    let path = Path::new("data");
    let mut size = 0;
    for (key, value) in secret.data.iter().flatten() {
        checks.follows(&path.key(key), key, names::config_map_key);
        size += value.0.len();
    }
    if size > MAX_SIZE {
        checks.push(Error::too_long(&path, MAX_SIZE));
    }
    check_type(&path, secret, checks);
}

fn check_type(path: &Path, secret: &Typed, checks: &mut Checks) {
    let value = |key: &str| secret.data.as_ref().and_then(|data| data.get(key));
    match text(&secret.type_) {
        TOKEN_SECRET => {
            let annotation = secret.metadata.annotations.as_ref().and_then(|annotations| annotations.get(ACCOUNT_NAME));
            if annotation.is_none_or(String::is_empty) {
                checks.required(&Path::new("metadata").child("annotations").key(ACCOUNT_NAME));
            }
        }
        "kubernetes.io/dockercfg" => check_json(path, ".dockercfg", value(".dockercfg"), checks),
        "kubernetes.io/dockerconfigjson" => {
            check_json(path, ".dockerconfigjson", value(".dockerconfigjson"), checks);
        }
        "kubernetes.io/basic-auth" if value("username").is_none() && value("password").is_none() => {
            checks.required(&path.key("username"));
            checks.required(&path.key("password"));
        }
        "kubernetes.io/ssh-auth" if value("ssh-privatekey").is_none_or(|key| key.0.is_empty()) => {
            checks.required(&path.key("ssh-privatekey"));
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"].into_iter().filter(|key| value(key).is_none()) {
                checks.required(&path.key(key));
            }
        }
        _ => {}
    }
}

fn check_json(path: &Path, key: &str, value: Option<&ByteString>, checks: &mut Checks) {
    let path = path.key(key);
    let Some(value) = value else { return checks.required(&path) };
    if let Err(error) = serde_json::from_slice::<Map<String, Value>>(&value.0) {
        checks.invalid(&path, "<secret contents redacted>", &error.to_string());
    }
}

fn check_update(new: &Typed, old: &Typed, checks: &mut Checks) {
    checks.immutable(&Path::new("type"), &new.type_, &old.type_);
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, created, update_errors};

    #[test]
    fn plain_text_is_written_to_data() {
        let secret = created(&Secret, "{metadata: {name: s, namespace: d}, data: {a: YQ==}, stringData: {b: b}}");
        assert_eq!(secret.0["data"], serde_json::json!({"a": "YQ==", "b": "Yg=="}));
        assert_eq!((secret.str_at(&["type"]), secret.at(&["stringData"])), ("Opaque", None));
    }

    #[test]
    fn a_type_must_hold_its_keys() {
        for (fields, expected) in [
            ("type: kubernetes.io/tls, data: {tls.crt: ''}", vec!["data[tls.key]: Required value"]),
            (
                "type: kubernetes.io/basic-auth",
                vec!["data[username]: Required value", "data[password]: Required value"],
            ),
            ("type: kubernetes.io/dockerconfigjson, stringData: {.dockerconfigjson: '{}'}", vec![]),
            ("type: kubernetes.io/ssh-auth", vec!["data[ssh-privatekey]: Required value"]),
            ("type: mine/own", vec![]),
        ] {
            let yaml = format!("{{metadata: {{name: s, namespace: d}}, {fields}}}");
            assert_eq!(create_errors(&Secret, &yaml), expected, "{fields}");
        }
    }

    #[test]
    fn the_type_stays() {
        let yaml = "{metadata: {name: s, namespace: d}}";
        let errors = update_errors(&Secret, yaml, |secret| secret.set(&["type"], "mine/own"));
        assert_eq!(errors, ["type: Invalid value: \"mine/own\": field is immutable"]);
    }
}
