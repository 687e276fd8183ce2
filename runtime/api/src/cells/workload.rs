//! What makes pods: Deployments, Jobs and the like.

use jiff::Timestamp;
use serde_json::Value;

use super::{NONE, count, get, labels, list, or_none, text};
use crate::crd;
use crate::object::Object;
use crate::selector::label_selector_text;
use crate::table::{age, human_duration};

/// The names of the containers of the pods to be made, and the like.
fn of_pods(name: &str, pods: &Value) -> Value {
    let joined = |field: &str| {
        let containers = list(&pods["spec"]["containers"]).iter();
        containers.map(|container| text(&container[field])).collect::<Vec<_>>().join(",")
    };
    match name {
        "Containers" => joined("name").into(),
        "Images" => joined("image").into(),
        "Pod Labels" => labels(&pods["metadata"]["labels"]).into(),
        "Node Selector" => labels(&pods["spec"]["nodeSelector"]).into(),
        _ => Value::Null,
    }
}

/// A label selector as `kubectl` prints it.
pub(super) fn selector(selector: &Value) -> String {
    or_none(&label_selector_text(selector)).to_owned()
}

fn of(wanted: i64, total: i64) -> Value {
    format!("{wanted}/{total}").into()
}

/// Deployments, ReplicaSets, StatefulSets and DaemonSets.
pub(crate) fn workload(name: &str, object: &Object, _now: i64) -> Value {
    let is_counted = object.kind() == "DaemonSet";
    match name {
        "Ready" if object.kind() == "ReplicaSet" => count(object, "status.readyReplicas").into(),
        "Ready" => of(count(object, "status.readyReplicas"), count(object, "spec.replicas")),
        "Up-to-date" if is_counted => count(object, "status.updatedNumberScheduled").into(),
        "Up-to-date" => count(object, "status.updatedReplicas").into(),
        "Available" if is_counted => count(object, "status.numberAvailable").into(),
        "Available" => count(object, "status.availableReplicas").into(),
        "Selector" => selector(get(object, "spec.selector")).into(),
        _ => of_pods(name, get(object, "spec.template")),
    }
}

/// PodTemplates.
pub(crate) fn pod_template(name: &str, object: &Object, _now: i64) -> Value {
    of_pods(name, get(object, "template"))
}

/// ControllerRevisions.
pub(crate) fn controller_revision(name: &str, object: &Object, _now: i64) -> Value {
    let owners = list(get(object, "metadata.ownerReferences"));
    match (name, owners.iter().find(|owner| owner["controller"] == true)) {
        ("Controller", Some(owner)) => {
            let (group, kind) = (text(&owner["apiVersion"]).split_once('/'), text(&owner["kind"]).to_lowercase());
            let group = group.map_or_else(String::new, |(group, _)| format!(".{group}"));
            format!("{kind}{group}/{}", text(&owner["name"])).into()
        }
        ("Controller", None) => NONE.into(),
        _ => Value::Null,
    }
}

/// Jobs.
pub(crate) fn job(name: &str, object: &Object, now: i64) -> Value {
    let time = |path: &str| text(get(object, path)).parse::<Timestamp>().ok().map(Timestamp::as_second);
    match name {
        "Status" => job_status(object).into(),
        "Completions" => {
            let done = count(object, "status.succeeded");
            match (get(object, "spec.completions").as_i64(), count(object, "spec.parallelism")) {
                (Some(completions), _) => of(done, completions),
                (None, parallelism @ 2..) => format!("{done}/1 of {parallelism}").into(),
                (None, _) => of(done, 1),
            }
        }
        "Duration" => match (time("status.startTime"), time("status.completionTime")) {
            (None, _) => "".into(),
            (Some(start), end) => human_duration(end.unwrap_or(now) - start).into(),
        },
        "Selector" => selector(get(object, "spec.selector")).into(),
        _ => of_pods(name, get(object, "spec.template")),
    }
}

fn job_status(object: &Object) -> &'static str {
    let known = [
        ("Complete", "Complete"),
        ("Failed", "Failed"),
        ("Suspended", "Suspended"),
        ("FailureTarget", "FailureTarget"),
        ("SuccessCriteriaMet", "SuccessCriteriaMet"),
    ];
    match known.into_iter().find(|(type_, _)| crd::is_true(object, type_)) {
        Some((_, status)) => status,
        None if object.deletion_timestamp().is_some() => "Terminating",
        None => "Running",
    }
}

