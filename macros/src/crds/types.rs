//! The Rust types of a version: from its schema to structs and enums, each named and there once.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Map, Value, json};

use super::definition::{Definition, Mistakes, Version, known};
use super::names::{free, pascal, singular, snake, variant};
use super::yaml::below;

/// The types of one version.
pub(super) struct Types {
    /// What is wanted, and what its schema has besides what the type says.
    pub spec: (Type, Value),
    /// Whether an object may be without it.
    pub spec_optional: bool,
    /// What was last seen, if the kind has that.
    pub status: Option<(Type, Value)>,
    /// The structs and enums.
    pub items: Vec<Item>,
}

/// A Rust type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Anything,
    Boolean,
    Int32,
    Int64,
    Number,
    Text,
    Bytes,
    Time,
    Quantity,
    IntOrString,
    List(Box<Type>),
    Map(Box<Type>),
    /// Of which `null` is a value.
    Nullable(Box<Type>),
    Named(String),
}

impl Type {
    /// Whether bytes are of it, or in it.
    pub(super) fn has_bytes(&self) -> bool {
        match self {
            Self::Bytes => true,
            Self::List(inner) | Self::Map(inner) | Self::Nullable(inner) => inner.has_bytes(),
            _ => false,
        }
    }
}

/// A struct or an enum.
pub(super) struct Item {
    pub name: String,
    pub doc: String,
    /// What its schema has besides what its fields or variants say.
    pub keywords: Value,
    pub body: Body,
}

pub(super) enum Body {
    /// A struct; with the name of the field for what the schema does not know, if that is kept.
    Struct(Vec<Field>, Option<String>),
    /// One of several texts.
    Choice(Vec<(String, String)>),
    /// An object with one of several fields.
    Union(Vec<Field>),
}

/// A field of a struct, or a variant of a union.
pub(super) struct Field {
    pub name: String,
    pub ident: String,
    pub type_: Type,
    pub optional: bool,
    pub doc: String,
    /// What its schema has besides what its type says.
    pub keywords: Value,
}

const KEYWORDS: [&str; 36] = [
    "additionalProperties",
    "allOf",
    "anyOf",
    "default",
    "description",
    "enum",
    "example",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "externalDocs",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "nullable",
    "oneOf",
    "pattern",
    "properties",
    "required",
    "type",
    "uniqueItems",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
];
/// What an alternative may constrain; everything else is declared outside of it.
const CONSTRAINTS: [&str; 21] = [
    "allOf",
    "anyOf",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "properties",
    "required",
];
/// What is said of a field rather than of its type.
const OF_FIELD: [&str; 3] = ["default", "description", "nullable"];
/// What the quantities of Kubernetes look like, as controller-gen writes it.
const QUANTITY: &str = "^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$";

