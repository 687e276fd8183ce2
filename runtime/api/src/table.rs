//! Tables, as `kubectl get` asks for them (`meta/v1.Table`).

use serde_json::{Value, json};

use crate::jsonpath::JsonPath;
use crate::kind::{Column, Kind};
use crate::object::Object;

/// How much of each object a row carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// `kind: PartialObjectMetadata` with its metadata.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

/// The definitions of a kind's columns. A watch sends them once, with its first row.
pub fn columns(kind: &Kind) -> Value {
    let column = |column: &Column| {
        json!({"name": column.name, "type": if column.type_ == "date" { "string" } else { &*column.type_ },
            "format": column.format, "description": column.description, "priority": column.priority})
    };
    kind.columns.iter().map(column).collect()
}

/// The row of one object. `now` is in seconds since the Unix epoch.
pub fn row(kind: &Kind, object: &Object, include: IncludeObject, now: i64) -> Value {
    row_of(kind.columns.iter().map(|column| cell(kind, column, object, now)).collect(), object, include)
}

/// The row of one object whose cells are these.
pub fn row_of(cells: Value, object: &Object, include: IncludeObject) -> Value {
    let mut row = json!({"cells": cells});
    match include {
        IncludeObject::None => {}
        IncludeObject::Metadata => {
            row["object"] = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object.0.get("metadata")});
        }
        IncludeObject::Object => row["object"] = Value::Object(object.0.clone()),
    }
    row
}

fn cell(kind: &Kind, column: &Column, object: &Object, now: i64) -> Value {
    if column.json_path.is_empty() {
        return kind.strategy.cell(&column.name, object, now);
    }
    let value = at(&column.json_path, object);
    match &*column.type_ {
        "date" => {
            value.as_ref().and_then(Value::as_str).map_or_else(|| "<unknown>".into(), |time| age(time, now).into())
        }
        "integer" => value.unwrap_or_else(|| 0.into()),
        _ => value.unwrap_or_else(|| if kind.built_in { "<none>".into() } else { "".into() }),
    }
}

// Nearly every column is a chain of plain names, for which the object need not be copied. Of
// several values a column shows the first, as upstream's.
fn at(path: &str, object: &Object) -> Option<Value> {
    let names = path.trim_start_matches('.');
    if names.chars().all(|c| c.is_ascii_alphanumeric() || c == '.') {
        return object.at(&names.split('.').collect::<Vec<_>>()).cloned();
    }
    let root = Value::Object(object.0.clone());
    JsonPath::path(path).ok()?.find(&root).ok()?.first().map(|value| (*value).clone())
}

/// How long ago `time` (RFC 3339) was, as `5m` or `2d3h`.
pub fn age(time: &str, now: i64) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(time) => human_duration(now - time.as_second()),
        Err(_) => "<unknown>".to_owned(),
    }
}

/// A duration in seconds with the two units that matter, as `k8s.io/apimachinery/pkg/util/duration`
/// prints it.
pub fn human_duration(seconds: i64) -> String {
    let (minutes, hours, days, years) = (seconds / 60, seconds / 3_600, seconds / 86_400, seconds / 86_400 / 365);
    let two = |n: i64, unit: &str, m: i64, sub: &str| {
        if m == 0 { format!("{n}{unit}") } else { format!("{n}{unit}{m}{sub}") }
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(years, "y", days % 365, "d"),
        _ => format!("{years}y"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_may_filter() {
        let status = json!({"conditions": [{"type": "Ready", "status": "True"}], "n": 1});
        let object: Object = serde_json::from_value(json!({"status": status})).unwrap();
        let check = |path: &str, expected: Option<Value>| assert_eq!(at(path, &object), expected, "{path}");
        check(".status.n", Some(1.into()));
        check(".status.conditions[?(@.type=='Ready')].status", Some("True".into()));
        check(".status.conditions[3].status", None);
    }

    #[test]
    fn durations_read_as_upstream_prints_them() {
        for (seconds, expected) in [
            (0, "0s"),
            (119, "119s"),
            (125, "2m5s"),
            (600, "10m"),
            (10_800, "3h"),
            (11_100, "3h5m"),
            (90_000, "25h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (864_000, "10d"),
            (63_072_000, "2y"),
        ] {
            assert_eq!(human_duration(seconds), expected);
        }
    }
}
