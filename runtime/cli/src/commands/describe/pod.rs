//! A pod, and the containers of a pod template.

use serde_json::Value;
use trimtab_api::Object;

use super::page::{Page, items, or_none, pairs, text};

pub(super) fn describe(page: &mut Page, pod: &Object) {
    let (spec, status) = (part(pod, "spec"), part(pod, "status"));
    page.field(0, "Name", pod.name());
    page.field(0, "Namespace", pod.namespace());
    page.optional(0, "Priority", &text(&spec["priority"]));
    page.optional(0, "Service Account", &text(&spec["serviceAccountName"]));
    let place = [text(&spec["nodeName"]), text(&status["hostIP"])].into_iter().filter(|part| !part.is_empty());
    page.field(0, "Node", or_none(place.collect::<Vec<_>>().join("/")));
    page.optional(0, "Start Time", &text(&status["startTime"]));
    page.labels(pod);
    match pod.deletion_timestamp() {
        Some(since) => {
            page.field(0, "Status", format!("Terminating (since {since})"));
            page.field(0, "Termination Grace Period", format!("{}s", text(&spec["terminationGracePeriodSeconds"])));
        }
        None => page.field(0, "Status", text(&status["phase"])),
    }
    page.optional(0, "Reason", &text(&status["reason"]));
    page.optional(0, "Message", &text(&status["message"]));
    page.field(0, "IP", text(&status["podIP"]));
    for owner in items(&pod.0.get("metadata").map_or(Value::Null, |m| m["ownerReferences"].clone())) {
        if owner["controller"] == true {
            page.field(0, "Controlled By", format!("{}/{}", text(&owner["kind"]), text(&owner["name"])));
        }
    }
    containers(page, 0, "Init Containers", &spec["initContainers"], Some(&status["initContainerStatuses"]));
    containers(page, 0, "Containers", &spec["containers"], Some(&status["containerStatuses"]));
    page.conditions(pod, &[("Type", "type"), ("Status", "status"), ("Reason", "reason"), ("Message", "message")]);
    volumes(page, 0, &spec["volumes"]);
    page.optional(0, "QoS Class", &text(&status["qosClass"]));
    page.field(0, "Node-Selectors", pairs(&spec["nodeSelector"]));
    page.list(0, "Tolerations", items(&spec["tolerations"]).map(toleration));
}

fn part(pod: &Object, name: &str) -> Value {
    pod.0.get(name).cloned().unwrap_or_default()
}

fn toleration(toleration: &Value) -> String {
    let mut line = text(&toleration["key"]);
    match &toleration["value"] {
        Value::String(value) if !value.is_empty() => line += &format!("={value}"),
        _ => {}
    }
    for (prefix, field) in [(":", "effect"), (" op=", "operator"), (" for ", "tolerationSeconds")] {
        let value = text(&toleration[field]);
        if !value.is_empty() {
            line += &format!("{prefix}{value}");
        }
    }
    if toleration["tolerationSeconds"].is_number() { line + "s" } else { line }
}

/// The containers of a pod (with their statuses) or of a template (without).
pub(super) fn containers(page: &mut Page, level: usize, heading: &str, list: &Value, statuses: Option<&Value>) {
    if items(list).next().is_none() {
        return;
    }
    page.heading(level, heading);
    for container in items(list) {
        let name = text(&container["name"]);
        page.heading(level + 1, &name);
        let status = statuses.and_then(|statuses| items(statuses).find(|status| status["name"] == *name));
        if let Some(status) = status {
            page.field(level + 2, "Container ID", text(&status["containerID"]));
        }
        page.field(level + 2, "Image", text(&container["image"]));
        if let Some(status) = status {
            page.field(level + 2, "Image ID", text(&status["imageID"]));
        }
        ports(page, level + 2, &container["ports"]);
        lines(page, level + 2, "Command", &container["command"]);
        lines(page, level + 2, "Args", &container["args"]);
        if let Some(status) = status {
            state(page, level + 2, "State", &status["state"]);
            state(page, level + 2, "Last State", &status["lastState"]);
            page.field(level + 2, "Ready", if status["ready"] == true { "True" } else { "False" });
            page.field(level + 2, "Restart Count", text(&status["restartCount"]));
        }
        resources(page, level + 2, container);
        for (name, field) in
            [("Liveness", "livenessProbe"), ("Readiness", "readinessProbe"), ("Startup", "startupProbe")]
        {
            if container[field].is_object() {
                page.field(level + 2, name, probe(&container[field]));
            }
        }
        environment(page, level + 2, container);
        mounts(page, level + 2, &container["volumeMounts"]);
    }
}

fn ports(page: &mut Page, level: usize, ports: &Value) {
    let each = |field: &str| {
        let port = |port: &Value| {
            let number = port[field].as_i64().unwrap_or(0);
            format!("{number}/{}", port["protocol"].as_str().unwrap_or("TCP"))
        };
        or_none(items(ports).map(port).collect::<Vec<_>>().join(", "))
    };
    page.field(level, "Port", each("containerPort"));
    page.field(level, "Host Port", each("hostPort"));
}

