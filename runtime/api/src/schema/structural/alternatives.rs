//! Enums. In JSON Schema each variant is an alternative with fields of its own; in a structural
//! schema the fields of all are declared together, and the alternatives constrain them.

use serde_json::{Map, Value, json};

use super::unsaid::{ANYTHING, UNSAID, unsaid};
use super::{INT_OR_STRING, PRESERVE, TypeOf, VALIDATIONS, anything, structure};

/// What declares rather than constrains, and so does not stand within an alternative.
const DECLARING: [&str; 16] = [
    "$ref",
    "additionalProperties",
    "const",
    "default",
    "description",
    "nullable",
    "title",
    "type",
    "x-kubernetes-embedded-resource",
    INT_OR_STRING,
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    PRESERVE,
    VALIDATIONS,
    UNSAID,
];

/// Declares what the alternatives declare, and leaves of them what constrains it.
pub(super) fn alternatives(map: &mut Map<String, Value>, keyword: &str, type_of: TypeOf<'_>) {
    let Some(Value::Array(mut all)) = map.remove(keyword) else { return };
    // `schemars` has one without choices for unit variants that are skipped.
    all.retain(|alternative| alternative["enum"] != json!([]));
    if all.iter().all(is_constraint) {
        map.insert(keyword.to_owned(), all.into());
        return;
    }
    all.iter_mut().for_each(|alternative| structure(alternative, type_of));
    if keyword != "allOf" && choice(map, &all) {
        return;
    }
    guard_rules(map, keyword, &mut all);
    let said = describe(&mut all);
    let declared = match all.iter().skip(1).try_fold(all[0].clone(), |declared, other| joined(&declared, other)) {
        Ok(declared) if declared.get(UNSAID).is_some() => {
            map.remove("type");
            return declare(map, declared);
        }
        Ok(declared) if declared != anything() => declared,
        Ok(anything) => {
            map.remove("type").filter(|type_| type_ == "object").map(|type_| map.insert("type".to_owned(), type_));
            return declare(map, anything);
        }
        Err(why) => {
            let message = format!(
                "its variants are {why}, and a field has one type: write a variant without fields as `Name {{}}`, tag the \
                 enum, as with `#[serde(tag = \"type\", content = \"value\")]`, or {ANYTHING}"
            );
            map.remove("type");
            return declare(map, unsaid(message));
        }
    };
    let constraints: Vec<Value> = all.iter().map(|alternative| constraint(alternative, &declared)).collect();
    declare(map, declared);
    if let Some((tag, lines)) = said {
        let tag = map.get_mut("properties").and_then(|properties| properties.get_mut(&tag));
        tag.and_then(Value::as_object_mut).into_iter().for_each(|tag| append(tag, lines.clone()));
    }
    constrain(map, keyword, constraints);
}

/// Whether a schema only constrains what is declared elsewhere.
pub(super) fn is_constraint(schema: &Value) -> bool {
    let Some(map) = schema.as_object() else { return false };
    map.iter().all(|(keyword, value)| match keyword.as_str() {
        "properties" => value.as_object().is_some_and(|properties| properties.values().all(is_constraint)),
        "items" | "not" => is_constraint(value),
        "oneOf" | "anyOf" | "allOf" => value.as_array().is_some_and(|all| all.iter().all(is_constraint)),
        keyword => !DECLARING.contains(&keyword),
    })
}

/// What of `schema` constrains more than `declared` does.
pub(super) fn constraint(schema: &Value, declared: &Value) -> Value {
    let mut found = Map::new();
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        let is_new = declared[keyword] != *value;
        match keyword.as_str() {
            "properties" => {
                let of = |(name, property): (&String, &Value)| {
                    (name.clone(), constraint(property, &declared["properties"][name.as_str()]))
                };
                let properties: Map<_, _> = value.as_object().into_iter().flatten().map(of).collect();
                let properties: Map<_, _> = properties.into_iter().filter(|(_, c)| *c != json!({})).collect();
                if !properties.is_empty() {
                    found.insert(keyword.clone(), properties.into());
                }
            }
            "items" => {
                let items = constraint(value, &declared["items"]);
                if items != json!({}) {
                    found.insert(keyword.clone(), items);
                }
            }
            "format" if schema["type"] != "string" => {}
            // That it may be null as well, an alternative cannot say.
            "enum" if schema["nullable"] == true => {}
            keyword if DECLARING.contains(&keyword) => {}
            _ if is_new => drop(found.insert(keyword.clone(), value.clone())),
            _ => {}
        }
    }
    found.into()
}

