//! Pretended nodes.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};
use serde_json::json;
use trimtab_client::{Api, DeleteParams};
use trimtab_node::Runtime;
use trimtab_node::sim::{Behaviour, Sim};

use crate::world::{World, eventually, first, is_ready};

fn node_is(node: &Node, status: &str) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == status)
}

#[tokio::test]
async fn pods_run_end_and_restart_on_their_nodes() {
    let mut world = World::new().await;
    let sims: Vec<_> = (0..3).map(|index| Sim::scripted(world.env.clone(), index, Behaviour::of)).collect();
    let named =
        sims.iter().enumerate().map(|(index, sim)| (format!("sim-{index}"), Arc::new(sim.clone()) as Arc<dyn Runtime>));
    world.start(named.collect()).await;
    let image = json!({"containers": [{"name": "a", "image": "i:1"}]});
    world.create("plain", "sim-1", image.clone()).await;
    let plain = world.until("plain", "ready", is_ready).await;
    assert_eq!(plain.status.as_ref().unwrap().pod_ip.as_deref(), Some("10.128.1.1"));

    let crash = json!({"containers": [{"name": "a", "image": "i:1", "env": [
        {"name": "SIM_EXIT_AFTER_MS", "value": "1"}, {"name": "SIM_EXIT_CODE", "value": "3"}]}]});
    world.create("crash", "sim-2", crash).await;
    let waiting = |pod: &k8s_openapi::api::core::v1::Pod| {
        let text = serde_json::to_string(&pod.status).unwrap();
        text.contains("CrashLoopBackOff") && text.contains("\"exitCode\":3")
    };
    world.until("crash", "waiting in CrashLoopBackOff", waiting).await;

    let missing = json!({"containers": [{"name": "a", "image": "missing.example/x:1"}]});
    world.create("missing", "sim-0", missing).await;
    world
        .until("missing", "without image", |pod| serde_json::to_string(&pod.status).unwrap().contains("ErrImagePull"))
        .await;

    let never = json!({"containers": [{"name": "a", "image": "i:1", "env": [{"name": "SIM_READY", "value": "false"}],
        "readinessProbe": {"exec": {"command": ["x"]}, "periodSeconds": 1}}]});
    world.create("never", "sim-0", never).await;
    let running =
        |pod: &k8s_openapi::api::core::v1::Pod| pod.status.as_ref().unwrap().phase.as_deref() == Some("Running");
    assert!(!is_ready(&world.until("never", "running", running).await));

    world.pods().delete("plain", &DeleteParams::default()).await.unwrap();
    world.until_gone("plain").await;
    assert_eq!(sims[1].observe(None).await.unwrap(), trimtab_node::runtime::Observed::default());
    world.end().await;
}

#[tokio::test]
async fn a_pod_waits_for_what_its_environment_refers_to() {
    let mut world = World::new().await;
    world.start(vec![("n".to_owned(), Arc::new(Sim::scripted(world.env.clone(), 0, Behaviour::of)))]).await;
    let from = |kind: &str| json!({kind: {"name": "settings", "key": "log"}});
    world
        .create(
            "waits",
            "n",
            json!({"containers": [{"name": "a", "image": "i:1", "env": [
                {"name": "SIM_LOG", "valueFrom": from("configMapKeyRef")}, {"name": "B", "valueFrom": from("secretKeyRef")}]}]}),
        )
        .await;
    let says = |text: &'static str| move |pod: &Pod| serde_json::to_string(&pod.status).unwrap().contains(text);
    world.until("waits", "without its ConfigMap", says("configmap \\\"settings\\\" not found")).await;
    let map: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "settings"}, "data": {"log": "x"}})).unwrap();
    Api::<ConfigMap>::namespaced(&world.client, "default").create(&map).await.unwrap();
    world.until("waits", "without its Secret", says("secret \\\"settings\\\" not found")).await;
    let secret: Secret =
        serde_json::from_value(json!({"metadata": {"name": "settings"}, "stringData": {"log": "x"}})).unwrap();
    Api::<Secret>::namespaced(&world.client, "default").create(&secret).await.unwrap();
    world.until("waits", "ready", is_ready).await;
    world.end().await;
}

