//! From a version's schema to its types.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Map, Value};

use super::definition::{Definition, Mistakes, Version};
use super::names::{free, pascal, singular, snake, variant};
use super::schema::{check, choices, has_properties, is_condition, is_quantity, is_union};
use super::types::{Body, Field, Item, Type, Types};
use super::yaml::below;

/// What is said of a field rather than of its type.
const OF_FIELD: [&str; 3] = ["default", "description", "nullable"];

/// What every object has.
pub(super) const OF_ALL: [&str; 3] = ["apiVersion", "kind", "metadata"];
/// What stands first in an object.
const FIRST: [&str; 2] = ["spec", "status"];

/// The types of a version of `definition`.
pub(super) fn types(definition: &Definition, version: &Version, mistakes: &mut Mistakes) -> Types {
    let mut maker = Maker {
        kind: pascal(&definition.kind),
        known: HashMap::new(),
        taken: HashSet::new(),
        left: VecDeque::new(),
        mistakes,
    };
    // The resource itself is called so.
    maker.taken.insert(definition.kind.clone());
    let parts = maker.parts(&version.schema, &version.pointer);
    let rest = keeps_unknown(&version.schema).then(|| rest(&parts, &["metadata"]));
    let mut items = Vec::new();
    while let Some(request) = maker.left.pop_front() {
        items.push(maker.item(request));
    }
    Types { parts, rest, items }
}

/// A type that has a name, and is to be made.
struct Request {
    name: String,
    schema: Value,
    doc: String,
    pointer: String,
    /// The fields on the way to it.
    path: Vec<String>,
}

struct Maker<'a> {
    kind: String,
    known: HashMap<String, String>,
    taken: HashSet<String>,
    /// The outer types come first, and get the shorter names.
    left: VecDeque<Request>,
    mistakes: &'a mut Mistakes,
}

impl Maker<'_> {
    // What an object has besides what all have.
    fn parts(&mut self, schema: &Value, pointer: &str) -> Vec<Field> {
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        let properties = below(pointer, "properties");
        let own = |name: &&String| !OF_ALL.contains(&name.as_str());
        let mut names: Vec<&String> =
            schema["properties"].as_object().into_iter().flat_map(Map::keys).filter(own).collect();
        names.sort_by_key(|name| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len()));
        let mut parts: Vec<Field> = Vec::new();
        for name in names {
            let part = &schema["properties"][name];
            let type_ = self.type_of(part, &below(&properties, name), std::slice::from_ref(name), true);
            let is_taken = |ident: &str| ident == "metadata" || parts.iter().any(|part| part.ident == ident);
            parts.push(Field {
                name: name.clone(),
                ident: free(snake(name), is_taken),
                keywords: keywords(part, &type_, true),
                type_,
                // Whoever makes an object has seen nothing of it yet.
                optional: name == "status" || !required.contains(&name.as_str().into()),
                doc: text(&part["description"]),
            });
        }
        parts
    }

    fn type_of(&mut self, schema: &Value, pointer: &str, path: &[String], is_field: bool) -> Type {
        check(schema, pointer, self.mistakes);
        let type_ = self.plain_type(schema, pointer, path, is_field);
        if schema["nullable"] == true && type_ != Type::Anything { Type::Nullable(Box::new(type_)) } else { type_ }
    }

    fn plain_type(&mut self, schema: &Value, pointer: &str, path: &[String], is_field: bool) -> Type {
        if schema["x-kubernetes-int-or-string"] == true {
            return if is_quantity(schema) { Type::Quantity } else { Type::IntOrString };
        }
        match (schema["type"].as_str(), schema["format"].as_str()) {
            (Some("object"), _) if has_properties(schema) => self.named(schema, pointer, path, is_field),
            (Some("object"), _) => match &schema["additionalProperties"] {
                values @ Value::Object(_) => {
                    let pointer = below(pointer, "additionalProperties");
                    Type::Map(Box::new(self.type_of(values, &pointer, &of_one(path), false)))
                }
                _ => Type::Map(Box::new(Type::Anything)),
            },
            (Some("array"), _) => match &schema["items"] {
                items @ Value::Object(_) => {
                    Type::List(Box::new(self.type_of(items, &below(pointer, "items"), &of_one(path), false)))
                }
                _ => {
                    self.mistakes.at(pointer, "a list needs items");
                    Type::List(Box::new(Type::Anything))
                }
            },
            (Some("string"), _) if choices(schema).is_some() => self.named(schema, pointer, path, is_field),
            (Some("string"), Some("date-time")) => Type::Time,
            (Some("string"), Some("byte")) => Type::Bytes,
            (Some("string"), _) => Type::Text,
            (Some("integer"), Some("int32")) => Type::Int32,
            (Some("integer"), _) => Type::Int64,
            (Some("number"), _) => Type::Number,
            (Some("boolean"), _) => Type::Boolean,
            (Some(other), _) => {
                let expected = "expected one of array, boolean, integer, number, object, string";
                self.mistakes.at(&below(pointer, "type"), format!("unknown type {other}; {expected}"));
                Type::Anything
            }
            (None, _) => {
                if schema["x-kubernetes-preserve-unknown-fields"] != true {
                    self.mistakes.at(pointer, "a schema needs a type, or x-kubernetes-preserve-unknown-fields: true");
                }
                Type::Anything
            }
        }
    }

    // What is the same has one type.
    fn named(&mut self, schema: &Value, pointer: &str, path: &[String], is_field: bool) -> Type {
        let doc = text(&schema["description"]);
        let mut own = schema.clone();
        if let Some(own) = own.as_object_mut().filter(|_| is_field) {
            OF_FIELD.iter().for_each(|keyword| drop(own.remove(*keyword)));
        }
        if let Some(name) = self.known.get(&own.to_string()) {
            return Type::Named(name.clone());
        }
        // As short as it can be: the kind and the field, or with the fields around it.
        let parts: Vec<String> = path.iter().map(|part| pascal(part)).collect();
        let is_below = path.len() > 1;
        let names = (0..parts.len())
            .rev()
            .filter(|begin| !is_below || *begin > 0)
            .map(|begin| format!("{}{}", self.kind, parts[begin..].concat()));
        let name = names.into_iter().find(|name| !self.taken.contains(name));
        let longest = format!("{}{}", self.kind, parts.concat());
        let name = name.unwrap_or_else(|| free(longest, |name| self.taken.contains(name)));
        self.taken.insert(name.clone());
        self.known.insert(own.to_string(), name.clone());
        let (pointer, path) = (pointer.to_owned(), path.to_vec());
        self.left.push_back(Request { name: name.clone(), schema: own, doc, pointer, path });
        Type::Named(name)
    }

    fn item(&mut self, request: Request) -> Item {
        let Request { name, schema, doc, pointer, path } = request;
        let (body, made) = if let Some(choices) = choices(&schema) {
            (Body::Choice(named_choices(&choices)), &["enum"][..])
        } else {
            let fields = self.fields(&schema, &pointer, &path);
            if is_union(&schema) {
                (Body::Union(fields), &["oneOf", "properties", "required"][..])
            } else {
                let rest = keeps_unknown(&schema).then(|| rest(&fields, &[]));
                (Body::Struct(fields, rest), &["properties"][..])
            }
        };
        let mut keywords = schema.as_object().cloned().unwrap_or_default();
        keywords.retain(|keyword, _| keyword != "type" && !made.contains(&keyword.as_str()));
        keywords.entry("description").or_insert(Value::Null);
        if let Body::Struct(..) = body {
            for keyword in ["required", "additionalProperties"] {
                keywords.entry(keyword).or_insert(Value::Null);
            }
        }
        Item { is_condition: is_condition(&schema), name, doc, keywords: keywords.into(), body }
    }

    fn fields(&mut self, schema: &Value, pointer: &str, path: &[String]) -> Vec<Field> {
        let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (index, name) in required.iter().enumerate() {
            if schema["properties"].get(*name).is_none() {
                let pointer = below(&below(pointer, "required"), index);
                self.mistakes.at(&pointer, format!("{name} is required, and there is no such field"));
            }
        }
        let mut fields: Vec<Field> = Vec::new();
        let (properties, is_union) = (below(pointer, "properties"), is_union(schema));
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let pointer = below(&properties, name);
            let below_it: Vec<String> = path.iter().cloned().chain([name.clone()]).collect();
            let type_ = self.type_of(property, &pointer, &below_it, true);
            let spelled = if is_union { variant(name) } else { snake(name) };
            let ident = free(spelled, |ident| fields.iter().any(|field| field.ident == ident));
            let optional = !is_union && !required.contains(&name.as_str());
            let mut keywords = keywords(property, &type_, true);
            if optional && property["nullable"] != true {
                keywords["nullable"] = false.into();
            }
            let doc = text(&property["description"]);
            fields.push(Field { name: name.clone(), ident, type_, optional, doc, keywords });
        }
        fields
    }
}

