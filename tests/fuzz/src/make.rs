//! Values of a schema, and changes of them, by a [`Source`]'s choices.

use serde_json::{Map, Value, json};
use trimtab_api::schema::{Schema, Type};
use trimtab_api::{Kind, Object};

use crate::source::Source;

/// Values are nested so deep at most.
const DEPTH: usize = 12;

/// A value that is mostly of `schema`'s types, and mostly has what it requires.
pub(crate) fn value(schema: &Schema, source: &mut Source<'_>) -> Value {
    below(schema, source, DEPTH)
}

fn below(schema: &Schema, source: &mut Source<'_>, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    if !schema.allowed.is_empty() && !source.once_in(16) {
        return source.choose(&schema.allowed).clone();
    }
    if source.once_in(64) {
        return any(source, 3);
    }
    match schema.type_ {
        Type::Object => Value::Object(map(schema, source, depth)),
        Type::Array => {
            let any_item = Schema::default();
            let item = schema.items.as_deref().unwrap_or(&any_item);
            (0..source.below(4)).map(|_| below(item, source, depth - 1)).collect()
        }
        Type::String => source.text().into(),
        Type::Integer => source.number().into(),
        Type::Number => json!(*source.choose(&[0.0, 1.0, -1.5, 1e300, 0.1, f64::MAX])),
        Type::Boolean => source.once_in(2).into(),
        Type::IntOrString if source.once_in(2) => source.text().into(),
        Type::IntOrString => source.number().into(),
        Type::Any => any(source, 3),
    }
}

fn map(schema: &Schema, source: &mut Source<'_>, depth: usize) -> Map<String, Value> {
    let mut map = Map::new();
    for name in &schema.required {
        if let Some(of) = schema.properties.get(name)
            && !source.once_in(16)
        {
            map.insert(name.to_string(), below(of, source, depth - 1));
        }
    }
    let names: Vec<_> = schema.properties.keys().collect();
    if !names.is_empty() {
        for _ in 0..source.below(5) {
            let name = *source.choose(&names);
            map.insert(name.to_string(), below(&schema.properties[name], source, depth - 1));
        }
    }
    if let Some(of) = &schema.additional {
        for _ in 0..source.below(4) {
            map.insert(source.text(), below(of, source, depth - 1));
        }
    }
    map
}

/// Any JSON.
pub(crate) fn any(source: &mut Source<'_>, depth: usize) -> Value {
    match source.below(if depth == 0 { 5 } else { 7 }) {
        0 => Value::Null,
        1 => source.once_in(2).into(),
        2 => source.number().into(),
        3 => source.text().into(),
        4 => json!(*source.choose(&[0.5, -0.0, 1e-300, 1e15])),
        5 => (0..source.below(4)).map(|_| any(source, depth - 1)).collect(),
        _ => (0..source.below(4)).map(|_| (source.text(), any(source, depth - 1))).collect(),
    }
}

/// An object of `kind` that has a name, as one that has come through the door.
pub(crate) fn object(kind: &Kind, source: &mut Source<'_>) -> Object {
    let value = value(kind.schema.get(), source);
    let mut object = Object(match value {
        Value::Object(map) => map,
        _ => Map::new(),
    });
    object.set(&["apiVersion"], kind.api_version());
    object.set(&["kind"], kind.kind.to_string());
    object.set(&["metadata", "name"], "name");
    if kind.namespaced() {
        object.set(&["metadata", "namespace"], "default");
    }
    object
}

/// `value` with a part of it put in place anew.
pub(crate) fn changed(value: &Value, schema: &Schema, source: &mut Source<'_>) -> Value {
    match value {
        Value::Object(map) if !source.once_in(8) => {
            let mut map = map.clone();
            let names: Vec<String> = map.keys().cloned().collect();
            let fallback = Schema::default();
            let of = |name: &str| {
                let property = schema.properties.get(name).or(schema.additional.as_ref());
                property.map_or(&fallback, |schema| schema)
            };
            match source.below(4) {
                0 => map.extend(self::map(schema, source, 4)),
                1 if !names.is_empty() => drop(map.remove(source.choose(&names))),
                _ if !names.is_empty() => {
                    let name = source.choose(&names);
                    let value = changed(&map[name], of(name), source);
                    map.insert(name.clone(), value);
                }
                _ => {}
            }
            Value::Object(map)
        }
        Value::Array(items) if !items.is_empty() && !source.once_in(8) => {
            let mut items = items.clone();
            let fallback = Schema::default();
            let of = schema.items.as_deref().unwrap_or(&fallback);
            let at = source.below(items.len());
            match source.below(4) {
                0 => items.insert(at, below(of, source, 4)),
                1 => drop(items.remove(at)),
                2 => items.swap(0, at),
                _ => items[at] = changed(&items[at], of, source),
            }
            Value::Array(items)
        }
        _ => below(schema, source, 4),
    }
}
