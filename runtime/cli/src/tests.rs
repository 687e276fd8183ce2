//! The commands against an API server in this process, over a store in memory.

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use trimtab_apiserver::{ApiServer, Config, Identity};
use trimtab_client::Client;
use trimtab_env::Env;
use trimtab_store::Memory;

use super::*;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// What a command printed, and its exit code.
#[derive(Debug)]
struct Ran {
    out: String,
    err: String,
    code: u8,
}

struct World {
    server: ApiServer,
    dir: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let env = Env::system();
        let config =
            Config::new(trimtab_api::builtin(), Arc::new(Memory::new()), env, (Ipv4Addr::new(10, 96, 0, 0), 16));
        Self { server: ApiServer::new(config).await.unwrap(), dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    async fn run(&self, args: &[&str]) -> Ran {
        let cli = Cli::try_parse_from([&["trimtab"], args].concat()).unwrap_or_else(|error| panic!("{error}"));
        let (out, err) = (Buffer::default(), Buffer::default());
        let client = Client::new(self.server.transport(Identity::new("tester", &["system:masters"])));
        let namespace = cli.connection.namespace.as_deref();
        let mut session = Session::new(client, Console::to(out.clone(), err.clone()), namespace);
        let code = match connected(cli.command, &mut session).await {
            Ok(code) => code,
            Err(error) => {
                session.console.note(error::render(&error));
                1
            }
        };
        Ran { out: out.text(), err: err.text(), code }
    }

    /// Runs what must succeed, and gives its result.
    #[track_caller]
    fn ok(&self, args: &[&str]) -> impl Future<Output = String> {
        let run = self.run(args);
        async move {
            let ran = run.await;
            assert!(ran.code == 0, "{ran:?}");
            ran.out
        }
    }
}

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {app: web}}\nspec:\n  containers:\n  - \
                   {name: c, image: i}\n";
const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata: {key: one}\n";

#[tokio::test]
async fn apply_says_what_it_did() {
    let world = World::new().await;
    let file = world.file("a.yaml", &format!("{POD}---\n{MAP}"));
    assert_eq!(world.ok(&["apply", "-f", &file]).await, "pod/web created\nconfigmap/conf created\n");
    assert_eq!(world.ok(&["apply", "-f", &file]).await, "pod/web unchanged\nconfigmap/conf unchanged\n");
    world.file("a.yaml", &MAP.replace("one", "two"));
    assert_eq!(world.ok(&["apply", "-f", &file]).await, "configmap/conf configured\n");
    let again = world.ok(&["apply", "--server-side", "-f", &file]).await;
    assert_eq!(again, "configmap/conf serverside-applied\n");
    assert_eq!(world.ok(&["get", "cm", "conf", "-o", "jsonpath={.data.key}"]).await, "two");
}

#[tokio::test]
async fn one_bad_object_keeps_no_other_from_being_applied() {
    let world = World::new().await;
    let typo = POD.replace("image: i", "image: i, imag: j");
    let unknown = "apiVersion: v1\nkind: Podd\nmetadata: {name: x}\n";
    let file = world.file("a.yaml", &format!("{typo}---\n{unknown}---\n{MAP}"));
    let ran = world.run(&["apply", "-f", &file]).await;
    assert_eq!((ran.code, ran.out.as_str()), (1, "configmap/conf created\n"), "{ran:?}");
    assert!(ran.err.contains("spec.containers[0].imag"), "{ran:?}");
    assert!(ran.err.contains("no matches for kind \"Podd\" in version \"v1\""), "{ran:?}");
    let broken = world.file("b.yaml", "apiVersion: v1\nkind: [Pod\n");
    let ran = world.run(&["apply", "-f", &broken]).await;
    assert!(ran.code == 1 && ran.err.contains("line 3"), "{ran:?}");
}

#[tokio::test]
async fn get_prints_the_columns_of_kubectl() {
    let world = World::new().await;
    let none = world.run(&["get", "pods"]).await;
    assert_eq!((none.out.as_str(), none.err.as_str()), ("", "No resources found in default namespace.\n"));
    let file = world.file("a.yaml", &format!("{POD}---\n{MAP}"));
    world.ok(&["apply", "-f", &file]).await;
    let table = world.ok(&["get", "pods"]).await;
    let mut lines = table.lines();
    assert_eq!(lines.next().unwrap(), "NAME   READY   STATUS    RESTARTS   AGE");
    assert!(lines.next().unwrap().starts_with("web    0/1     Pending   0          "), "{table}");
    let wide = world.ok(&["get", "po", "-A", "-o", "wide", "--show-labels"]).await;
    assert!(wide.starts_with("NAMESPACE   NAME") && wide.contains("READINESS GATES") && wide.contains("app=web"));
    let both = world.ok(&["get", "pods,cm", "-o", "name"]).await;
    assert_eq!(both, "pod/web\nconfigmap/conf\n");
    let both = world.ok(&["get", "pods,cm"]).await;
    assert!(both.contains("\npod/web ") && both.contains("\n\nNAME") && both.contains("\nconfigmap/conf "), "{both}");
    let columns = world.ok(&["get", "pod/web", "-o", "custom-columns=N:.metadata.name,X:.metadata.nope"]).await;
    assert_eq!(columns, "N     X\nweb   <none>\n");
}

