//! Manifests: a text of one or more YAML or JSON documents to objects.

use std::fmt;

use serde_json::Value;

use crate::object::Object;
use crate::yaml::{self, Place};

/// A manifest larger than this is refused unread, in bytes.
pub const MAX_BYTES: usize = 8 << 20;
/// A manifest with more documents than this is refused.
pub const MAX_DOCUMENTS: usize = 10_000;

/// What is wrong with a manifest, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// The document, counted from 1.
    pub document: usize,
    /// The line and column, counted from 1, where they are known.
    pub at: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "line {line}, column {column}: {}", self.message),
            None => write!(f, "document {}: {}", self.document, self.message),
        }
    }
}

impl std::error::Error for ManifestError {}

/// Reads every object of `text`. A `List` gives its items; empty documents are passed over.
///
/// # Errors
/// On the first document that is no object, with its line and column.
pub fn read(text: &str) -> Result<Vec<Object>, ManifestError> {
    let whole = |message: String| ManifestError { document: 1, at: None, message };
    if text.len() > MAX_BYTES {
        return Err(whole(format!("the manifest is larger than {} MiB", MAX_BYTES >> 20)));
    }
    let mut objects = Vec::new();
    for (index, (value, at)) in values(text)?.into_iter().enumerate() {
        if index >= MAX_DOCUMENTS {
            return Err(whole(format!("the manifest has more than {MAX_DOCUMENTS} documents")));
        }
        collect(value, (index + 1, at), &mut objects)?;
    }
    Ok(objects)
}

/// A document's number, and where it begins.
type Begin = (usize, Option<Place>);

/// The documents. What begins as JSON is read as JSON, one value after the other, and as YAML if
/// that fails: `{` begins a map there, too.
fn values(text: &str) -> Result<Vec<(Value, Option<Place>)>, ManifestError> {
    let json = if text.trim_start().starts_with('{') { Some(json(text)) } else { None };
    if let Some(Ok(values)) = json {
        return Ok(values.into_iter().map(|value| (value, None)).collect());
    }
    let yaml = match yaml::documents(text) {
        Ok(documents) => return Ok(documents.into_iter().map(|(value, at)| (value, Some(at))).collect()),
        Err(error) => ManifestError { document: 1, at: Some(error.at), message: error.message },
    };
    // Of a text with more documents behind a `---`, YAML's complaint is the one that helps.
    Err(json.and_then(Result::err).filter(|_| !text.contains("\n---")).unwrap_or(yaml))
}

fn json(text: &str) -> Result<Vec<Value>, ManifestError> {
    let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
    values.map_err(|error| {
        let text = error.to_string();
        // The message ends with the place, which is told apart from it here.
        let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
        ManifestError { document: 1, at: Some((error.line(), error.column())), message }
    })
}

fn collect(value: Value, begin: Begin, objects: &mut Vec<Object>) -> Result<(), ManifestError> {
    let wrong = |message: &str| ManifestError { document: begin.0, at: begin.1, message: message.to_owned() };
    let Value::Object(mut map) = value else {
        return if value.is_null() {
            Ok(())
        } else {
            Err(wrong("expected an object with apiVersion, kind and metadata"))
        };
    };
    if map.get("kind").is_some_and(|kind| kind == "List") {
        let items =
            map.remove("items").and_then(|items| if let Value::Array(items) = items { Some(items) } else { None });
        return items.unwrap_or_default().into_iter().try_for_each(|item| collect(item, begin, objects));
    }
    let object = Object(map);
    for (name, value) in [("apiVersion", object.api_version()), ("kind", object.kind())] {
        if value.is_empty() {
            return Err(wrong(&format!("{name} is not set")));
        }
    }
    objects.push(object);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[test]
    fn documents_lists_and_json_are_read() {
        let text = "apiVersion: v1\nkind: Pod\n---\n---\n{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": \
                    [{\"apiVersion\": \"v1\", \"kind\": \"Node\"}]}\n";
        let kinds: Vec<_> = read(text).unwrap().iter().map(|o| o.kind().to_owned()).collect();
        assert_eq!(kinds, ["Pod", "Node"]);
    }

    #[test]
    fn mistakes_are_placed() {
        let error = read("apiVersion: v1\nkind: [Pod\n").unwrap_err();
        assert!(error.to_string().starts_with("line 3, column 1: "), "{error}");
        assert_eq!(read("a: 1\n").unwrap_err().to_string(), "line 1, column 1: apiVersion is not set");
        assert_eq!(read("{\"a\": 1}").unwrap_err().to_string(), "document 1: apiVersion is not set");
        assert_eq!(read("{\"a\": 1,\n x: [}").unwrap_err().to_string(), "line 2, column 2: key must be a string");
        assert!(read("- 1\n").unwrap_err().to_string().contains("expected an object"));
    }

    #[test]
    fn our_own_manifests_read_as_a_general_reader_has_them() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../manifests");
        let mut count = 0;
        for folder in std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
            for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                let text = std::fs::read_to_string(&path).unwrap();
                let documents = serde_yaml::Deserializer::from_str(&text).map(|document| {
                    let mut document = serde_yaml::Value::deserialize(document).unwrap();
                    document.apply_merge().unwrap();
                    serde_json::to_value(document).unwrap()
                });
                let items = |mut document: Value| match document["kind"].as_str() {
                    Some("List") => document["items"].as_array_mut().map(std::mem::take).unwrap(),
                    _ => vec![document],
                };
                let expected: Vec<_> = documents.filter(|value| !value.is_null()).flat_map(items).collect();
                let found: Vec<_> = read(&text).unwrap().into_iter().map(|object| Value::Object(object.0)).collect();
                assert_eq!(found, expected, "{}", path.display());
                count += 1;
            }
        }
        assert!(count > 10);
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            text += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(", "));
        }
        assert!(read(&text).is_err());
    }
}
