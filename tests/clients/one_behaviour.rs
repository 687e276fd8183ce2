//! One controller written three ways does the same.

#[path = "../three_ways/mod.rs"]
mod three_ways;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::json;
use trimtab::client::{DeleteParams, Kubeconfig, Patch};
use trimtab::{Api, Client};
use trimtab_env::{CancellationToken, Tasks};

use crate::harness::{Running, object, within};
use three_ways::{HEADING, Notice, NoticeSpec, Way};

async fn text(client: &Client, name: &str) -> Option<String> {
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    maps.get_opt(&format!("{name}-notice")).await.unwrap()?.data?.remove("text")
}

async fn becomes(client: &Client, name: &str, expected: Option<&str>) {
    let reached = async {
        while text(client, name).await.as_deref() != expected {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    within(&format!("{name} says {expected:?}"), reached).await;
}

async fn behaves(way: Way) {
    let cluster = Running::start().await;
    let client = Kubeconfig::read(&cluster.kubeconfig()).unwrap().client(None).unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(&client);
    let patch = Patch::Apply { object: Notice::crd(), manager: "test".to_owned(), force: true };
    definitions.patch("notices.three.demo.io", &patch).await.unwrap();
    let (tasks, kubeconfig) = (Tasks::new(), cluster.kubeconfig());
    let token: CancellationToken = tasks.token().clone();
    tasks.spawn("controller", async move { way.run(&kubeconfig, token).await });

    let notices: Api<Notice> = Api::namespaced(&client, "default");
    let maps: Api<ConfigMap> = Api::namespaced(&client, "default");
    for name in ["a", "b"] {
        let mut notice = Notice::new(name, NoticeSpec { text: name.to_owned() });
        notice.metadata.namespace = Some("default".to_owned());
        notices.create(&notice).await.unwrap();
    }
    becomes(&client, "a", Some("no heading: a")).await;
    let heading: ConfigMap = object(json!({"metadata": {"name": HEADING}, "data": {"text": "Today"}}));
    maps.create(&heading).await.unwrap();
    becomes(&client, "a", Some("Today: a")).await;
    becomes(&client, "b", Some("Today: b")).await;
    maps.patch(HEADING, &Patch::Merge(json!({"data": {"text": "Now"}}))).await.unwrap();
    becomes(&client, "b", Some("Now: b")).await;

    maps.patch("a-notice", &Patch::Merge(json!({"data": {"text": "graffiti"}}))).await.unwrap();
    becomes(&client, "a", Some("Now: a")).await;
    maps.delete("a-notice", &DeleteParams::default()).await.unwrap();
    becomes(&client, "a", Some("Now: a")).await;
    notices.patch("a", &Patch::Merge(json!({"spec": {"text": "all"}}))).await.unwrap();
    becomes(&client, "a", Some("Now: all")).await;
    let told = async {
        while notices.get("a").await.unwrap().status.map(|status| status.length) != Some("Now: all".len()) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    within("the status is told", told).await;
    notices.delete("a", &DeleteParams::default()).await.unwrap();
    becomes(&client, "a", None).await;
    assert!(three_ways::looks() > 0);
    tasks.shutdown().await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ours() {
    behaves(Way::Ours).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_pure() {
    behaves(Way::Pure).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kube_rs() {
    behaves(Way::KubeRs).await;
}
