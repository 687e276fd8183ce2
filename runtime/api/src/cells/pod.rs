//! Pods: readiness, the status in one word, restarts (upstream's `printPod`).

use serde_json::Value;

use super::{list, or_none, text};
use crate::object::Object;
use crate::table::age;

/// The cell of the column `name`.
pub(crate) fn pod(name: &str, object: &Object, now: i64) -> Value {
    let null = Value::Null;
    let (spec, status) = (object.0.get("spec").unwrap_or(&null), object.0.get("status").unwrap_or(&null));
    match name {
        "Ready" => {
            let summary = Summary::of(object, spec, status);
            format!("{}/{}", summary.ready, summary.total).into()
        }
        "Status" => Summary::of(object, spec, status).reason.into(),
        "Restarts" => Summary::of(object, spec, status).restarts.printed(now).into(),
        "IP" => or_none(pod_ip(status)).into(),
        "Node" => or_none(text(&spec["nodeName"])).into(),
        "Nominated Node" => or_none(text(&status["nominatedNodeName"])).into(),
        "Readiness Gates" => readiness_gates(spec, status).into(),
        _ => Value::Null,
    }
}

fn pod_ip(status: &Value) -> &str {
    let first = text(&status["podIPs"][0]["ip"]);
    if first.is_empty() { text(&status["podIP"]) } else { first }
}

fn readiness_gates(spec: &Value, status: &Value) -> String {
    let gates = list(&spec["readinessGates"]);
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let met = gates.iter().filter(|gate| condition(status, text(&gate["conditionType"]))["status"] == "True").count();
    format!("{met}/{}", gates.len())
}

fn condition<'a>(status: &'a Value, type_: &str) -> &'a Value {
    list(&status["conditions"]).iter().find(|condition| condition["type"] == type_).unwrap_or(&Value::Null)
}

#[derive(Default)]
struct Restarts {
    count: i64,
    last: String,
}

impl Restarts {
    fn add(&mut self, container: &Value) {
        self.count += container["restartCount"].as_i64().unwrap_or(0);
        // Timestamps of one format order as their text does.
        let finished = text(&container["lastState"]["terminated"]["finishedAt"]);
        if finished > self.last.as_str() {
            finished.clone_into(&mut self.last);
        }
    }

    fn printed(&self, now: i64) -> String {
        if self.count == 0 || self.last.is_empty() {
            return self.count.to_string();
        }
        format!("{} ({} ago)", self.count, age(&self.last, now))
    }
}

struct Summary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: Restarts,
}

impl Summary {
    fn of(object: &Object, spec: &Value, status: &Value) -> Self {
        let sidecars = list(&spec["initContainers"]).iter().filter(|c| is_sidecar(c)).count();
        let mut summary = Self {
            ready: 0,
            total: list(&spec["containers"]).len() + sidecars,
            reason: base_reason(status),
            restarts: Restarts::default(),
        };
        let (initializing, of_sidecars) = summary.init_containers(spec, status);
        if !initializing || condition(status, "Initialized")["status"] == "True" {
            summary.restarts = of_sidecars;
            summary.containers(status);
        }
        if object.deletion_timestamp().is_some() {
            summary.deleted(status);
        }
        summary
    }

    // Whether a container of these still keeps the pod from starting, and the sidecars' restarts.
    fn init_containers(&mut self, spec: &Value, status: &Value) -> (bool, Restarts) {
        let declared = list(&spec["initContainers"]);
        let mut of_sidecars = Restarts::default();
        for (index, container) in list(&status["initContainerStatuses"]).iter().enumerate() {
            let sidecar = declared.iter().any(|c| c["name"] == container["name"] && is_sidecar(c));
            self.restarts.add(container);
            if sidecar {
                of_sidecars.add(container);
            }
            let (terminated, waiting) =
                (&container["state"]["terminated"], text(&container["state"]["waiting"]["reason"]));
            if terminated.is_object() && terminated["exitCode"] == 0 {
                continue;
            }
            if sidecar && container["started"] == true {
                self.ready += usize::from(container["ready"] == true);
                continue;
            }
            self.reason = if terminated.is_object() {
                format!("Init:{}", end_of(terminated))
            } else if !waiting.is_empty() && waiting != "PodInitializing" {
                format!("Init:{waiting}")
            } else {
                format!("Init:{index}/{}", declared.len())
            };
            return (true, of_sidecars);
        }
        (false, of_sidecars)
    }

    fn containers(&mut self, status: &Value) {
        let mut running = false;
        // The first container has the last word.
        for container in list(&status["containerStatuses"]).iter().rev() {
            self.restarts.add(container);
            let state = &container["state"];
            let waiting = text(&state["waiting"]["reason"]);
            if !waiting.is_empty() {
                waiting.clone_into(&mut self.reason);
            } else if state["terminated"].is_object() {
                self.reason = end_of(&state["terminated"]);
            } else if container["ready"] == true && state["running"].is_object() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            let ready = condition(status, "Ready")["status"] == "True";
            self.reason = if ready { "Running" } else { "NotReady" }.to_owned();
        }
    }

