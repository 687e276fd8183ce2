//! The environment of a container, and what of the pod itself it can ask for.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    ConfigMap, Container, EnvVar, ObjectFieldSelector, Pod, ResourceFieldSelector, Secret, Service,
};
use trimtab_api::quantity::Quantity;

use super::resources::amount;
use super::spec;

/// Whatever a pod's environment and volumes take from elsewhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// By name; absent ones do not exist.
    pub(crate) config_maps: BTreeMap<String, ConfigMap>,
    /// By name; absent ones do not exist.
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// The pod's tokens, by the audience (`""` is the API server) and the seconds that they are asked for.
    pub(crate) tokens: BTreeMap<(String, i64), String>,
    /// The services of the pod's namespace, and `kubernetes` of `default`.
    pub(crate) services: Vec<Arc<Service>>,
    /// The node's address.
    pub(crate) host_ip: Option<IpAddr>,
    /// The node's processors and bytes of memory, which stand in for absent limits.
    pub(crate) capacity: (u32, u64),
}

/// The environment of a container, in upstream's order: service links, `envFrom`, `env`.
///
/// # Errors
/// What is missing, in upstream's words.
pub(crate) fn environment(
    pod: &Pod,
    container: &Container,
    pod_ip: Option<IpAddr>,
    sources: &Sources,
) -> Result<Vec<(String, String)>, String> {
    let mut env = Environment::default();
    for (name, value) in service_links(pod, &sources.services) {
        env.set(name, value);
    }
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.clone().unwrap_or_default();
        if let Some(reference) = &from.config_map_ref {
            let map = sources.config_map(&reference.name, reference.optional)?;
            for (key, value) in map.iter().flat_map(|map| map.data.iter().flatten()) {
                env.set(format!("{prefix}{key}"), value.clone());
            }
        }
        if let Some(reference) = &from.secret_ref {
            let secret = sources.secret(&reference.name, reference.optional)?;
            for (key, value) in secret.iter().flat_map(|secret| secret.data.iter().flatten()) {
                env.set(format!("{prefix}{key}"), String::from_utf8_lossy(&value.0).into_owned());
            }
        }
    }
    for variable in container.env.iter().flatten() {
        if let Some(value) = value(pod, container, variable, pod_ip, sources, &env)? {
            env.set(variable.name.clone(), value);
        }
    }
    Ok(env.0)
}

/// In the order in which they were first set.
#[derive(Default)]
struct Environment(Vec<(String, String)>);

impl Environment {
    fn set(&mut self, name: String, value: String) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => self.0.push((name, value)),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn value(
    pod: &Pod,
    container: &Container,
    variable: &EnvVar,
    pod_ip: Option<IpAddr>,
    sources: &Sources,
    env: &Environment,
) -> Result<Option<String>, String> {
    let Some(from) = &variable.value_from else {
        let text = variable.value.as_deref().unwrap_or_default();
        return Ok(Some(expand(text, |name| env.get(name).map(str::to_owned))));
    };
    if let Some(reference) = &from.field_ref {
        return field(pod, reference, pod_ip, sources.host_ip).map(Some);
    }
    if let Some(reference) = &from.resource_field_ref {
        return resource(pod, container, reference, sources.capacity).map(Some);
    }
    if let Some(reference) = &from.config_map_key_ref {
        let map = sources.config_map(&reference.name, reference.optional)?;
        let found = map.and_then(|map| map.data.as_ref()?.get(&reference.key).cloned());
        return required(found, reference.optional, || {
            format!("couldn't find key {} in ConfigMap {}/{}", reference.key, namespace(pod), reference.name)
        });
    }
    if let Some(reference) = &from.secret_key_ref {
        let secret = sources.secret(&reference.name, reference.optional)?;
        let found = secret.and_then(|secret| secret.data.as_ref()?.get(&reference.key));
        let found = found.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned());
        return required(found, reference.optional, || {
            format!("couldn't find key {} in Secret {}/{}", reference.key, namespace(pod), reference.name)
        });
    }
    Err(format!("env {}: valueFrom names no source that is supported", variable.name))
}

fn required(found: Option<String>, optional: Option<bool>, why: impl Fn() -> String) -> Result<Option<String>, String> {
    if found.is_none() && optional != Some(true) { Err(why()) } else { Ok(found) }
}

fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or_default()
}

impl Sources {
    pub(crate) fn config_map(&self, name: &str, optional: Option<bool>) -> Result<Option<&ConfigMap>, String> {
        let found = self.config_maps.get(name);
        if found.is_none() && optional != Some(true) {
            return Err(format!("configmap \"{name}\" not found"));
        }
        Ok(found)
    }