/// CronJobs.
pub(crate) fn cron_job(name: &str, object: &Object, now: i64) -> Value {
    match name {
        "Timezone" => or_none(text(get(object, "spec.timeZone"))).into(),
        "Active" => list(get(object, "status.active")).len().into(),
        "Last Schedule" => match text(get(object, "status.lastScheduleTime")) {
            "" => NONE.into(),
            time => age(time, now).into(),
        },
        "Selector" => selector(get(object, "spec.jobTemplate.spec.selector")).into(),
        _ => of_pods(name, get(object, "spec.jobTemplate.spec.template")),
    }
}

/// HorizontalPodAutoscalers.
pub(crate) fn autoscaler(name: &str, object: &Object, _now: i64) -> Value {
    match name {
        "Reference" => {
            let target = get(object, "spec.scaleTargetRef");
            format!("{}/{}", text(&target["kind"]), text(&target["name"])).into()
        }
        "Targets" => targets(object).into(),
        "MinPods" => get(object, "spec.minReplicas").as_i64().map_or_else(|| "<unset>".into(), Value::from),
        "Replicas" => count(object, "status.currentReplicas").into(),
        _ => Value::Null,
    }
}

/// What each metric is and what it is to be: `cpu: 12%/80%`.
fn targets(object: &Object) -> String {
    let (specs, statuses) = (list(get(object, "spec.metrics")), list(get(object, "status.currentMetrics")));
    let cells: Vec<_> = specs.iter().enumerate().map(|(index, spec)| target(spec, statuses.get(index))).collect();
    or_none(&super::first_three(&cells)).to_owned()
}

fn target(spec: &Value, status: Option<&Value>) -> String {
    // The type `ContainerResource` has its settings in the field `containerResource`.
    let type_ = text(&spec["type"]);
    let field = type_.chars().take(1).flat_map(char::to_lowercase).chain(type_.chars().skip(1)).collect::<String>();
    let (wanted, current) = (&spec[&field]["target"], status.map(|status| &status[&field]["current"]));
    let shown = |value: Option<&Value>| value.map_or("<unknown>", text).to_owned();
    let percent = |value: &Value| value.as_i64().map(|percent| format!("{percent}%"));
    let name = if type_.ends_with("Resource") { format!("{}: ", text(&spec[&field]["name"])) } else { String::new() };
    if let Some(wanted) = percent(&wanted["averageUtilization"]) {
        let current = current.and_then(|current| percent(&current["averageUtilization"]));
        return format!("{name}{}/{wanted}", current.unwrap_or_else(|| "<unknown>".to_owned()));
    }
    let (key, suffix) = if wanted["averageValue"].is_string() { ("averageValue", " (avg)") } else { ("value", "") };
    let suffix = if type_ == "Pods" || type_.ends_with("Resource") { "" } else { suffix };
    let current = current.map(|current| &current[key]).filter(|value| value.is_string());
    format!("{name}{}/{}{suffix}", shown(current), text(&wanted[key]))
}

/// PodDisruptionBudgets.
pub(crate) fn disruption_budget(name: &str, object: &Object, _now: i64) -> Value {
    let given = |value: &Value| match value {
        Value::Null => "N/A".into(),
        Value::Number(number) => number.to_string().into(),
        other => other.clone(),
    };
    match name {
        "Min Available" => given(get(object, "spec.minAvailable")),
        "Max Unavailable" => given(get(object, "spec.maxUnavailable")),
        "Allowed Disruptions" => count(object, "status.disruptionsAllowed").into(),
        _ => Value::Null,
    }
}

/// ResourceQuotas: `cpu: 1/2, pods: 3/10`.
pub(crate) fn resource_quota(name: &str, object: &Object, _now: i64) -> Value {
    let (used, hard) = (get(object, "status.used"), get(object, "status.hard"));
    let limits = name == "Limit";
    if !limits && name != "Request" {
        return Value::Null;
    }
    let mut names: Vec<&String> = hard.as_object().into_iter().flatten().map(|(name, _)| name).collect();
    names.sort();
    let amounts = names.into_iter().filter(|name| name.starts_with("limits.") == limits);
    let cells = amounts.map(|name| format!("{name}: {}/{}", text(&used[name]), text(&hard[name])));
    cells.collect::<Vec<_>>().join(", ").into()
}
