//! From JSON to protobuf, without a tree in between: fields are written as they are read.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::table::{Field, Label, Place, Type};
use super::wire::{self, FIXED64};
use super::{EncodeError, Message, special};

const SCHEMA: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";

impl Message {
    /// Appends the message that `json`, an object of this kind, says. What the message does not know, such as
    /// `apiVersion` and `kind`, is left out.
    ///
    /// # Errors
    /// When `json` is no object, or a field is of another type.
    pub fn encode(&self, json: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut json = serde_json::Deserializer::from_slice(json);
        Fields { message: self, out }.deserialize(&mut json)?;
        Ok(json.end()?)
    }
}

/// The fields of a message.
struct Fields<'a> {
    message: &'a Message,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {}", self.message.definition())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // In JSON the fields of an embedded struct stand among the others.
        let mut embedded: Vec<(&[u32], Vec<u8>)> = Vec::new();
        while let Some(place) = map.next_key_seed(Name(self.message))? {
            let Some(Place { field, embedded: numbers }) = place else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if numbers.is_empty() {
                map.next_value_seed(Content::of(field, self.out))?;
                continue;
            }
            let index = embedded.iter().position(|(found, _)| *found == &**numbers).unwrap_or_else(|| {
                embedded.push((numbers, Vec::new()));
                embedded.len() - 1
            });
            map.next_value_seed(Content::of(field, &mut embedded[index].1))?;
        }
        embedded.iter().for_each(|(numbers, content)| put_embedded(self.out, numbers, content));
        Ok(())
    }
}

fn put_embedded(out: &mut Vec<u8>, numbers: &[u32], content: &[u8]) {
    match numbers {
        [] => out.extend_from_slice(content),
        [number, rest @ ..] => {
            let Ok(()) = wire::put_nested(out, *number, |out| {
                put_embedded(out, rest, content);
                Ok::<_, std::convert::Infallible>(())
            });
        }
    }
}

/// The place of the field that a key names.
struct Name<'a>(&'a Message);

impl<'a, 'de> DeserializeSeed<'de> for Name<'a> {
    type Value = Option<&'a Place>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'a, 'de> Visitor<'de> for Name<'a> {
    type Value = Option<&'a Place>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.place(name))
    }
}

/// What a field holds: all of it, or one element of a list or a map.
struct Content<'a> {
    number: u32,
    /// [`Label::One`] for an element, too.
    label: Label,
    type_: Type,
    element: bool,
    name: &'static str,
    out: &'a mut Vec<u8>,
}

impl<'a> Content<'a> {
    fn of(field: &Field, out: &'a mut Vec<u8>) -> Self {
        Self { number: field.number, label: field.label, type_: field.type_, element: false, name: field.name, out }
    }

    fn element(number: u32, type_: Type, name: &'static str, out: &'a mut Vec<u8>) -> Self {
        Self { number, label: Label::One, type_, element: true, name, out }
    }

    fn wrong<E: Error>(&self, found: &str) -> E {
        E::custom(format!("cannot write {found} as the field {} of type {:?}", self.name, self.type_))
    }

