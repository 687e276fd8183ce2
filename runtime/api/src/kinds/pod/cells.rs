//! How a pod is printed (`k8s.io/kubernetes/pkg/printers/internalversion`).

use serde_json::Value;

use crate::object::Object;
use crate::table::age;

pub(super) fn cell(name: &str, object: &Object, now: i64) -> Value {
    let text = |path: &[&str]| -> Value {
        let text = object.str_at(path);
        if text.is_empty() { "<none>".into() } else { text.into() }
    };
    match name {
        "Ready" => {
            let total = list(object, &["spec", "containers"]).count();
            let ready = statuses(object, "containerStatuses").filter(|status| status["ready"] == true).count();
            format!("{ready}/{total}").into()
        }
        "Status" => reason(object).into(),
        "Restarts" => restarts(object, now).into(),
        "IP" => text(&["status", "podIP"]),
        "Node" => text(&["spec", "nodeName"]),
        "Nominated Node" => text(&["status", "nominatedNodeName"]),
        _ => "<none>".into(),
    }
}

fn list<'a>(object: &'a Object, path: &[&str]) -> impl Iterator<Item = &'a Value> + use<'a> {
    object.at(path).and_then(Value::as_array).into_iter().flatten()
}

fn statuses<'a>(object: &'a Object, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    list(object, &["status", field])
}

fn restarts(object: &Object, now: i64) -> String {
    let of = |status: &Value| status["restartCount"].as_i64().unwrap_or(0);
    let total: i64 = statuses(object, "containerStatuses").map(of).sum();
    let last =
        statuses(object, "containerStatuses").filter_map(|s| s["lastState"]["terminated"]["finishedAt"].as_str()).max();
    match last {
        Some(last) if total > 0 => format!("{total} ({} ago)", age(last, now)),
        _ => total.to_string(),
    }
}

fn reason(object: &Object) -> String {
    let phase = object.str_at(&["status", "phase"]);
    let mut reason = match object.str_at(&["status", "reason"]) {
        "" => phase.to_owned(),
        reason => reason.to_owned(),
    };
    if let Some(initializing) = init_reason(object) {
        reason = initializing;
    } else if let Some(of_container) = container_reason(object) {
        reason = of_container;
    }
    if object.deletion_timestamp().is_some() && !matches!(phase, "Succeeded" | "Failed") {
        reason = "Terminating".to_owned();
    }
    reason
}

fn init_reason(object: &Object) -> Option<String> {
    let total = list(object, &["spec", "initContainers"]).count();
    for (index, status) in statuses(object, "initContainerStatuses").enumerate() {
        let state = &status["state"];
        if state["terminated"]["exitCode"] == 0 {
            continue;
        }
        if state["terminated"].is_object() {
            return Some(format!("Init:{}", ended(&state["terminated"])));
        }
        let waiting =
            state["waiting"]["reason"].as_str().filter(|reason| !reason.is_empty() && *reason != "PodInitializing");
        return Some(waiting.map_or_else(|| format!("Init:{index}/{total}"), |reason| format!("Init:{reason}")));
    }
    None
}

fn container_reason(object: &Object) -> Option<String> {
    let mut reason = None;
    let mut running = false;
    for status in statuses(object, "containerStatuses").collect::<Vec<_>>().into_iter().rev() {
        let state = &status["state"];
        if let Some(waiting) = state["waiting"]["reason"].as_str().filter(|reason| !reason.is_empty()) {
            reason = Some(waiting.to_owned());
        } else if state["terminated"].is_object() {
            reason = Some(ended(&state["terminated"]));
        } else if status["ready"] == true && state["running"].is_object() {
            running = true;
        }
    }
    // A pod of which a part has completed and the rest runs is running.
    if running && reason.as_deref() == Some("Completed") { Some("Running".to_owned()) } else { reason }
}

fn ended(terminated: &Value) -> String {
    match terminated["reason"].as_str().filter(|reason| !reason.is_empty()) {
        Some(reason) => reason.to_owned(),
        None if terminated["signal"].as_i64().is_some_and(|signal| signal != 0) => {
            format!("Signal:{}", terminated["signal"])
        }
        None => format!("ExitCode:{}", terminated["exitCode"]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_is_printed_as_upstream_prints_it() {
        let check = |status: Value, expected: [&str; 3]| {
            let pod = json!({"spec": {"containers": [{}, {}], "initContainers": [{}]}, "status": status});
            let object: Object = serde_json::from_value(pod).unwrap();
            assert_eq!(
                ["Ready", "Status", "Restarts"].map(|name| cell(name, &object, 1_767_225_900)),
                expected.map(Value::from)
            );
        };
        check(json!({"phase": "Pending"}), ["0/2", "Pending", "0"]);
        let running = json!({"ready": true, "state": {"running": {}}, "restartCount": 2,
            "lastState": {"terminated": {"finishedAt": "2026-01-01T00:00:00Z"}}});
        check(json!({"phase": "Running", "containerStatuses": [running]}), ["1/2", "Running", "2 (5m ago)"]);
        let crashing = json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}});
        check(
            json!({"phase": "Running", "containerStatuses": [running, crashing]}),
            ["1/2", "CrashLoopBackOff", "2 (5m ago)"],
        );
        check(
            json!({"phase": "Pending", "initContainerStatuses": [{"state": {"running": {}}}]}),
            ["0/2", "Init:0/1", "0"],
        );
    }
}
