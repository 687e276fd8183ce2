//! ConfigMaps and Secrets.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1 as core;
use serde_json::Value;

use super::{invalid_all, typed};
use crate::cells;
use crate::field::{self, Path};
use crate::names;
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

/// The data of one object, in bytes (`MaxSecretSize`).
const MAX_SIZE: usize = 1 << 20;

/// Behaviour of ConfigMaps.
pub struct ConfigMap;

impl Strategy for ConfigMap {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        let old = old_of::<core::ConfigMap>(operation);
        typed(object, |map: &mut core::ConfigMap, errors| {
            let (data, binary) = (map.data.iter().flatten(), map.binary_data.iter().flatten());
            let mut size = 0;
            for (field, key, length) in
                data.map(|(k, v)| ("data", k, v.len())).chain(binary.map(|(k, v)| ("binaryData", k, v.0.len())))
            {
                invalid_all(errors, &Path::new(field).key(key), key, names::config_map_key(key));
                size += length;
            }
            for key in map.data.iter().flatten().map(|(key, _)| key) {
                if map.binary_data.as_ref().is_some_and(|binary| binary.contains_key(key)) {
                    errors.push(field::Error::invalid(
                        &Path::new("data").key(key),
                        key,
                        "duplicate of key present in binaryData",
                    ));
                }
            }
            check_size(size, &Path::default(), errors);
            if let Some(old) = old.filter(|old| old.immutable == Some(true)) {
                frozen(errors, "immutable", map.immutable == Some(true));
                frozen(errors, "data", map.data == old.data);
                frozen(errors, "binaryData", map.binary_data == old.binary_data);
            }
        })
    }

    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        cells::config_map(name, object, now)
    }
}

/// Behaviour of Secrets.
pub struct Secret;

impl Strategy for Secret {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        let old = old_of::<core::Secret>(operation);
        typed(object, |secret: &mut core::Secret, errors| {
            for (key, value) in secret.string_data.take().into_iter().flatten() {
                secret.data.get_or_insert_default().insert(key, ByteString(value.into_bytes()));
            }
            let type_ = secret.type_.get_or_insert_with(|| "Opaque".to_owned()).clone();
            for key in secret.data.iter().flatten().map(|(key, _)| key) {
                invalid_all(errors, &Path::new("data").key(key), key, names::config_map_key(key));
            }
            check_size(secret.data.iter().flatten().map(|(_, v)| v.0.len()).sum(), &Path::new("data"), errors);
            for key in required_keys(&type_) {
                if secret.data.as_ref().is_none_or(|data| !data.contains_key(*key)) {
                    errors.push(field::Error::required(&Path::new("data").key(key), ""));
                }
            }
            if let Some(old) = old {
                if old.type_.as_ref().is_some_and(|old| *old != type_) {
                    errors.push(field::Error::invalid(&Path::new("type"), &type_, "field is immutable"));
                }
                if old.immutable == Some(true) {
                    frozen(errors, "immutable", secret.immutable == Some(true));
                    frozen(errors, "data", secret.data == old.data);
                }
            }
        })
    }

    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        cells::secret(name, object, now)
    }
}

fn required_keys(type_: &str) -> &'static [&'static str] {
    match type_ {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    }
}

fn old_of<K: serde::de::DeserializeOwned>(operation: Operation<'_>) -> Option<K> {
    match operation {
        Operation::Create => None,
        Operation::Update { old } | Operation::UpdateStatus { old } => old.to_typed().ok(),
    }
}

fn frozen(errors: &mut Vec<field::Error>, name: &str, same: bool) {
    if !same {
        errors.push(field::Error::forbidden(&Path::new(name), "field is immutable when `immutable` is set"));
    }
}

fn check_size(size: usize, path: &Path, errors: &mut Vec<field::Error>) {
    if size > MAX_SIZE {
        errors.push(field::Error::too_long(path, MAX_SIZE));
    }
}
