//! Any object: its fields as they come.

use serde_json::Value;
use trimtab_api::Object;

use super::page::{Page, text};

pub(super) fn describe(page: &mut Page, object: &Object) {
    page.metadata(object);
    page.field(0, "API Version", object.api_version());
    page.field(0, "Kind", object.kind());
    page.field(0, "Created", object.str_at(&["metadata", "creationTimestamp"]));
    for (name, value) in &object.0 {
        match (name.as_str(), value) {
            ("apiVersion" | "kind" | "metadata", _) => {}
            // Keys of data are people's own words; what is secret is only measured.
            ("data" | "stringData" | "binaryData", Value::Object(data)) => {
                page.heading(0, &title(name));
                for (key, value) in data {
                    let secret = object.kind() == "Secret" || name == "binaryData";
                    page.field(1, key, if secret { size(&text(value)) } else { text(value) });
                }
            }
            _ => add(page, 0, &title(name), value),
        }
    }
}

fn add(page: &mut Page, level: usize, name: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            page.heading(level, name);
            for (name, value) in fields {
                add(page, level + 1, &title(name), value);
            }
        }
        Value::Array(values) if values.iter().any(|value| value.is_object() || value.is_array()) => {
            page.heading(level, name);
            for value in values {
                add_item(page, level + 1, value);
            }
        }
        Value::Array(values) => page.list(level, name, values.iter().map(text)),
        scalar => page.field(level, name, text(scalar)),
    }
}

fn add_item(page: &mut Page, level: usize, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                add(page, level, &title(name), value);
            }
        }
        other => page.row(level, [text(other)]),
    }
}

/// How much a base64 text holds.
fn size(base64: &str) -> String {
    format!("{} bytes", base64.trim_end_matches('=').len() * 3 / 4)
}

/// `clusterIP` as `Cluster IP`; keys that are no field's name as they are.
fn title(name: &str) -> String {
    if !name.chars().all(char::is_alphanumeric) || !name.starts_with(|c: char| c.is_lowercase()) {
        return name.to_owned();
    }
    let mut title = String::new();
    let mut before = '_';
    for (index, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && before.is_lowercase() {
            title.push(' ');
        }
        if index == 0 {
            title.extend(letter.to_uppercase());
        } else {
            title.push(letter);
        }
        before = letter;
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_titles() {
        let check = |name: &str, expected: &str| assert_eq!(title(name), expected);
        check("clusterIP", "Cluster IP");
        check("data", "Data");
        check("config.yaml", "config.yaml");
        assert_eq!(size("aGVsbG8="), "5 bytes");
    }
}
