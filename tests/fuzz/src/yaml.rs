//! YAML bodies and manifests, and the YAML that is answered.

use trimtab_api::{from_yaml, manifest, to_yaml};

/// A longer key may not stand before its colon on one line.
const LONGEST_KEY: usize = 1000;

/// What is read and written as an answer is, is read as it was; so is its JSON, which is YAML too.
pub fn yaml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = manifest::read(text);
    let Ok(value) = from_yaml(text) else { return };
    let written = to_yaml(&value);
    assert_eq!(from_yaml(&written).as_ref(), Ok(&value), "{written}");
    let json = value.to_string();
    if json.len() > LONGEST_KEY {
        return;
    }
    assert_eq!(from_yaml(&json).as_ref(), Ok(&value), "{json}");
}
