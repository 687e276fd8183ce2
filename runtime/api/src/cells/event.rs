//! Events (upstream's `printEvent`).

use serde_json::Value;

use super::text;
use crate::object::Object;
use crate::table::age;

/// The cell of the column `name`.
pub(crate) fn event(name: &str, object: &Object, now: i64) -> Value {
    match name {
        "Last Seen" => age(last_seen(object), now).into(),
        "First Seen" => age(first_seen(object), now).into(),
        "Count" => count(object).into(),
        "Object" => target(object).into(),
        "Source" => source(object).into(),
        "Message" => object.str_at(&["message"]).trim().into(),
        _ => Value::Null,
    }
}

fn first_nonempty<'a>(first: &'a str, second: &'a str) -> &'a str {
    if first.is_empty() { second } else { first }
}

fn first_seen(object: &Object) -> &str {
    first_nonempty(object.str_at(&["firstTimestamp"]), object.str_at(&["eventTime"]))
}

fn last_seen(object: &Object) -> &str {
    match object.at(&["series"]) {
        Some(series) if series.is_object() => text(&series["lastObservedTime"]),
        _ => first_nonempty(object.str_at(&["lastTimestamp"]), first_seen(object)),
    }
}

// A single event of the new API has no count.
fn count(object: &Object) -> i64 {
    let number = |path: &[&str]| object.at(path).and_then(Value::as_i64);
    number(&["series", "count"]).unwrap_or_else(|| number(&["count"]).unwrap_or(0).max(1))
}

fn target(object: &Object) -> String {
    let kind = object.str_at(&["involvedObject", "kind"]).to_lowercase();
    match object.str_at(&["involvedObject", "name"]) {
        "" => kind,
        name => format!("{kind}/{name}"),
    }
}

fn source(object: &Object) -> String {
    let component = first_nonempty(object.str_at(&["source", "component"]), object.str_at(&["reportingComponent"]));
    match first_nonempty(object.str_at(&["source", "host"]), object.str_at(&["reportingInstance"])) {
        "" => component.to_owned(),
        instance => format!("{component}, {instance}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_of_either_api() {
        let check = |value: Value, expected: [Value; 5]| {
            let Value::Object(map) = value else { panic!("an event is a map") };
            let object = Object(map);
            let names = ["Last Seen", "First Seen", "Count", "Object", "Source"];
            assert_eq!(names.map(|name| event(name, &object, 1_767_225_600)), expected, "{object:?}");
        };
        check(
            json!({"firstTimestamp": "2025-12-31T23:50:00Z", "lastTimestamp": "2025-12-31T23:59:00Z", "count": 4,
                "involvedObject": {"kind": "Pod", "name": "a"}, "source": {"component": "kubelet", "host": "n"}}),
            ["60s".into(), "10m".into(), 4.into(), "pod/a".into(), "kubelet, n".into()],
        );
        check(
            json!({"eventTime": "2025-12-31T23:59:50.000000Z", "firstTimestamp": null, "reportingComponent": "scheduler",
                "involvedObject": {"kind": "Pod"}}),
            ["10s".into(), "10s".into(), 1.into(), "pod".into(), "scheduler".into()],
        );
        check(
            json!({"eventTime": "2025-12-31T23:59:00.000000Z", "series": {"count": 7, "lastObservedTime": "2025-12-31T23:59:58.000000Z"}}),
            ["2s".into(), "60s".into(), 7.into(), "".into(), "".into()],
        );
    }
}
