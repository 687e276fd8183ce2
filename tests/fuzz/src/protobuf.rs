//! Protobuf bodies.

use std::sync::LazyLock;

use serde_json::Value;
use trimtab_api::protobuf::{self, Message};

/// The messages that are read: those of every built-in kind, and what is sent beside objects.
static MESSAGES: LazyLock<Vec<&'static Message>> = LazyLock::new(|| {
    let beside = [
        ("v1", "DeleteOptions"),
        ("v1", "Status"),
        ("autoscaling/v1", "Scale"),
        ("authentication.k8s.io/v1", "TokenRequest"),
        ("policy/v1", "Eviction"),
    ];
    let beside = beside.into_iter().filter_map(|(version, kind)| Message::of(version, kind));
    let kinds = trimtab_api::builtin();
    kinds.iter().filter_map(|kind| Message::of(&kind.api_version(), &kind.kind)).chain(beside).collect()
});

/// The first byte says of which message the rest is. What is read at all is written again, and then
/// read as the same.
pub fn protobuf(bytes: &[u8]) {
    let _ = protobuf::open(bytes);
    let Some((which, bytes)) = bytes.split_first() else { return };
    let message = MESSAGES[usize::from(*which) % MESSAGES.len()];
    let Ok(object) = message.decode(bytes) else { return };
    let once = written(message, &Value::Object(object));
    let read = message.decode(&once).expect("what was written is read");
    let twice = written(message, &Value::Object(read.clone()));
    assert_eq!(once, twice, "{}", message.definition());
    // A version is put in front of what has none, as stored objects have; a Status is none.
    let has_none = read.get("metadata").is_some_and(|metadata| metadata["resourceVersion"].is_null());
    if has_none
        && !message.definition().ends_with(".Status")
        && let Some((begin, rest)) = protobuf::versioned(&once, "7")
    {
        let versioned = message.decode(&[&begin, &once[rest..]].concat()).expect("a version is put in front");
        let mut expected = read;
        expected["metadata"]["resourceVersion"] = "7".into();
        assert_eq!(versioned, expected);
    }
}

fn written(message: &Message, value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    let json = value.to_string();
    message.encode(json.as_bytes(), &mut bytes).unwrap_or_else(|error| panic!("{error}: {json}"));
    bytes
}