    pub(crate) fn secret(&self, name: &str, optional: Option<bool>) -> Result<Option<&Secret>, String> {
        let found = self.secrets.get(name);
        if found.is_none() && optional != Some(true) {
            return Err(format!("secret \"{name}\" not found"));
        }
        Ok(found)
    }
}

/// `$(NAME)` becomes the variable's value, `$$` becomes `$`, and an unknown name stays as it is.
pub(crate) fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(tail) = rest.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some((name, tail)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            out.push_str(&lookup(name).unwrap_or_else(|| format!("$({name})")));
            rest = tail;
        } else {
            out.push('$');
        }
    }
    out + rest
}

/// A field of the pod, by the paths of the downward API.
///
/// # Errors
/// If the path is none of them.
pub(crate) fn field(
    pod: &Pod,
    reference: &ObjectFieldSelector,
    pod_ip: Option<IpAddr>,
    host_ip: Option<IpAddr>,
) -> Result<String, String> {
    let meta = &pod.metadata;
    let path = reference.field_path.as_str();
    if let Some((map, key)) = subscript(path) {
        let map = match map {
            "metadata.labels" => meta.labels.as_ref(),
            "metadata.annotations" => meta.annotations.as_ref(),
            _ => return Err(format!("unsupported fieldPath: {path}")),
        };
        return Ok(map.and_then(|map| map.get(key)).cloned().unwrap_or_default());
    }
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let ip = |ip: Option<IpAddr>| ip.map(|ip| ip.to_string()).unwrap_or_default();
    match path {
        "metadata.name" => Ok(text(&meta.name)),
        "metadata.namespace" => Ok(text(&meta.namespace)),
        "metadata.uid" => Ok(text(&meta.uid)),
        "metadata.labels" => Ok(lines(meta.labels.as_ref())),
        "metadata.annotations" => Ok(lines(meta.annotations.as_ref())),
        "spec.nodeName" => Ok(text(&spec(pod).node_name)),
        "spec.serviceAccountName" => Ok(text(&spec(pod).service_account_name)),
        "status.podIP" | "status.podIPs" => Ok(ip(pod_ip)),
        "status.hostIP" | "status.hostIPs" => Ok(ip(host_ip)),
        _ => Err(format!("unsupported fieldPath: {path}")),
    }
}

/// `metadata.labels['app']` as the map and the key.
fn subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['")
}

/// One `key="value"` a line, as downward API files have it.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    map.into_iter().flatten().map(|(key, value)| format!("{key}={value:?}")).collect::<Vec<_>>().join("\n")
}

/// A request or limit of a container of the pod, in units of the divisor, rounded up.
///
/// # Errors
/// If there is no such container or resource.
pub(crate) fn resource(
    pod: &Pod,
    container: &Container,
    reference: &ResourceFieldSelector,
    (cpus, memory): (u32, u64),
) -> Result<String, String> {
    let named = match reference.container_name.as_deref().filter(|name| !name.is_empty()) {
        None => Some(container),
        Some(name) => spec(pod).containers.iter().find(|c| c.name == name),
    };
    let container = named.ok_or_else(|| format!("resourceFieldRef: no container {:?}", reference.container_name))?;
    let unknown = || format!("unsupported container resource: {}", reference.resource);
    let (list, resource) = reference.resource.split_once('.').ok_or_else(unknown)?;
    let limits = list == "limits";
    let found = amount(container, limits, resource);
    let capacity = match resource {
        "cpu" => Quantity::from_units(cpus.into()),
        "memory" | "ephemeral-storage" => Quantity::from_units(i64::try_from(memory).unwrap_or(i64::MAX)),
        _ => return Err(unknown()),
    };
    let amount = found.unwrap_or(if limits { capacity } else { Quantity::default() });
    let divisor = reference.divisor.as_ref().and_then(|text| Quantity::try_from(text).ok());
    let divisor = divisor.filter(|divisor| *divisor > Quantity::default()).unwrap_or(Quantity::from_units(1));
    // Thousandths are exact for processors; bytes are whole units.
    let (amount, divisor) = (i128::from(amount.milli()), i128::from(divisor.milli()));
    Ok(((amount + divisor - 1) / divisor).to_string())
}

/// `NAME_SERVICE_HOST`, `NAME_SERVICE_PORT` and the rest, for each service with an address.
fn service_links(pod: &Pod, services: &[Arc<Service>]) -> Vec<(String, String)> {
    let all = spec(pod).enable_service_links != Some(false);
    let mut env = Vec::new();
    for service in services {
        let name = service.metadata.name.as_deref().unwrap_or_default();
        let master = name == "kubernetes" && service.metadata.namespace.as_deref() == Some("default");
        if master || (all && service.metadata.namespace.as_deref() == Some(namespace(pod))) {
            links_of(service, name, &mut env);
        }
    }
    env
}