fn keeps_unknown(schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"] == true
}

/// What the field for all that is unknown is called, beside these.
fn rest(fields: &[Field], taken: &[&str]) -> String {
    free("other".to_owned(), |name| taken.contains(&name) || fields.iter().any(|field| field.ident == name))
}

/// What one of several is called.
fn of_one(path: &[String]) -> Vec<String> {
    let mut path = path.to_vec();
    if let Some(last) = path.last_mut() {
        *last = singular(last);
    }
    path
}

fn named_choices(choices: &[&str]) -> Vec<(String, String)> {
    let mut named: Vec<(String, String)> = Vec::new();
    for choice in choices {
        let ident = free(variant(choice), |ident| named.iter().any(|(taken, _)| taken == ident));
        named.push((ident, (*choice).to_owned()));
    }
    named
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What the schema of a value has besides what its type says.
fn keywords(schema: &Value, type_: &Type, is_field: bool) -> Value {
    let mut own = schema.as_object().cloned().unwrap_or_default();
    own.remove("type");
    own.remove("properties");
    let (items, values) = (own.remove("items"), own.remove("additionalProperties"));
    let inner = match type_ {
        Type::Nullable(inner) => inner,
        plain => plain,
    };
    match inner {
        Type::Named(_) if is_field => own.retain(|keyword, _| OF_FIELD.contains(&keyword.as_str())),
        // The type itself says it.
        Type::Named(_) => own.clear(),
        Type::List(inner) => {
            own.insert("items".to_owned(), keywords(&items.unwrap_or_default(), inner, false));
        }
        Type::Map(inner) => match values {
            Some(values @ Value::Object(_)) => {
                own.insert("additionalProperties".to_owned(), keywords(&values, inner, false));
            }
            values => drop(own.insert("additionalProperties".to_owned(), values.unwrap_or_default())),
        },
        _ => {}
    }
    for keyword in by_itself(inner).iter().filter(|_| is_field || !matches!(inner, Type::Named(_))) {
        own.entry(*keyword).or_insert(Value::Null);
    }
    own.into()
}

/// What the schema of a type has by itself, and that of a file may not have.
fn by_itself(type_: &Type) -> &'static [&'static str] {
    match type_ {
        Type::Int32 | Type::Int64 | Type::Number => &["format"],
        Type::Time => &["description", "format"],
        Type::Quantity | Type::IntOrString | Type::Named(_) => &["description"],
        _ => &[],
    }
}
