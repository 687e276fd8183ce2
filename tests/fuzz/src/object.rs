//! Objects of the built-in kinds: what their strategies, tables and other forms make of whatever has
//! the right types.

use serde_json::Value;
use trimtab_api::protobuf::Message;
use trimtab_api::table::{self, IncludeObject};
use trimtab_api::{Kind, Object, Operation, from_yaml, meta, to_yaml};

use crate::make;
use crate::source::Source;

const NOW: i64 = 1_767_225_600;

/// What is admitted stays as it is when it is admitted again, fits its schema, and is the same in
/// protobuf and in YAML.
pub fn object(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let kind = crate::any_kind(&mut source);
    let Some(created) = created(kind, &mut source) else { return };
    check(kind, &created);
    let mut updated = created.clone();
    for _ in 0..=source.below(3) {
        let changed = make::changed(&Value::Object(updated.0.clone()), kind.schema.get(), &mut source);
        let Value::Object(map) = changed else { return };
        updated = Object(map);
    }
    if kind.schema.get().check(&mut updated.0).is_err() {
        return;
    }
    let _ = meta::validate_update(&updated, &created);
    let _ = kind.strategy.generation_changes(&created, &updated);
    let mut status = updated.clone();
    if kind.strategy.admit(Operation::Update { old: &created }, &mut updated).errors.is_empty() {
        check(kind, &updated);
    }
    let _ = kind.strategy.admit(Operation::UpdateStatus { old: &created }, &mut status);
    for subresource in &kind.subresources {
        let _ = kind.strategy.admit_part(&subresource.name, &created, &mut status.clone());
    }
    let grace = Some(source.number()).filter(|_| source.once_in(2));
    assert!(kind.strategy.grace_period(&created, grace) >= 0 || grace.is_some_and(|grace| grace < 0));
    let _ = kind.strategy.holds_deletion(&created);
    kind.strategy.mark_deleted(&mut status);
}

/// An object that the strategy takes.
fn created(kind: &Kind, source: &mut Source<'_>) -> Option<Object> {
    let mut object = make::object(kind, source);
    let schema = kind.schema.get();
    let checked = schema.check(&mut object.0).ok()?;
    assert_eq!(schema.check(&mut object.0).ok().map(|again| again.unknown), Some(Vec::new()), "{:?}", checked.unknown);
    let _ = meta::validate(kind, &object);
    let _ = table::row(kind, &object, IncludeObject::None, NOW);
    let admission = kind.strategy.admit(Operation::Create, &mut object);
    admission.errors.is_empty().then_some(object)
}

fn check(kind: &Kind, object: &Object) {
    let (value, schema) = (Value::Object(object.0.clone()), kind.schema.get());
    let mut checked = object.clone();
    let found = schema.check(&mut checked.0).unwrap_or_else(|error| panic!("{value}: {error}"));
    assert!(found.unknown.is_empty() && &checked == object, "{value}: {:?}", found.unknown);
    let row = table::row(kind, object, IncludeObject::Metadata, NOW);
    assert_eq!(row["cells"].as_array().map(Vec::len), Some(kind.columns.len()));

    let mut again = object.clone();
    let admission = kind.strategy.admit(Operation::Update { old: object }, &mut again);
    assert!(admission.errors.is_empty(), "{value}: {:?}", admission.errors);
    assert_eq!(Value::Object(again.0), value, "an update that changes nothing");

    let yaml = to_yaml(&value);
    assert_eq!(from_yaml(&yaml).as_ref(), Ok(&whole(&value)), "{yaml}");
    round_trip(kind, &value);
}

/// Whole numbers as YAML has them, whether they are written with a point or not.
fn whole(value: &Value) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and within 53 bits")]
            Some(number) if number.fract() == 0.0 && number.abs() <= EXACT => (number as i64).into(),
            _ => value.clone(),
        },
        Value::Array(items) => items.iter().map(whole).collect(),
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), whole(value))).collect(),
        _ => value.clone(),
    }
}

/// Protobuf leaves out what says nothing, so it is the second time round that nothing changes.
fn round_trip(kind: &Kind, value: &Value) {
    let Some(message) = Message::of(&kind.api_version(), &kind.kind) else { return };
    let encoded = |value: &Value| {
        let (mut bytes, json) = (Vec::new(), value.to_string());
        message.encode(json.as_bytes(), &mut bytes).unwrap_or_else(|error| panic!("{error}: {json}"));
        bytes
    };
    let decoded = |bytes: &[u8]| {
        let read = message.decode(bytes).unwrap_or_else(|error| panic!("{error}: {value}"));
        Value::Object(read)
    };
    let once = decoded(&encoded(value));
    assert_eq!(decoded(&encoded(&once)), once, "{value}");
}
