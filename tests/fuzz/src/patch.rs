//! JSON patches, merge patches and strategic merge patches.

use serde_json::{Map, Value, json};
use trimtab_api::patch::{self, MAX_COPIED};
use trimtab_api::read_json;
use trimtab_api::schema::Schema;

use crate::make;
use crate::source::Source;

/// The first line is a pod, the second the patch: each as JSON.
pub fn patch(bytes: &[u8]) {
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    let (Some(object), Some(patch)) = (lines.next(), lines.next()) else { return };
    let (Ok(object), Ok(patch)) = (read_json(object), read_json(patch)) else { return };
    check(&object, &patch, crate::kind("", "v1", "pods").schema.get());
}

/// As [`patch()`], of any built-in kind, with patches that fit mostly.
pub fn patch_made(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let kind = crate::any_kind(&mut source);
    let schema = kind.schema.get();
    let object = Value::Object(make::object(kind, &mut source).0);
    let patch = match source.below(3) {
        0 => operations(&object, &mut source),
        1 => make::value(schema, &mut source),
        _ => directed(make::value(schema, &mut source), &mut source),
    };
    check(&object, &patch, schema);
}

fn check(object: &Value, patch: &Value, schema: &Schema) {
    if let Ok(patched) = patch::json(object.clone(), patch) {
        let size = patched.to_string().len();
        // A copy may be written into something long; what is written is there once, escaped at most sixfold.
        assert!(size <= MAX_COPIED + 8 * (object.to_string().len() + patch.to_string().len()));
        reads(&patched);
    }
    let merged = patch::merge(object.clone(), patch);
    reads(&merged);
    assert_eq!(patch::merge(merged.clone(), patch), merged, "a merge twice is a merge once");
    if let Ok(patched) = patch::strategic(object, patch, schema) {
        reads(&patched);
        let is_typed = |value: &Value| value.as_object().is_some_and(|map| schema.check(&mut map.clone()).is_ok());
        // What is stored is of its type, and so is what will be.
        if is_typed(object) && is_typed(&patched) {
            let again = patch::strategic(&patched, patch, schema);
            assert_eq!(again.as_ref(), Ok(&patched), "a strategic merge of {patch} twice into {object}");
        }
    }
}

/// Still JSON that can be read: what is stored is.
fn reads(value: &Value) {
    let again = read_json(value.to_string().as_bytes());
    assert_eq!(again.ok().as_ref(), Some(value));
}

/// Operations on what is there, and on some of what is not.
fn operations(object: &Value, source: &mut Source<'_>) -> Value {
    let mut places = vec![String::new()];
    walk(object, String::new(), &mut places);
    let place = |source: &mut Source<'_>| {
        let mut place = source.choose(&places).clone();
        match source.below(8) {
            0 => place += "/-",
            1 => place += "/0",
            2 => place = format!("{place}/{}", source.text()),
            _ => {}
        }
        place
    };
    (0..source.below(8))
        .map(|_| {
            let op = *source.choose(&["add", "remove", "replace", "move", "copy", "test"]);
            let mut operation = json!({"op": op, "path": place(source)});
            match op {
                "move" | "copy" => operation["from"] = place(source).into(),
                "remove" => {}
                _ => operation["value"] = make::any(source, 3),
            }
            operation
        })
        .collect()
}

fn walk(value: &Value, at: String, places: &mut Vec<String>) {
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    let below: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(name, value)| (escaped(name), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in below {
        let at = format!("{at}/{name}");
        places.push(at.clone());
        walk(value, at, places);
    }
}

/// `patch` with directives here and there.
fn directed(patch: Value, source: &mut Source<'_>) -> Value {
    match patch {
        Value::Object(map) => {
            let mut directed = Map::new();
            for (name, value) in map {
                match source.below(12) {
                    0 => drop(directed.insert(format!("$deleteFromPrimitiveList/{name}"), value)),
                    1 => drop(directed.insert(format!("$setElementOrder/{name}"), value)),
                    2 => {
                        directed.insert(format!("$setElementOrder/{name}"), value.clone());
                        directed.insert(name, self::directed(value, source));
                    }
                    3 => drop(directed.insert(name, Value::Null)),
                    _ => drop(directed.insert(name, self::directed(value, source))),
                }
            }
            match source.below(16) {
                0 => drop(directed.insert("$patch".to_owned(), "replace".into())),
                1 => drop(directed.insert("$patch".to_owned(), "delete".into())),
                2 => drop(directed.insert("$retainKeys".to_owned(), directed.keys().cloned().collect())),
                _ => {}
            }
            Value::Object(directed)
        }
        Value::Array(items) => items.into_iter().map(|item| directed(item, source)).collect(),
        other => other,
    }
}