/// What two schemas declare together, without what constrains it, if there is one type that both are
/// of: of a whole number and a string there is. Else, what they are instead.
pub(super) fn joined(a: &Value, b: &Value) -> Result<Value, String> {
    if let Some(unsaid) = [a, b].into_iter().find(|schema| schema.get(UNSAID).is_some()) {
        return Ok(unsaid.clone());
    }
    if a == b {
        return Ok(a.clone());
    }
    if [a, b].into_iter().any(|schema| schema.get("type").is_none() && schema[INT_OR_STRING] != true) {
        return Ok(anything());
    }
    let mut all = Map::new();
    match type_of_both(a, b) {
        Some(Both::Type(type_)) => all.insert("type".to_owned(), type_.into()),
        Some(Both::IntOrString) => all.insert(INT_OR_STRING.to_owned(), true.into()),
        None => return Err(format!("of the types {} and {}", type_name(a), type_name(b))),
    };
    if a[VALIDATIONS] != b[VALIDATIONS] {
        return Err("held to rules that are not the same".to_owned());
    }
    if [(a, b), (b, a)].into_iter().any(|(map, named)| is_map(map) && named["properties"].is_object()) {
        return Err("both a map and an object whose fields have names".to_owned());
    }
    for keyword in ["nullable", PRESERVE] {
        if a[keyword] == true || b[keyword] == true {
            all.insert(keyword.to_owned(), true.into());
        }
    }
    for keyword in [
        "format",
        "default",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-map-type",
        VALIDATIONS,
    ] {
        if !a[keyword].is_null() && a[keyword] == b[keyword] {
            all.insert(keyword.to_owned(), a[keyword].clone());
        }
    }
    if let Some(description) = a.get("description").or(b.get("description")) {
        all.insert("description".to_owned(), description.clone());
    }
    if let (Some(choices), Some(more)) = (a["enum"].as_array(), b["enum"].as_array()) {
        let more = more.iter().filter(|choice| !choices.contains(choice));
        all.insert("enum".to_owned(), choices.iter().chain(more).cloned().collect());
    }
    if let (items @ Value::Object(_), more @ Value::Object(_)) = (&a["items"], &b["items"]) {
        all.insert("items".to_owned(), joined_in(items, more, "its items are"));
    }
    fields(a, b, &mut all);
    Ok(all.into())
}

// What stands within two schemas at the same place.
fn joined_in(a: &Value, b: &Value, what: &str) -> Value {
    let tell = |why: String| {
        unsaid(format!(
            "by variant, {what} {why}, and a field has one type: give one of them another name, or {ANYTHING}"
        ))
    };
    joined(a, b).unwrap_or_else(tell)
}

// Whether all that a schema says of an object's fields is what each of them is.
fn is_map(schema: &Value) -> bool {
    schema["additionalProperties"].is_object() && schema["additionalProperties"] != anything()
}

fn type_name(schema: &Value) -> &str {
    schema["type"].as_str().unwrap_or("int-or-string")
}

enum Both<'a> {
    Type(&'a str),
    IntOrString,
}

fn type_of_both<'a>(a: &'a Value, b: &'a Value) -> Option<Both<'a>> {
    let of = |schema: &'a Value| match schema["type"].as_str() {
        Some(type_) => Both::Type(type_),
        None => Both::IntOrString,
    };
    match (of(a), of(b)) {
        (Both::Type(a), Both::Type(b)) if a == b => Some(Both::Type(a)),
        (Both::Type("integer" | "number"), Both::Type("integer" | "number")) => Some(Both::Type("number")),
        (Both::Type("integer") | Both::IntOrString, Both::Type("string") | Both::IntOrString)
        | (Both::Type("string") | Both::IntOrString, Both::Type("integer") | Both::IntOrString) => {
            Some(Both::IntOrString)
        }
        _ => None,
    }
}

// A structural schema names fields or says what all are, not both; what has no fields fits either.
fn fields(a: &Value, b: &Value, all: &mut Map<String, Value>) {
    let mut properties = a["properties"].as_object().cloned().unwrap_or_default();
    for (name, property) in b["properties"].as_object().into_iter().flatten() {
        merge(&mut properties, name, property);
    }
    let (values, more) = (a.get("additionalProperties"), b.get("additionalProperties"));
    match (values, more) {
        (None, None) => {}
        (Some(values), Some(more)) if properties.is_empty() => {
            all.insert("additionalProperties".to_owned(), joined_in(values, more, "its values are"));
        }
        (Some(values), None) | (None, Some(values)) if properties.is_empty() => {
            all.insert("additionalProperties".to_owned(), values.clone());
        }
        _ => drop(all.insert(PRESERVE.to_owned(), true.into())),
    }
    if !properties.is_empty() {
        all.insert("properties".to_owned(), properties.into());
    }
}

fn merge(properties: &mut Map<String, Value>, name: &str, property: &Value) {
    match properties.get_mut(name) {
        None => drop(properties.insert(name.to_owned(), property.clone())),
        Some(known) => *known = joined_in(known, property, "it is"),
    }
}