fn links_of(service: &Service, name: &str, env: &mut Vec<(String, String)>) {
    let Some(spec) = &service.spec else { return };
    let Some(ip) = spec.cluster_ip.as_deref().filter(|ip| !ip.is_empty() && *ip != "None") else { return };
    let upper = |text: &str| text.to_ascii_uppercase().replace('-', "_");
    let prefix = upper(name);
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    let ports = spec.ports.as_deref().unwrap_or_default();
    let Some(first) = ports.first() else { return };
    env.push((format!("{prefix}_SERVICE_HOST"), ip.to_owned()));
    env.push((format!("{prefix}_SERVICE_PORT"), first.port.to_string()));
    for port in ports {
        if let Some(port_name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            env.push((format!("{prefix}_SERVICE_PORT_{}", upper(port_name)), port.port.to_string()));
        }
    }
    for (index, port) in ports.iter().enumerate() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let url = format!("{}://{host}:{}", protocol.to_ascii_lowercase(), port.port);
        if index == 0 {
            env.push((format!("{prefix}_PORT"), url.clone()));
        }
        let stem = format!("{prefix}_PORT_{}_{protocol}", port.port);
        env.push((stem.clone(), url));
        env.push((format!("{stem}_PROTO"), protocol.to_ascii_lowercase()));
        env.push((format!("{stem}_PORT"), port.port.to_string()));
        env.push((format!("{stem}_ADDR"), ip.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop", "uid": "u", "labels": {"app": "x"}},
            "spec": {"nodeName": "n1", "containers": []},
        }))
        .unwrap()
    }

    fn env_of(container: serde_json::Value, sources: &Sources) -> Result<Vec<(String, String)>, String> {
        let container = serde_json::from_value(container).unwrap();
        environment(&pod(), &container, Some("10.0.0.9".parse().unwrap()), sources)
    }

    #[test]
    fn references_expand_as_upstream_does() {
        let lookup = |name: &str| (name == "A").then(|| "1".to_owned());
        for (text, expected) in
            [("$(A)$(A)", "11"), ("$(B)", "$(B)"), ("$$(A)", "$(A)"), ("a$", "a$"), ("$(A", "$(A"), ("$A", "$A")]
        {
            assert_eq!(expand(text, lookup), expected, "{text}");
        }
    }

    #[test]
    fn later_variables_see_earlier_ones_and_the_pod() {
        let env = env_of(
            json!({"name": "a", "resources": {"limits": {"cpu": "1500m"}}, "env": [
                {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
                {"name": "URL", "value": "http://$(NAME)/$(NONE)"},
            ]}),
            &Sources { capacity: (2, 512 << 20), ..Sources::default() },
        );
        let expected = [
            ("NAME", "web"),
            ("APP", "x"),
            ("IP", "10.0.0.9"),
            ("CPUS", "2"),
            ("MEMORY", "512"),
            ("URL", "http://web/$(NONE)"),
        ];
        assert_eq!(env.unwrap(), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_is_missing_is_named() {
        let reference = |optional: bool| {
            json!({"name": "a", "env": [{"name": "X", "valueFrom": {"configMapKeyRef":
                {"name": "settings", "key": "k", "optional": optional}}}]})
        };
        assert_eq!(env_of(reference(false), &Sources::default()).unwrap_err(), "configmap \"settings\" not found");
        assert_eq!(env_of(reference(true), &Sources::default()).unwrap(), []);
        let sources =
            Sources { config_maps: [("settings".to_owned(), ConfigMap::default())].into(), ..Sources::default() };
        let error = env_of(reference(false), &sources).unwrap_err();
        assert_eq!(error, "couldn't find key k in ConfigMap shop/settings");
    }

    #[test]
    fn services_are_linked() {
        let service = serde_json::from_value(json!({
            "metadata": {"name": "my-db", "namespace": "shop"},
            "spec": {"clusterIP": "10.96.0.7", "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}]},
        }));
        let sources = Sources { services: vec![Arc::new(service.unwrap())], ..Sources::default() };
        let env: BTreeMap<_, _> = env_of(json!({"name": "a"}), &sources).unwrap().into_iter().collect();
        assert_eq!(env["MY_DB_SERVICE_HOST"], "10.96.0.7");
        assert_eq!(env["MY_DB_SERVICE_PORT_SQL"], "5432");
        assert_eq!(env["MY_DB_PORT_5432_TCP_ADDR"], "10.96.0.7");
        assert_eq!(env["MY_DB_PORT"], "tcp://10.96.0.7:5432");
    }
}
