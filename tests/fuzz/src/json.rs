//! JSON bodies.

use serde_json::Value;
use trimtab_api::{Object, from_json, read_json, write_json};

/// What is read and written is read again as it was, and written to the same bytes.
pub fn json(bytes: &[u8]) {
    let Ok(value) = read_json(bytes) else { return };
    let mut written = Vec::new();
    write_json(&mut written, &value);
    let again = read_json(&written).expect("what was written is read");
    assert_eq!(again, value);
    let mut twice = Vec::new();
    write_json(&mut twice, &again);
    assert_eq!(written, twice);
    // The envelope of an object is read apart from it.
    let object: Result<Object, _> = from_json(bytes);
    assert_eq!(object.is_ok(), value.is_object());
    if let Ok(object) = object {
        assert_eq!(Value::Object(object.0.clone()), value);
        let _ = (object.name(), object.labels().count(), object.annotations().count(), object.metadata());
    }
}