// All constants: one choice. What is said of each is said of the choice.
fn choice(map: &mut Map<String, Value>, all: &[Value]) -> bool {
    let first = &all[0]["type"];
    let mut choices: Vec<Value> = Vec::new();
    for alternative in all {
        let Some(own) = alternative["enum"].as_array().filter(|_| alternative["type"] == *first) else { return false };
        let new: Vec<_> = own.iter().filter(|choice| !choices.contains(choice)).cloned().collect();
        choices.extend(new);
    }
    let said = all.iter().filter_map(|alternative| {
        let text = alternative["description"].as_str()?;
        Some(format!("- `{}`: {text}", plain(&alternative["enum"][0])))
    });
    append(map, said.collect());
    map.insert("type".to_owned(), first.clone());
    map.insert("enum".to_owned(), choices.into());
    true
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn append(map: &mut Map<String, Value>, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    let own = map.get("description").and_then(Value::as_str).map(|own| format!("{own}\n\n")).unwrap_or_default();
    map.insert("description".to_owned(), format!("{own}{}", lines.join("\n")).into());
}

/// The field of an alternative that tells it from the others, and its value.
fn tag(alternative: &Value) -> Option<(&String, &Value)> {
    let required = alternative["required"].as_array()?;
    alternative["properties"].as_object()?.iter().find_map(|(name, property)| match property["enum"].as_array()?[..] {
        [ref only] if required.iter().any(|required| required == name) => Some((name, only)),
        _ => None,
    })
}

// A variant's text goes with the field that the variant is or, a line each, with the tag.
fn describe(all: &mut [Value]) -> Option<(String, Vec<String>)> {
    let mut said: Option<(String, Vec<String>)> = None;
    for alternative in all {
        let Some(Value::String(text)) = alternative.as_object_mut().and_then(|map| map.remove("description")) else {
            continue;
        };
        if let Some((name, value)) = tag(alternative) {
            let (_, lines) = said.get_or_insert_with(|| (name.clone(), Vec::new()));
            lines.push(format!("- `{}`: {text}", plain(value)));
        } else if let Some(properties) = alternative["properties"].as_object_mut().filter(|all| all.len() == 1) {
            let only = properties.values_mut().next().and_then(Value::as_object_mut);
            only.map(|map| map.entry("description").or_insert(text.into()));
        }
    }
    said
}

// A rule of one variant says nothing of the others.
fn guard_rules(map: &mut Map<String, Value>, keyword: &str, all: &mut [Value]) {
    for alternative in all {
        let Some(rules) = alternative.as_object_mut().and_then(|map| map.remove(VALIDATIONS)) else { continue };
        let guard = if keyword == "allOf" { String::new() } else { guard(alternative) };
        let guarded = rules.as_array().into_iter().flatten().map(|rule| {
            let (mut rule, source) = (rule.clone(), rule["rule"].as_str().unwrap_or_default());
            if !guard.is_empty() {
                rule["rule"] = format!("!({guard}) || ({source})").into();
            }
            rule
        });
        let own = map.entry(VALIDATIONS).or_insert_with(|| json!([]));
        own.as_array_mut().into_iter().for_each(|own| own.extend(guarded.clone()));
    }
}

fn guard(alternative: &Value) -> String {
    if let Some((name, value)) = tag(alternative)
        && let Some(name) = crate::cel::escape(name)
    {
        return format!("has(self.{name}) && self.{name} == {value}");
    }
    let required = alternative["required"].as_array().into_iter().flatten();
    let names = required.filter_map(|name| crate::cel::escape(name.as_str()?));
    names.map(|name| format!("has(self.{name})")).collect::<Vec<_>>().join(" && ")
}

fn declare(map: &mut Map<String, Value>, declared: Value) {
    let Value::Object(declared) = declared else { return };
    for (keyword, value) in declared {
        match (keyword.as_str(), map.get_mut(&keyword), value) {
            ("properties", Some(Value::Object(own)), Value::Object(more)) => {
                more.iter().for_each(|(name, property)| merge(own, name, property));
            }
            ("required" | VALIDATIONS, Some(Value::Array(own)), Value::Array(more)) => {
                let more: Vec<_> = more.into_iter().filter(|one| !own.contains(one)).collect();
                own.extend(more);
            }
            (_, Some(_), _) => {}
            (_, None, value) => drop(map.insert(keyword, value)),
        }
    }
}

fn constrain(map: &mut Map<String, Value>, keyword: &str, mut constraints: Vec<Value>) {
    let is_free = |constraint: &Value| *constraint == json!({});
    if keyword == "allOf" {
        constraints.retain(|constraint| !is_free(constraint));
    }
    let differ =
        constraints.iter().enumerate().all(|(index, one)| !is_free(one) && !constraints[..index].contains(one));
    // What cannot be told apart by what constrains it is not exactly one of them.
    let keyword = if keyword == "oneOf" && !differ { "anyOf" } else { keyword };
    if constraints.is_empty() || keyword == "anyOf" && constraints.iter().any(is_free) {
        return;
    }
    match map.get_mut(keyword) {
        // Both hold.
        Some(own) => {
            let both = json!([{keyword: own.take()}, {keyword: constraints}]);
            map.remove(keyword);
            let more = both.as_array().cloned().unwrap_or_default();
            map.entry("allOf")
                .or_insert_with(|| json!([]))
                .as_array_mut()
                .into_iter()
                .for_each(|all| all.extend(more.clone()));
        }
        None => drop(map.insert(keyword.to_owned(), constraints.into())),
    }
}
