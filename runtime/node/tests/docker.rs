//! Docker's containers. Without an engine there is nothing to test, which is said on standard error.

use std::sync::Arc;

use serde_json::json;
use trimtab_client::DeleteParams;
use trimtab_env::Env;
use trimtab_node::docker::{Docker, Options};
use trimtab_node::{Runtime, images};

use crate::world::{World, eventually, first, is_ready};

async fn engine() -> Option<Docker> {
    let cluster = format!("test-{}", Env::system().name_suffix(6));
    match Docker::connect(Options { cluster, subnet: "10.251.0.0/24".to_owned() }).await {
        Ok(engine) => Some(engine),
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the reader of the test's output should know")]
            {
                eprintln!("not tested: {error}");
            }
            None
        }
    }
}

#[tokio::test]
async fn a_pod_runs_is_adopted_repaired_and_ended() {
    let Some(engine) = engine().await else { return };
    let mut world = World::new().await;
    let nodes = |engine: &Docker| vec![("n".to_owned(), Arc::new(engine.clone()) as Arc<dyn Runtime>)];
    world.start(nodes(&engine)).await;
    let settings =
        serde_json::from_value(json!({"metadata": {"name": "settings", "namespace": "default"}, "data": {"k": "v"}}));
    trimtab_client::Api::<k8s_openapi::api::core::v1::ConfigMap>::namespaced(&world.client, "default")
        .create(&settings.unwrap())
        .await
        .unwrap();
    let spec = json!({
        "terminationGracePeriodSeconds": 5,
        "volumes": [{"name": "settings", "configMap": {"name": "settings"}}],
        "containers": [{"name": "web", "image": images::HELLO, "args": ["--port", "$(PORT)"],
            "env": [{"name": "PORT", "value": "8081"}, {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "ports": [{"name": "http", "containerPort": 8081}],
            "volumeMounts": [{"name": "settings", "mountPath": "/settings"}],
            "resources": {"limits": {"memory": "32Mi", "cpu": "500m"}},
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1}}],
    });
    world.create("web", "n", spec).await;
    let web = world.until("web", "ready", is_ready).await;
    let ip = web.status.as_ref().unwrap().pod_ip.clone().expect("an address");
    let answer = get(&format!("{ip}:8081")).await;
    assert!(answer.contains("Hello from pod web") && answer.contains("version 1"), "{answer}");

    // A new agent takes the containers over as they are.
    world.start(nodes(&engine)).await;
    world.create("other", "n", json!({"containers": [{"name": "a", "image": images::HELLO_2}]})).await;
    world.until("other", "ready", is_ready).await;
    let adopted = world.pods().get("web").await.unwrap();
    assert_eq!((first(&adopted), is_ready(&adopted)), (first(&web), true));

    // Removed behind our back: made again.
    let (id, _) = first(&web);
    engine.remove(id.trim_start_matches("docker://")).await.unwrap();
    let again = world.until("web", "restarted", |pod| first(pod).0 != id && is_ready(pod)).await;
    assert_eq!(first(&again).1, 1);
    let uid = again.metadata.uid.clone().unwrap();
    let sandbox = engine.observe(Some(&uid)).await.unwrap().sandboxes[0].id.clone();
    engine.remove(&sandbox).await.unwrap();
    world.until("web", "in a new sandbox", |pod| first(pod).0 != first(&again).0 && is_ready(pod)).await;

    for name in ["web", "other"] {
        world.pods().delete(name, &DeleteParams::default()).await.unwrap();
        world.until_gone(name).await;
    }
    let nothing = eventually(|| async {
        engine.observe(None).await.ok().filter(|o| o.sandboxes.is_empty() && o.containers.is_empty())
    });
    assert!(nothing.await.is_some(), "containers are left");
    world.end().await;
    engine.remove_all().await.unwrap();
}

#[tokio::test]
async fn a_pod_whose_volume_outgrows_its_limit_is_evicted() {
    let Some(engine) = engine().await else { return };
    let mut world = World::new().await;
    world.start(vec![("n".to_owned(), Arc::new(engine.clone()) as Arc<dyn Runtime>)]).await;
    let spec = json!({
        "terminationGracePeriodSeconds": 1,
        "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "1Mi"}}],
        "containers": [{"name": "web", "image": images::HELLO,
            "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}]}],
    });
    world.create("greedy", "n", spec).await;
    let greedy = world.until("greedy", "ready", is_ready).await;
    std::fs::write(world.volume(&greedy, "scratch").join("file"), vec![1; 2 << 20]).unwrap();
    let failed =
        |pod: &k8s_openapi::api::core::v1::Pod| pod.status.as_ref().unwrap().phase.as_deref() == Some("Failed");
    let status = world.until("greedy", "evicted", failed).await.status.unwrap();
    assert_eq!(status.reason.as_deref(), Some("Evicted"));
    let expected = "Usage of EmptyDir volume \"scratch\" exceeds the limit \"1Mi\". ";
    assert_eq!(status.message.as_deref(), Some(expected));
    let ended = eventually(|| async {
        engine.observe(None).await.ok().filter(|o| o.containers.iter().all(|c| c.state.is_exited()))
    });
    assert!(ended.await.is_some(), "its container still runs");
    world.end().await;
    engine.remove_all().await.unwrap();
}

async fn get(address: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("the pod listens");
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}
