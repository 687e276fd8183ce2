//! Values of one type from those of another.

use super::{Answer, Call, time};
use crate::cel::error::EvalError;
use crate::cel::value::Value;

pub(super) fn call<'a>(call: &Call<'_>, args: &[Value<'a>]) -> Option<Answer<'a>> {
    let [value] = args else { return None };
    if call.member {
        return None;
    }
    match call.function {
        "int" => Some(int(value)),
        "uint" => Some(uint(value)),
        "double" => Some(double(value)),
        "string" => string(value),
        "bool" => Some(match value {
            Value::Bool(_) => Ok(value.clone()),
            Value::String(text) => match &**text {
                "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(Value::Bool(true)),
                "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(Value::Bool(false)),
                other => Err(no_conversion("bool", other)),
            },
            _ => Err(EvalError::no_overload()),
        }),
        "bytes" => Some(match value {
            Value::Bytes(_) => Ok(value.clone()),
            Value::String(text) => Ok(Value::Bytes(text.as_bytes().into())),
            _ => Err(EvalError::no_overload()),
        }),
        "duration" => Some(match value {
            Value::Duration(_) => Ok(value.clone()),
            Value::String(text) => match time::duration(text) {
                Some(nanos) => Ok(Value::Duration(nanos)),
                None => Err(no_conversion("google.protobuf.Duration", text)),
            },
            _ => Err(EvalError::no_overload()),
        }),
        "timestamp" => Some(match value {
            Value::Timestamp(_) => Ok(value.clone()),
            Value::Int(seconds) => match jiff::Timestamp::from_second(*seconds) {
                Ok(moment) => Ok(Value::Timestamp(moment)),
                Err(_) => Err(EvalError::new("range error converting int to timestamp")),
            },
            Value::String(text) => match time::timestamp(text) {
                Some(moment) => Ok(Value::Timestamp(moment)),
                None => Err(no_conversion("google.protobuf.Timestamp", text)),
            },
            _ => Err(EvalError::no_overload()),
        }),
        _ => None,
    }
}

fn no_conversion(to: &str, text: &str) -> EvalError {
    EvalError::new(format!("type conversion error from 'string' to '{to}': {text:?}"))
}

fn out_of_range(to: &str) -> EvalError {
    EvalError::new(format!("range error converting to {to}"))
}

#[expect(clippy::cast_possible_truncation, reason = "its range was looked at")]
fn int<'a>(value: &Value<'a>) -> Answer<'a> {
    match value {
        Value::Int(_) => Ok(value.clone()),
        Value::Uint(uint) => i64::try_from(*uint).map(Value::Int).map_err(|_| out_of_range("int")),
        Value::Double(double) if double.abs() < 9_223_372_036_854_775_808.0 => Ok(Value::Int(*double as i64)),
        Value::Double(_) => Err(out_of_range("int")),
        Value::String(text) => text.parse().map(Value::Int).map_err(|_| no_conversion("int", text)),
        Value::Timestamp(moment) => Ok(Value::Int(moment.as_second())),
        Value::Duration(nanos) => Ok(Value::Int(*nanos)),
        _ => Err(EvalError::no_overload()),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "its range was looked at")]
fn uint<'a>(value: &Value<'a>) -> Answer<'a> {
    match value {
        Value::Uint(_) => Ok(value.clone()),
        Value::Int(int) => u64::try_from(*int).map(Value::Uint).map_err(|_| out_of_range("uint")),
        Value::Double(double) if (0.0..18_446_744_073_709_551_616.0).contains(double) => {
            Ok(Value::Uint(*double as u64))
        }
        Value::Double(_) => Err(out_of_range("uint")),
        Value::String(text) => text.parse().map(Value::Uint).map_err(|_| no_conversion("uint", text)),
        _ => Err(EvalError::no_overload()),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a double is what is asked for")]
fn double<'a>(value: &Value<'a>) -> Answer<'a> {
    match value {
        Value::Double(_) => Ok(value.clone()),
        Value::Int(int) => Ok(Value::Double(*int as f64)),
        Value::Uint(uint) => Ok(Value::Double(*uint as f64)),
        Value::String(text) => text.parse().map(Value::Double).map_err(|_| no_conversion("double", text)),
        _ => Err(EvalError::no_overload()),
    }
}

fn string<'a>(value: &Value<'a>) -> Option<Answer<'a>> {
    Some(Ok(match value {
        Value::String(_) => value.clone(),
        Value::Bool(bool) => Value::text(bool.to_string()),
        Value::Int(int) => Value::text(int.to_string()),
        Value::Uint(uint) => Value::text(uint.to_string()),
        Value::Double(double) => Value::text(double_text(*double)),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::text(text),
            Err(_) => return Some(Err(EvalError::new("invalid UTF-8 in bytes, cannot convert to string"))),
        },
        Value::Duration(nanos) => Value::text(time::seconds_text(*nanos)),
        Value::Timestamp(moment) => Value::text(moment.to_string()),
        Value::Ip(ip) => Value::text(ip.to_string()),
        Value::Cidr(ip, bits) => Value::text(format!("{ip}/{bits}")),
        _ => return None,
    }))
}

/// As Go writes a number in the shortest way (`%g`).
pub(super) fn double_text(double: f64) -> String {
    if double.is_nan() {
        return "NaN".to_owned();
    }
    if double.is_infinite() {
        return if double > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{double:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if double != 0.0 && !(-4..21).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    double.to_string()
}
