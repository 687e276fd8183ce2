//! Who owns which fields, as upstream records it: what a writer sends and its defaults, and neither what the cluster
//! gives besides, nor a status that is not its to set.

use serde_json::{Value, json};

use crate::harness::{PODS, RCS, SERVICES, Server};

const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const APPLY: &str = "fieldManager=a";

/// Of each owner: its name, what it did by which subresource, and its fields.
fn owners(object: &Value) -> Vec<(String, String, Value)> {
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let owner = |entry: &Value| {
        let how = format!("{}/{}", text(entry, "operation"), text(entry, "subresource"));
        (text(entry, "manager"), how, entry["fieldsV1"].clone())
    };
    object["metadata"]["managedFields"].as_array().into_iter().flatten().map(owner).collect()
}

/// Makes `object`, and answers what its maker owns of it.
async fn made(server: &Server, path: &str, object: Value) -> Value {
    let made = server.post(path, object).await.ok();
    let [(_, how, fields)] = owners(&made).try_into().unwrap_or_else(|owners| panic!("{owners:?}"));
    assert_eq!(how, "Update/");
    fields
}

#[tokio::test]
async fn nobody_owns_what_the_cluster_gives() {
    let server = Server::with_tokens().await;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    server.post("/api/v1/namespaces/default/serviceaccounts", account).await.ok();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"run": "web"}},
        "spec": {"containers": [{"name": "web", "image": "nginx", "resources": {}}]}});
    let container = json!({".": {}, "f:image": {}, "f:imagePullPolicy": {}, "f:name": {}, "f:resources": {},
        "f:terminationMessagePath": {}, "f:terminationMessagePolicy": {}});
    let defaults = |containers: Value| {
        json!({"f:containers": containers, "f:dnsPolicy": {}, "f:enableServiceLinks": {}, "f:restartPolicy": {},
            "f:schedulerName": {}, "f:securityContext": {}, "f:terminationGracePeriodSeconds": {}})
    };
    let expected = json!({"f:metadata": {"f:labels": {".": {}, "f:run": {}}},
        "f:spec": defaults(json!({r#"k:{"name":"web"}"#: container}))});
    assert_eq!(made(&server, PODS, pod.clone()).await, expected);
    // What is asked for is owned, also where the cluster would have given it.
    let mut own = pod;
    own["metadata"]["name"] = "own".into();
    own["spec"]["serviceAccountName"] = "default".into();
    own["spec"]["tolerations"] = json!([{"key": "k", "operator": "Exists"}]);
    own["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}]);
    own["spec"]["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
    let fields = made(&server, PODS, own).await["f:spec"].take();
    for field in ["f:serviceAccount", "f:serviceAccountName", "f:tolerations"] {
        assert_eq!(fields[field], json!({}), "{field}");
    }
    assert_eq!(fields["f:volumes"], json!({".": {}, r#"k:{"name":"v"}"#: {".": {}, "f:emptyDir": {}, "f:name": {}}}));
    let mounts = json!({".": {}, r#"k:{"mountPath":"/v"}"#: {".": {}, "f:mountPath": {}, "f:name": {}}});
    assert_eq!(fields["f:containers"][r#"k:{"name":"web"}"#]["f:volumeMounts"], mounts);
    assert!(fields.get("f:priority").is_none(), "{fields}");

    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}});
    let labels = json!({"f:metadata": {"f:labels": {".": {}, "f:kubernetes.io/metadata.name": {}}}});
    assert_eq!(made(&server, "/api/v1/namespaces", namespace).await, labels);

    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"run": "web"}, "ports": [{"port": 80}], "type": "NodePort"}});
    let port = json!({".": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}});
    let expected = json!({"f:spec": {"f:externalTrafficPolicy": {}, "f:internalTrafficPolicy": {},
        "f:ports": {".": {}, r#"k:{"port":80,"protocol":"TCP"}"#: port},
        "f:selector": {}, "f:sessionAffinity": {}, "f:type": {}}});
    assert_eq!(made(&server, SERVICES, service).await, expected);

    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}});
    let job =
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": template}});
    let fields = made(&server, JOBS, job).await["f:spec"].take();
    assert_eq!(fields.get("f:selector"), None);
    assert_eq!(fields["f:template"].get("f:metadata"), None, "{fields}");
    assert_eq!(fields["f:completions"], json!({}));
}

#[tokio::test]
async fn a_part_is_owned_by_way_of_its_subresource() {
    let server = Server::new().await;
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let mut rc = json!({"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "rc"},
        "spec": {"template": template}, "status": {"replicas": 7}});
    let at = format!("{RCS}/rc");
    // Whoever applies the whole has no say in the status.
    let applied = server.patch(&format!("{at}?{APPLY}"), "apply", rc.clone()).await.ok();
    assert!(owners(&applied).iter().all(|(.., fields)| fields.get("f:status").is_none()), "{applied}");
    // Nor whoever applies the status in the rest.
    rc["status"]["replicas"] = json!(3);
    let applied = server.patch(&format!("{at}/status?{APPLY}"), "apply", rc.clone()).await.ok();
    assert_eq!(applied["status"]["replicas"], 3);
    let of_status = ("a".to_owned(), "Apply/status".to_owned(), json!({"f:status": {"f:replicas": {}}}));
    assert!(owners(&applied).contains(&of_status), "{applied}");

    let scale =
        |replicas: Value| json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": replicas}});
    let scaled = server.patch(&format!("{at}/scale?fieldManager=b&force=true"), "apply", scale(json!(5))).await.ok();
    assert_eq!((&scaled["kind"], &scaled["spec"]["replicas"]), (&json!("Scale"), &json!(5)));
    let replicas = json!({"f:spec": {"f:replicas": {}}});
    let by =
        |object: &Value, who: &str| owners(object).into_iter().filter(|(name, ..)| name == who).collect::<Vec<_>>();
    let b = |how: &str| vec![("b".to_owned(), how.to_owned(), replicas.clone())];
    assert_eq!(by(&server.get(&at).await.ok(), "b"), b("Apply/scale"));
    let taken = server.patch(&format!("{at}/scale?fieldManager=c"), "apply", scale(json!(6))).await;
    taken.refused(409, "Conflict", r#"conflict with "b" with subresource "scale": .spec.replicas"#);
    server.patch(&format!("{at}/scale?fieldManager=c"), "apply", scale(Value::Null)).await.refused(
        422,
        "Invalid",
        "spec.replicas",
    );
    // The same of a write that is no apply: the field is the writer's now.
    server.patch(&format!("{at}/scale?fieldManager=d"), "merge", scale(json!(2))).await.ok();
    let whole = server.get(&at).await.ok();
    assert_eq!((by(&whole, "b"), whole["spec"]["replicas"].clone()), (vec![], json!(2)));
    assert_eq!(by(&whole, "d"), vec![("d".to_owned(), "Update/scale".to_owned(), replicas)]);
}
