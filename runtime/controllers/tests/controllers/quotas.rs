//! What is used of quotas, which flow schemas hang in the air, and what budgets in percent are reckoned from.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ResourceQuota};
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};
use trimtab_api::Object;
use trimtab_client::{Api, ApiResource, DeleteParams};

use crate::harness::{ControlPlane, NAMESPACE};

async fn used(plane: &ControlPlane) -> Value {
    let quota = plane.get::<ResourceQuota>("q").await.unwrap();
    serde_json::to_value(quota.status.and_then(|status| status.used)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_comes_and_goes_is_counted() {
    let plane = ControlPlane::new().await;
    let hard = json!({"pods": "5", "requests.cpu": "2", "resourcequotas": "1", "count/widgets.demo.io": "3"});
    plane.create::<ResourceQuota>(json!({"metadata": {"name": "q"}, "spec": {"hard": hard}})).await;
    // A kind that nobody knows yet is told of once it is served.
    let known = json!({"pods": "0", "requests.cpu": "0", "resourcequotas": "1"});
    plane.until("what is known is told", async |plane| used(plane).await == known).await;
    let pod = |name: &str| json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "500m"}}}]}});
    plane.create::<Pod>(pod("a")).await;
    plane.create::<Pod>(pod("b")).await;
    assert_eq!(used(&plane).await["requests.cpu"], "1");
    plane.report::<Pod>("a", json!({"phase": "Succeeded"})).await;
    plane.until("what has ended is given back", async |plane| used(plane).await["requests.cpu"] == "500m").await;
    plane.delete::<Pod>("b", DeleteParams::now()).await;
    plane.until("what is gone is given back", async |plane| used(plane).await["pods"] == "0").await;
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    plane
        .create::<CustomResourceDefinition>(json!({"metadata": {"name": "widgets.demo.io"}, "spec": {
            "group": "demo.io", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]}}))
        .await;
    plane.until("the new kind is counted", async |plane| used(plane).await["count/widgets.demo.io"] == "0").await;
    let widgets = ApiResource {
        group: "demo.io".into(),
        version: "v1".into(),
        kind: "Widget".into(),
        plural: "widgets".into(),
        namespaced: true,
    };
    let path = widgets.path(Some(NAMESPACE), "", "");
    let body = json!({"apiVersion": "demo.io/v1", "kind": "Widget", "metadata": {"name": "w"}}).to_string();
    let post = trimtab_client::request(http::Method::POST, &path, Some(("application/json", body.into()))).unwrap();
    plane.client.bytes(post).await.unwrap();
    assert_eq!(used(&plane).await["count/widgets.demo.io"], "1");
    let api = Api::<Object>::dynamic(&plane.client, &widgets, Some(NAMESPACE));
    api.delete("w", &DeleteParams::default()).await.unwrap();
    plane.until("it is given back", async |plane| used(plane).await["count/widgets.demo.io"] == "0").await;
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn pods_go_before_what_they_live_by() {
    let plane = ControlPlane::new().await;
    plane.create::<k8s_openapi::api::core::v1::Namespace>(json!({"metadata": {"name": "shop"}})).await;
    let pods = Api::<Pod>::namespaced(&plane.client, "shop");
    let maps = Api::<ConfigMap>::namespaced(&plane.client, "shop");
    let held = json!({"metadata": {"name": "held", "finalizers": ["demo.io/hold"]}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    pods.create(&serde_json::from_value(held).unwrap()).await.unwrap();
    maps.create(&serde_json::from_value(json!({"metadata": {"name": "m"}})).unwrap()).await.unwrap();
    plane.delete::<k8s_openapi::api::core::v1::Namespace>("shop", DeleteParams::default()).await;
    plane
        .until("the pod is told to go", async |_| pods.get("held").await.unwrap().metadata.deletion_timestamp.is_some())
        .await;
    plane.env.sleep(std::time::Duration::from_secs(60)).await;
    assert!(maps.get("m").await.unwrap().metadata.deletion_timestamp.is_none());
    let patch = trimtab_client::Patch::Merge(json!({"metadata": {"finalizers": null}}));
    pods.patch("held", &patch).await.unwrap();
    plane.until("the rest goes", async |_| maps.get_opt("m").await.unwrap().is_none()).await;
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_schema_whose_level_is_not_there_dangles() {
    let plane = ControlPlane::new().await;
    let dangles = async |plane: &ControlPlane| {
        let status = plane.get::<FlowSchema>("probe").await.unwrap().status;
        let mut conditions = status.and_then(|status| status.conditions).unwrap_or_default().into_iter();
        conditions.find(|condition| condition.type_.as_deref() == Some("Dangling")).and_then(|found| found.status)
    };
    plane
        .create::<FlowSchema>(json!({"metadata": {"name": "probe"},
            "spec": {"priorityLevelConfiguration": {"name": "mine"}, "matchingPrecedence": 500}}))
        .await;
    plane.until("it hangs in the air", async |plane| dangles(plane).await.as_deref() == Some("True")).await;
    plane
        .create::<PriorityLevelConfiguration>(json!({"metadata": {"name": "mine"}, "spec": {"type": "Limited",
            "limited": {"nominalConcurrencyShares": 1, "limitResponse": {"type": "Reject"}}}}))
        .await;
    plane.until("it has found its level", async |plane| dangles(plane).await.as_deref() == Some("False")).await;
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_budget_in_percent_is_of_what_a_deployment_wants() {
    let plane = ControlPlane::new().await;
    let template =
        json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let spec = json!({"replicas": 4, "selector": {"matchLabels": {"app": "web"}}, "template": template});
    let owner = |api_version: &str, kind: &str, uid: Option<String>| json!([{"apiVersion": api_version, "kind": kind, "name": "web", "uid": uid, "controller": true}]);
    let deployment = plane.create::<Deployment>(json!({"metadata": {"name": "web"}, "spec": spec})).await;
    let owners = owner("apps/v1", "Deployment", deployment.metadata.uid);
    let set =
        plane.create::<ReplicaSet>(json!({"metadata": {"name": "web", "ownerReferences": owners}, "spec": spec})).await;
    let owners = owner("apps/v1", "ReplicaSet", set.metadata.uid);
    for (index, name) in ["a", "b", "c"].into_iter().enumerate() {
        plane.running_pod(name, "n", &format!("10.0.0.{index}")).await;
        plane.merge::<Pod>(name, json!({"metadata": {"ownerReferences": owners}})).await;
    }
    plane
        .create::<PodDisruptionBudget>(json!({"metadata": {"name": "b"},
            "spec": {"minAvailable": "50%", "selector": {"matchLabels": {"app": "web"}}}}))
        .await;
    plane
        .until("half of four stay", async |plane| {
            let status = plane.get::<PodDisruptionBudget>("b").await.unwrap().status.unwrap_or_default();
            (status.expected_pods, status.desired_healthy, status.disruptions_allowed) == (Some(4), Some(2), Some(1))
        })
        .await;
    plane.end().await;
}
