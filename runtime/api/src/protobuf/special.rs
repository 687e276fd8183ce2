//! Messages that have a JSON form of their own: times, quantities, and numbers that may be names.

use std::str::FromStr;

use jiff::Timestamp;
use serde_json::Value;

use super::wire::{self, BYTES, Reader, VARINT};
use super::{DecodeError, envelope};
use crate::quantity::Quantity;

/// Go's zero time, the first moment of the year 1.
const ZERO_TIME: i64 = -62_135_596_800;
/// The first moment that RFC 3339 can tell.
const YEAR_0: i64 = -62_167_219_200;

/// The content of a `Time` or, with microseconds, a `MicroTime`. `None` for what is no time.
pub(super) fn time_to_wire(text: &str, micros: bool) -> Option<Vec<u8>> {
    let time = Timestamp::from_str(text).ok()?;
    let mut out = Vec::with_capacity(12);
    wire::put_int(&mut out, 1, time.as_second());
    if micros {
        wire::put_int(&mut out, 2, i64::from(time.subsec_nanosecond() / 1_000 * 1_000));
    }
    Some(out)
}

/// A time as JSON; `null` for none.
pub(super) fn time_to_json(bytes: &[u8], micros: bool) -> Result<Value, DecodeError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.tag()? {
        match (number, wire) {
            (1, VARINT) => seconds = reader.varint()? as i64,
            (2, VARINT) => nanos = reader.varint()? as i32,
            _ => reader.skip(wire)?,
        }
    }
    if seconds == ZERO_TIME && (nanos == 0 || !micros) {
        return Ok(Value::Null);
    }
    let nanos = if micros { nanos / 1_000 * 1_000 } else { 0 };
    let time = Timestamp::new(seconds, nanos).ok().filter(|_| seconds >= YEAR_0);
    let time = time.ok_or_else(|| {
        DecodeError::new(format!("{seconds} seconds and {nanos} nanoseconds are no time that RFC 3339 can tell"))
    })?;
    let format = if micros { "%Y-%m-%dT%H:%M:%S.%6fZ" } else { "%Y-%m-%dT%H:%M:%SZ" };
    Ok(time.strftime(format).to_string().into())
}

/// A quantity as JSON: in its canonical form, as upstream writes what it has read.
pub(super) fn quantity_to_json(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut quantity = Quantity::default();
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.tag()? {
        match (number, wire) {
            (1, BYTES) => {
                let text = envelope::text(reader.bytes()?)?;
                quantity = Quantity::parse(text).map_err(|error| DecodeError::new(error.to_string()))?;
            }
            _ => reader.skip(wire)?,
        }
    }
    Ok(quantity.to_string().into())
}

/// Which of its two an `IntOrString` is.
const INT: u64 = 0;
const STRING: u64 = 1;

/// The content of an `IntOrString` that is a number.
pub(super) fn int_to_wire(value: i64) -> Vec<u8> {
    let mut out = Vec::with_capacity(12);
    wire::put_int(&mut out, 1, INT as i64);
    wire::put_int(&mut out, 2, value);
    out
}

/// The content of an `IntOrString` that is a text.
pub(super) fn string_to_wire(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 6);
    wire::put_int(&mut out, 1, STRING as i64);
    wire::put_bytes(&mut out, 3, text.as_bytes());
    out
}

/// An `IntOrString` as JSON.
pub(super) fn int_or_string_to_json(bytes: &[u8]) -> Result<Value, DecodeError> {
    let (mut type_, mut int, mut text) = (INT, 0, "");
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.tag()? {
        match (number, wire) {
            (1, VARINT) => type_ = reader.varint()?,
            (2, VARINT) => int = reader.varint()? as i32,
            (3, BYTES) => text = envelope::text(reader.bytes()?)?,
            _ => reader.skip(wire)?,
        }
    }
    match type_ {
        INT => Ok(int.into()),
        STRING => Ok(text.into()),
        _ => Err(DecodeError::new("impossible IntOrString.Type")),
    }
}

/// The JSON that a `RawExtension`, `FieldsV1` or `JSON` has the text of.
pub(super) fn raw_to_json(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut raw: &[u8] = b"null";
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.tag()? {
        match (number, wire) {
            (1, BYTES) => raw = reader.bytes()?,
            _ => reader.skip(wire)?,
        }
    }
    if raw.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(raw).map_err(|error| DecodeError::new(format!("the raw value is not JSON: {error}")))
}
