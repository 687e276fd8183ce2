//! Further keywords of a schema, as `#[resource(…)]` gives them.

use serde_json::Value;

use super::VALIDATIONS;

/// Adds `keywords` to a schema, and those under `properties`, `items` and `additionalProperties` to what
/// stands there. Rules are added to those that there are; another keyword takes the place of its like,
/// and `null` takes it away.
pub fn annotate(schema: &mut Value, keywords: &Value) {
    let Some(keywords) = keywords.as_object() else { return };
    if !schema.is_object() {
        *schema = Value::Object(serde_json::Map::new());
    }
    for (keyword, value) in keywords {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                for (name, keywords) in properties {
                    annotate(&mut schema["properties"][name], keywords);
                }
            }
            ("items" | "additionalProperties", Value::Object(_)) => annotate(&mut schema[keyword], value),
            (VALIDATIONS, Value::Array(rules)) => match schema[VALIDATIONS].as_array_mut() {
                Some(own) => {
                    let new: Vec<_> = rules.iter().filter(|rule| !own.contains(rule)).cloned().collect();
                    own.extend(new);
                }
                None => schema[VALIDATIONS] = value.clone(),
            },
            _ => schema[keyword] = value.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_add_up_and_defaults_do_not() {
        let rule = |text: &str| json!({"rule": text});
        let mut schema = json!({"properties": {"a": {"type": "integer", "default": 0, VALIDATIONS: [rule("x")]}}});
        let keywords =
            json!({"properties": {"a": {"default": 1, VALIDATIONS: [rule("x"), rule("y")]}}, VALIDATIONS: [rule("z")]});
        annotate(&mut schema, &keywords);
        let a = json!({"type": "integer", "default": 1, VALIDATIONS: [rule("x"), rule("y")]});
        assert_eq!(schema, json!({"properties": {"a": a}, VALIDATIONS: [rule("z")]}));
    }
}
