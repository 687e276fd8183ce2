//! What nodes' agents may do.

use serde_json::{Value, json};

use crate::harness::{ISSUER, MAPS, PODS, Server, map, pod};

const NODES: &str = "/api/v1/nodes";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

fn secret(name: &str) -> Value {
    json!({"metadata": {"name": name}})
}

/// A pod on node `a` that refers to `used`, and a pod on node `b`.
async fn server() -> (Server, Server) {
    let server = Server::with_tokens().await;
    for name in ["default", "robot"] {
        server.post(ACCOUNTS, json!({"metadata": {"name": name}})).await.ok();
    }
    for name in ["a", "b"] {
        server.post(NODES, json!({"metadata": {"name": name}})).await.ok();
    }
    for name in ["used", "other"] {
        server.post(SECRETS, secret(name)).await.ok();
        server.post(MAPS, map(name, json!({}))).await.ok();
    }
    let mut own = pod("own");
    own["spec"]["nodeName"] = "a".into();
    own["spec"]["serviceAccountName"] = "robot".into();
    own["spec"]["containers"][0]["envFrom"] =
        json!([{"secretRef": {"name": "used"}}, {"configMapRef": {"name": "used"}}]);
    server.post(PODS, own).await.ok();
    let mut others = pod("others");
    others["spec"]["nodeName"] = "b".into();
    server.post(PODS, others).await.ok();
    let agent = server.by("system:node:a", &["system:nodes"]);
    (server, agent)
}

#[tokio::test]
async fn an_agent_reads_what_its_pods_refer_to() {
    let (server, agent) = server().await;
    for (base, resource) in [(SECRETS, "secrets"), (MAPS, "configmaps")] {
        agent.get(&format!("{base}/used")).await.ok();
        agent.get(&format!("{base}?fieldSelector=metadata.name%3Dused")).await.ok();
        let message = format!(
            r#"{resource} "other" is forbidden: User "system:node:a" cannot get resource "{resource}" in API group "" in the namespace "default": no relationship found between node 'a' and this object"#
        );
        let refused = agent.get(&format!("{base}/other")).await;
        assert_eq!((refused.code, refused.body["message"].as_str()), (403, Some(message.as_str())));
        agent.get(base).await.refused(403, "Forbidden", "No Object name found");
        agent.delete(&format!("{base}/used"), json!({})).await.refused(403, "Forbidden", "can only read resources");
        let everywhere = format!("/api/v1/{resource}?fieldSelector=metadata.name%3Dused");
        agent.get(&everywhere).await.refused(403, "Forbidden", "can only read namespaced object of this type");
    }
    server.delete(&format!("{PODS}/own"), json!({"gracePeriodSeconds": 0})).await.ok();
    assert_eq!(agent.get(&format!("{SECRETS}/used")).await.code, 403, "the pod is gone");
}

