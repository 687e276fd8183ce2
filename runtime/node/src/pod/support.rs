//! What this agent does not do is refused by the field's path, never left out in silence.

use k8s_openapi::api::core::v1::{Container, Lifecycle, LifecycleHandler, Pod, Probe, Volume};
use serde_json::Value;

use super::{init_containers, spec};

/// Volume sources that are supported.
const VOLUMES: &[&str] = &["emptyDir", "hostPath", "configMap", "secret", "downwardAPI", "projected"];

/// The path of the first field that asks for what is not supported, and what that is.
pub(crate) fn refusal(pod: &Pod) -> Option<String> {
    let spec = spec(pod);
    let refused = |path: &str| Some(format!("{path} is not supported by this node"));
    if spec.runtime_class_name.is_some() {
        return refused("spec.runtimeClassName");
    }
    if spec.resource_claims.as_ref().is_some_and(|claims| !claims.is_empty()) {
        return refused("spec.resourceClaims");
    }
    if spec.ephemeral_containers.as_ref().is_some_and(|containers| !containers.is_empty()) {
        return refused("spec.ephemeralContainers");
    }
    if spec.host_users == Some(false) {
        return refused("spec.hostUsers: false");
    }
    let volumes = spec.volumes.iter().flatten().enumerate();
    let volume = volumes.filter_map(|(index, volume)| unsupported_source(volume).map(|s| (index, s))).next();
    if let Some((index, source)) = volume {
        return refused(&format!("spec.volumes[{index}].{source}"));
    }
    let named = |list: &'static str, containers: &[Container]| {
        let mut refusals = containers.iter().enumerate().filter_map(|(index, c)| {
            container(c, list == "initContainers").map(|field| format!("spec.{list}[{index}].{field}"))
        });
        refusals.next()
    };
    let path = named("initContainers", init_containers(pod)).or_else(|| named("containers", &spec.containers));
    path.and_then(|path| refused(&path))
}

/// The source of a volume, when it is not one of [`VOLUMES`].
fn unsupported_source(volume: &Volume) -> Option<String> {
    let Ok(Value::Object(fields)) = serde_json::to_value(volume) else { return None };
    fields.into_iter().map(|(key, _)| key).find(|key| key != "name" && !VOLUMES.contains(&key.as_str()))
}

fn container(container: &Container, init: bool) -> Option<String> {
    if init && container.restart_policy.is_some() {
        return Some("restartPolicy".to_owned());
    }
    if container.volume_devices.as_ref().is_some_and(|devices| !devices.is_empty()) {
        return Some("volumeDevices".to_owned());
    }
    let security = container.security_context.as_ref();
    if security.and_then(|s| s.seccomp_profile.as_ref()).is_some_and(|profile| profile.type_ == "Localhost") {
        return Some("securityContext.seccompProfile.localhostProfile".to_owned());
    }
    let mut mounts = container.volume_mounts.iter().flatten();
    if let Some(index) = mounts.position(|mount| mount.sub_path_expr.as_deref().is_some_and(|expr| !expr.is_empty())) {
        return Some(format!("volumeMounts[{index}].subPathExpr"));
    }
    let probes = [
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
        ("startupProbe", &container.startup_probe),
    ];
    let probe =
        probes.into_iter().find_map(|(name, probe)| Some(format!("{name}.{}", unsupported_probe(probe.as_ref()?)?)));
    probe.or_else(|| Some(format!("lifecycle.{}", unsupported_hook(container.lifecycle.as_ref()?)?)))
}

fn unsupported_probe(probe: &Probe) -> Option<&'static str> {
    if probe.http_get.as_ref().is_some_and(|get| get.scheme.as_deref() == Some("HTTPS")) {
        return Some("httpGet.scheme: HTTPS");
    }
    probe.grpc.is_some().then_some("grpc")
}

fn unsupported_hook(lifecycle: &Lifecycle) -> Option<&'static str> {
    let tcp = |hook: &Option<LifecycleHandler>| hook.as_ref().is_some_and(|hook| hook.tcp_socket.is_some());
    if tcp(&lifecycle.post_start) {
        return Some("postStart.tcpSocket");
    }
    if tcp(&lifecycle.pre_stop) {
        return Some("preStop.tcpSocket");
    }
    lifecycle.stop_signal.is_some().then_some("stopSignal")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
        check(sidecar, Some("spec.initContainers[0].restartPolicy"));
    }
}
