//! The program against a whole cluster with a real listener, as its service account, with no more than the roles
//! that it prints.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use trimtab::api::Object;
use trimtab::client::{DeleteParams, Kubeconfig, Patch};
use trimtab::{Api, Client};
use trimtab_cluster::component::{ProxyMode, RuntimeChoice};
use trimtab_cluster::{Cluster, Config};
use trimtab_env::{Env, Tasks};

use crate::kinds::{Website, WebsiteV1Beta1, WebsiteV1Beta1Spec, operator};
use crate::printed::printed;

/// Far more than anything needs: a busy machine must not fail a test.
const PATIENCE: Duration = Duration::from_secs(120);

async fn start(dir: &Path) -> Cluster {
    let config = Config {
        data_dir: dir.join("data"),
        listen: "127.0.0.1:0".parse().unwrap(),
        manifests: Vec::new(),
        runtime: RuntimeChoice::Sim { nodes: 1 },
        proxy_mode: ProxyMode::NodePorts,
        kubeconfig: dir.join("kubeconfig"),
        audit: None,
    };
    Cluster::start(config, Env::system(), &|_| {}).await.unwrap()
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("never: {what}"))
}

async fn apply(client: &Client, yaml: &str) {
    let served = client.discover().await.unwrap().resources;
    for document in yaml.split("---\n") {
        let object = trimtab::api::from_yaml(document).unwrap();
        let kind = served.iter().find(|known| object["kind"] == *known.resource.kind).unwrap();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let api: Api<Object> = Api::dynamic(client, &kind.resource, object["metadata"]["namespace"].as_str());
        api.patch(&name, &Patch::Apply { object, manager: "test".to_owned(), force: true }).await.unwrap();
    }
}

/// A kubeconfig of the program's service account.
async fn as_account(client: &Client, dir: &Path) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(client, "websites-system");
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": {"audiences": [], "expirationSeconds": 3600}});
    let answer: Value =
        serde_json::to_value(accounts.create_subresource("websites", "token", &request).await.unwrap()).unwrap();
    let mut config = Kubeconfig::read(&dir.join("kubeconfig")).unwrap();
    for user in &mut config.users {
        user.entry.user = Default::default();
        user.entry.user.token = Some(answer["status"]["token"].as_str().unwrap().to_owned());
    }
    let path = dir.join("account");
    std::fs::write(&path, config.to_yaml()).unwrap();
    path.to_str().unwrap().to_owned()
}

async fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_installs_converts_and_reconciles_with_its_own_roles_alone_and_ends_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path()).await;
    let client = cluster.client().clone();
    Api::<Namespace>::all(&client)
        .create(&serde_json::from_value(json!({"metadata": {"name": "websites-system"}})).unwrap())
        .await
        .unwrap();
    apply(&client, &printed(&["rbac", "--install-crds"]).unwrap().0).await;
    let kubeconfig = as_account(&client, dir.path()).await;

    // A loopback address of this process' own, so that nobody else takes the ports.
    let [.., a, b] = std::process::id().to_be_bytes();
    let host = Ipv4Addr::new(127, 77, a, b);
    let (metrics, webhook) = (format!("{host}:8080"), format!("{host}:9443"));
    let url = format!("https://{webhook}");
    let (program, stop) = (Tasks::new(), trimtab_env::CancellationToken::new());
    let (ended, code) = std::sync::mpsc::channel();
    let arguments: Vec<String> = [
        "websites",
        "run",
        "--kubeconfig",
        &kubeconfig,
        "--metrics-bind-address",
        &metrics,
        "--webhook-bind-address",
        &webhook,
        "--webhook-url",
        &url,
        "--install-crds",
        "--leader-elect",
        "--leader-election-namespace",
        "websites-system",
    ]
    .map(str::to_owned)
    .into();
    let until_when = stop.clone();
    program.spawn_blocking(move || {
        let result = operator().execute(arguments, &mut std::io::sink(), &until_when);
        ended.send(result.map_err(|error| format!("{error:#}"))).unwrap();
    });
    until("it is ready", async || {
        if let Ok(Err(error)) = code.try_recv() {
            panic!("it ended: {error}");
        }
        get(&metrics, "/readyz").await.filter(|answer| answer.starts_with("HTTP/1.1 200"))
    })
    .await;
    let told = until("metrics are told", async || get(&metrics, "/metrics").await).await;
    assert!(told.contains("openmetrics-text") && told.contains("website") && told.ends_with("# EOF\n"), "{told}");
    assert!(told.contains("workqueue_depth{name=\"website\"} 0\n"), "{told}");
    for path in ["/livez", "/failing"] {
        assert!(get(&metrics, path).await.unwrap().starts_with("HTTP/1.1 200"), "{path}");
    }
    assert!(get(&metrics, "/nothing").await.unwrap().starts_with("HTTP/1.1 404"));

    let old: Api<WebsiteV1Beta1> = Api::namespaced(&client, "default");
    let made = WebsiteV1Beta1::new("home", WebsiteV1Beta1Spec { picture: "hello".to_owned() });
    until("its kind is served", async || old.create(&made).await.ok()).await;
    let sites: Api<Website> = Api::namespaced(&client, "default");
    let shown =
        until("it is reconciled", async || sites.get("home").await.ok().filter(|site| site.status.is_some())).await;
    assert_eq!((shown.spec.image.as_str(), shown.status.unwrap().shown.as_str()), ("hello", "hello"));
    let maps: Api<ConfigMap> = Api::namespaced(&client, "default");
    assert_eq!(maps.get("home").await.unwrap().data.unwrap()["image"], "hello");
    // The finalizer is taken away again, by the same rights.
    sites.delete("home", &DeleteParams::default()).await.unwrap();
    until("it is gone", async || sites.get_opt("home").await.unwrap().is_none().then_some(())).await;

    stop.cancel();
    program.join().await;
    assert_eq!(code.recv().unwrap(), Ok(ExitCode::SUCCESS));
    cluster.stop().await;
}
