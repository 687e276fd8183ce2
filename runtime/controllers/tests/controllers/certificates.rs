//! Requests for certificates: approved, signed, and cleaned away.

use std::time::Duration;

use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::json;
use trimtab_client::Api;

use crate::harness::ControlPlane;

const KUBELET: &str = "kubernetes.io/kube-apiserver-client-kubelet";
const CLIENT: &str = "kubernetes.io/kube-apiserver-client";

fn request(name: &str, signer: &str, usages: &[&str]) -> CertificateSigningRequest {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "system:node:a");
    params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
    let pem = params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap();
    let request = k8s_openapi::ByteString(pem.into_bytes());
    let spec = json!({"request": request, "signerName": signer, "usages": usages, "expirationSeconds": 3600});
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
}

async fn get(plane: &ControlPlane, name: &str) -> Option<CertificateSigningRequest> {
    Api::<CertificateSigningRequest>::all(&plane.client).get_opt(name).await.unwrap()
}

async fn reason(plane: &ControlPlane, name: &str, type_: &str) -> Option<String> {
    let conditions = get(plane, name).await?.status?.conditions?;
    conditions.into_iter().find(|condition| condition.type_ == type_)?.reason
}

async fn is_issued(plane: &ControlPlane, name: &str) -> bool {
    let request = get(plane, name).await;
    request.and_then(|request| request.status?.certificate).is_some_and(|pem| pem.0.starts_with(b"signed 55 minutes"))
}

#[tokio::test(start_paused = true)]
async fn an_agents_request_is_approved_signed_and_cleaned_away() {
    let plane = ControlPlane::new().await;
    let api = Api::<CertificateSigningRequest>::all(&plane.client);
    // The tester may do everything, so it may ask for a node's certificate.
    let usages = ["digital signature", "client auth"];
    api.create(&request("node", KUBELET, &usages)).await.unwrap();
    plane.until("it is signed", async |plane| is_issued(plane, "node").await).await;
    assert_eq!(reason(&plane, "node", "Approved").await.as_deref(), Some("AutoApproved"));
    api.create(&request("person", CLIENT, &usages)).await.unwrap();
    api.create(&request("odd", KUBELET, &["server auth"])).await.unwrap();
    plane.settle().await;
    assert!(!is_issued(&plane, "person").await, "somebody has to approve it");

    for name in ["person", "odd"] {
        let mut asked = get(&plane, name).await.unwrap();
        let approved = json!({"conditions": [{"type": "Approved", "status": "True", "reason": "x"}]});
        asked.status = serde_json::from_value(approved).unwrap();
        api.replace_subresource(&asked, "approval").await.unwrap();
    }
    plane.until("what is approved is signed", async |plane| is_issued(plane, "person").await).await;
    let failed = async |plane: &ControlPlane| reason(plane, "odd", "Failed").await.is_some();
    plane.until("what is not right fails", failed).await;
    api.create(&request("forgotten", CLIENT, &usages)).await.unwrap();
    plane.env.sleep(Duration::from_secs(3_700)).await;
    for name in ["node", "person", "odd"] {
        assert!(get(&plane, name).await.is_none(), "{name}");
    }
    assert!(get(&plane, "forgotten").await.is_some());
    plane.env.sleep(Duration::from_secs(24 * 3_600)).await;
    assert!(get(&plane, "forgotten").await.is_none());
    plane.end().await;
}
