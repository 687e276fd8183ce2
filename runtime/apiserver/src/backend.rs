//! Where a Service's pods are, for what the server itself asks of them.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;
use trimtab_api::{ApiError, Object};

use crate::server::ApiServer;
use crate::stored;

/// One of a Service's pods.
pub(crate) struct Backend {
    /// The name that its certificate is for.
    pub host: String,
    pub port: u16,
    /// Where it is; for the name of another cluster's or no cluster's, wherever that resolves to.
    pub at: Option<SocketAddr>,
}

/// A ready pod behind `port` of a Service: a number, a name, or `""` for the first one.
///
/// # Errors
/// When there is no such Service or port, or no pod is ready.
pub(crate) async fn of(server: &ApiServer, namespace: &str, name: &str, port: &str) -> Result<Backend, ApiError> {
    let service = service(server, namespace, name).await?;
    if service.str_at(&["spec", "type"]) == "ExternalName" {
        let port = port.parse().map_err(|_| ApiError::bad_request(format!("{port:?} is no port number")))?;
        return Ok(Backend { host: service.str_at(&["spec", "externalName"]).to_owned(), port, at: None });
    }
    let ports = service.at(&["spec", "ports"]).and_then(Value::as_array);
    let number = port.parse::<u64>().ok();
    let has_number = |known: &Value| number.is_some() && known["port"].as_u64() == number;
    let asked = |known: &&Value| port.is_empty() || known["name"] == port || has_number(known);
    let found = ports.into_iter().flatten().find(asked);
    let found =
        found.ok_or_else(|| ApiError::unavailable(format!("no service port {port:?} found for service {name:?}")))?;
    let port = found["name"].as_str().unwrap_or_default();
    let slices = slices(server, namespace, name).await?;
    let mut ready: Vec<_> = slices.iter().flat_map(|slice| addresses(slice, port)).collect();
    if ready.is_empty() {
        return Err(ApiError::unavailable(format!("no endpoints available for service {name:?}")));
    }
    let drawn = server.inner.env.below(ready.len() as u64);
    let at = ready.swap_remove(usize::try_from(drawn).unwrap_or_default());
    Ok(Backend { host: format!("{name}.{namespace}.svc"), port: at.port(), at: Some(at) })
}

/// A Service.
///
/// # Errors
/// When there is none.
pub(crate) async fn service(server: &ApiServer, namespace: &str, name: &str) -> Result<Object, ApiError> {
    stored::find(server, ("", "v1", "services"), namespace, name).await
}

/// What tells where the pods of a Service are.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn slices(server: &ApiServer, namespace: &str, service: &str) -> Result<Vec<Object>, ApiError> {
    let mut slices = stored::list(server, ("discovery.k8s.io", "v1", "endpointslices"), namespace).await?;
    slices.retain(|slice| slice.labels().any(|label| label == ("kubernetes.io/service-name", service)));
    Ok(slices)
}

/// Where a slice says that pods are ready behind `port`.
pub(crate) fn addresses(slice: &Object, port: &str) -> Vec<SocketAddr> {
    let list = |field: &str| slice.0.get(field).and_then(Value::as_array).into_iter().flatten();
    let found = list("ports").find(|known| known["name"].as_str().unwrap_or_default() == port);
    let Some(port) = found.and_then(|known| u16::try_from(known["port"].as_u64()?).ok()) else { return Vec::new() };
    let ready = list("endpoints").filter(|endpoint| endpoint["conditions"]["ready"] != false);
    let first = ready.filter_map(|endpoint| endpoint["addresses"][0].as_str()?.parse::<IpAddr>().ok());
    first.map(|ip| SocketAddr::new(ip, port)).collect()
}