#[tokio::test]
async fn a_dead_runtime_makes_the_node_unready_and_its_return_ready() {
    let mut world = World::new().await;
    let sim = Sim::new(world.env.clone(), 0);
    world.start(vec![("n".to_owned(), Arc::new(sim.clone()))]).await;
    let nodes = Api::<Node>::all(&world.client);
    let is = |status: &'static str| {
        let nodes = nodes.clone();
        async move { eventually(|| async { nodes.get("n").await.ok().filter(|node| node_is(node, status)) }).await }
    };
    assert!(is("True").await.is_some());
    world.create("a", "n", json!({"containers": [{"name": "a", "image": "i:1"}]})).await;
    let before = world.until("a", "ready", is_ready).await;
    sim.set_down(true);
    let node = is("False").await.expect("the node is not ready");
    assert!(serde_json::to_string(&node.status).unwrap().contains("the simulated runtime is down"));
    sim.set_down(false);
    assert!(is("True").await.is_some());
    assert_eq!(first(&world.pods().get("a").await.unwrap()), first(&before));
    world.end().await;
}

#[tokio::test]
async fn a_resize_is_told_in_the_status_and_restarts_where_that_is_asked_for() {
    let mut world = World::new().await;
    let sim = Sim::new(world.env.clone(), 0);
    world.start(vec![("n".to_owned(), Arc::new(sim))]).await;
    let amounts = |cpu: &str, memory: &str| json!({"cpu": cpu, "memory": memory});
    let resources = |cpu: &str, memory: &str| json!({"requests": amounts(cpu, memory), "limits": amounts(cpu, memory)});
    let container = json!({"name": "a", "image": "i:1", "resources": resources("1", "64Mi"),
        "resizePolicy": [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]});
    world.create("a", "n", json!({"containers": [container]})).await;
    let has = |pod: &Pod, cpu: &str, memory: &str| {
        let status = serde_json::to_value(&pod.status).unwrap()["containerStatuses"][0].clone();
        status["resources"] == resources(cpu, memory) && status["allocatedResources"] == amounts(cpu, memory)
    };
    let before = world.until("a", "with what it asks for", |pod| is_ready(pod) && has(pod, "1", "64Mi")).await;
    let resize = async |cpu: &'static str, memory: &'static str| {
        let mut pod = world.pods().get("a").await.unwrap();
        let wanted = serde_json::from_value(resources(cpu, memory)).unwrap();
        pod.spec.as_mut().unwrap().containers[0].resources = wanted;
        pod.metadata.resource_version = None;
        world.pods().replace_subresource(&pod, "resize").await.unwrap();
        world.until("a", "resized", |pod| has(pod, cpu, memory)).await
    };
    assert_eq!(first(&resize("2", "64Mi").await), first(&before), "it goes on");
    let after = resize("2", "128Mi").await;
    assert_ne!(first(&after).0, first(&before).0);
    assert_eq!(first(&after).1, 1, "it was started again");
    // More than the whole node has: it keeps what it has, and says why.
    let mut pod = world.pods().get("a").await.unwrap();
    pod.spec.as_mut().unwrap().containers[0].resources = serde_json::from_value(resources("1k", "128Mi")).unwrap();
    pod.metadata.resource_version = None;
    world.pods().replace_subresource(&pod, "resize").await.unwrap();
    let pending = |pod: &Pod| {
        let conditions = pod.status.as_ref().unwrap().conditions.as_deref().unwrap_or_default();
        conditions.iter().find(|condition| condition.type_ == "PodResizePending").cloned()
    };
    let waiting = world.until("a", "told why not", |pod| pending(pod).is_some()).await;
    assert_eq!(pending(&waiting).unwrap().reason.as_deref(), Some("Infeasible"));
    assert!(has(&waiting, "2", "128Mi") && first(&waiting) == first(&after));
    assert!(pending(&resize("1", "128Mi").await).is_none());
    world.end().await;
}
