//! The Service by which the API itself is known, where it leads, and what servers beside it trust. The namespaces every cluster
//! has are made by the API server.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{ConfigMap, Endpoints, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde::de::DeserializeOwned;
use serde_json::json;
use trimtab_client::{Api, Client, DeleteParams, Error, Patch};

use crate::identity::FRONT_PROXY_CLIENT;

const NAME: &str = "kubernetes";
const NAMESPACE: &str = "default";
/// The field manager of what is applied here.
const MANAGER: &str = "trimtab";

/// Makes the Service, or tells the one that is there of the API's port.
pub(crate) async fn service(client: &Client, service_ip: &str, port: u16) -> Result<(), Error> {
    let services = Api::<Service>::namespaced(client, NAMESPACE);
    let ports = json!([{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]);
    // Asked first: an address that the Service itself holds already would be refused.
    let Some(there) = services.get_opt(NAME).await? else {
        let service: Service = decode(json!({
            "metadata": {"name": NAME, "labels": {"component": "apiserver", "provider": "kubernetes"}},
            "spec": {"clusterIP": service_ip, "ports": ports},
        }));
        return services.create(&service).await.map(drop);
    };
    let wanted: Vec<_> = decode(ports.clone());
    if there.spec.and_then(|spec| spec.ports) == Some(wanted) {
        return Ok(());
    }
    services.patch(NAME, &Patch::Merge(json!({"spec": {"ports": ports}}))).await.map(drop)
}

/// Tells servers to which the API passes requests on how they know its clients, and it when it speaks for them
/// (<https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/#original-request-username-and-group>).
pub(crate) async fn trust(client: &Client, ca_pem: &str, front_proxy_ca_pem: &str) -> Result<(), Error> {
    const NAME: &str = "extension-apiserver-authentication";
    let maps = Api::<ConfigMap>::namespaced(client, "kube-system");
    // Lists are written as JSON.
    let list = |name: &str| json!([name]).to_string();
    let map: ConfigMap = decode(json!({"metadata": {"name": NAME}, "data": {
        "client-ca-file": ca_pem,
        "requestheader-client-ca-file": front_proxy_ca_pem,
        "requestheader-allowed-names": list(FRONT_PROXY_CLIENT),
        "requestheader-username-headers": list("X-Remote-User"),
        "requestheader-uid-headers": list("X-Remote-Uid"),
        "requestheader-group-headers": list("X-Remote-Group"),
        "requestheader-extra-headers-prefix": list("X-Remote-Extra-"),
    }}));
    match maps.get_opt(NAME).await? {
        None => maps.create(&map).await.map(drop),
        Some(there) if there.data == map.data => Ok(()),
        Some(_) => maps.patch(NAME, &Patch::Merge(json!({"data": map.data}))).await.map(drop),
    }
}

/// Says at which address pods reach the API; `None`: at none.
pub(crate) async fn endpoint(client: &Client, address: Option<IpAddr>, port: u16) -> Result<(), Error> {
    let endpoints = Api::<Endpoints>::namespaced(client, NAMESPACE);
    let slices = Api::<EndpointSlice>::namespaced(client, NAMESPACE);
    let Some(address) = address else {
        gone(endpoints.delete(NAME, &DeleteParams::default()).await)?;
        return gone(slices.delete(NAME, &DeleteParams::default()).await);
    };
    let ports = json!([{"name": "https", "port": port, "protocol": "TCP"}]);
    // The slice is made here, too, so nobody need make one of the Endpoints.
    let unmirrored = json!({"endpointslice.kubernetes.io/skip-mirror": "true"});
    let object: Endpoints = decode(json!({
        "metadata": {"name": NAME, "labels": unmirrored},
        "subsets": [{"addresses": [{"ip": address}], "ports": ports}],
    }));
    endpoints.apply(&object, MANAGER, true).await?;
    let object: EndpointSlice = decode(json!({
        "metadata": {"name": NAME, "labels": {"kubernetes.io/service-name": NAME}},
        "addressType": if address.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
        "ports": ports,
    }));
    slices.apply(&object, MANAGER, true).await.map(drop)
}

fn gone<T>(result: Result<T, Error>) -> Result<(), Error> {
    match result {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

fn decode<T: DeserializeOwned>(value: serde_json::Value) -> T {
    trimtab_api::from_value(&value).expect("these objects are written above")
}