/// The types of a version of `definition`.
pub(super) fn types(definition: &Definition, version: &Version, mistakes: &mut Mistakes) -> Types {
    let (schema, pointer) = (&version.schema, &version.pointer);
    let properties = below(pointer, "properties");
    let at_root = ["apiVersion", "kind", "metadata", "spec", "status"];
    for name in schema["properties"].as_object().into_iter().flat_map(Map::keys) {
        if !at_root.contains(&&**name) {
            let message = format!("the fields of an object stand in spec and status, and {name} does not");
            mistakes.at(&below(&properties, name), message);
        }
    }
    if schema["properties"]["spec"].is_null() {
        mistakes.at(&properties, "expected a spec: an object without one has no type");
    }
    let mut maker = Maker {
        kind: pascal(&definition.kind),
        known: HashMap::new(),
        taken: HashSet::new(),
        left: VecDeque::new(),
        mistakes,
    };
    // The resource itself is called so.
    maker.taken.insert(definition.kind.clone());
    let spec = maker.root(&schema["properties"]["spec"], &properties, "spec");
    let status = &schema["properties"]["status"];
    let status = (!status.is_null()).then(|| maker.root(status, &properties, "status"));
    let mut items = Vec::new();
    while let Some(request) = maker.left.pop_front() {
        items.push(maker.item(request));
    }
    let is_required = schema["required"].as_array().is_some_and(|required| required.contains(&"spec".into()));
    Types { spec, spec_optional: !is_required, status, items }
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
    fn root(&mut self, schema: &Value, properties: &str, name: &str) -> (Type, Value) {
        let type_ = self.type_of(schema, &below(properties, name), &[name.to_owned()], true);
        let keywords = keywords(schema, &type_, true);
        (type_, keywords)
    }

    fn type_of(&mut self, schema: &Value, pointer: &str, path: &[String], is_field: bool) -> Type {
        self.check(schema, pointer);
        let type_ = self.plain_type(schema, pointer, path, is_field);
        if schema["nullable"] == true && type_ != Type::Anything { Type::Nullable(Box::new(type_)) } else { type_ }
    }

    fn plain_type(&mut self, schema: &Value, pointer: &str, path: &[String], is_field: bool) -> Type {
        if schema["x-kubernetes-int-or-string"] == true {
            return if schema["pattern"] == QUANTITY { Type::Quantity } else { Type::IntOrString };
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

    fn check(&mut self, schema: &Value, pointer: &str) {
        known(schema, pointer, &KEYWORDS, self.mistakes);
        if has_properties(schema) && schema["additionalProperties"].is_object() {
            let message = "an object either names its fields or says what all of them are; remove one";
            self.mistakes.at(&below(pointer, "additionalProperties"), message);
        }
        let is_int_or_string = schema["x-kubernetes-int-or-string"] == true;
        for keyword in ["oneOf", "anyOf", "allOf"] {
            for (index, alternative) in schema[keyword].as_array().into_iter().flatten().enumerate() {
                let pointer = below(&below(pointer, keyword), index);
                self.constrains(alternative, &pointer, is_int_or_string);
            }
        }
        if schema["not"].is_object() {
            self.constrains(&schema["not"], &below(pointer, "not"), false);
        }
    }

    fn constrains(&mut self, schema: &Value, pointer: &str, is_int_or_string: bool) {
        for (keyword, value) in schema.as_object().into_iter().flatten() {
            let pointer = below(pointer, keyword);
            match keyword.as_str() {
                "type" if is_int_or_string => {}
                "properties" => {
                    for (name, property) in value.as_object().into_iter().flatten() {
                        self.constrains(property, &below(&pointer, name), false);
                    }
                }
                "items" | "not" => self.constrains(value, &pointer, false),
                "oneOf" | "anyOf" | "allOf" => {
                    for (index, alternative) in value.as_array().into_iter().flatten().enumerate() {
                        self.constrains(alternative, &below(&pointer, index), is_int_or_string);
                    }
                }
                keyword if CONSTRAINTS.contains(&keyword) => {}
                _ => {
                    let message =
                        format!("an alternative only constrains what is declared outside of it; move {keyword} there");
                    self.mistakes.at(&pointer, message);
                }
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
                let keeps = schema["x-kubernetes-preserve-unknown-fields"] == true;
                let is_taken = |name: &str| fields.iter().any(|field| field.ident == name);
                let rest = keeps.then(|| free("other".to_owned(), is_taken));
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
        Item { name, doc, keywords: keywords.into(), body }
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

/// What one of several is called.
fn of_one(path: &[String]) -> Vec<String> {
    let mut path = path.to_vec();
    if let Some(last) = path.last_mut() {
        *last = singular(last);
    }
    path
}

fn has_properties(schema: &Value) -> bool {
    schema["properties"].as_object().is_some_and(|properties| !properties.is_empty())
}

/// The texts that a value may be, if it is one of several.
fn choices(schema: &Value) -> Option<Vec<&str>> {
    let all: Vec<_> = schema["enum"].as_array()?.iter().filter(|choice| !choice.is_null()).collect();
    let texts: Option<Vec<_>> = all.iter().map(|choice| choice.as_str()).collect();
    texts.filter(|texts| schema["type"] == "string" && !texts.is_empty() && schema.get("format").is_none())
}

fn named_choices(choices: &[&str]) -> Vec<(String, String)> {
    let mut named: Vec<(String, String)> = Vec::new();
    for choice in choices {
        let ident = free(variant(choice), |ident| named.iter().any(|(taken, _)| taken == ident));
        named.push((ident, (*choice).to_owned()));
    }
    named
}

/// Whether exactly one of the object's fields is there, whichever.
fn is_union(schema: &Value) -> bool {
    let Some(properties) = schema["properties"].as_object() else { return false };
    let plain = [
        "default",
        "description",
        "nullable",
        "oneOf",
        "properties",
        "type",
        "x-kubernetes-validations",
        "x-kubernetes-map-type",
    ];
    let is_plain =
        schema.as_object().is_some_and(|schema| schema.keys().all(|keyword| plain.contains(&keyword.as_str())));
    let alternatives = schema["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_free = |property: &Value| property.get("default").is_none() && property["nullable"] != true;
    is_plain
        && alternatives.len() == properties.len()
        && properties.len() > 1
        && properties
            .iter()
            .all(|(name, property)| is_free(property) && alternatives.contains(&json!({"required": [name]})))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
