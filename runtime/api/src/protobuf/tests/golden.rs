//! Bytes as upstream writes and reads them, put together by hand from its `generated.pb.go`.

use serde_json::{Value, json};

use crate::protobuf::{Message, close, frame, item, list, open, openapi_v2, versioned, versioned_item};

fn decode(api_version: &str, kind: &str, bytes: &[u8]) -> Value {
    Value::Object(Message::of(api_version, kind).unwrap().decode(bytes).unwrap())
}

fn encode(api_version: &str, kind: &str, json: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    Message::of(api_version, kind).unwrap().encode(json.to_string().as_bytes(), &mut out).unwrap();
    out
}

/// As client-go sends it: what is no pointer in Go is there even when it is empty.
#[test]
fn what_is_no_pointer_and_zero_is_left_out() {
    let bytes = [
        &b"k8s\0\n\x0f\n\x02v1\x12\x09ConfigMap\x12\x25"[..],
        b"\n\x1b\n\x01a\x12\x00\x1a\x02ns\x22\x00*\x002\x008\x00B\x00Z\x06\n\x01l\x12\x01m",
        b"\x12\x06\n\x01k\x12\x01v\x1a\x00\x22\x00",
    ]
    .concat();
    let unknown = open(&bytes).unwrap();
    assert_eq!((unknown.api_version, unknown.kind), ("v1", "ConfigMap"));
    assert_eq!(
        decode("v1", "ConfigMap", unknown.raw),
        json!({"metadata": {"name": "a", "namespace": "ns", "labels": {"l": "m"}}, "data": {"k": "v"}})
    );
}

#[test]
fn what_is_a_pointer_and_zero_is_kept() {
    // spec: replicas 0, minReadySeconds 0, paused false, revisionHistoryLimit 0.
    assert_eq!(
        decode("apps/v1", "Deployment", b"\x12\x08\x08\x00\x28\x00\x38\x00\x30\x00"),
        json!({"spec": {"replicas": 0, "revisionHistoryLimit": 0}})
    );
    // spec: volumeName "", storageClassName "", of which only the latter says something.
    assert_eq!(
        decode("v1", "PersistentVolumeClaim", b"\x12\x04\x1a\x00\x2a\x00"),
        json!({"spec": {"storageClassName": ""}})
    );
}

