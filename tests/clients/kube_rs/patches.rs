//! `Api::patch`, of each of the four types.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams, PostParams, ValidationDirective};
use serde_json::{Value, json};

use super::{map, refused};
use crate::harness::{Running, object};

fn deployment() -> Deployment {
    object(json!({
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]},
            },
        },
    }))
}

fn images(deployment: &Deployment) -> Vec<&str> {
    let spec = deployment.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    spec.containers.iter().filter_map(|container| container.image.as_deref()).collect()
}

fn containers(containers: Value) -> Value {
    json!({"spec": {"template": {"spec": {"containers": containers}}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_is_merged_as_its_type_says() {
    let cluster = Running::start().await;
    let deployments: Api<Deployment> = Api::default_namespaced(cluster.kube().await);
    deployments.create(&PostParams::default(), &deployment()).await.unwrap();
    let params = PatchParams::default();

    let strategic = Patch::Strategic(containers(json!([{"name": "b", "image": "b:2"}])));
    let patched = deployments.patch("web", &params, &strategic).await.unwrap();
    assert_eq!(images(&patched), ["a:1", "b:2"], "a list of containers is merged by name");
    let removed = Patch::Strategic(containers(json!([{"name": "a", "$patch": "delete"}])));
    assert_eq!(images(&deployments.patch("web", &params, &removed).await.unwrap()), ["b:2"]);

    let merge = Patch::Merge(containers(json!([{"name": "c", "image": "c:3"}])));
    assert_eq!(images(&deployments.patch("web", &params, &merge).await.unwrap()), ["c:3"], "a list is replaced");

    let json_patch = |operations: Value| Patch::Json::<()>(object(operations));
    let path = "/spec/template/spec/containers/0/image";
    let tested = json_patch(json!([
        {"op": "test", "path": path, "value": "c:3"},
        {"op": "replace", "path": path, "value": "c:4"},
    ]));
    assert_eq!(images(&deployments.patch("web", &params, &tested).await.unwrap()), ["c:4"]);
    refused(deployments.patch("web", &params, &tested).await, 422, "Invalid");
    assert_eq!(images(&deployments.get("web").await.unwrap()), ["c:4"], "a failed test changes nothing");

    let dry = deployments.patch("web", &PatchParams { dry_run: true, ..params.clone() }, &merge).await.unwrap();
    assert_eq!(images(&dry), ["c:3"]);
    assert_eq!(images(&deployments.get("web").await.unwrap()), ["c:4"]);

    let label = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    assert_eq!(deployments.patch_metadata("web", &params, &label).await.unwrap().labels()["a"], "b");
    refused(deployments.patch("none", &params, &merge).await, 404, "NotFound");

    let strict = PatchParams { field_validation: Some(ValidationDirective::Strict), ..PatchParams::default() };
    let misspelt = Patch::Merge(json!({"spec": {"replica": 3}}));
    let error = refused(deployments.patch("web", &strict, &misspelt).await, 422, "Invalid");
    assert!(error.message.contains("unknown field \"spec.replica\""), "{error}");

    deployments.restart("web").await.unwrap();
    let restarted = deployments.get("web").await.unwrap();
    let annotations = restarted.spec.unwrap().template.metadata.unwrap().annotations.unwrap();
    assert!(annotations.contains_key("kube.kubernetes.io/restartedAt"), "{annotations:?}");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_side_apply_tracks_who_owns_what() {
    let cluster = Running::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.kube().await);
    let data = |data: Value| {
        Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": data}))
    };
    let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two"));
    let made = maps.patch("one", &one, &data(json!({"a": "1", "b": "1"}))).await.unwrap();
    assert!(made.creation_timestamp().is_some(), "apply creates");
    let again = maps.patch("one", &one, &data(json!({"a": "1", "b": "1"}))).await.unwrap();
    assert_eq!(made.resource_version(), again.resource_version(), "nothing has changed");

    let error = refused(maps.patch("one", &two, &data(json!({"b": "2"}))).await, 409, "Conflict");
    assert_eq!(error.message, "Apply failed with 1 conflict: conflict with \"one\": .data.b");
    let cause = &error.details.unwrap().causes[0];
    assert_eq!((cause.reason.as_str(), cause.field.as_str()), ("FieldManagerConflict", ".data.b"));
    let forced = maps.patch("one", &two.clone().force(), &data(json!({"b": "2", "c": "2"}))).await.unwrap();
    assert_eq!(forced.data.unwrap().into_values().collect::<Vec<_>>(), ["1", "2", "2"]);

    // What a manager no longer applies goes, unless it is somebody else's by now.
    let fewer = maps.patch("one", &one, &data(json!({"a": "1"}))).await.unwrap();
    assert_eq!(fewer.data.unwrap().into_keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    let fewer = maps.patch("one", &two, &data(json!({}))).await.unwrap();
    assert_eq!(fewer.data.unwrap().into_keys().collect::<Vec<_>>(), ["a"]);

    let nobody = refused(maps.patch("one", &PatchParams::default(), &data(json!({}))).await, 422, "Invalid");
    assert!(nobody.message.contains("fieldManager: Required value: is required for apply patch"), "{nobody}");
    let typed = Patch::Apply(map("typed", &json!({})));
    assert_eq!(maps.patch("typed", &one, &typed).await.unwrap().data.unwrap()["k"], "v");
    cluster.end().await;
}
