//! Rules of a schema: `x-kubernetes-validations`, which are written in CEL
//! (`k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel`).
//!
//! [`compile`] judges the rules of one schema; [`Rules`] holds all those of an object's.

mod path;
mod validate;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

pub use path::field_path;
pub use validate::Found;

use crate::cel::{self, Compiled, Declared, Env, Program, Type};

/// The rules of one schema and of all below it that have any.
#[derive(Debug)]
pub struct Rules {
    declared: Arc<Declared>,
    type_: String,
    own: Vec<Rule>,
    properties: BTreeMap<String, Rules>,
    items: Option<Box<Rules>>,
    additional: Option<Box<Rules>>,
    /// Whether what the map holds can be told from what it held.
    correlatable: bool,
    /// The fields by which items of a list are told apart.
    keys: Option<Vec<String>>,
}

/// One rule that is right.
#[derive(Debug)]
struct Rule {
    program: Program,
    /// How errors name it.
    name: String,
    message: Option<String>,
    message_expression: Option<(Program, String)>,
    reason: String,
    field_path: String,
    uses_old: bool,
    optional_old: bool,
}

/// What is wrong with a rule, as upstream says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// With its `rule`.
    Rule(String),
    /// With its `messageExpression`.
    Message(String),
}

/// A rule that compiles.
#[derive(Debug)]
pub struct CompiledRule {
    /// The rule itself.
    pub rule: Compiled,
    /// Its `messageExpression`, if it has one.
    pub message: Option<Compiled>,
    /// Whether it looks at what was there before.
    pub uses_old: bool,
}

/// Compiles one of the `x-kubernetes-validations` of what is declared so.
///
/// # Errors
/// What is wrong with either expression.
pub fn compile(rule: &Value, declared: &Arc<Declared>) -> Result<CompiledRule, Vec<Wrong>> {
    let optional = rule["optionalOldSelf"] == true;
    let env = Env::default().declaring("self", declared);
    let env = match optional {
        true => env.with("oldSelf", Type::optional(declared.type_())),
        false => env.declaring("oldSelf", declared),
    };
    let mut wrong = Vec::new();
    let compiled = env.compile(rule["rule"].as_str().unwrap_or_default());
    let compiled = match compiled {
        Ok(compiled) if matches!(compiled.result, Type::Bool) => Some(compiled),
        Ok(_) => {
            wrong.push(Wrong::Rule("cel expression must evaluate to a bool".to_owned()));
            None
        }
        Err(why) => {
            wrong.push(Wrong::Rule(format!("compilation failed: {why}")));
            None
        }
    };
    let message = match rule["messageExpression"].as_str().filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => match env.compile(text) {
            Ok(compiled) if matches!(compiled.result, Type::String) => Some(compiled),
            Ok(_) => {
                wrong.push(Wrong::Message("messageExpression must evaluate to a string".to_owned()));
                None
            }
            Err(why) => {
                wrong.push(Wrong::Message(format!("messageExpression compilation failed: {why}")));
                None
            }
        },
    };
    match compiled {
        Some(rule) if wrong.is_empty() => {
            let uses_old = rule.uses.iter().any(|name| name == "oldSelf");
            Ok(CompiledRule { rule, message, uses_old })
        }
        _ => Err(wrong),
    }
}

impl Rules {
    /// The rules of the `openAPIV3Schema` of a whole object; `None` when there are none.
    pub fn of(openapi: &Value) -> Option<Arc<Self>> {
        if !mentions(openapi) {
            return None;
        }
        let declared = cel::declared(openapi, true)?;
        Self::within(openapi, &declared).map(Arc::new)
    }

    fn within(schema: &Value, declared: &Arc<Declared>) -> Option<Self> {
        if !mentions(schema) {
            return None;
        }
        let all = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
        // Those that were stored compiled when they were written.
        let own: Vec<Rule> =
            all.filter_map(|rule| Some(Rule::of(rule, schema, compile(rule, declared).ok()?))).collect();
        let mut properties = BTreeMap::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let field = match (&declared.shape, cel::escape(name)) {
                (cel::Shape::Object(fields), Some(escaped)) => fields.fields.get(&escaped).cloned(),
                // What cannot be named in expressions has rules of its own all the same.
                _ => cel::declared(property, property["x-kubernetes-embedded-resource"] == true),
            };
            let rules = field.and_then(|field| Self::within(property, &field));
            properties.extend(rules.map(|rules| (name.clone(), rules)));
        }
        let below =
            |keyword: &str, declared: Option<&Arc<Declared>>| Self::within(&schema[keyword], declared?).map(Box::new);
        let items = match &declared.shape {
            cel::Shape::List(items) => below("items", Some(items)),
            _ => None,
        };
        let additional = match &declared.shape {
            cel::Shape::Map(values) => below("additionalProperties", Some(values)),
            _ => None,
        };
        let text = |keyword: &str| schema[keyword].as_str().unwrap_or_default().to_owned();
        let keys = schema["x-kubernetes-list-map-keys"]
            .as_array()
            .map(|keys| keys.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        Some(Self {
            declared: Arc::clone(declared),
            type_: text("type"),
            own,
            properties,
            items,
            additional,
            correlatable: schema["x-kubernetes-map-type"] != "atomic",
            keys: keys.filter(|_| schema["x-kubernetes-list-type"] == "map"),
        })
    }
}

impl Rule {
    fn of(rule: &Value, schema: &Value, compiled: CompiledRule) -> Self {
        let text = |field: &str| rule[field].as_str().unwrap_or_default().trim().to_owned();
        let message = Some(text("message")).filter(|message| !message.is_empty());
        let expression = text("messageExpression");
        let field_path = text("fieldPath");
        Self {
            program: compiled.rule.program,
            name: message.clone().unwrap_or_else(|| text("rule")),
            message,
            message_expression: compiled.message.map(|message| (message.program, expression)),
            reason: text("reason"),
            field_path: field_path_of(&field_path, schema),
            uses_old: compiled.uses_old,
            optional_old: rule["optionalOldSelf"] == true,
        }
    }
}

fn field_path_of(path: &str, schema: &Value) -> String {
    if path.is_empty() { String::new() } else { field_path(path, schema).unwrap_or_default() }
}

/// Whether there is a rule anywhere in `schema`.
fn mentions(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            let own = map.get("x-kubernetes-validations").and_then(Value::as_array);
            own.is_some_and(|rules| !rules.is_empty())
                || ["properties", "items", "additionalProperties"].iter().any(|keyword| match map.get(*keyword) {
                    Some(Value::Object(below)) if *keyword == "properties" => below.values().any(mentions),
                    Some(below) => mentions(below),
                    None => false,
                })
        }
        _ => false,
    }
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

#[cfg(test)]
mod tests;
