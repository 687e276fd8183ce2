//! What a kind fills in, refuses and counts, as its clients see it.

use serde_json::{Value, json};

use crate::definitions::{CRDS, SITES, definition, site};
use crate::harness::{PODS, Server, pod};

const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn template(policy: &str, labels: Value) -> Value {
    json!({"metadata": {"labels": labels}, "spec": {"restartPolicy": policy, "containers": [{"name": "c", "image": "i"}]}})
}

#[tokio::test]
async fn a_job_is_given_its_selector() {
    let server = Server::new().await;
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"},
        "spec": {"template": template("Never", json!({}))}});
    let made = server.post(JOBS, job).await.ok();
    let uid = &made["metadata"]["uid"];
    assert_eq!(made["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"], *uid);
    assert_eq!(made["spec"]["template"]["metadata"]["labels"]["controller-uid"], *uid);
    let path = format!("{JOBS}/j");
    let wider = server.patch(&path, "merge", json!({"spec": {"parallelism": 2}})).await.ok();
    assert_eq!(wider["metadata"]["generation"], 2);
    let moved = server.patch(&path, "merge", json!({"spec": {"completions": 2}})).await;
    moved.refused(422, "Invalid", "spec.completions: Invalid value: 2: field is immutable");
}

#[tokio::test]
async fn each_mistake_is_a_cause() {
    let server = Server::new().await;
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"replicas": -1, "selector": {"matchLabels": {"a": "b"}}, "template": template("Always", json!({"a": "c"}))}});
    let answer = server.post(DEPLOYMENTS, deployment).await;
    assert_eq!(answer.code, 422);
    let causes = json!([
        {"reason": "FieldValueInvalid", "field": "spec.replicas",
            "message": "Invalid value: -1: must be greater than or equal to 0"},
        {"reason": "FieldValueInvalid", "field": "spec.template.metadata.labels",
            "message": "Invalid value: {\"a\":\"c\"}: `selector` does not match template `labels`"},
    ]);
    assert_eq!(answer.body["details"]["causes"], causes);
}

#[tokio::test]
async fn who_writes_what_hides_something_is_warned() {
    let server = Server::new().await;
    let mut hiding = pod("p");
    hiding["spec"]["containers"][0]["env"] = json!([{"name": "A", "value": "a"}, {"name": "A", "value": "b"}]);
    let made = server.post(PODS, hiding).await;
    let text = r#"299 - "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply""#;
    assert_eq!((made.code, made.headers["warning"].to_str().unwrap()), (201, text));
    server.post(CRDS, definition()).await.ok();
    let mut held = site("a", json!({"image": "x"}));
    held["metadata"]["finalizers"] = json!(["cleanup"]);
    let made = server.post(SITES, held).await;
    let text = r#"299 - "metadata.finalizers: \"cleanup\": prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers""#;
    assert_eq!((made.code, made.headers["warning"].to_str().unwrap()), (201, text));
    // What is there already was told then.
    let changed = server.patch(&format!("{SITES}/a"), "merge", json!({"spec": {"replicas": 2}})).await;
    assert_eq!((changed.code, changed.headers.get("warning")), (200, None));
}

#[tokio::test]
async fn generations_are_counted_where_upstream_does() {
    let server = Server::new().await;
    for (path, object, counted) in [
        (
            "/api/v1/namespaces/default/persistentvolumeclaims",
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "x"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
            false,
        ),
        (
            "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "x"},
                "spec": {"podSelector": {}}}),
            true,
        ),
        (
            "/api/v1/namespaces/default/configmaps",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}),
            false,
        ),
    ] {
        let made = server.post(path, object).await.ok();
        assert_eq!(made["metadata"]["generation"].as_i64(), counted.then_some(1), "{path}");
    }
}
