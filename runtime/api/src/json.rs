//! JSON as the API reads it from outside: what stands in an object twice is not an error, but told.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads any JSON, and tells which fields are there more than once, as
/// `spec.containers[0].image`, in the order in which they are met. The last of each counts.
///
/// # Errors
/// If it is no JSON.
pub fn read_json_noting(json: &[u8]) -> Result<(Value, Vec<String>), serde_json::Error> {
    read(json, None)
}

/// Those of the paths `wanted` at which `json` has a field, in the order in which they are met.
pub fn in_order(json: &[u8], wanted: &HashSet<&str>) -> Vec<String> {
    read(json, Some(wanted)).map(|(_, met)| met).unwrap_or_default()
}

fn read(json: &[u8], wanted: Option<&HashSet<&str>>) -> Result<(Value, Vec<String>), serde_json::Error> {
    let noted = RefCell::default();
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = Reader { at: &Place::Top, wanted, noted: &noted }.deserialize(&mut reader)?;
    reader.end()?;
    Ok((value, noted.into_inner()))
}

/// Where a value is: written out only if something stands there twice.
enum Place<'a> {
    Top,
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Field(Self::Top, name) => f.write_str(name),
            Self::Field(above, name) => write!(f, "{above}.{name}"),
            Self::Item(above, index) => write!(f, "{above}[{index}]"),
        }
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    at: &'a Place<'a>,
    /// What is noted; without it, what stands there twice.
    wanted: Option<&'a HashSet<&'a str>>,
    noted: &'a RefCell<Vec<String>>,
}

impl Reader<'_> {
    fn note(&self, at: &Place<'_>, is_repeated: bool) {
        if !is_repeated && self.wanted.is_none() {
            return;
        }
        let (path, mut noted) = (at.to_string(), self.noted.borrow_mut());
        if self.wanted.is_none_or(|wanted| wanted.contains(path.as_str())) && !noted.contains(&path) {
            noted.push(path);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any valid JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Reader { at: &Place::Item(self.at, list.len()), ..self })? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let at = Place::Field(self.at, &name);
            self.note(&at, map.contains_key(&name));
            let value = fields.next_value_seed(Reader { at: &at, ..self })?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_stands_there_twice_is_told_once() {
        let text = br#"{"a": 1, "b": [{"c": 1.5, "c": "x", "c": null}], "a": {"d": true}, "a": -2}"#;
        let (value, repeated) = read_json_noting(text).unwrap();
        assert_eq!(value, json!({"a": -2, "b": [{"c": null}]}));
        assert_eq!(repeated, ["b[0].c", "a"]);
        assert_eq!(in_order(text, &["a.d", "x", "b[0].c", "a"].into()), ["a", "b[0].c", "a.d"]);
    }

    #[test]
    fn it_reads_what_any_reader_reads() {
        for text in ["null", "[1, 18446744073709551615, -9223372036854775808, 1e3, \"\\u00e9\"]", "{}", "\"a\\nb\""] {
            let (value, repeated) = read_json_noting(text.as_bytes()).unwrap();
            assert_eq!((value, repeated), (serde_json::from_str(text).unwrap(), vec![]), "{text}");
        }
        let deep = "[".repeat(200);
        for text in ["", "{\"a\":1} x", "{\"a\"}", "nul", &deep] {
            let expected = serde_json::from_str::<Value>(text).unwrap_err().to_string();
            assert_eq!(read_json_noting(text.as_bytes()).unwrap_err().to_string(), expected, "{text}");
        }
    }
}
