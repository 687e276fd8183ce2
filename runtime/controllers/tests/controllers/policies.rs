//! What is told of admission policies.

use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyStatus};
use serde_json::{Value, json};
use trimtab_client::{Api, Patch};

use crate::harness::ControlPlane;

async fn status(plane: &ControlPlane) -> Option<ValidatingAdmissionPolicyStatus> {
    let policies = Api::<ValidatingAdmissionPolicy>::all(&plane.client);
    policies.get("guard").await.unwrap().status
}

async fn is_seen(plane: &ControlPlane, generation: i64) -> bool {
    status(plane).await.is_some_and(|status| status.observed_generation == Some(generation))
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_told_once_for_each_generation() {
    let plane = ControlPlane::new().await;
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}});
    let definition = json!({"metadata": {"name": "sites.demo.io"}, "spec": {
        "group": "demo.io", "scope": "Namespaced", "names": {"plural": "sites", "kind": "Site"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]}});
    plane
        .client
        .send(
            trimtab_client::request(
                http::Method::POST,
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                Some(("application/json", definition.to_string().into())),
            )
            .unwrap(),
        )
        .await
        .unwrap();
    let rule = |group: &str, resource: &str| json!({"apiGroups": [group], "apiVersions": ["v1"], "operations": ["*"], "resources": [resource]});
    let validations =
        |sources: &[&str]| -> Value { sources.iter().map(|source| json!({"expression": source})).collect() };
    let policy = json!({"metadata": {"name": "guard"}, "spec": {
        "matchConstraints": {"resourceRules": [rule("", "pods"), rule("demo.io", "sites")]},
        "validations": validations(&["object.metadata.name != ''", "object.spec.size > 1"])}});
    let policies = Api::<ValidatingAdmissionPolicy>::all(&plane.client);
    policies.create(&serde_json::from_value(policy).unwrap()).await.unwrap();
    plane.until("it is looked at", async |plane| is_seen(plane, 1).await).await;
    let warnings = status(&plane).await.unwrap().type_checking.unwrap().expression_warnings.unwrap();
    let expected =
        "/v1, Kind=Pod: ERROR: <input>:1:12: undefined field 'size'\n | object.spec.size > 1\n | ...........^\n";
    assert_eq!((&*warnings[0].field_ref, &*warnings[0].warning), ("spec.validations[1].expression", expected));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    plane.settle().await;
    let revision = plane.store.revision();
    plane.settle().await;
    assert_eq!(plane.store.revision(), revision, "it comes to rest");
    let fine = json!({"spec": {"validations": validations(&["has(object.spec)"])}});
    policies.patch("guard", &Patch::Merge(fine)).await.unwrap();
    plane.until("it is looked at again", async |plane| is_seen(plane, 2).await).await;
    assert_eq!(status(&plane).await.unwrap().type_checking.unwrap().expression_warnings, None);
    plane.end().await;
}