#[tokio::test]
async fn an_agent_sees_its_own_pods_and_its_own_node() {
    let (_server, agent) = server().await;
    agent.get(&format!("{PODS}/own")).await.ok();
    assert_eq!(agent.get(&format!("{PODS}/others")).await.code, 403);
    agent.get("/api/v1/pods?fieldSelector=spec.nodeName%3Da").await.ok();
    let message = "can only list/watch pods with spec.nodeName field selector";
    agent.get("/api/v1/pods").await.refused(403, "Forbidden", message);
    agent.get("/api/v1/pods?fieldSelector=spec.nodeName%3Db").await.refused(403, "Forbidden", message);
    agent.get(&format!("{NODES}/a")).await.ok();
    agent.get(&format!("{NODES}/b")).await.refused(
        403,
        "Forbidden",
        r#"node "a" cannot read "b", only its own Node object"#,
    );
    agent.get(NODES).await.refused(403, "Forbidden", r#"node "a" cannot read all nodes"#);
    agent.get("/api/v1/services").await.ok();
    assert_eq!(agent.get("/apis/rbac.authorization.k8s.io/v1/clusterroles").await.code, 403);
    let review = json!({"spec": {"resourceAttributes": {"verb": "get", "resource": "secrets", "namespace": "default", "name": "used"}}});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    assert_eq!(agent.post(path, review).await.ok()["status"]["allowed"], true);
}

#[tokio::test]
async fn an_agent_writes_of_its_own_node_and_pods() {
    let (server, agent) = server().await;
    let ready = json!({"status": {"phase": "Running"}});
    agent.patch(&format!("{PODS}/own/status"), "merge", ready.clone()).await.ok();
    let refused = agent.patch(&format!("{PODS}/others/status"), "merge", ready).await;
    refused.refused(
        403,
        "Forbidden",
        r#"node "a" can only update pod status for pods with spec.nodeName set to itself"#,
    );
    let refused = agent.delete(&format!("{PODS}/others"), json!({"gracePeriodSeconds": 0})).await;
    refused.refused(403, "Forbidden", r#"node "a" can only delete pods with spec.nodeName set to itself"#);
    let mut more = pod("more");
    more["spec"]["nodeName"] = "a".into();
    agent.post(PODS, more).await.refused(403, "Forbidden", r#"node "a" can only create mirror pods"#);

    agent
        .patch(&format!("{NODES}/a"), "merge", json!({"metadata": {"labels": {"kubernetes.io/hostname": "a"}}}))
        .await
        .ok();
    let label = json!({"metadata": {"labels": {"node-restriction.kubernetes.io/x": "y"}}});
    let refused = agent.patch(&format!("{NODES}/a"), "merge", label).await;
    refused.refused(403, "Forbidden", "is not allowed to modify labels: node-restriction.kubernetes.io/x");
    let taint = json!({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}});
    let refused = agent.patch(&format!("{NODES}/a"), "merge", taint).await;
    refused.refused(403, "Forbidden", r#"node "a" is not allowed to modify taints"#);
    let refused = agent.patch(&format!("{NODES}/b/status"), "merge", json!({"status": {"phase": "x"}})).await;
    refused.refused(403, "Forbidden", r#"node "a" is not allowed to modify node "b""#);
    assert_eq!(agent.post(NODES, json!({"metadata": {"name": "c"}})).await.code, 403);

    agent.post(LEASES, json!({"metadata": {"name": "a"}})).await.ok();
    agent.post(LEASES, json!({"metadata": {"name": "b"}})).await.refused(
        403,
        "Forbidden",
        "can only access node lease",
    );
    server.post(LEASES, json!({"metadata": {"name": "b"}})).await.ok();
    assert_eq!(agent.patch(&format!("{LEASES}/b"), "merge", json!({"spec": {}})).await.code, 403);
    agent.delete(&format!("{PODS}/own"), json!({"gracePeriodSeconds": 0})).await.ok();
}

#[tokio::test]
async fn an_agent_makes_tokens_for_its_pods_alone() {
    let (server, agent) = server().await;
    let uid = async |name: &str| server.get(&format!("{PODS}/{name}")).await.ok()["metadata"]["uid"].clone();
    let (own, others) = (uid("own").await, uid("others").await);
    let ask = async |account: &str, name: &str, uid: &Value, audiences: Value| {
        let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid});
        let spec = json!({"boundObjectRef": bound, "audiences": audiences});
        agent.post(&format!("{ACCOUNTS}/{account}/token"), json!({"spec": spec})).await
    };
    ask("robot", "own", &own, json!([])).await.ok();
    ask("robot", "own", &own, json!([ISSUER])).await.ok();
    let refused = ask("robot", "own", &own, json!(["vault"])).await;
    refused.refused(403, "Forbidden", r#"audience "vault" not found in pod spec volume"#);
    ask("default", "others", &others, json!([])).await.refused(403, "Forbidden", "no relationship found");
    let refused = ask("robot", "others", &others, json!([])).await;
    refused.refused(403, "Forbidden", "node requested token bound to a pod scheduled on a different node");
    let unbound = agent.post(&format!("{ACCOUNTS}/robot/token"), json!({"spec": {}})).await;
    unbound.refused(403, "Forbidden", "node requested token not bound to a pod");
}

#[tokio::test]
async fn the_agent_of_simulated_nodes_reads_what_their_pods_refer_to() {
    let (server, _) = server().await;
    let sim = server.by("system:trimtab:sim", &["system:authenticated"]);
    let runtime = |version: &str| json!({"status": {"nodeInfo": {"containerRuntimeVersion": version}}});
    for (node, version) in [("sim-0", "sim://1"), ("real", "docker://28")] {
        server.post(NODES, json!({"metadata": {"name": node}})).await.ok();
        server.patch(&format!("{NODES}/{node}/status"), "merge", runtime(version)).await.ok();
        let from =
            json!([{"secretRef": {"name": format!("of-{node}")}}, {"configMapRef": {"name": format!("of-{node}")}}]);
        let spec = json!({"nodeName": node, "containers": [{"name": "c", "image": "i", "envFrom": from}]});
        server.post(PODS, json!({"metadata": {"name": format!("on-{node}")}, "spec": spec})).await.ok();
    }
    for name in ["of-sim-0", "of-real", "nobodys"] {
        let metadata = json!({"metadata": {"name": name}});
        for plural in ["secrets", "configmaps"] {
            let all = format!("/api/v1/namespaces/default/{plural}");
            server.post(&all, metadata.clone()).await.ok();
            let code = sim.get(&format!("{all}/{name}")).await.code;
            assert_eq!(code, if name == "of-sim-0" { 200 } else { 403 }, "{plural} {name}");
            assert_eq!(sim.get(&all).await.code, 403, "{plural}");
        }
    }
}
