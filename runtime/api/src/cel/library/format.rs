//! Named formats of texts, and texts from a pattern with verbs (`%s`, `%d`, …).

use std::fmt::Write as _;
use std::rc::Rc;

use super::{Answer, Call, convert, time};
use crate::cel::error::EvalError;
use crate::cel::value::{List, Value};
use crate::names;

/// The formats that are known by a name.
const NAMED: [&str; 13] = [
    "dns1123Label",
    "dns1123Subdomain",
    "dns1035Label",
    "qualifiedName",
    "dns1123LabelPrefix",
    "dns1123SubdomainPrefix",
    "dns1035LabelPrefix",
    "labelValue",
    "uri",
    "uuid",
    "byte",
    "date",
    "datetime",
];

pub(super) fn call<'a>(call: &Call<'_>, args: &[Value<'a>]) -> Option<Answer<'a>> {
    let named = |name: &str| NAMED.iter().find(|known| **known == name).map(|name| Value::Format(name));
    match (call.function, args) {
        ("format.named", [Value::String(name)]) => Some(Ok(Value::Optional(named(name).map(Rc::new)))),
        ("validate", [Value::Format(format), Value::String(text)]) => {
            let problems = problems(format, text);
            let problems: Vec<_> = problems.into_iter().map(Value::text).collect();
            Some(Ok(Value::Optional(if problems.is_empty() { None } else { Some(Rc::new(Value::list(problems))) })))
        }
        (function, []) => named(function.strip_prefix("format.")?).map(Ok),
        _ => None,
    }
}

fn problems(format: &str, text: &str) -> Vec<String> {
    let fits = |format: &str, why: &str| {
        if crate::schema::fits_format(format, text) { Vec::new() } else { vec![why.to_owned()] }
    };
    // A prefix may end in a dash: what is put behind it ends it.
    let prefix = text.strip_suffix('-').map_or_else(|| text.to_owned(), |stem| format!("{stem}a"));
    match format {
        "dns1123Label" => names::dns1123_label(text),
        "dns1123Subdomain" => names::dns1123_subdomain(text),
        "dns1035Label" => names::dns1035_label(text),
        "qualifiedName" => names::qualified_name(text),
        "dns1123LabelPrefix" => names::dns1123_label(&prefix),
        "dns1123SubdomainPrefix" => names::dns1123_subdomain(&prefix),
        "dns1035LabelPrefix" => names::dns1035_label(&prefix),
        "labelValue" => names::label_value(text),
        "uri" => fits("uri", "invalid URI"),
        "uuid" => fits("uuid", "does not match the UUID format"),
        "byte" => fits("byte", "invalid base64"),
        "date" => fits("date", "invalid date"),
        _ => fits("datetime", "invalid datetime"),
    }
}

/// `pattern` with each verb replaced by the next of `args`.
pub(super) fn formatted<'a>(pattern: &str, args: &List<'a>) -> Answer<'a> {
    let (mut out, mut next) = (String::with_capacity(pattern.len()), 0);
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let mut precision = None;
        if chars.next_if_eq(&'.').is_some() {
            let mut digits = String::new();
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            let most = digits.parse::<usize>().ok().filter(|digits| *digits <= 1_000);
            precision = Some(most.ok_or_else(|| EvalError::new("could not parse precision while formatting"))?);
        }
        let verb = chars.next().ok_or_else(|| EvalError::new("unexpected end of string"))?;
        let value = args.get(next).ok_or_else(|| EvalError::new(format!("index {next} out of range")))??;
        next += 1;
        out.push_str(&clause(verb, precision, &value)?);
    }
    if next < args.len() {
        return Err(EvalError::new(format!("expected {next} format arguments but found {}", args.len())));
    }
    Ok(Value::text(out))
}

fn clause(verb: char, precision: Option<usize>, value: &Value<'_>) -> Result<String, EvalError> {
    let wrong = |wants: &str| EvalError::new(format!("error during formatting: {wants}, was given {}", value.type_()));
    #[expect(clippy::cast_precision_loss, reason = "a double is what is asked for")]
    let double = || match value {
        Value::Double(double) => Some(*double),
        Value::Int(int) => Some(*int as f64),
        Value::Uint(uint) => Some(*uint as f64),
        _ => None,
    };
    match verb {
        's' => Ok(plain(value)),
        'd' => match value {
            Value::Int(_) | Value::Uint(_) => Ok(plain(value)),
            Value::Double(double) if !double.is_finite() => Ok(plain(value)),
            _ => Err(wrong("decimal clause can only be used on integers")),
        },
        'f' => {
            let double = double().ok_or_else(|| wrong("fixed-point clause can only be used on doubles"))?;
            Ok(if double.is_finite() {
                format!("{double:.*}", precision.unwrap_or(6))
            } else {
                plain(&Value::Double(double))
            })
        }
        'e' => {
            let double = double().ok_or_else(|| wrong("scientific clause can only be used on doubles"))?;
            if !double.is_finite() {
                return Ok(plain(&Value::Double(double)));
            }
            let text = format!("{double:.*e}", precision.unwrap_or(6));
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
            Ok(format!("{mantissa}e{sign}{digits:0>2}"))
        }
        'b' => match value {
            Value::Bool(bool) => Ok(u8::from(*bool).to_string()),
            Value::Uint(uint) => Ok(format!("{uint:b}")),
            Value::Int(int) => Ok(format!("{}{:b}", if *int < 0 { "-" } else { "" }, int.unsigned_abs())),
            _ => Err(wrong("only integers and bools can be formatted as binary")),
        },
        'o' => match value {
            Value::Uint(uint) => Ok(format!("{uint:o}")),
            Value::Int(int) => Ok(format!("{}{:o}", if *int < 0 { "-" } else { "" }, int.unsigned_abs())),
            _ => Err(wrong("octal clause can only be used on integers")),
        },
        'x' | 'X' => {
            let lower = match value {
                Value::Uint(uint) => format!("{uint:x}"),
                Value::Int(int) => format!("{}{:x}", if *int < 0 { "-" } else { "" }, int.unsigned_abs()),
                Value::String(text) => hex(text.as_bytes()),
                Value::Bytes(bytes) => hex(bytes),
                _ => return Err(wrong("only integers, byte buffers, and strings can be formatted as hex")),
            };
            Ok(if verb == 'X' { lower.to_uppercase() } else { lower })
        }
        other => Err(EvalError::new(format!(
            "could not parse formatting clause: unrecognized formatting clause \"{other}\""
        ))),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A value as `%s` writes it.
fn plain(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(bool) => bool.to_string(),
        Value::Int(int) => int.to_string(),
        Value::Uint(uint) => uint.to_string(),
        Value::Double(double) if double.is_infinite() => {
            if *double > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
        }
        Value::Double(double) => convert::double_text(*double),
        Value::String(text) => text.to_string(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Duration(nanos) => time::seconds_text(*nanos),
        Value::Timestamp(moment) => moment.to_string(),
        Value::List(list) => {
            let items: Vec<String> = list.iter().filter_map(Result::ok).map(|item| plain(&item)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(map) => {
            let mut entries = Vec::with_capacity(map.len());
            for key in map.keys() {
                let value = map.get(&key).and_then(Result::ok).unwrap_or(Value::Null);
                entries.push(format!("{key}: {}", plain(&value)));
            }
            format!("{{{}}}", entries.join(", "))
        }
        Value::Quantity(quantity) => quantity.to_string(),
        other => other.type_().to_string(),
    }
}
