//! What of a Rust type no structural schema can say. It is neither left out nor taken for anything:
//! there is no type where it stands, so that no API server takes the definition, and a keyword tells
//! why, for [`crate::custom::Declaration::check`] to say it first.

use serde_json::{Map, Value, json};

use super::anything;
use crate::field::{Error, Path};

/// Why there is no type.
pub(super) const UNSAID: &str = "x-trimtab-unsaid";
/// What can always be done about it.
pub(super) const ANYTHING: &str = "take anything, with `#[resource(preserve_unknown_fields)]` of `derive(Schema)`, or \
                                   `#[schemars(extend(\"x-kubernetes-preserve-unknown-fields\" = true))]` of \
                                   `derive(JsonSchema)`";

/// A schema that says why it says nothing.
pub(super) fn unsaid(why: impl Into<String>) -> Value {
    json!({UNSAID: why.into()})
}

/// Takes anything for what is left unsaid in a schema.
pub(super) fn settle(map: &mut Map<String, Value>) {
    map.remove(UNSAID);
    for child in children_mut(map) {
        match child {
            Value::Object(child) if child.contains_key(UNSAID) => {
                settle(child);
                child.extend(anything().as_object().cloned().unwrap_or_default());
            }
            Value::Object(child) => settle(child),
            _ => {}
        }
    }
}

fn children_mut(map: &mut Map<String, Value>) -> impl Iterator<Item = &mut Value> {
    map.iter_mut().flat_map(|(keyword, value)| match (keyword.as_str(), value) {
        ("properties", Value::Object(properties)) => properties.values_mut().collect(),
        ("items" | "additionalProperties", value) => vec![value],
        _ => Vec::new(),
    })
}

/// All that is left unsaid in the schema at `path`, by the path of what has no type.
pub(crate) fn all_unsaid(schema: &Value, path: &Path) -> Vec<Error> {
    if !schema.is_object() {
        return Vec::new();
    }
    let own = schema[UNSAID].as_str().map(|why| Error::required(&path.child("type"), why));
    let properties = schema["properties"].as_object().into_iter().flatten();
    let properties = properties.map(|(name, property)| (property, path.child("properties").key(name)));
    let others = ["items", "additionalProperties"].into_iter().map(|keyword| (&schema[keyword], path.child(keyword)));
    own.into_iter().chain(properties.chain(others).flat_map(|(child, path)| all_unsaid(child, &path))).collect()
}
