//! YAML as it is answered: what kubectl's reader, which is YAML 1.1 where it matters, and every other reader take for
//! the same. General writers leave `yes`, `on` or `0o17` unquoted.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::scalar;

/// A longer key is written behind a `?`: readers look no further than 1024 characters for the colon.
const MAX_KEY: usize = 256;

/// `value` as a YAML document. Text of several lines stays readable; lists stand below their name, as kubectl has them.
pub fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => write_map(&mut out, map, 0, false),
        Value::Array(items) if !items.is_empty() => write_list(&mut out, items, 0, false),
        scalar => {
            out.push_str(&inline(scalar));
            out.push('\n');
        }
    }
    out
}

fn indent(out: &mut String, by: usize) {
    out.extend(std::iter::repeat_n(' ', by));
}

/// `begun` is whether the first line has begun, behind a dash.
fn write_map(out: &mut String, map: &Map<String, Value>, by: usize, begun: bool) {
    for (index, (name, value)) in map.iter().enumerate() {
        if index > 0 || !begun {
            indent(out, by);
        }
        let name = text(name);
        if name.len() > MAX_KEY {
            out.push_str("? ");
            out.push_str(&name);
            out.push('\n');
            indent(out, by);
        } else {
            out.push_str(&name);
        }
        out.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push('\n');
                write_map(out, map, by + 2, false);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                write_list(out, items, by, false);
            }
            value => write_scalar(out, value, by + 2),
        }
    }
}

fn write_list(out: &mut String, items: &[Value], by: usize, begun: bool) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 || !begun {
            indent(out, by);
        }
        out.push('-');
        match item {
            Value::Object(map) if !map.is_empty() => {
                out.push(' ');
                write_map(out, map, by + 2, true);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push(' ');
                write_list(out, items, by + 2, true);
            }
            item => write_scalar(out, item, by + 2),
        }
    }
}

/// What stands behind a colon or a dash, and the end of its line.
fn write_scalar(out: &mut String, value: &Value, by: usize) {
    match value {
        Value::String(lines) if has_lines(lines) => {
            let end = lines.len() - lines.trim_end_matches('\n').len();
            out.push_str([" |-", " |", " |+"][end.min(2)]);
            out.push('\n');
            for line in lines.strip_suffix('\n').unwrap_or(lines).split('\n') {
                if !line.is_empty() {
                    indent(out, by);
                    out.push_str(line);
                }
                out.push('\n');
            }
        }
        value => {
            out.push(' ');
            out.push_str(&inline(value));
            out.push('\n');
        }
    }
}

/// Whether a text can be written line by line.
fn has_lines(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with(['\n', ' ', '\t'])
        && text.lines().all(|line| !line.ends_with([' ', '\t']) && !line.starts_with('\t'))
        && text.chars().all(|c| c == '\n' || is_plain(c))
}

fn inline(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(string) => text(string),
        // `{}` and `[]`, and what is written as in JSON.
        other => other.to_string().into(),
    }
}

fn text(text: &str) -> Cow<'_, str> {
    if is_bare(text) { text.into() } else { quoted(text).into() }
}

/// Whether a text is one to every reader without quotes.
fn is_bare(text: &str) -> bool {
    let begins = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.') || (c > '\u{a0}' && is_plain(c));
    let has_sign = text.starts_with('-') && text[1..].starts_with(begins);
    (text.starts_with(begins) || has_sign)
        && text.chars().all(is_plain)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.starts_with("...")
        && !is_time(text)
        && scalar::resolve(text).as_ref().and_then(Value::as_str) == Some(text)
}

/// Dates, times and numbers to the base of 60: other readers than kubectl's make something of them.
fn is_time(text: &str) -> bool {
    let date =
        text.split_once('-').is_some_and(|(year, _)| year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit()));
    date || (text.contains(':') && text.bytes().all(|b| b.is_ascii_digit() || b":._+-".contains(&b)))
}

/// Whether a character may stand without being escaped (YAML 1.1, section 4.1), and is neither a tab nor a line's end.
fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}')
        || matches!(c, '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if is_plain(c) => quoted.push(c),
            // All that is left is below the sixteenth bit.
            c => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::from_yaml;

    #[test]
    fn documents_look_as_kubectl_s_do() {
        let value = json!({"apiVersion": "v1", "data": {"a": "yes", "b": "1", "c": "x\n y\n", "d": "- x", "e": "a: b",
            "f": "", "g": "10.0.0.1", "h": "2026-01-02T03:04:05Z", "i": "12:30", "j": "é\u{1}", "k": "x\n\n", "l": "x\ny"},
            "empty": {}, "items": [{"name": "a", "args": ["-c", [1, [2]], []]}, null, 1.5, true], "on": "0o17"});
        let expected = r#"apiVersion: v1
data:
  a: "yes"
  b: "1"
  c: |
    x
     y
  d: "- x"
  e: "a: b"
  f: ""
  g: 10.0.0.1
  h: "2026-01-02T03:04:05Z"
  i: "12:30"
  j: "é\u0001"
  k: |+
    x

  l: |-
    x
    y
empty: {}
items:
- args:
  - -c
  - - 1
    - - 2
  - []
  name: a
- null
- 1.5
- true
"on": "0o17"
"#;
        assert_eq!(to_yaml(&value), expected);
        assert_eq!(from_yaml(expected).as_ref(), Ok(&value));
        assert_eq!(serde_yaml::from_str::<Value>(expected).unwrap(), value);
    }

    #[test]
    fn every_text_is_read_as_it_was() {
        let (long, escaped) = ("k".repeat(2_000), "\u{1}".repeat(200));
        for text in [
            "",
            " ",
            "#",
            "a #b",
            "a:",
            "? a",
            "*a",
            "---",
            "--- a",
            "...",
            "<<",
            "=",
            "\u{feff}",
            "\u{85}",
            "\u{2028}",
            "\n",
            "\n\n",
            " a\nb",
            "a\n\tb",
            "a \nb",
            "\ta\n",
            "a\r\nb",
            "'",
            "\"",
            "\\",
            "`",
            "@a",
            "%a",
            "!a",
            "&a",
            "-",
            "- ",
            "-a",
            "[",
            "{}",
            "|",
            ">",
            ",",
            "null",
            "~",
            "0x",
            ".",
            "..",
            ".5",
            "-.inf",
            "1e3",
            "1_000",
            "a\n---\nb\n",
            "a\n# b\n",
            "\u{10ffff}",
            "\u{fffe}",
            "\u{7f}",
            &long,
            &escaped,
        ] {
            let value = json!({text: [text, {"a": text}], "b": text, "c": [[text]]});
            let written = to_yaml(&value);
            assert_eq!(from_yaml(&written).as_ref(), Ok(&value), "{written}");
            assert_eq!(serde_yaml::from_str::<Value>(&written).ok().as_ref(), Some(&value), "{written}");
            assert_eq!(from_yaml(&to_yaml(&json!(text))), Ok(json!(text)));
        }
    }
}
