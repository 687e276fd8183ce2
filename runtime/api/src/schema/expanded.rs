//! A kind's schema as one piece of JSON: what it refers to stands in its place.

use serde_json::{Map, Value, json};

use crate::kind::Kind;

const DEFINITIONS: &str = "#/$defs/";
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";

/// The schema of the whole object, as its OpenAPI document has it. What refers to itself has no schema where it does.
/// `None` for a kind that has no document.
pub fn expanded(kind: &Kind) -> Option<Value> {
    let definitions = (kind.definitions)();
    let own = own_definition(kind, &definitions)?.to_owned();
    let within = vec![own.as_str()];
    Some(read(&definitions[&own], &definitions, &within))
}

/// The name of the kind's own among its definitions.
pub fn own_definition<'a>(kind: &Kind, definitions: &'a Map<String, Value>) -> Option<&'a str> {
    let suffix = format!(".{}.{}", kind.version, kind.kind);
    definitions.keys().find(|name| name.ends_with(&suffix)).map(String::as_str)
}

fn read(json: &Value, definitions: &Map<String, Value>, within: &[&str]) -> Value {
    // `{allOf: [{$ref}], description}` is how a described reference is written.
    let reference = json["$ref"].as_str().or_else(|| json["allOf"][0]["$ref"].as_str());
    if let Some(name) = reference.and_then(|text| text.strip_prefix(DEFINITIONS)) {
        return match definitions.get(name) {
            // To Go, and so to expressions, it is a text.
            Some(_) if name == QUANTITY => json!({"type": "string"}),
            Some(found) if !within.contains(&name) => read(found, definitions, &[within, &[name]].concat()),
            _ => json!({}),
        };
    }
    let Value::Object(fields) = json else { return json.clone() };
    let each = |of: &Value| -> Value {
        let fields = of.as_object().into_iter().flatten();
        fields.map(|(name, schema)| (name.clone(), read(schema, definitions, within))).collect::<Map<_, _>>().into()
    };
    let all = fields.iter().filter(|(keyword, _)| *keyword != "description").map(|(keyword, value)| {
        let value = match keyword.as_str() {
            "properties" => each(value),
            "items" | "additionalProperties" => read(value, definitions, within),
            _ => value.clone(),
        };
        (keyword.clone(), value)
    });
    all.collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_referred_to_is_in_place() {
        let kinds = crate::builtin();
        let pod = expanded(kinds.by_kind("v1", "Pod").unwrap()).unwrap();
        let container = &pod["properties"]["spec"]["properties"]["containers"]["items"];
        assert_eq!(container["properties"]["image"]["type"], "string");
        let limits = &container["properties"]["resources"]["properties"]["limits"]["additionalProperties"];
        assert_eq!(limits, &json!({"type": "string"}));
        assert_eq!(pod["properties"]["metadata"]["properties"]["labels"]["additionalProperties"]["type"], "string");
        // A schema's properties are schemas.
        let definition = expanded(kinds.by_kind("apiextensions.k8s.io/v1", "CustomResourceDefinition").unwrap());
        assert!(definition.unwrap().to_string().len() < 100_000);
    }
}
