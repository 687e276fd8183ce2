//! What every cluster has besides namespaces and roles: PriorityClasses, the levels and schemas of flow
//! control, and the range of the Services' addresses. What is missing is made at each start; what is there
//! stays as it is.

use std::net::Ipv4Addr;

use futures::future::join_all;
use http::{Method, Request, Uri};
use serde_json::{Value, json};
use trimtab_api::{Object, manifest};

use crate::auth::Identity;
use crate::handler::Origin;
use crate::server::ApiServer;

const FILES: [&str; 2] = [
    include_str!("../../../manifests/defaults/priority-classes.yaml"),
    include_str!("../../../manifests/defaults/flow-control.yaml"),
];
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];
/// The range that Services get their addresses from when nobody says otherwise.
const SERVICE_CIDR: &str = "kubernetes";

/// Makes the namespaces, so that a client finds `default` from the first moment on.
pub(crate) async fn make_namespaces(server: &ApiServer) {
    for name in NAMESPACES {
        send(server, Method::POST, "/api/v1/namespaces", &json!({"metadata": {"name": name}})).await;
    }
}

/// Makes the rest.
pub(crate) async fn make(server: &ApiServer, service_cidr: (Ipv4Addr, u8)) {
    let kinds = server.inner.kinds();
    let read = |text| manifest::read(text).expect("the files are read by a test");
    let objects: Vec<Object> = FILES.into_iter().flat_map(read).collect();
    let writes = objects.into_iter().filter_map(|object| {
        let kind = kinds.by_kind(object.api_version(), object.kind())?;
        let path = format!("/apis/{}/{}/{}", kind.group, kind.version, kind.plural);
        Some(async move { send(server, Method::POST, &path, &Value::Object(object.0)).await })
    });
    // All at once: the store makes one step of them.
    tokio::join!(join_all(writes), make_range(server, service_cidr));
}

async fn make_range(server: &ApiServer, (first, length): (Ipv4Addr, u8)) {
    let path = "/apis/networking.k8s.io/v1/servicecidrs";
    let range = json!({"metadata": {"name": SERVICE_CIDR}, "spec": {"cidrs": [format!("{first}/{length}")]}});
    if send(server, Method::POST, path, &range).await == 201 {
        let ready = json!({"type": "Ready", "status": "True", "reason": "", "lastTransitionTime": server.inner.timestamp(),
            "message": "Kubernetes default Service CIDR is ready"});
        let status = json!({"status": {"conditions": [ready]}});
        send(server, Method::PATCH, &format!("{path}/{SERVICE_CIDR}/status"), &status).await;
    }
}

async fn send(server: &ApiServer, method: Method, path: &str, body: &Value) -> u16 {
    let identity = Identity::new("system:apiserver", &["system:masters"]);
    let mut request = Request::new(Ok(body.to_string().into()));
    if method == Method::PATCH {
        let merge = http::HeaderValue::from_static("application/merge-patch+json");
        request.headers_mut().insert(http::header::CONTENT_TYPE, merge);
    }
    *request.method_mut() = method;
    *request.uri_mut() = path.parse::<Uri>().expect("a path of a kind");
    let code =
        server.handle(request, Origin { identity: Some(&identity), address: None }, None).await.status().as_u16();
    // A registry without the kind needs none of it.
    if !matches!(code, 200 | 201 | 404 | 409) {
        tracing::warn!(path, code, "a default could not be written");
    }
    code
}

#[cfg(test)]
mod tests {
    use trimtab_api::Operation;

    use super::*;

    #[test]
    fn every_default_fits_its_kind() {
        let kinds = trimtab_api::builtin();
        let objects: Vec<Object> = FILES.into_iter().flat_map(|text| manifest::read(text).unwrap()).collect();
        assert_eq!(objects.len(), 23);
        for mut object in objects {
            let kind = kinds.by_kind(object.api_version(), object.kind()).unwrap();
            let unknown = kind.schema.get().check(&mut object.0).unwrap().unknown;
            assert!(unknown.is_empty(), "{}: {unknown:?}", object.name());
            let errors = kind.strategy.admit(Operation::Create, &mut object).errors;
            assert!(errors.is_empty(), "{}: {errors:?}", object.name());
        }
    }
}