#[test]
fn numbers_that_may_be_names() {
    // The port http of TCP, 80 to 8080, as upstream writes it.
    let port = b"\n\x04http\x12\x03TCP\x18\x50\x22\x07\x08\x00\x10\x90\x3f\x1a\x00\x28\x00";
    let mut bytes = vec![0x12, port.len() as u8 + 2, 0x0a, port.len() as u8];
    bytes.extend_from_slice(port);
    assert_eq!(
        decode("v1", "Service", &bytes),
        json!({"spec": {"ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}]}})
    );
}

#[test]
fn embedded_structs_stand_among_the_others_in_json() {
    let pod = json!({"spec": {"volumes": [{"emptyDir": {}, "name": "v"}]}});
    let bytes = b"\x12\x09\n\x07\n\x01v\x12\x02\x12\x00";
    assert_eq!(encode("v1", "Pod", &pod), bytes);
    assert_eq!(decode("v1", "Pod", bytes), pod);

    let pod = json!({"spec": {"containers": [{"livenessProbe": {"periodSeconds": 5, "httpGet": {"port": "web"}}}]}});
    let bytes = b"\x12\x13\x12\x11\x52\x0f\x20\x05\n\x0b\x12\x09\x12\x07\x08\x01\x1a\x03web";
    assert_eq!(encode("v1", "Pod", &pod), bytes);
    assert_eq!(decode("v1", "Pod", bytes), pod);

    // One in another: the rule of a webhook, in a rule with operations, in a named one.
    let policy = json!({"spec": {"matchConstraints": {"resourceRules": [
        {"apiGroups": [""], "operations": ["CREATE"], "resourceNames": ["n"]}]}}});
    let bytes = encode("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", &policy);
    assert_eq!(decode("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", &bytes), policy);
}

#[test]
fn times_bytes_quantities_and_negative_numbers() {
    let secret = json!({"metadata": {"name": "s", "creationTimestamp": "1970-01-01T00:02:08Z"},
        "data": {"k": "aGk="}, "type": "Opaque"});
    // In the JSON's order, by name.
    let bytes = b"\x12\x07\n\x01k\x12\x02hi\n\x08\x42\x03\x08\x80\x01\n\x01s\x1a\x06Opaque";
    assert_eq!(encode("v1", "Secret", &secret), bytes);
    assert_eq!(decode("v1", "Secret", bytes), secret);

    // As upstream reads it, a quantity is canonical ever after; and a time without nanoseconds is one, too.
    let quota = b"\x12\x0e\n\x0c\n\x03cpu\x12\x05\n\x031.5";
    assert_eq!(decode("v1", "ResourceQuota", quota), json!({"spec": {"hard": {"cpu": "1500m"}}}));

    let class = json!({"value": -1});
    let bytes = b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    assert_eq!(encode("scheduling.k8s.io/v1", "PriorityClass", &class), bytes);
    assert_eq!(decode("scheduling.k8s.io/v1", "PriorityClass", bytes), class);

    // A lease's time with its microseconds: renewTime is field 4.
    let lease = json!({"spec": {"renewTime": "1970-01-01T00:00:01.000002Z"}});
    let bytes = b"\x12\x07\x22\x05\x08\x01\x10\xd0\x0f";
    assert_eq!(encode("coordination.k8s.io/v1", "Lease", &lease), bytes);
    assert_eq!(decode("coordination.k8s.io/v1", "Lease", bytes), lease);

    // What has never been is null, and for an object that is not made yet left out.
    assert_eq!(
        decode("v1", "Pod", b"\n\x02\x42\x00\x1a\x06\x12\x04\x1a\x00\x22\x00"),
        json!({"metadata": {}, "status": {"conditions": [{"lastProbeTime": null, "lastTransitionTime": null}]}})
    );
}

#[test]
fn raw_json_stays_what_it_is() {
    let revision = json!({"data": {"spec": {"a": [1, null]}}, "revision": 2});
    let bytes = b"\x12\x19\n\x17{\"spec\":{\"a\":[1,null]}}\x18\x02";
    assert_eq!(encode("apps/v1", "ControllerRevision", &revision), bytes);
    assert_eq!(decode("apps/v1", "ControllerRevision", bytes), revision);
}

#[test]
fn envelopes_lists_and_frames() {
    let (before, after) = close("v1", "Status", 3);
    assert_eq!(before, b"k8s\0\n\x0c\n\x02v1\x12\x06Status\x12\x03");
    assert_eq!(after, b"\x1a\x00\x22\x00");
    let all = [&before[..], b"abc", after].concat();
    assert_eq!(open(&all).unwrap().raw, b"abc");

    let mut bytes = list(br#"{"resourceVersion": "7"}"#).unwrap();
    item(Message::of("v1", "ConfigMap").unwrap(), br#"{"kind": "ConfigMap", "data": {"k": "v"}}"#, &mut bytes).unwrap();
    assert_eq!(bytes, b"\n\x03\x12\x017\x12\x08\x12\x06\n\x01k\x12\x01v");

    assert_eq!([&frame("ADDED", 3)[..], b"abc"].concat(), b"\x00\x00\x00\x0e\n\x05ADDED\x12\x05\n\x03abc");
}

#[test]
fn a_version_goes_to_the_front_of_the_metadata() {
    const LEASES: &str = "coordination.k8s.io/v1";
    let message =
        encode(LEASES, "Lease", &json!({"metadata": {"name": "a", "uid": "u"}, "spec": {"holderIdentity": "h"}}));
    let (begin, rest) = versioned(&message, "4711").unwrap();
    let whole = [&begin, &message[rest..]].concat();
    let expected =
        json!({"metadata": {"name": "a", "uid": "u", "resourceVersion": "4711"}, "spec": {"holderIdentity": "h"}});
    assert_eq!(decode(LEASES, "Lease", &whole), expected);
    assert_eq!(versioned(b"\x12\x00", "1"), None);
    assert_eq!(versioned(b"", "1"), None);

    let mut list = list(b"{}").unwrap();
    let before = list.len();
    versioned_item(&begin, &message[rest..], &mut list);
    assert_eq!(list[before..before + 2], [0x12, whole.len() as u8]);
    assert_eq!(list[before + 2..], whole);
}

#[test]
fn an_openapi_document() {
    let document = json!({"swagger": "2.0", "info": {"title": "t", "version": "v"},
        "paths": {"/p": {"get": {"responses": {"200": {"description": "OK"}}}}},
        "definitions": {"D": {"type": "object", "x-a": [1], "additionalProperties": {"type": "string"}}}});
    let expected = [
        &b"\x0a\x032.0\x12\x06\x0a\x01t\x12\x01v"[..],
        b"\x42\x1b\x12\x19\x0a\x02/p\x12\x13\x12\x11\x4a\x0f\x0a\x0d\x0a\x03200\x12\x06\x0a\x04\x0a\x02OK",
        b"\x4a\x32\x0a\x30\x0a\x01D\x12\x2b",
        b"\xaa\x01\x0d\x0a\x0b\xb2\x01\x08\x0a\x06string",
        b"\xb2\x01\x08\x0a\x06object",
        b"\xfa\x01\x0d\x0a\x03x-a\x12\x06\x12\x04[1]\n",
    ]
    .concat();
    assert_eq!(openapi_v2(&document), expected);
}
