//! The formats of `-o`.

use std::str::FromStr;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use trimtab_api::jsonpath::JsonPath;
use trimtab_api::{Object, to_yaml};

use crate::console::Console;
use crate::table;

/// How objects are printed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Output {
    /// As a table with all columns.
    Wide,
    /// As YAML.
    Yaml,
    /// As JSON.
    Json,
    /// As `kind/name`.
    Name,
    /// By a template.
    JsonPath(JsonPath),
    /// As a table of the columns named: a heading and a path each.
    Columns(Vec<(String, JsonPath)>),
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, argument) = text.split_once('=').unwrap_or((text, ""));
        match format {
            "wide" => Ok(Self::Wide),
            "yaml" => Ok(Self::Yaml),
            "json" => Ok(Self::Json),
            "name" => Ok(Self::Name),
            "jsonpath" if argument.is_empty() => Err("template format specified but no template given".to_owned()),
            "jsonpath" => JsonPath::template(argument).map(Self::JsonPath).map_err(|error| error.to_string()),
            "custom-columns" => columns(argument).map(Self::Columns),
            _ => Err(format!(
                "unable to match a printer suitable for the output format {text:?}, allowed formats are: \
                 custom-columns,json,jsonpath,name,wide,yaml"
            )),
        }
    }
}

fn columns(argument: &str) -> Result<Vec<(String, JsonPath)>, String> {
    let column = |part: &str| {
        let wrong = || format!("unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>");
        let (heading, path) = part.split_once(':').ok_or_else(wrong)?;
        Ok((heading.to_owned(), JsonPath::path(path).map_err(|error| error.to_string())?))
    };
    if argument.is_empty() {
        return Err("custom-columns format specified but no custom columns given".to_owned());
    }
    argument.split(',').map(column).collect()
}

/// Prints whole objects. `single` when one object was asked for by name: it is printed bare, where
/// several are printed as a `List`.
pub(crate) fn print(console: &mut Console, output: &Output, objects: &[Object], single: bool) -> Result<()> {
    let root = || match objects {
        [one] if single => Value::Object(one.0.clone()),
        many => json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": many}),
    };
    match output {
        Output::Yaml => console.raw(to_yaml(&root()).as_bytes())?,
        Output::Json => console.line(indented(&root())?)?,
        Output::JsonPath(path) => console.raw(path.render(&root())?.as_bytes())?,
        Output::Columns(columns) => {
            let mut rows = vec![columns.iter().map(|(heading, _)| heading.clone()).collect::<Vec<_>>()];
            for object in objects {
                rows.push(custom_row(columns, object)?);
            }
            for line in table::layout(&rows) {
                console.line(line)?;
            }
        }
        Output::Wide | Output::Name => bail!("this command does not print in that format"),
    }
    Ok(())
}

fn custom_row(columns: &[(String, JsonPath)], object: &Object) -> Result<Vec<String>> {
    let value = Value::Object(object.0.clone());
    let cell = |(_, path): &(String, JsonPath)| {
        let found = path.find(&value)?;
        let texts = found.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let texts: Vec<_> = texts.collect();
        Ok(if texts.is_empty() { "<none>".to_owned() } else { table::escape(&texts.join(",")) })
    };
    columns.iter().map(cell).collect()
}

/// JSON as kubectl indents it: by four spaces.
pub(crate) fn indented(value: &Value) -> Result<String> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    serde::Serialize::serialize(value, &mut serde_json::Serializer::with_formatter(&mut bytes, formatter))?;
    Ok(String::from_utf8(bytes)?)
}

/// Takes out what people rarely want to see.
pub(crate) fn without_managed_fields(mut object: Object) -> Object {
    object.remove(&["metadata", "managedFields"]);
    object
}
