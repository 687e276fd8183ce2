//! kubeconfig files.

use serde_json::Value;
use trimtab_client::Kubeconfig;

/// What is read and written says the same, and merged with itself as well.
pub fn kubeconfig(bytes: &[u8]) {
    let Ok(config) = serde_yaml::from_slice::<Kubeconfig>(bytes) else { return };
    let value = |config: &Kubeconfig| serde_json::to_value(config);
    // YAML has maps whose keys are no strings, and numbers that JSON has not.
    let Ok(before) = value(&config) else { return };
    if has_files(&before) {
        return;
    }
    let again: Kubeconfig = serde_yaml::from_str(&config.to_yaml()).expect("what was written is read");
    assert_eq!(value(&again).ok().as_ref(), Some(&before));
    let mut merged = config.clone();
    merged.merge(again);
    let _ = (merged.certificate_authority(None), merged.client(None).err());
    merged.remove("a");
}

/// Whether a file is named, which is not to be read.
fn has_files(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(name, value)| {
            ["certificate-authority", "client-certificate", "client-key", "tokenFile"].contains(&name.as_str())
                || has_files(value)
        }),
        Value::Array(items) => items.iter().any(has_files),
        _ => false,
    }
}
