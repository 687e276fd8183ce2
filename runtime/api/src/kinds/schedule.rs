//! Schedules as cron reads them: five fields of ranges, or a word for one
//! (<https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax>). The words of the errors are
//! those of the parser that upstream uses.

use crate::time_zone;

/// A field's first and last value, and the names that some have.
struct Bounds {
    first: i64,
    last: i64,
    names: &'static [&'static str],
}

const FIELDS: [Bounds; 5] = [
    Bounds { first: 0, last: 59, names: &[] },
    Bounds { first: 0, last: 23, names: &[] },
    Bounds { first: 1, last: 31, names: &[] },
    Bounds {
        first: 1,
        last: 12,
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    Bounds { first: 0, last: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];
const WORDS: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];
const UNITS: [&str; 7] = ["ns", "us", "µs", "ms", "s", "m", "h"];

/// Whether `text` is a schedule.
///
/// # Errors
/// Why it is none.
pub(super) fn check(text: &str) -> Result<(), String> {
    let mut text = text;
    if text.starts_with("TZ=") || text.starts_with("CRON_TZ=") {
        let Some((zone, rest)) = text.split_once(' ') else {
            return Err("invalid schedule format: a time zone without a schedule".to_owned());
        };
        let zone = zone.split_once('=').map_or("", |(_, zone)| zone);
        if time_zone::named(zone).is_none() {
            return Err(format!("provided bad location {zone}: unknown time zone {zone}"));
        }
        text = rest.trim();
    }
    if text.is_empty() {
        return Err("empty spec string".to_owned());
    }
    if text.starts_with('@') {
        return check_word(text);
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
    }
    for (field, bounds) in fields.iter().zip(&FIELDS) {
        field.split(',').filter(|range| !range.is_empty()).try_for_each(|range| check_range(range, bounds))?;
    }
    Ok(())
}

fn check_word(word: &str) -> Result<(), String> {
    if WORDS.contains(&word) {
        return Ok(());
    }
    match word.strip_prefix("@every ") {
        Some(duration) if is_duration(duration) => Ok(()),
        Some(duration) => Err(format!("failed to parse duration {word}: time: invalid duration {duration:?}")),
        None => Err(format!("unrecognized descriptor: {word}")),
    }
}

/// Whether `text` is a duration as Go writes them: `1h30m`, `-1.5s`, `0`.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let next = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let is_number = number.bytes().any(|byte| byte.is_ascii_digit()) && number.matches('.').count() <= 1;
        if !is_number || !UNITS.contains(&&tail[..next]) {
            return false;
        }
        rest = &tail[next..];
    }
    !text.is_empty()
}

fn check_range(range: &str, bounds: &Bounds) -> Result<(), String> {
    let parts: Vec<&str> = range.split('/').collect();
    let limits: Vec<&str> = parts[0].split('-').collect();
    let single = limits.len() == 1;
    let (first, mut last) = if matches!(limits[0], "*" | "?") {
        (bounds.first, bounds.last)
    } else {
        let first = number_or_name(limits[0], bounds)?;
        match limits[1..] {
            [] => (first, first),
            [limit] => (first, number_or_name(limit, bounds)?),
            _ => return Err(format!("too many hyphens: {range}")),
        }
    };
    let step = match parts[1..] {
        [] => 1,
        [step] => {
            // `N/step` means from N to the end.
            if single {
                last = bounds.last;
            }
            number(step)?
        }
        _ => return Err(format!("too many slashes: {range}")),
    };
    let Bounds { first: low, last: high, .. } = bounds;
    match () {
        () if first < *low => Err(format!("beginning of range ({first}) below minimum ({low}): {range}")),
        () if last > *high => Err(format!("end of range ({last}) above maximum ({high}): {range}")),
        () if first > last => Err(format!("beginning of range ({first}) beyond end of range ({last}): {range}")),
        () if step == 0 => Err(format!("step of range should be a positive number: {range}")),
        () => Ok(()),
    }
}

fn number_or_name(text: &str, bounds: &Bounds) -> Result<i64, String> {
    let named = bounds.names.iter().zip(bounds.first..).find(|(name, _)| text.eq_ignore_ascii_case(name));
    named.map_or_else(|| number(text), |(_, value)| Ok(value))
}

fn number(text: &str) -> Result<i64, String> {
    let number: i64 = text
        .parse()
        .map_err(|_| format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax"))?;
    if number < 0 { Err(format!("negative number ({number}) not allowed: {text}")) } else { Ok(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_read() {
        for fine in
            ["* * * * *", "*/5 0-6,22 ? JAN-mar mon", "0/15 * 1 * 0", "@daily", "@every 1h30m", "CRON_TZ=UTC 0 0 * * *"]
        {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for (text, expected) in [
            ("TZ=UTC ", "empty spec string"),
            ("TZ=Europe/Berlin * * *", "expected exactly 5 fields, found 3: [* * *]"),
            ("TZ=Nowhere * * * * *", "provided bad location Nowhere: unknown time zone Nowhere"),
            ("* * * * * *", "expected exactly 5 fields, found 6: [* * * * * *]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-2 * * * *", "beginning of range (5) beyond end of range (2): 5-2"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            ("x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
            ("* * * * 7", "end of range (7) above maximum (6): 7"),
            ("@sometimes", "unrecognized descriptor: @sometimes"),
            ("@every x", "failed to parse duration @every x: time: invalid duration \"x\""),
        ] {
            assert_eq!(check(text), Err(expected.to_owned()), "{text}");
        }
    }
}
