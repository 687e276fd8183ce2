//! Values of every message, to protobuf and back, and to YAML and back.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use crate::protobuf::Message;
use crate::protobuf::table::{Field, Label, Type, all};

/// Messages in messages are made up to this depth.
const DEPTH: usize = 3;
/// How many values of each, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 4;

/// Any value of the message, as upstream writes JSON: nothing empty where it leaves that out.
pub(super) fn object(message: &'static Message, depth: usize) -> BoxedStrategy<Value> {
    let mut fields = Just(Map::new()).boxed();
    for place in message.places() {
        let Some(value) = field(&place.field, depth) else { continue };
        let name = place.field.name;
        fields = (fields, option::weighted(0.4, value))
            .prop_map(move |(mut fields, value)| {
                fields.extend(value.map(|value| (name.to_owned(), value)));
                fields
            })
            .boxed();
    }
    fields.prop_map(Value::Object).boxed()
}

fn field(field: &Field, depth: usize) -> Option<BoxedStrategy<Value>> {
    let one = value(field.type_, depth)?;
    Some(match field.label {
        Label::One if field.omits_zero => {
            let zeros = [json!(""), json!(0), json!(false)];
            one.prop_filter("a zero is left out", move |value| !zeros.contains(value)).boxed()
        }
        Label::One => one,
        Label::List => vec(one, 1..3).prop_map(Value::from).boxed(),
        Label::Map => {
            btree_map("[a-z./]{0,8}", one, 1..3).prop_map(|map| Value::Object(map.into_iter().collect())).boxed()
        }
    })
}

fn value(type_: Type, depth: usize) -> Option<BoxedStrategy<Value>> {
    let schema = || Message::of_definition("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps");
    let of = |message: &'static Message| (depth > 0).then(|| object(message, depth - 1));
    Some(match type_ {
        Type::String => "\\PC{0,12}".prop_map(Value::from).boxed(),
        Type::Bytes => prop_oneof![Just("AA=="), Just("aGVsbG8="), Just("/+7d")].prop_map(Value::from).boxed(),
        Type::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Type::Int32 => any::<i32>().prop_map(Value::from).boxed(),
        Type::Int64 => any::<i64>().prop_map(Value::from).boxed(),
        Type::Double => prop_oneof![Just(json!(0)), Just(json!(-12)), Just(json!(0.25)), Just(json!(1e300))].boxed(),
        Type::Time => {
            prop_oneof![Just("2026-01-02T03:04:05Z"), Just("1969-12-31T23:59:59Z"), Just("0001-01-01T00:00:01Z")]
                .prop_map(Value::from)
                .boxed()
        }
        Type::MicroTime => prop_oneof![Just("2026-01-02T03:04:05.000006Z"), Just("2026-01-02T03:04:05.000000Z")]
            .prop_map(Value::from)
            .boxed(),
        Type::Quantity => prop_oneof![Just("0"), Just("500m"), Just("-3"), Just("1536Mi"), Just("12e6"), Just("1n")]
            .prop_map(Value::from)
            .boxed(),
        Type::IntOrString => {
            prop_oneof![any::<i32>().prop_map(Value::from), "[a-z0-9%]{0,5}".prop_map(Value::from)].boxed()
        }
        Type::Raw => {
            prop_oneof![Just(json!({})), Just(json!({"f:a": {".": {}}})), Just(json!([1, "x", null, 2.5]))].boxed()
        }
        Type::Strings => vec("\\PC{0,4}", 0..3).prop_map(Value::from).boxed(),
        Type::SchemaOrArray => {
            let one = of(schema()?)?;
            prop_oneof![one.clone(), vec(one, 1..3).prop_map(Value::from)].boxed()
        }
        Type::SchemaOrBool => prop_oneof![of(schema()?)?, any::<bool>().prop_map(Value::from)].boxed(),
        Type::SchemaOrStrings => prop_oneof![of(schema()?)?, vec("[a-z]{0,4}", 0..3).prop_map(Value::from)].boxed(),
        Type::Message(index) => of(Message::at(index))?,
    })
}

#[test]
fn every_message_comes_back_as_it_was() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let mut config = ProptestConfig::with_cases(cases.unwrap_or(CASES));
    // No file of failures: the messages are small enough to be read.
    config.failure_persistence = None;
    for message in all() {
        let check = |value: Value| {
            let mut bytes = Vec::new();
            message.encode(value.to_string().as_bytes(), &mut bytes).map_err(|e| TestCaseError::fail(e.to_string()))?;
            let found = message.decode(&bytes).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(Value::Object(found), value.clone(), "{}", message.definition());
            let yaml = crate::to_yaml(&value);
            prop_assert_eq!(crate::from_yaml(&yaml), Ok(value), "{}", yaml);
            Ok(())
        };
        TestRunner::new(config.clone()).run(&object(message, DEPTH), check).unwrap();
    }
}
