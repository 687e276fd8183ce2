//! From protobuf to JSON.
//!
//! A field that is on the wire twice is read as the specification has it: the last scalar counts, lists grow, and
//! messages are merged.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

use super::table::{EMBEDDED, Field, Label, Type};
use super::wire::{BYTES, FIXED64, Reader, VARINT};
use super::{DecodeError, Message, envelope, special};

/// Messages nested deeper than this are refused: nothing that is declared comes near it.
const MAX_DEPTH: usize = 100;
const SCHEMA: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";

impl Message {
    /// The JSON object that `bytes`, a message of this kind without its envelope, say. It has no `apiVersion` and
    /// `kind`, which are in the envelope.
    ///
    /// # Errors
    /// When the bytes are no such message, or nested too deep.
    pub fn decode(&self, bytes: &[u8]) -> Result<Map<String, Value>, DecodeError> {
        let mut object = Map::new();
        self.merge(bytes, &mut object, 0)?;
        Ok(object)
    }

    fn merge(&self, bytes: &[u8], object: &mut Map<String, Value>, depth: usize) -> Result<(), DecodeError> {
        if depth > MAX_DEPTH {
            return Err(DecodeError::new(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let mut reader = Reader(bytes);
        while let Some((number, wire)) = reader.tag()? {
            match self.field(number) {
                None => reader.skip(wire)?,
                Some(field) => read(field, wire, &mut reader, object, depth).map_err(|e| e.within(field.name))?,
            }
        }
        Ok(())
    }
}

fn read(
    field: &Field,
    wire: u8,
    reader: &mut Reader<'_>,
    object: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), DecodeError> {
    match (field.label, field.type_) {
        (Label::One, Type::Message(index)) if field.name == EMBEDDED => {
            Message::at(index).merge(bytes(wire, reader)?, object, depth + 1)
        }
        (Label::One, Type::Message(index)) => {
            let inner = bytes(wire, reader)?;
            let value = object.entry(field.name).or_insert_with(|| Map::new().into());
            value.as_object_mut().map_or(Ok(()), |object| Message::at(index).merge(inner, object, depth + 1))
        }
        (Label::One, type_) => {
            let value = read_value(type_, wire, reader, depth)?;
            if field.omits_zero && is_zero(&value) {
                object.remove(field.name);
            } else {
                object.insert(field.name.to_owned(), value);
            }
            Ok(())
        }
        (Label::List, type_) => {
            let value = object.entry(field.name).or_insert_with(|| Value::Array(Vec::new()));
            let Value::Array(items) = value else { return Ok(()) };
            if wire == BYTES && matches!(type_, Type::Bool | Type::Int32 | Type::Int64) {
                let mut packed = Reader(reader.bytes()?);
                while !packed.0.is_empty() {
                    items.push(read_value(type_, VARINT, &mut packed, depth)?);
                }
            } else {
                items.push(read_value(type_, wire, reader, depth)?);
            }
            Ok(())
        }
        (Label::Map, type_) => {
            let (key, value) = read_entry(type_, bytes(wire, reader)?, depth)?;
            if let Value::Object(entries) = object.entry(field.name).or_insert_with(|| Map::new().into()) {
                entries.insert(key, value);
            }
            Ok(())
        }
    }
}

/// An entry of a map: the key is field 1, the value field 2, and what is not there is a zero.
fn read_entry(type_: Type, bytes: &[u8], depth: usize) -> Result<(String, Value), DecodeError> {
    let (mut key, mut value) = ("", None);
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.tag()? {
        match (number, wire) {
            (1, BYTES) => key = envelope::text(reader.bytes()?)?,
            (2, wire) => value = Some(read_value(type_, wire, &mut reader, depth).map_err(|e| e.within(key))?),
            _ => reader.skip(wire)?,
        }
    }
    let value = match value {
        Some(value) => value,
        None => zero(type_, depth)?,
    };
    Ok((key.to_owned(), value))
}

fn zero(type_: Type, depth: usize) -> Result<Value, DecodeError> {
    match type_ {
        Type::Bool | Type::Int32 | Type::Int64 => read_value(type_, VARINT, &mut Reader(&[0]), depth),
        Type::Double => read_value(type_, FIXED64, &mut Reader(&[0; 8]), depth),
        // An empty text, list or message: its length is 0.
        _ => read_value(type_, BYTES, &mut Reader(&[0]), depth),
    }
}

fn read_value(type_: Type, wire: u8, reader: &mut Reader<'_>, depth: usize) -> Result<Value, DecodeError> {
    Ok(match type_ {
        // As the generated code does, higher bits are cut off.
        Type::Bool => (varint(wire, reader)? != 0).into(),
        Type::Int32 => (varint(wire, reader)? as i32).into(),
        Type::Int64 => (varint(wire, reader)? as i64).into(),
        Type::Double => double(wire, reader)?,
        Type::String => envelope::text(bytes(wire, reader)?)?.into(),
        Type::Bytes => STANDARD.encode(bytes(wire, reader)?).into(),
        Type::Time => special::time_to_json(bytes(wire, reader)?, false)?,
        Type::MicroTime => special::time_to_json(bytes(wire, reader)?, true)?,
        Type::Quantity => special::quantity_to_json(bytes(wire, reader)?)?,
        Type::IntOrString => special::int_or_string_to_json(bytes(wire, reader)?)?,
        Type::Raw => special::raw_to_json(bytes(wire, reader)?)?,
        Type::Strings => strings(bytes(wire, reader)?, 1)?,
        Type::SchemaOrArray | Type::SchemaOrBool | Type::SchemaOrStrings => {
            schema_or(type_, bytes(wire, reader)?, depth + 1)?
        }
        Type::Message(index) => {
            let mut object = Map::new();
            Message::at(index).merge(bytes(wire, reader)?, &mut object, depth + 1)?;
            object.into()
        }
    })
}

/// A schema or something else, as `k8s.io/apiextensions-apiserver` writes it.
fn schema_or(type_: Type, bytes: &[u8], depth: usize) -> Result<Value, DecodeError> {
    let number = if type_ == Type::SchemaOrBool { 2 } else { 1 };
    let (mut schema, mut schemas, mut allows) = (None, Vec::new(), false);
    let mut reader = Reader(bytes);
    while let Some((found, wire)) = reader.tag()? {
        match (type_, found, wire) {
            (_, found, BYTES) if found == number => schema = Some(read_schema(reader.bytes()?, depth)?),
            (Type::SchemaOrArray, 2, BYTES) => schemas.push(read_schema(reader.bytes()?, depth)?),
            (Type::SchemaOrBool, 1, VARINT) => allows = reader.varint()? != 0,
            _ => reader.skip(wire)?,
        }
    }
    Ok(match (type_, schema) {
        (Type::SchemaOrArray, _) if !schemas.is_empty() => schemas.into(),
        (Type::SchemaOrStrings, schema) => match (strings(bytes, 2)?, schema) {
            (Value::Array(texts), None) => texts.into(),
            (Value::Array(texts), _) if !texts.is_empty() => texts.into(),
            (_, schema) => schema.unwrap_or_default(),
        },
        (_, Some(schema)) => schema,
        (Type::SchemaOrBool, None) => allows.into(),
        (_, None) => Value::Null,
    })
}

fn read_schema(bytes: &[u8], depth: usize) -> Result<Value, DecodeError> {
    let mut object = Map::new();
    if let Some(message) = Message::of_definition(SCHEMA) {
        message.merge(bytes, &mut object, depth)?;
    }
    Ok(object.into())
}

/// The texts under `number`.
fn strings(bytes: &[u8], number: u32) -> Result<Value, DecodeError> {
    let mut texts = Vec::new();
    let mut reader = Reader(bytes);
    while let Some((found, wire)) = reader.tag()? {
        if (found, wire) == (number, BYTES) {
            texts.push(envelope::text(reader.bytes()?)?);
        } else {
            reader.skip(wire)?;
        }
    }
    Ok(texts.into())
}

fn varint(wire: u8, reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
    if wire == VARINT { reader.varint() } else { Err(wrong(wire)) }
}

fn bytes<'a>(wire: u8, reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    if wire == BYTES { reader.bytes() } else { Err(wrong(wire)) }
}

fn double(wire: u8, reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
    if wire != FIXED64 {
        return Err(wrong(wire));
    }
    let number = f64::from_le_bytes(reader.fixed64()?);
    // Without a fraction, as upstream writes it.
    const EXACT: f64 = (1_u64 << 53) as f64;
    if number.fract() == 0.0 && number.abs() < EXACT {
        return Ok((number as i64).into());
    }
    let number = Number::from_f64(number).ok_or_else(|| DecodeError::new(format!("{number} is no JSON number")))?;
    Ok(number.into())
}

fn wrong(wire: u8) -> DecodeError {
    DecodeError::new(format!("proto: wrong wireType = {wire}"))
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(_) | Value::Object(_) => false,
    }
}