    fn integer<E: Error>(self, value: i64) -> Result<(), E> {
        match (self.label, self.type_) {
            (Label::One, Type::Int32 | Type::Int64) => wire::put_int(self.out, self.number, value),
            (Label::One, Type::Double) => put_double(self.out, self.number, value as f64),
            (Label::One, Type::IntOrString) => {
                wire::put_bytes(self.out, self.number, &special::int_to_wire(value));
            }
            (Label::One, Type::Quantity) => put_text(self.out, self.number, &value.to_string()),
            _ => return Err(self.wrong("a number")),
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Content<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        if self.type_ == Type::Raw && self.label == Label::One {
            let raw = <&RawValue as serde::Deserialize>::deserialize(json)?.get();
            // Among elements `null` is a value like others.
            if self.element || raw != "null" {
                put_text(self.out, self.number, raw);
            }
            return Ok(());
        }
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Content<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the field {} of type {:?}", self.name, self.type_)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        match self.type_ {
            _ if !self.element => {}
            Type::Bool | Type::Int32 | Type::Int64 => wire::put_int(self.out, self.number, 0),
            Type::Double => put_double(self.out, self.number, 0.0),
            _ => wire::put_bytes(self.out, self.number, b""),
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        match (self.label, self.type_) {
            (Label::One, Type::Bool) => wire::put_int(self.out, self.number, value.into()),
            (Label::One, Type::SchemaOrBool) => {
                let mut content = Vec::new();
                wire::put_int(&mut content, 1, value.into());
                wire::put_bytes(self.out, self.number, &content);
            }
            _ => return Err(self.wrong("a boolean")),
        }
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.integer(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.integer(value),
            Err(_) => self.visit_f64(value as f64),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        match (self.label, self.type_) {
            (Label::One, Type::Double) => put_double(self.out, self.number, value),
            (Label::One, Type::Quantity) => put_text(self.out, self.number, &value.to_string()),
            // A whole number may be written with a fraction of zero.
            (Label::One, Type::Int32 | Type::Int64) if value.fract() == 0.0 && value.abs() < i64::MAX as f64 => {
                wire::put_int(self.out, self.number, value as i64);
            }
            _ => return Err(self.wrong("a number")),
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if self.label != Label::One {
            return Err(self.wrong("a string"));
        }
        let content = match self.type_ {
            Type::String => {
                wire::put_bytes(self.out, self.number, text.as_bytes());
                return Ok(());
            }
            Type::Quantity => {
                put_text(self.out, self.number, text);
                return Ok(());
            }
            Type::Bytes => STANDARD.decode(text).ok(),
            Type::Time => special::time_to_wire(text, false),
            Type::MicroTime => special::time_to_wire(text, true),
            Type::IntOrString => Some(special::string_to_wire(text)),
            _ => None,
        };
        let content = content.ok_or_else(|| self.wrong(&format!("{text:?}")))?;
        wire::put_bytes(self.out, self.number, &content);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { number, label, type_, name, out, .. } = self;
        // In a message of its own, the list is field 1, or field 2 where 1 is a schema.
        let (inner, type_) = match (label, type_) {
            (Label::List, type_) => {
                while items.next_element_seed(Content::element(number, type_, name, out))?.is_some() {}
                return Ok(());
            }
            (Label::One, Type::Strings) => (1, Type::String),
            (Label::One, Type::SchemaOrStrings) => (2, Type::String),
            (Label::One, Type::SchemaOrArray) => (2, schema()),
            _ => return Err(A::Error::custom(format!("cannot write a list as the field {name} of type {type_:?}"))),
        };
        wire::put_nested(out, number, |out| {
            while items.next_element_seed(Content::element(inner, type_, name, out))?.is_some() {}
            Ok(())
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { number, label, type_, name, out, .. } = self;
        match (label, type_) {
            (Label::Map, type_) => {
                while let Some(key) = map.next_key::<String>()? {
                    wire::put_nested(out, number, |out| {
                        wire::put_bytes(out, 1, key.as_bytes());
                        map.next_value_seed(Content::element(2, type_, name, out))
                    })?;
                }
                Ok(())
            }
            (Label::One, Type::Message(index)) => {
                wire::put_nested(out, number, |out| Fields { message: Message::at(index), out }.visit_map(map))
            }
            (Label::One, Type::SchemaOrArray | Type::SchemaOrBool | Type::SchemaOrStrings) => {
                wire::put_nested(out, number, |out| {
                    let or_bool = type_ == Type::SchemaOrBool;
                    if or_bool {
                        wire::put_int(out, 1, 1);
                    }
                    let Some(message) = Message::of_definition(SCHEMA) else { return Ok(()) };
                    wire::put_nested(out, if or_bool { 2 } else { 1 }, |out| Fields { message, out }.visit_map(map))
                })
            }
            _ => Err(A::Error::custom(format!("cannot write an object as the field {name} of type {type_:?}"))),
        }
    }
}

/// A schema's message, as a type.
fn schema() -> Type {
    Message::index_of(SCHEMA).map_or(Type::Raw, Type::Message)
}

/// A message whose field 1 is `text`.
fn put_text(out: &mut Vec<u8>, number: u32, text: &str) {
    wire::put_tag(out, number, wire::BYTES);
    wire::put_varint(out, (1 + wire::varint_len(text.len() as u64) + text.len()) as u64);
    wire::put_bytes(out, 1, text.as_bytes());
}

fn put_double(out: &mut Vec<u8>, number: u32, value: f64) {
    wire::put_tag(out, number, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}
