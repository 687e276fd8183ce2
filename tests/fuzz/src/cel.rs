//! Expressions in the Common Expression Language.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::{Value as Json, json};
use trimtab_api::cel::{Declared, Env, EvalError, PER_CALL_LIMIT, Type, Value, declared};

static SCHEMA: LazyLock<Arc<Declared>> = LazyLock::new(|| {
    let text = |most: u64| json!({"type": "string", "maxLength": most});
    let schema = json!({"type": "object", "properties": {
        "name": text(16), "count": {"type": "integer"}, "ratio": {"type": "number"}, "on": {"type": "boolean"},
        "bytes": {"type": "string", "format": "byte", "maxLength": 16},
        "when": {"type": "string", "format": "date-time"}, "span": {"type": "string", "format": "duration"},
        "port": {"x-kubernetes-int-or-string": true, "maxLength": 8},
        "list": {"type": "array", "maxItems": 4, "items": {"type": "integer"}},
        "set": {"type": "array", "maxItems": 4, "x-kubernetes-list-type": "set", "items": text(8)},
        "maps": {"type": "array", "maxItems": 4, "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k"], "items": {"type": "object", "required": ["k"],
                "properties": {"k": text(8), "v": text(8)}}},
        "map": {"type": "object", "maxProperties": 4, "additionalProperties": text(8)},
    }});
    declared(&schema, false).expect("the schema declares something")
});

static SELF: LazyLock<Json> = LazyLock::new(|| {
    json!({"name": "héllo", "count": 3, "ratio": 1.5, "on": true, "bytes": "aGVsbG8=",
        "when": "2026-01-02T03:04:05Z", "span": "1h30m", "port": "http", "list": [3, 1, 2], "set": ["b", "a"],
        "maps": [{"k": "x", "v": "1"}, {"k": "y"}], "map": {"a": "1", "b.c": "2"}})
});

static OBJECT: LazyLock<Json> = LazyLock::new(|| {
    json!({"metadata": {"name": "a", "labels": {"app": "web"}}, "spec": {"replicas": 3, "list": [1, "a", null, [2]],
        "cpu": "1500m", "ip": "10.0.0.1", "url": "https://a.example:80/b?c=d", "version": "1.2.3"}})
});

/// Upstream's estimate leaves out what is looked at within optional values, and what is not known by its type.
fn is_underestimated(source: &str) -> bool {
    ["?", "optional", "object", "dyn"].iter().any(|word| source.contains(word))
}

/// An expression that is right costs no more than it was estimated at, and stops at the limit.
pub fn cel(bytes: &[u8]) {
    let Ok(source) = std::str::from_utf8(bytes) else { return };
    let env = Env::default().declaring("self", &SCHEMA).with("object", Type::Dyn);
    for env in [env.clone(), env.mutating()] {
        let compiled = match env.compile(source) {
            Ok(compiled) => compiled,
            Err(error) => {
                assert!(error.starts_with("ERROR: <input>:"), "{error}");
                continue;
            }
        };
        assert!(compiled.cost.min <= compiled.cost.max, "{:?}", compiled.cost);
        assert!(compiled.uses.iter().all(|name| ["self", "object"].contains(&name.as_str())), "{:?}", compiled.uses);
        let variables = BTreeMap::from([
            ("self", Value::of(&SELF, Some(&SCHEMA)).expect("the value is as declared")),
            ("object", Value::of(&OBJECT, None).expect("any JSON is a value")),
        ]);
        for limit in [PER_CALL_LIMIT, 20] {
            let (value, cost) = compiled.program.evaluate(&variables, limit);
            match value {
                Ok(value) => {
                    assert!(cost <= limit, "{cost} of {limit}");
                    assert!(cost <= compiled.cost.max || is_underestimated(source), "{cost} of {:?}", compiled.cost);
                    let _ = (value.to_json().is_ok(), value.size(), value.type_().to_string());
                    // Only what is no number equals itself not.
                    let _ = value.equals(&value);
                }
                Err(EvalError::CostLimit) => assert!(cost > limit, "{cost} of {limit}"),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
}
