//! What this agent does not do is refused by the field's path, never left out in silence.

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

/// Volume sources that are supported.
const VOLUMES: &[&str] = &["emptyDir", "hostPath", "configMap", "secret", "downwardAPI", "projected"];

/// Fields of a pod's spec that are not supported, or not with that value. `*` is each element of a list.
const REFUSED: &[(&str, Option<&str>)] = &[
    ("hostUsers", Some("false")),
    ("resourceClaims", None),
    ("resources", None),
    ("runtimeClassName", None),
    ("schedulingGroup", None),
    ("securityContext.supplementalGroupsPolicy", Some("Strict")),
    ("securityContext.windowsOptions", None),
    ("initContainers.*.restartPolicy", Some("Always")),
];

/// The same, of a container.
const REFUSED_OF_CONTAINERS: &[(&str, Option<&str>)] = &[
    ("env.*.valueFrom.fileKeyRef", None),
    ("lifecycle.postStart.tcpSocket", None),
    ("lifecycle.preStop.tcpSocket", None),
    ("lifecycle.stopSignal", None),
    ("livenessProbe.grpc", None),
    ("livenessProbe.httpGet.scheme", Some("HTTPS")),
    ("readinessProbe.grpc", None),
    ("readinessProbe.httpGet.scheme", Some("HTTPS")),
    ("resources.claims", None),
    ("restartPolicyRules.*.action", Some("RestartAllContainers")),
    ("securityContext.procMount", Some("Unmasked")),
    ("securityContext.seccompProfile.localhostProfile", None),
    ("securityContext.windowsOptions", None),
    ("startupProbe.grpc", None),
    ("startupProbe.httpGet.scheme", Some("HTTPS")),
    ("volumeDevices", None),
    ("volumeMounts.*.recursiveReadOnly", Some("Enabled")),
    ("volumeMounts.*.subPathExpr", None),
];

/// The path of the first field that asks for what is not supported, and what that is.
pub(crate) fn refusal(pod: &Pod) -> Option<String> {
    let spec = serde_json::to_value(pod.spec.as_ref()?).ok()?;
    let path = first(&spec, REFUSED, "spec").or_else(|| volume(&spec)).or_else(|| {
        let mut lists = ["initContainers", "containers"].into_iter();
        lists.find_map(|list| {
            let mut containers = spec.get(list)?.as_array()?.iter().enumerate();
            containers.find_map(|(index, c)| first(c, REFUSED_OF_CONTAINERS, &format!("spec.{list}[{index}]")))
        })
    });
    path.map(|path| format!("{path} is not supported by this node"))
}

/// As [`refusal`], of an ephemeral container alone: one that comes later and asks too much is no
/// reason to leave the others to themselves.
pub(crate) fn refusal_of_ephemeral(pod: &Pod, name: &str) -> Option<String> {
    let ephemeral = pod.spec.as_ref()?.ephemeral_containers.as_ref()?;
    let index = ephemeral.iter().position(|container| container.name == name)?;
    let container = serde_json::to_value(&ephemeral[index]).ok()?;
    let path = first(&container, REFUSED_OF_CONTAINERS, &format!("spec.ephemeralContainers[{index}]"))?;
    Some(format!("{path} is not supported by this node"))
}

/// The first field of `object`, which is at `at`, that one of `rules` names.
fn first(object: &Value, rules: &[(&str, Option<&str>)], at: &str) -> Option<String> {
    rules.iter().find_map(|(path, value)| find(object, path, *value, at.to_owned()))
}

fn find(object: &Value, path: &str, wanted: Option<&str>, at: String) -> Option<String> {
    let (field, rest) = path.split_once('.').map_or((path, None), |(field, rest)| (field, Some(rest)));
    if field == "*" {
        let mut elements = object.as_array()?.iter().enumerate();
        return elements.find_map(|(index, element)| find(element, rest?, wanted, format!("{at}[{index}]")));
    }
    let (found, at) = (object.get(field)?, format!("{at}.{field}"));
    match (rest, wanted) {
        (Some(rest), _) => find(found, rest, wanted, at),
        (None, None) => is_given(found).then_some(at),
        (None, Some(wanted)) => (text(found) == wanted).then(|| format!("{at}: {wanted}")),
    }
}

/// An empty list or text asks for nothing.
fn is_given(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => true,
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The source of the first volume with another source than [`VOLUMES`].
fn volume(spec: &Value) -> Option<String> {
    let mut volumes = spec.get("volumes")?.as_array()?.iter().enumerate();
    volumes.find_map(|(index, volume)| {
        let mut fields = volume.as_object()?.keys();
        let source = fields.find(|key| *key != "name" && !VOLUMES.contains(&key.as_str()))?;
        Some(format!("spec.volumes[{index}].{source}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(spec: Value, expected: Option<&str>) {
        let pod: Pod = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
        let expected = expected.map(|path| format!("{path} is not supported by this node"));
        assert_eq!(refusal(&pod), expected);
    }

    #[test]
    fn the_field_is_named() {
        check(json!({"containers": [{"name": "a"}], "volumes": [{"name": "v", "emptyDir": {}}]}), None);
        let nfs = json!({"containers": [], "volumes": [{"name": "v", "nfs": {"server": "s", "path": "/"}}]});
        check(nfs, Some("spec.volumes[0].nfs"));
        let grpc = json!({"containers": [{"name": "a"}, {"name": "b", "livenessProbe": {"grpc": {"port": 1}}}]});
        check(grpc, Some("spec.containers[1].livenessProbe.grpc"));
        let sidecar = json!({"containers": [], "initContainers": [{"name": "s", "restartPolicy": "Always"}]});
        check(sidecar, Some("spec.initContainers[0].restartPolicy: Always"));
        check(json!({"containers": [], "hostUsers": true, "runtimeClassName": ""}), None);
        check(json!({"containers": [], "hostUsers": false}), Some("spec.hostUsers: false"));
        let mount = json!({"containers": [{"name": "a", "volumeMounts": [
            {"name": "v", "mountPath": "/a", "recursiveReadOnly": "IfPossible"},
            {"name": "v", "mountPath": "/b", "recursiveReadOnly": "Enabled"}]}]});
        check(mount, Some("spec.containers[0].volumeMounts[1].recursiveReadOnly: Enabled"));
    }
}
