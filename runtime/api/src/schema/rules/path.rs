//! The `fieldPath` of a rule: fields by name, `.spec.a`, or by key, `['a.b']`.

use serde_json::Value;

/// The field that `path` is of `schema`, as errors name it.
///
/// # Errors
/// Why it is no path of it.
pub fn field_path(path: &str, schema: &Value) -> Result<String, String> {
    let (mut found, mut at, mut rest) = (String::new(), schema, path);
    while !rest.is_empty() {
        let (name, after) = match rest.strip_prefix('.') {
            Some(rest) => {
                let end = rest.find(['.', '[', ']']).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
            None => match rest.strip_prefix('[') {
                Some(rest) => quoted(rest)?,
                None => return Err(format!("expected [ or . but got: {rest}")),
            },
        };
        if name.is_empty() {
            return Err("unexpected end of JSON path".to_owned());
        }
        at = match at.get("properties") {
            Some(properties) => {
                if !found.is_empty() {
                    found.push('.');
                }
                found.push_str(&name);
                properties.get(&name).ok_or("does not refer to a valid field")?
            }
            None => {
                found.push_str(&format!("[{name}]"));
                at.get("additionalProperties")
                    .filter(|values| values.is_object())
                    .ok_or("does not refer to a valid field")?
            }
        };
        rest = after;
    }
    Ok(found)
}

fn quoted(rest: &str) -> Result<(String, &str), String> {
    let body = rest.strip_prefix('\'').ok_or_else(|| format!("expected single quoted string but got {rest}"))?;
    let (mut name, mut chars) = (String::new(), body.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' => {
                let after = body[at + 1..].strip_prefix(']').ok_or("unexpected end of JSON path")?;
                return Ok((name, after));
            }
            '\\' => match chars.next() {
                Some((_, c @ ('\'' | '\\'))) => name.push(c),
                Some((_, c)) => return Err(format!("invalid string literal: invalid escape char \\{c}")),
                None => break,
            },
            c => name.push(c),
        }
    }
    Err("unexpected end of JSON path".to_owned())
}
