//! Subresources of built-in kinds: status, scale, eviction, binding, token, approval and others.

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenReview};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::{Node, Pod, ReplicationController, ServiceAccount};
use kube::ResourceExt;
use kube::api::{Api, EvictParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::json;

use super::{pod, refused, run};
use crate::harness::{Running, object, within};

#[tokio::test(flavor = "multi_thread")]
async fn scale_and_status_are_written_apart() {
    let cluster = Running::start().await;
    let client = cluster.kube().await;
    let controllers: Api<ReplicationController> = Api::default_namespaced(client);
    let rc: ReplicationController = object(json!({
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"app": "web"}, "template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "sim"}]},
        }},
    }));
    let (post, params) = (PostParams::default(), PatchParams::default());
    controllers.create(&post, &rc).await.unwrap();
    let ready = |count: i32| {
        move |rc: Option<&ReplicationController>| {
            rc.and_then(|rc| rc.status.as_ref()?.ready_replicas).unwrap_or_default() == count
        }
    };
    within("two are ready", await_condition(controllers.clone(), "web", ready(2))).await.unwrap();
    let scale = controllers.get_scale("web").await.unwrap();
    assert_eq!(scale.spec.as_ref().unwrap().replicas, Some(2));
    let status = scale.status.clone().unwrap();
    assert_eq!((status.replicas, status.selector.as_deref()), (2, Some("app=web")));
    let mut wanted = scale;
    wanted.spec.as_mut().unwrap().replicas = Some(1);
    // The status was written in the meantime, perhaps: without a version it is not asked after.
    wanted.metadata.resource_version = None;
    controllers.replace_scale("web", &post, &wanted).await.unwrap();
    within("one is ready", await_condition(controllers.clone(), "web", ready(1))).await.unwrap();
    let negative = Patch::Merge(json!({"spec": {"replicas": -1}}));
    let error = refused(controllers.patch_scale("web", &params, &negative).await, 422, "Invalid");
    assert!(error.message.contains("must be greater than or equal to 0"), "{error}");

    let both = Patch::Merge(json!({"spec": {"replicas": 7}, "metadata": {"annotations": {"a": "b"}},
        "status": {"conditions": [{"type": "Odd", "status": "True"}]}}));
    let reported = controllers.patch_status("web", &params, &both).await.unwrap();
    assert_eq!(reported.spec.unwrap().replicas, Some(1), "a status update leaves the spec alone");
    assert_eq!(reported.status.unwrap().conditions.unwrap()[0].type_, "Odd");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_evicted() {
    let cluster = Running::start().await;
    let client = cluster.kube().await;
    let pods = run(&client, &pod("leaves", &[])).await;
    let uid = pods.get("leaves").await.unwrap().uid().unwrap();
    let post_options = PostParams { dry_run: true, ..PostParams::default() };
    let dry = EvictParams { post_options, ..EvictParams::default() };
    assert!(pods.evict("leaves", &dry).await.unwrap().is_success());
    assert!(pods.get("leaves").await.unwrap().metadata.deletion_timestamp.is_none());
    let evicted = pods.evict("leaves", &EvictParams::default()).await.unwrap();
    assert!(evicted.is_success(), "{evicted:?}");
    within("it is gone", await_condition(pods.clone(), "leaves", conditions::is_deleted(&uid))).await.unwrap();
    refused(pods.evict("none", &EvictParams::default()).await, 404, "NotFound");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_bound_once_a_node_takes_it() {
    let cluster = Running::start().await;
    let client = cluster.kube().await;
    let nodes: Api<Node> = Api::all(client.clone());
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    nodes.cordon("sim-0").await.unwrap();
    assert_eq!(nodes.get("sim-0").await.unwrap().spec.unwrap().unschedulable, Some(true));
    pods.create(&PostParams::default(), &pod("waits", &[])).await.unwrap();
    let unschedulable = |pod: Option<&Pod>| {
        let conditions = pod.and_then(|pod| pod.status.as_ref()?.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|one| one.reason.as_deref() == Some("Unschedulable")))
    };
    within("no node takes it", await_condition(pods.clone(), "waits", unschedulable)).await.unwrap();
    nodes.uncordon("sim-0").await.unwrap();
    within("it runs", await_condition(pods.clone(), "waits", conditions::is_pod_running())).await.unwrap();
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "waits"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "sim-0"}});
    let post = PostParams::default();
    let bound = pods.create_subresource::<_, serde_json::Value>("binding", "waits", &post, &binding).await;
    let error = refused(bound, 409, "Conflict");
    assert!(error.message.contains("is already assigned to node \"sim-0\""), "{error}");

    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_and_requests_approved() {
    let cluster = Running::start().await;
    let client = cluster.kube().await;
    let accounts: Api<ServiceAccount> = Api::default_namespaced(client.clone());
    accounts.create(&PostParams::default(), &object(json!({"metadata": {"name": "robot"}}))).await.unwrap();
    let request: TokenRequest = object(json!({"spec": {"audiences": [], "expirationSeconds": 600}}));
    let made = accounts.create_token_request("robot", &PostParams::default(), &request).await.unwrap();
    let token = made.status.unwrap().token;
    let reviews: Api<TokenReview> = Api::all(client.clone());
    let review: TokenReview = object(json!({"metadata": {}, "spec": {"token": token}}));
    let reviewed = reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap();
    assert_eq!(reviewed.authenticated, Some(true));
    assert_eq!(reviewed.user.unwrap().username.as_deref(), Some("system:serviceaccount:default:robot"));

    let requests: Api<CertificateSigningRequest> = Api::all(client);
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "jane");
    let request = params.serialize_request(&key).unwrap().pem().unwrap();
    let csr: CertificateSigningRequest = object(json!({"metadata": {"name": "jane"}, "spec": {
        "request": k8s_openapi::ByteString(request.into_bytes()),
        "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"],
    }}));
    requests.create(&PostParams::default(), &csr).await.unwrap();
    let approved = json!({"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "Test",
        "message": "by a test"}]}});
    requests.patch_approval("jane", &PatchParams::default(), &Patch::Merge(&approved)).await.unwrap();
    let issued = |csr: Option<&CertificateSigningRequest>| {
        csr.is_some_and(|csr| csr.status.as_ref().is_some_and(|status| status.certificate.is_some()))
    };
    let issued = within("it is signed", await_condition(requests, "jane", issued)).await.unwrap().unwrap();
    let certificate = issued.status.unwrap().certificate.unwrap().0;
    assert!(certificate.starts_with(b"-----BEGIN CERTIFICATE-----"));
    cluster.end().await;
}
