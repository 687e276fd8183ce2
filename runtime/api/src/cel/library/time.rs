//! Moments and spans of time.

use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

use super::{Answer, Call};
use crate::cel::error::EvalError;
use crate::cel::value::Value;

const SECOND: i64 = 1_000_000_000;
/// Go's units of time, in nanoseconds.
const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("h", 3.6e12), ("m", 6e10), ("s", 1e9)];

/// A span as Go writes it, such as `1h30m`, in nanoseconds.
pub(in crate::cel) fn duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut nanos: i64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let (unit, factor) = UNITS.iter().find(|(unit, _)| after.starts_with(unit))?;
        rest = &after[unit.len()..];
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let fraction: f64 = if fraction.is_empty() { 0.0 } else { format!("0.{fraction}").parse().ok()? };
        #[expect(clippy::cast_possible_truncation, reason = "a unit is a whole number, and a fraction less than one")]
        let part = whole.checked_mul(*factor as i64)?.checked_add((fraction * factor) as i64)?;
        nanos = nanos.checked_add(part)?;
    }
    Some(if negative { -nanos } else { nanos })
}

/// A moment as RFC 3339 writes it.
pub(in crate::cel) fn timestamp(text: &str) -> Option<Timestamp> {
    let rest = text.get(10..)?;
    if !rest.starts_with(['T', 't']) {
        return None;
    }
    text.parse().ok()
}

/// A span in seconds, as expressions write it: `90s`.
pub(super) fn seconds_text(nanos: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "as upstream writes it")]
    let seconds = nanos as f64 / SECOND as f64;
    format!("{}s", super::convert::double_text(seconds))
}

/// A span as Go writes it: `1m30s`.
pub(in crate::cel) fn duration_text(nanos: i64) -> String {
    if nanos == 0 {
        return "0s".to_owned();
    }
    let sign = if nanos < 0 { "-" } else { "" };
    let all = nanos.unsigned_abs();
    let (seconds, rest) = (all / 1_000_000_000, all % 1_000_000_000);
    if seconds == 0 {
        let (unit, size) = [("ms", 1_000_000), ("µs", 1_000), ("ns", 1)]
            .into_iter()
            .find(|(_, size)| rest >= *size)
            .unwrap_or(("ns", 1));
        let fraction = format!("{}.{:09}", rest / size, (rest % size) * (1_000_000_000 / size));
        return format!("{sign}{}{unit}", fraction.trim_end_matches('0').trim_end_matches('.'));
    }
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let last = format!("{}.{rest:09}", seconds % 60);
    let last = last.trim_end_matches('0').trim_end_matches('.');
    let last = if last.is_empty() { "0" } else { last };
    match (hours, minutes) {
        (0, 0) => format!("{sign}{last}s"),
        (0, _) => format!("{sign}{minutes}m{last}s"),
        _ => format!("{sign}{hours}h{minutes}m{last}s"),
    }
}

pub(super) fn call<'a>(call: &Call<'_>, args: &[Value<'a>]) -> Option<Answer<'a>> {
    let overflow = || EvalError::new("return error for overflow");
    let moved = |moment: &Timestamp, nanos: i64| {
        let span = jiff::SignedDuration::from_nanos(nanos);
        moment.checked_add(span).map(Value::Timestamp).map_err(|_| overflow())
    };
    match (call.function, args) {
        ("_+_", [Value::Timestamp(moment), Value::Duration(nanos)])
        | ("_+_", [Value::Duration(nanos), Value::Timestamp(moment)]) => Some(moved(moment, *nanos)),
        ("_-_", [Value::Timestamp(moment), Value::Duration(nanos)]) => {
            Some(nanos.checked_neg().ok_or_else(overflow).and_then(|nanos| moved(moment, nanos)))
        }
        ("_-_", [Value::Timestamp(a), Value::Timestamp(b)]) => {
            let nanos = a.as_nanosecond() - b.as_nanosecond();
            Some(i64::try_from(nanos).map(Value::Duration).map_err(|_| overflow()))
        }
        ("_-_", [Value::Duration(a), Value::Duration(b)]) => {
            Some(a.checked_sub(*b).map(Value::Duration).ok_or_else(overflow))
        }
        (function, [Value::Duration(nanos)]) if call.member => {
            let unit = match function {
                "getHours" => 3600 * SECOND,
                "getMinutes" => 60 * SECOND,
                "getSeconds" => SECOND,
                "getMilliseconds" => SECOND / 1000,
                _ => return None,
            };
            Some(Ok(Value::Int(nanos / unit)))
        }
        (function, [Value::Timestamp(moment)]) if call.member => {
            part(function, &moment.to_zoned(TimeZone::UTC)).map(|part| Ok(Value::Int(part)))
        }
        (function, [Value::Timestamp(moment), Value::String(zone)]) if call.member => match time_zone(zone) {
            Some(zone) => part(function, &moment.to_zoned(zone)).map(|part| Ok(Value::Int(part))),
            None => Some(Err(EvalError::new(format!("unknown time zone {}", &**zone)))),
        },
        _ => None,
    }
}

// A name, or an offset, as `+02:00`.
fn time_zone(text: &str) -> Option<TimeZone> {
    let Some((hours, minutes)) = text.split_once(':') else { return crate::time_zone::named(text) };
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let minutes = if text.starts_with('-') { -minutes } else { minutes };
    Some(Offset::from_seconds(hours * 3600 + minutes * 60).ok()?.to_time_zone())
}

fn part(function: &str, at: &Zoned) -> Option<i64> {
    Some(match function {
        "getFullYear" => at.year().into(),
        "getMonth" => i64::from(at.month()) - 1,
        "getDayOfYear" => i64::from(at.day_of_year()) - 1,
        "getDayOfMonth" => i64::from(at.day()) - 1,
        "getDate" => at.day().into(),
        "getDayOfWeek" => at.weekday().to_sunday_zero_offset().into(),
        "getHours" => at.hour().into(),
        "getMinutes" => at.minute().into(),
        "getSeconds" => at.second().into(),
        "getMilliseconds" => at.millisecond().into(),
        _ => return None,
    })
}
