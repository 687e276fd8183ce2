//! Bytes that are no messages, or were until they were bent.

use proptest::prelude::*;
use serde_json::Value;

use super::round_trip;
use crate::protobuf::{Message, open};

fn pod() -> &'static Message {
    Message::of("v1", "Pod").unwrap()
}

/// What can be read at all can be written again, and then says the same.
fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let _ = open(bytes);
    let Ok(object) = pod().decode(bytes) else { return Ok(()) };
    let mut again = Vec::new();
    let json = Value::Object(object).to_string();
    pod().encode(json.as_bytes(), &mut again).map_err(|e| TestCaseError::fail(format!("{e}: {json}")))?;
    let read = pod().decode(&again).map_err(|e| TestCaseError::fail(format!("{e}: {json}")))?;
    let mut third = Vec::new();
    pod().encode(Value::Object(read).to_string().as_bytes(), &mut third).unwrap();
    prop_assert_eq!(again, third);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        check(&bytes)?;
    }

    #[test]
    fn bent_messages_are_refused_or_read(
        object in round_trip::object(pod(), 3),
        bends in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        pod().encode(object.to_string().as_bytes(), &mut bytes).unwrap();
        check(&bytes)?;
        if !bytes.is_empty() {
            check(&bytes[..cut.index(bytes.len())])?;
            for (index, byte) in bends {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            check(&bytes)?;
        }
    }
}

#[test]
fn errors_say_what_and_where() {
    let check = |bytes: &[u8], expected: &str| {
        assert_eq!(pod().decode(bytes).unwrap_err().to_string(), expected, "{bytes:?}");
    };
    check(&[0x80], "unexpected EOF");
    check(&[0x0a, 0x05, 0x0a], "metadata: unexpected EOF");
    check(&[0x08, 0x01], "metadata: proto: wrong wireType = 0");
    check(&[0x0a, 0x04, 0x0a, 0x02, 0xff, 0xfe], "metadata.name: invalid UTF-8");
    check(&[0x00], "proto: illegal tag 0 (wire type 0)");
    check(&[0xff; 12], "proto: integer overflow");
    check(&[0x9e, 0x06], "proto: illegal wireType 6");
    check(
        b"\x12\x10\x12\x0e\x42\x0c\n\x0a\n\x03cpu\x12\x03\n\x01x",
        "spec.containers.resources.limits.cpu: quantities must match the regular expression \
         '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    );
    assert_eq!(open(b"").unwrap_err().to_string(), "empty data");
    assert_eq!(open(b"k8s\0").unwrap_err().to_string(), "empty body");
    assert_eq!(
        open(b"{\"kind\":").unwrap_err().to_string(),
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
    );
}

/// A schema in a schema in a schema: `not` is field 28.
#[test]
fn what_is_nested_too_deep_is_refused() {
    let schema = Message::of_definition("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps");
    let nested = |depth: usize| {
        let mut bytes: Vec<u8> = Vec::new();
        for _ in 0..depth {
            let mut outer = Vec::new();
            let Ok(()) = crate::protobuf::wire::put_nested(&mut outer, 28, |out| {
                out.extend_from_slice(&bytes);
                Ok::<_, std::convert::Infallible>(())
            });
            bytes = outer;
        }
        schema.unwrap().decode(&bytes)
    };
    assert!(nested(90).is_ok());
    assert!(nested(20_000).unwrap_err().to_string().ends_with("nested deeper than 100 levels"));
}
