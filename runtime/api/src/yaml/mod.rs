//! YAML as kubectl reads it: documents to JSON values, with the place of each mistake.
//!
//! kubectl's reader (`sigs.k8s.io/yaml`) is YAML 1.1 where it matters: an unquoted `yes`, `on` or
//! `n` is a boolean, `0644` is octal. General YAML crates differ there and hide which scalars were
//! quoted, so the values are composed here from a parser's events, under limits on depth and on
//! what aliases expand to.

mod scalar;
mod write;

pub use write::to_yaml;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Value};

/// Values are nested so deep at most, as in JSON.
const MAX_DEPTH: usize = 128;

/// What all aliases of a text expand to, in bytes of scalars and [`NODE`] for each value.
const MAX_EXPANSION: usize = 4 << 20;

/// What a value counts besides its text.
const NODE: usize = 16;

/// A place in a text: line and column, counted from 1.
pub(crate) type Place = (usize, usize);

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct YamlError {
    pub(crate) at: Place,
    pub(crate) message: String,
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.at.0, self.at.1, self.message)
    }
}

impl From<ScanError> for YamlError {
    fn from(error: ScanError) -> Self {
        wrong(*error.marker(), error.info())
    }
}

fn wrong(at: Marker, message: impl Into<String>) -> YamlError {
    YamlError { at: place(at), message: message.into() }
}

fn place(at: Marker) -> Place {
    (at.line(), at.col() + 1)
}

/// The documents of `text`, each with the place where it begins. An empty one is `null`.
///
/// # Errors
/// On the first mistake, or where a limit is passed.
pub(crate) fn documents(text: &str) -> Result<Vec<(Value, Place)>, YamlError> {
    let (documents, repeated) = composed(text)?;
    match repeated.into_iter().next() {
        Some(Repeated { key, at }) => Err(wrong(at, format!("the key {key:?} is there twice"))),
        None => Ok(documents),
    }
}

/// A key that its map has already.
struct Repeated {
    key: String,
    at: Marker,
}

type Documents = Vec<(Value, Place)>;

fn composed(text: &str) -> Result<(Documents, Vec<Repeated>), YamlError> {
    // A byte order mark is no content.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parser = Parser::new_from_str(text);
    let mut composer = Composer { parser, anchors: HashMap::new(), expanded: 0, repeated: Vec::new() };
    let mut documents = Vec::new();
    loop {
        match composer.next()? {
            (Event::DocumentStart(_), _) => {
                let (event, span) = composer.next()?;
                let begin = place(span.start);
                documents.push((composer.value(event, span, 0)?, begin));
                composer.anchors.clear();
            }
            (Event::StreamEnd, _) => return Ok((documents, composer.repeated)),
            _ => {}
        }
    }
}

/// The first document of `text`, as the API reads it; `null` when there is none.
///
/// # Errors
/// What is wrong and where, or which limit is passed.
pub fn from_yaml(text: &str) -> Result<Value, String> {
    from_yaml_noting(text).map(|(value, _)| value)
}

/// As [`from_yaml`], and which keys a map has more than once, in the words of upstream's reader; the last of
/// each counts.
///
/// # Errors
/// As [`from_yaml`].
pub fn from_yaml_noting(text: &str) -> Result<(Value, Vec<String>), String> {
    let (documents, repeated) = composed(text).map_err(|error| error.to_string())?;
    let value = documents.into_iter().next().map(|(value, _)| value).unwrap_or_default();
    let told = |Repeated { key, at }| format!("line {}: key {key:?} already set in map", at.line());
    Ok((value, repeated.into_iter().map(told).collect()))
}

type Tagged<'a> = Option<Cow<'a, Tag>>;

struct Composer<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Value>,
    expanded: usize,
    repeated: Vec<Repeated>,
}

