//! The Service by which the API itself is known. The namespaces every cluster has are made by the
//! API server.

use std::net::SocketAddr;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::json;
use trimtab_client::{Api, Client, Error};

/// Makes it, if it is not there yet, and says where the API listens.
pub(crate) async fn run(client: &Client, service_ip: &str, listen: SocketAddr) -> Result<(), Error> {
    let labels = json!({"component": "apiserver", "provider": "kubernetes"});
    let service: Service = decode(json!({
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "spec": {"clusterIP": service_ip, "ports": [{"name": "https", "port": 443, "targetPort": listen.port()}]},
    }));
    // Asked first: an address that the Service itself holds already would be refused.
    if Api::<Service>::namespaced(client, "default").get_opt("kubernetes").await?.is_none() {
        Api::all(client).create(&service).await?;
    }
    // An API that listens on loopback alone cannot be reached from pods: it has no endpoint.
    if listen.ip().is_loopback() || listen.ip().is_unspecified() {
        return Ok(());
    }
    let slice: EndpointSlice = decode(json!({
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": if listen.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": [{"addresses": [listen.ip()], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": listen.port(), "protocol": "TCP"}],
    }));
    Api::all(client).apply(&slice, "trimtab", true).await.map(drop)
}

fn decode<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).expect("these objects are written above")
}