fn lines(page: &mut Page, level: usize, name: &str, list: &Value) {
    if items(list).next().is_some() {
        page.heading(level, name);
        items(list).for_each(|item| page.row(level + 1, [text(item)]));
    }
}

fn state(page: &mut Page, level: usize, name: &str, state: &Value) {
    let Some((which, detail)) = state.as_object().and_then(|state| state.iter().next()) else {
        if name == "State" {
            page.field(level, name, "Waiting");
        }
        return;
    };
    let mut title = which.clone();
    title[..1].make_ascii_uppercase();
    page.field(level, name, title);
    for (name, field) in [
        ("Reason", "reason"),
        ("Message", "message"),
        ("Exit Code", "exitCode"),
        ("Signal", "signal"),
        ("Started", "startedAt"),
        ("Finished", "finishedAt"),
    ] {
        page.optional(level + 1, name, &text(&detail[field]));
    }
}

fn resources(page: &mut Page, level: usize, container: &Value) {
    for (name, field) in [("Limits", "limits"), ("Requests", "requests")] {
        if let Some(amounts) = container["resources"][field].as_object().filter(|amounts| !amounts.is_empty()) {
            page.heading(level, name);
            amounts.iter().for_each(|(resource, amount)| page.field(level + 1, resource, text(amount)));
        }
    }
}

fn probe(probe: &Value) -> String {
    let number = |field: &str, default: i64| probe[field].as_i64().unwrap_or(default);
    let action = if let Some(get) = probe["httpGet"].as_object() {
        let field = |name: &str| get.get(name).map(text).unwrap_or_default();
        let scheme = Some(field("scheme").to_lowercase()).filter(|s| !s.is_empty()).unwrap_or_else(|| "http".into());
        format!("http-get {scheme}://{}:{}{}", field("host"), field("port"), field("path"))
    } else if probe["tcpSocket"].is_object() {
        format!("tcp-socket {}:{}", text(&probe["tcpSocket"]["host"]), text(&probe["tcpSocket"]["port"]))
    } else if probe["grpc"].is_object() {
        format!("grpc <pod>:{} {}", text(&probe["grpc"]["port"]), text(&probe["grpc"]["service"]))
    } else {
        format!("exec [{}]", items(&probe["exec"]["command"]).map(text).collect::<Vec<_>>().join(" "))
    };
    format!(
        "{action} delay={}s timeout={}s period={}s #success={} #failure={}",
        number("initialDelaySeconds", 0),
        number("timeoutSeconds", 1),
        number("periodSeconds", 10),
        number("successThreshold", 1),
        number("failureThreshold", 3)
    )
}

fn environment(page: &mut Page, level: usize, container: &Value) {
    for source in items(&container["envFrom"]) {
        for (field, name) in [("configMapRef", "ConfigMap"), ("secretRef", "Secret")] {
            if source[field].is_object() {
                page.field(level, "Environment Variables from", format!("{} {name}", text(&source[field]["name"])));
            }
        }
    }
    if items(&container["env"]).next().is_none() {
        return page.field(level, "Environment", "<none>");
    }
    page.heading(level, "Environment");
    for variable in items(&container["env"]) {
        page.field(level + 1, &text(&variable["name"]), value(variable));
    }
}

fn value(variable: &Value) -> String {
    let from = &variable["valueFrom"];
    if from["fieldRef"].is_object() {
        let version = Some(text(&from["fieldRef"]["apiVersion"])).filter(|v| !v.is_empty());
        return format!("({}:{})", version.as_deref().unwrap_or("v1"), text(&from["fieldRef"]["fieldPath"]));
    }
    for (field, name) in [("configMapKeyRef", "config map"), ("secretKeyRef", "secret")] {
        if from[field].is_object() {
            return format!(
                "<set to the key '{}' of {name} '{}'>",
                text(&from[field]["key"]),
                text(&from[field]["name"])
            );
        }
    }
    if from["resourceFieldRef"].is_object() {
        return format!("({})", text(&from["resourceFieldRef"]["resource"]));
    }
    text(&variable["value"])
}

fn mounts(page: &mut Page, level: usize, mounts: &Value) {
    if items(mounts).next().is_none() {
        return page.field(level, "Mounts", "<none>");
    }
    page.heading(level, "Mounts");
    for mount in items(mounts) {
        let mode = if mount["readOnly"] == true { "ro" } else { "rw" };
        page.row(level + 1, [format!("{} from {} ({mode})", text(&mount["mountPath"]), text(&mount["name"]))]);
    }
}

/// The volumes of a pod or of a template.
pub(super) fn volumes(page: &mut Page, level: usize, volumes: &Value) {
    if items(volumes).next().is_none() {
        return;
    }
    page.heading(level, "Volumes");
    for volume in items(volumes) {
        page.heading(level + 1, &text(&volume["name"]));
        let source = volume.as_object().into_iter().flatten().find(|(name, _)| *name != "name");
        let Some((kind, detail)) = source else { continue };
        page.field(level + 2, "Type", kind.as_str());
        for (name, value) in detail.as_object().into_iter().flatten() {
            page.field(level + 2, name, if value.is_object() { pairs(value) } else { text(value) });
        }
    }
}
