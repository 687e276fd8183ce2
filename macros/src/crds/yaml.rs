//! YAML with the place of everything in it.

use std::collections::HashMap;
use std::fmt;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput};
use serde::Deserialize;
use serde_json::Value;

/// A line and a column, from 1.
pub(super) type Place = (usize, usize);

/// A document, and where each of its values stands, by its JSON pointer.
pub(super) struct Document {
    pub value: Value,
    places: HashMap<String, Place>,
}

impl Document {
    /// Where `pointer` stands, or what it would stand in.
    pub(super) fn place(&self, pointer: &str) -> Place {
        let mut pointer = pointer;
        loop {
            match (self.places.get(pointer), pointer.rfind('/')) {
                (Some(place), _) => return *place,
                (None, Some(end)) => pointer = &pointer[..end],
                (None, None) => return (1, 1),
            }
        }
    }
}

/// What is wrong with a text, and where.
pub(super) struct Wrong {
    at: Place,
    message: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.at.0, self.at.1, self.message)
    }
}

/// What kubectl reads as a boolean, and the reader of values as text.
const OLD_BOOLEANS: [&str; 18] =
    ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF", "<<", "="];

/// The documents of a text but empty ones.
pub(super) fn documents(text: &str) -> Result<Vec<Document>, Wrong> {
    let mut places = places(text)?.into_iter();
    let mut documents = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let value = Value::deserialize(document).map_err(|error| {
            let at = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            Wrong { at, message: error.to_string() }
        })?;
        documents.push(Document { value, places: places.next().unwrap_or_default() });
    }
    documents.retain(|document| !document.value.is_null());
    Ok(documents)
}

/// The pointer of a member.
pub(super) fn below(pointer: &str, name: impl fmt::Display) -> String {
    format!("{pointer}/{}", name.to_string().replace('~', "~0").replace('/', "~1"))
}

fn places(text: &str) -> Result<Vec<HashMap<String, Place>>, Wrong> {
    let mut walk = Walk { parser: Parser::new_from_str(text), found: HashMap::new() };
    let mut documents = Vec::new();
    loop {
        match walk.next()? {
            (Event::DocumentStart(_), _) => {
                let (event, span) = walk.next()?;
                walk.found.insert(String::new(), place(span.start));
                walk.value(&event, span, "")?;
                documents.push(std::mem::take(&mut walk.found));
            }
            (Event::StreamEnd, _) => return Ok(documents),
            _ => {}
        }
    }
}

fn place(at: Marker) -> Place {
    (at.line(), at.col() + 1)
}

struct Walk<'a> {
    parser: Parser<'a, StrInput<'a>>,
    found: HashMap<String, Place>,
}

impl<'a> Walk<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Wrong> {
        match self.parser.next_event() {
            Some(event) => {
                event.map_err(|error| Wrong { at: place(*error.marker()), message: error.info().to_owned() })
            }
            None => Ok((Event::StreamEnd, Span::empty(Marker::new(0, 1, 0)))),
        }
    }

    fn value(&mut self, event: &Event<'a>, span: Span, pointer: &str) -> Result<(), Wrong> {
        match event {
            Event::SequenceStart(..) => {
                for index in 0.. {
                    let (event, span) = self.next()?;
                    if event == Event::SequenceEnd {
                        break;
                    }
                    let pointer = below(pointer, index);
                    self.found.insert(pointer.clone(), place(span.start));
                    self.value(&event, span, &pointer)?;
                }
                Ok(())
            }
            Event::MappingStart(..) => self.mapping(pointer),
            Event::Scalar(text, ScalarStyle::Plain, _, None) if OLD_BOOLEANS.contains(&&**text) => {
                let message = format!("kubectl reads {text} as another value than a text: put it in quotes");
                Err(Wrong { at: place(span.start), message })
            }
            _ => Ok(()),
        }
    }

    // A member's place is that of its key.
    fn mapping(&mut self, pointer: &str) -> Result<(), Wrong> {
        loop {
            let (key, span) = self.next()?;
            let name = match &key {
                Event::MappingEnd => return Ok(()),
                Event::Scalar(text, ..) => text.to_string(),
                _ => return Err(Wrong { at: place(span.start), message: "a key is not a text".to_owned() }),
            };
            let at = place(span.start);
            let pointer = below(pointer, name);
            if self.found.insert(pointer.clone(), at).is_some() {
                return Err(Wrong { at, message: "the key is there twice".to_owned() });
            }
            let (event, span) = self.next()?;
            self.value(&event, span, &pointer)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_has_a_place() {
        let documents = documents("a:\n  - b: 1\n  - {c/d: x}\n---\n---\ne: [1,\n 2]\n").ok().unwrap();
        assert_eq!(
            documents.iter().map(|d| &d.value).collect::<Vec<_>>(),
            [&json!({"a": [{"b": 1}, {"c/d": "x"}]}), &json!({"e": [1, 2]})]
        );
        let at = |pointer: &str| documents[0].place(pointer);
        assert_eq!((at(""), at("/a"), at("/a/0/b"), at("/a/1/c~1d")), ((1, 1), (1, 1), (2, 5), (3, 6)));
        assert_eq!(at("/a/1/x/y"), (3, 5), "what is not there is where it would be");
        assert_eq!(documents[1].place("/e/1"), (7, 2));
    }

    #[test]
    fn mistakes_have_a_place() {
        let fault = |text: &str| documents(text).err().unwrap().to_string();
        assert_eq!(fault("a: 1\na: 2\n"), "2:1: the key is there twice");
        assert_eq!(fault("a: [1, on]\n"), "1:8: kubectl reads on as another value than a text: put it in quotes");
        assert!(fault("a: b: c\n").starts_with("1:5: "), "{}", fault("a: b: c\n"));
        assert!(documents("a: \"on\"\nb: 'no'\n").is_ok());
    }
}