    fn deleted(&mut self, status: &Value) {
        if status["reason"] == "NodeLost" {
            self.reason = "Unknown".to_owned();
        } else if !matches!(text(&status["phase"]), "Succeeded" | "Failed") {
            self.reason = "Terminating".to_owned();
        }
    }
}

fn base_reason(status: &Value) -> String {
    if condition(status, "PodScheduled")["reason"] == "SchedulingGated" {
        return "SchedulingGated".to_owned();
    }
    let reason = text(&status["reason"]);
    if reason.is_empty() { text(&status["phase"]) } else { reason }.to_owned()
}

fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

fn end_of(terminated: &Value) -> String {
    let number = |name: &str| terminated[name].as_i64().unwrap_or(0);
    match (text(&terminated["reason"]), number("signal")) {
        ("", 0) => format!("ExitCode:{}", number("exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(object: Value, expected: [&str; 3]) {
        let Value::Object(map) = object else { panic!("a pod is a map") };
        let object = Object(map);
        let now = 1_767_225_600; // 2026-01-01T00:00:00Z
        let cells = ["Ready", "Status", "Restarts"].map(|name| text(&pod(name, &object, now)).to_owned());
        assert_eq!(cells, expected, "{object:?}");
    }

    fn running() -> Value {
        json!({"name": "a", "ready": true, "restartCount": 0, "state": {"running": {}}})
    }

    #[test]
    fn a_pod_s_status_is_one_word() {
        let spec = json!({"containers": [{"name": "a"}, {"name": "b"}]});
        let of = |status: Value| json!({"spec": spec, "status": status});
        check(of(json!({"phase": "Pending"})), ["0/2", "Pending", "0"]);
        check(of(json!({"phase": "Failed", "reason": "Evicted"})), ["0/2", "Evicted", "0"]);
        check(of(json!({"phase": "Running", "containerStatuses": [running(), running()]})), ["2/2", "Running", "0"]);
        let crashing = json!({"name": "b", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2025-12-31T23:55:00Z"}}});
        check(
            of(json!({"phase": "Running", "containerStatuses": [running(), crashing]})),
            ["1/2", "CrashLoopBackOff", "3 (5m ago)"],
        );
        let done = json!({"name": "b", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
        check(of(json!({"phase": "Succeeded", "containerStatuses": [done, done]})), ["0/2", "Completed", "0"]);
        check(of(json!({"phase": "Running", "containerStatuses": [done, running()]})), ["1/2", "NotReady", "0"]);
        let killed = json!({"name": "b", "state": {"terminated": {"exitCode": 137, "signal": 9}}});
        check(of(json!({"phase": "Failed", "containerStatuses": [killed]})), ["0/2", "Signal:9", "0"]);
        let gated = json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]);
        check(of(json!({"phase": "Pending", "conditions": gated})), ["0/2", "SchedulingGated", "0"]);
    }

    #[test]
    fn init_containers_count_until_they_are_done() {
        let spec = json!({"containers": [{"name": "a"}], "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}]});
        let of = |inits: Value| json!({"spec": spec, "status": {"phase": "Pending", "initContainerStatuses": inits}});
        let done = json!({"name": "i", "state": {"terminated": {"exitCode": 0}}});
        check(of(json!([{"name": "i", "state": {"running": {}}}])), ["0/2", "Init:0/2", "0"]);
        check(
            of(json!([done, {"name": "s", "state": {"waiting": {"reason": "PodInitializing"}}}])),
            ["0/2", "Init:1/2", "0"],
        );
        check(
            of(json!([{"name": "i", "restartCount": 2, "state": {"terminated": {"exitCode": 2, "reason": "Error"}}}])),
            ["0/2", "Init:Error", "2"],
        );
        check(
            of(json!([{"name": "i", "state": {"waiting": {"reason": "ImagePullBackOff"}}}])),
            ["0/2", "Init:ImagePullBackOff", "0"],
        );
        check(
            of(json!([done, {"name": "s", "started": true, "ready": true, "state": {"running": {}}}])),
            ["1/2", "Pending", "0"],
        );
    }

    #[test]
    fn a_deleted_pod_terminates_unless_it_has_ended() {
        let of = |status: Value| json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"containers": [{}]}, "status": status});
        check(of(json!({"phase": "Running", "containerStatuses": [running()]})), ["1/1", "Terminating", "0"]);
        check(of(json!({"phase": "Succeeded"})), ["0/1", "Succeeded", "0"]);
        check(of(json!({"phase": "Running", "reason": "NodeLost"})), ["0/1", "Unknown", "0"]);
    }

    #[test]
    fn wide_cells_say_none_for_what_is_not_there() {
        let object = Object::default();
        for name in ["IP", "Node", "Nominated Node", "Readiness Gates"] {
            assert_eq!(pod(name, &object, 0), "<none>", "{name}");
        }
    }
}
