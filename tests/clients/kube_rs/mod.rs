//! The crate `kube`: what its documentation promises its users of a cluster.

mod controller;
mod custom;
mod discovery;
mod inside;
mod objects;
mod patches;
mod streams;
mod subresources;
mod watching;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::Api;
use kube::core::Status;
use kube::runtime::wait::{Condition, await_condition, conditions};
use kube::{Client, Error};
use serde_json::{Value, json};

use crate::harness::{object, within};

/// The server's complaint.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, code: u16, reason: &str) -> Status {
    match result {
        Err(Error::Api(status)) => {
            assert_eq!((status.code, status.reason.as_str()), (code, reason), "{}", status.message);
            *status
        }
        other => panic!("not {reason}: {other:?}"),
    }
}

fn map(name: &str, labels: &Value) -> ConfigMap {
    object(json!({"metadata": {"name": name, "labels": labels}, "data": {"k": "v"}}))
}

/// A pod whose one container, `c`, behaves as `env` says.
fn pod(name: &str, env: &[(&str, &str)]) -> Pod {
    let env: Vec<_> = env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    object(json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "sim", "env": env}]},
    }))
}

/// Creates a pod and waits until it is ready to be used.
async fn run(client: &Client, pod: &Pod) -> Api<Pod> {
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let name = pod.metadata.name.as_deref().unwrap();
    pods.create(&kube::api::PostParams::default(), pod).await.unwrap();
    let ready = conditions::is_pod_running().and(|pod: Option<&Pod>| {
        let conditions = pod.and_then(|pod| pod.status.as_ref()?.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
    });
    within("the pod is ready", await_condition(pods.clone(), name, ready)).await.unwrap();
    pods
}