#[tokio::test]
async fn what_is_not_there_is_said_in_the_words_of_kubectl() {
    let world = World::new().await;
    let ran = world.run(&["get", "pod", "x"]).await;
    assert_eq!((ran.code, ran.err.as_str()), (1, "Error from server (NotFound): pods \"x\" not found\n"));
    assert_eq!(world.run(&["get", "pod", "x", "--ignore-not-found"]).await.code, 0);
    let ran = world.run(&["get", "podd"]).await;
    assert_eq!(ran.err, "error: the server doesn't have a resource type \"podd\"\n");
}

#[tokio::test]
async fn labels_are_set_kept_and_removed() {
    let world = World::new().await;
    let file = world.file("a.yaml", POD);
    world.ok(&["apply", "-f", &file]).await;
    assert_eq!(world.ok(&["label", "pod", "web", "tier=front"]).await, "pod/web labeled\n");
    let ran = world.run(&["label", "pod", "web", "tier=back"]).await;
    assert_eq!(ran.err, "error: 'tier' already has a value (front), and --overwrite is false\n");
    assert_eq!(world.ok(&["label", "pod/web", "tier=back", "--overwrite"]).await, "pod/web labeled\n");
    assert_eq!(world.ok(&["label", "pod/web", "tier-"]).await, "pod/web unlabeled\n");
    assert_eq!(world.ok(&["annotate", "pod", "web", "why=because"]).await, "pod/web annotated\n");
    let labels = world.ok(&["get", "pod", "web", "-o", "jsonpath={.metadata.labels}"]).await;
    assert_eq!(labels, r#"{"app":"web"}"#);
}

#[tokio::test]
async fn scale_wait_describe_and_delete() {
    let world = World::new().await;
    let controller = "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: rc}\nspec:\n  replicas: 1\n  \
                      selector: {app: web}\n  template:\n    metadata: {labels: {app: web}}\n    spec: \
                      {containers: [{name: c, image: i}]}\n";
    let file = world.file("a.yaml", &format!("{controller}---\n{MAP}"));
    world.ok(&["apply", "-f", &file]).await;
    assert_eq!(world.ok(&["scale", "rc", "rc", "--replicas=4"]).await, "replicationcontroller/rc scaled\n");
    assert_eq!(world.ok(&["get", "rc", "rc", "-o", "jsonpath={.spec.replicas}"]).await, "4");
    let ran = world.run(&["scale", "rc/rc", "--replicas=2", "--current-replicas=3"]).await;
    assert_eq!(ran.err, "error: Expected replicas to be 3, was 4\n");
    let met = world.ok(&["wait", "rc/rc", "--for=jsonpath={.spec.replicas}=4"]).await;
    assert_eq!(met, "replicationcontroller/rc condition met\n");
    let described = world.ok(&["describe", "rc", "rc"]).await;
    assert!(described.contains("Replicas:     0 current / 4 desired"), "{described}");
    assert!(described.lines().any(|l| l.starts_with("Events:") && l.ends_with("<none>")), "{described}");
    assert!(world.ok(&["describe", "cm", "conf"]).await.contains("\n  key:   one\n"));
    assert!(world.ok(&["api-resources"]).await.contains("replicationcontrollers"));
    assert_eq!(world.ok(&["delete", "cm", "conf"]).await, "configmap \"conf\" deleted\n");
    let ran = world.run(&["delete", "cm", "conf"]).await;
    assert!(ran.code == 1 && ran.err.contains("configmaps \"conf\" not found"), "{ran:?}");
}

#[tokio::test]
async fn every_version_that_is_served_can_be_applied_and_asked_for() {
    let world = World::new().await;
    let target = "{apiVersion: apps/v1, kind: Deployment, name: web}";
    let manifest = format!(
        "apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {{name: web}}\nspec: {{maxReplicas: 3, \
         scaleTargetRef: {target}}}\n"
    );
    let file = world.file("a.yaml", &manifest);
    assert_eq!(world.ok(&["apply", "-f", &file]).await, "horizontalpodautoscaler.autoscaling/web created\n");
    for (kind, version) in [("hpa", "autoscaling/v2"), ("hpa.v1.autoscaling", "autoscaling/v1")] {
        assert_eq!(world.ok(&["get", kind, "web", "-o", "jsonpath={.apiVersion}"]).await, version);
    }
    let served = world.ok(&["api-resources", "--api-group", "autoscaling", "-o", "name"]).await;
    assert_eq!(served, "horizontalpodautoscalers.autoscaling\n", "each is told once");
    let file = world.file("b.yaml", &manifest.replace("autoscaling/v1", "autoscaling/v9"));
    let ran = world.run(&["apply", "-f", &file]).await;
    assert!(
        ran.err.contains("no matches for kind \"HorizontalPodAutoscaler\" in version \"autoscaling/v9\""),
        "{ran:?}"
    );
}