impl<'a> Composer<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), YamlError> {
        match self.parser.next_event() {
            Some(event) => Ok(event?),
            None => Ok((Event::StreamEnd, Span::empty(Marker::new(0, 1, 0)))),
        }
    }

    fn value(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Value, YamlError> {
        let at = span.start;
        if depth > MAX_DEPTH {
            return Err(wrong(at, format!("the document is nested more than {MAX_DEPTH} deep")));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => (scalar_value(text, style, &tag, at)?, anchor),
            Event::SequenceStart(anchor, tag) => {
                plain_tag(&tag, "seq", at)?;
                (self.sequence(depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                plain_tag(&tag, "map", at)?;
                (self.mapping(depth)?, anchor)
            }
            Event::Alias(id) => (self.alias(id, at)?, 0),
            _ => (Value::Null, 0),
        };
        if anchor != 0 {
            self.expand(&value, at)?;
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::Array(items)),
                (event, span) => items.push(self.value(event, span, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, YamlError> {
        let (mut map, mut merged) = (Map::new(), Vec::new());
        loop {
            let (event, span) = self.next()?;
            let (key, is_merge) = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, style, _, tag) => {
                    let is_merge = text == "<<" && style == ScalarStyle::Plain;
                    (scalar::key(scalar_value(text, style, &tag, span.start)?), is_merge)
                }
                _ => (None, false),
            };
            let key = key.ok_or_else(|| wrong(span.start, "a key is not a scalar"))?;
            let (event, value_span) = self.next()?;
            let value = self.value(event, value_span, depth + 1)?;
            if is_merge {
                merged.push((value, value_span.start));
            } else {
                if map.contains_key(&key) {
                    self.repeated.push(Repeated { key: key.clone(), at: span.start });
                }
                map.insert(key, value);
            }
        }
        merged.into_iter().try_for_each(|(value, at)| merge(&mut map, value, at))?;
        Ok(Value::Object(map))
    }

    fn alias(&mut self, id: usize, at: Marker) -> Result<Value, YamlError> {
        let value = self.anchors.get(&id).cloned();
        let value = value.ok_or_else(|| wrong(at, "an alias stands within what it refers to"))?;
        self.expand(&value, at)?;
        Ok(value)
    }

    /// Counts a copy of `value`.
    fn expand(&mut self, value: &Value, at: Marker) -> Result<(), YamlError> {
        self.expanded += weight(value);
        if self.expanded > MAX_EXPANSION {
            return Err(wrong(at, format!("aliases expand to more than {} MiB", MAX_EXPANSION >> 20)));
        }
        Ok(())
    }
}

fn weight(value: &Value) -> usize {
    NODE + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + weight(value)).sum(),
        _ => 0,
    }
}

/// `<<: *defaults`: what the map does not set itself.
fn merge(map: &mut Map<String, Value>, value: Value, at: Marker) -> Result<(), YamlError> {
    match value {
        Value::Object(from) => {
            for (key, value) in from {
                map.entry(key).or_insert(value);
            }
            Ok(())
        }
        Value::Array(items) if items.iter().all(Value::is_object) => {
            items.into_iter().try_for_each(|item| merge(map, item, at))
        }
        _ => Err(wrong(at, "the merge key << takes a map or a list of maps")),
    }
}

fn scalar_value(text: Cow<'_, str>, style: ScalarStyle, tag: &Tagged<'_>, at: Marker) -> Result<Value, YamlError> {
    let suffix = tag.as_ref().map(|tag| if tag.is_yaml_core_schema() { tag.suffix.as_str() } else { "?" });
    let resolved = match (suffix, style) {
        (None, ScalarStyle::Plain) => scalar::resolve(&text),
        (None | Some("str"), _) => return Ok(Value::String(text.into_owned())),
        (Some(type_ @ ("bool" | "int" | "float" | "null")), _) => {
            scalar::resolve(&text).filter(|value| scalar::is(value, type_))
        }
        _ => None,
    };
    resolved.ok_or_else(|| match tag {
        Some(tag) => wrong(at, format!("{text:?} cannot be read as {}{}", tag.handle, tag.suffix)),
        None => wrong(at, format!("{text:?} is no number that JSON has")),
    })
}

fn plain_tag(tag: &Tagged<'_>, expected: &str, at: Marker) -> Result<(), YamlError> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == expected) => {
            Err(wrong(at, format!("the tag {}{} is not supported", tag.handle, tag.suffix)))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(text: &str) -> Value {
        let mut documents = documents(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(documents.len(), 1, "{text}");
        documents.remove(0).0
    }

    fn fault(text: &str) -> String {
        documents(text).unwrap_err().to_string()
    }

    #[test]
    fn values_are_composed() {
        let text = "a: [1, {b: two}]\nc: |\n  line\n  line\nd: >-\n  folded\n  text\ne:\nf: {}\n\"g\": 'it''s'\n";
        let expected = json!({
            "a": [1, {"b": "two"}], "c": "line\nline\n", "d": "folded text", "e": null, "f": {}, "g": "it's",
        });
        assert_eq!(one(text), expected);
    }

    #[test]
    fn only_plain_scalars_have_types() {
        let text = "[yes, 'yes', \"0644\", 0644, !!str on, !!int \"7\", '', ~]";
        assert_eq!(one(text), json!([true, "yes", "0644", 420, "on", 7, "", null]));
        assert_eq!(one("{on: 1, 2: b, \"n\": c}"), json!({"true": 1, "2": "b", "n": "c"}));
    }

    #[test]
    fn anchors_and_merge_keys_are_expanded() {
        let text = "base: &b {x: 1, z: 2}\nuse: {<<: *b, z: 3}\nlist: [*b, *b]\n";
        let base = json!({"x": 1, "z": 2});
        assert_eq!(one(text), json!({"base": base, "use": {"x": 1, "z": 3}, "list": [base, base]}));
    }

    #[test]
    fn documents_know_where_they_begin() {
        let found = documents("# only a comment\n---\na: 1\n---\n\n# text\n  b: 2\n---\n").unwrap();
        let found: Vec<_> = found.into_iter().filter(|(value, _)| !value.is_null()).collect();
        assert_eq!(found, [(json!({"a": 1}), (3, 1)), (json!({"b": 2}), (7, 3))]);
        assert!(documents("").unwrap().is_empty());
    }

    #[test]
    fn mistakes_are_placed() {
        assert_eq!(fault("a: 1\nb: 2\na: 3\n"), "line 3, column 1: the key \"a\" is there twice");
        assert_eq!(fault("a:\n  - .inf\n"), "line 2, column 5: \".inf\" is no number that JSON has");
        assert_eq!(fault("a: !go x\n"), "line 1, column 8: \"x\" cannot be read as !go");
        assert_eq!(fault("[a]: 1\n"), "line 1, column 1: a key is not a scalar");
        assert!(fault("a: *b\n").starts_with("line 1, column 4"), "{}", fault("a: *b\n"));
        assert!(fault("a: b: c\n").starts_with("line 1, column 5"), "{}", fault("a: b: c\n"));
        assert!(fault("a: \"open\nb: 1\n").starts_with("line "));
        assert!(fault("a:\n\tb: 1\n").starts_with("line 2, column 2: tabs"), "{}", fault("a:\n\tb: 1\n"));
    }

    #[test]
    fn the_api_tells_of_keys_that_are_there_twice() {
        let (value, repeated) = from_yaml_noting("a: 1\nb:\n  c: x\n  c: z\na: 2\n").unwrap();
        assert_eq!(value, json!({"a": 2, "b": {"c": "z"}}));
        assert_eq!(repeated, ["line 4: key \"c\" already set in map", "line 5: key \"a\" already set in map"]);
    }

    #[test]
    fn bombs_are_refused() {
        let mut aliases = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            aliases += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(", "));
        }
        assert!(fault(&aliases).contains("aliases expand to more than 4 MiB"));
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(1 << 12));
        assert!(fault(&long).contains("aliases expand"));
        assert!(fault("a: &a [*a]\n").starts_with("line 1, column 8"));
        for deep in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000), "? ".repeat(100_000)] {
            assert!(documents(&deep).is_err(), "{}", &deep[..4]);
        }
    }
}
