//! Services as pods and the host see them: by address, by name, by node port, and through every
//! replacement.

use std::collections::BTreeSet;
use std::process::Command;

use crate::docker;
use crate::harness::{Cluster, alone, http_get, quickstart};

/// A headless Service over the same pods.
const HEADLESS: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: each}\nspec:\n  clusterIP: None\n  \
                        selector: {app: hello}\n  ports: [{port: 8080}]\n";

struct Services {
    cluster: Cluster,
    node_port: u16,
}

impl Services {
    fn up(node_port: u16, args: &[&str]) -> Self {
        let cluster = Cluster::up(args);
        let file = quickstart(&cluster.dir.path().join("not-watched"), node_port).join("hello.yaml");
        cluster.cli(&["apply", "-f", file.to_str().unwrap()]);
        cluster.cli(&["apply", "-f", &cluster.write("each.yaml", HEADLESS)]);
        let services = Self { cluster, node_port };
        services.ready();
        services
    }

    fn ready(&self) {
        self.cluster.eventually("three pods are ready, and no other is left", |cluster| {
            let ready = cluster.try_cli(&["get", "rc", "hello", "-o", "jsonpath={.status.readyReplicas}"]);
            ready.is_ok_and(|ready| ready == "3") && self.pods().len() == 3
        });
    }

    /// Pods are ready since before the restart; into them leads the node's agent, which is new.
    fn reachable(&self) {
        let pods = self.pods();
        let pod = pods.first().unwrap();
        self.cluster.eventually("the node's agent answers", |_| self.within(pod, &["--resolve", "127.0.0.1"]).is_ok());
    }

    fn of_pods(&self, path: &str) -> BTreeSet<String> {
        let jsonpath = format!("jsonpath={{.items[*].{path}}}");
        let got = self.cluster.cli(&["get", "pods", "-l", "app=hello", "-o", &jsonpath]);
        got.split_whitespace().map(str::to_owned).collect()
    }

    fn pods(&self) -> BTreeSet<String> {
        self.of_pods("metadata.name")
    }

    /// What a program of the hello image prints in `pod`.
    fn within(&self, pod: &str, args: &[&str]) -> Result<String, String> {
        self.cluster.try_cli(&[&["exec", pod, "--", "/hello"], args].concat())
    }

    /// Asks `url` from within `pod` until every pod has answered.
    fn all_answer(&self, pod: &str, url: &str) {
        let mut waiting = self.pods();
        let mut last = String::new();
        self.cluster.eventually(&format!("all pods answer {pod} at {url}"), |_| {
            match self.within(pod, &["--get", url]) {
                Ok(body) => waiting.retain(|name| !body.contains(name.as_str())),
                Err(error) => last = error,
            }
            waiting.is_empty()
        });
        assert_eq!(last, "", "no request failed");
    }

    /// Everything that must hold at any time, as seen by one of the pods themselves.
    fn check(&self) {
        let pods = self.pods();
        let pod = pods.first().unwrap();
        let ip = self.cluster.cli(&["get", "service", "hello", "-o", "jsonpath={.spec.clusterIP}"]);
        // Among those that answer is the pod that asks.
        for host in [&*ip, "hello", "hello.default.svc", "hello.default.svc.cluster.local"] {
            self.all_answer(pod, &format!("http://{host}/"));
        }
        let mut resolved = BTreeSet::new();
        self.cluster.eventually("the headless Service leads to each pod", |_| {
            resolved =
                self.within(pod, &["--resolve", "each"]).unwrap_or_default().lines().map(str::to_owned).collect();
            resolved == self.of_pods("status.podIP")
        });
        assert_eq!(resolved.len(), 3);
        let unknown = self.within(pod, &["--resolve", "nobody.default.svc.cluster.local"]);
        assert!(unknown.is_err(), "{unknown:?}");
        self.cluster.eventually("the node port answers the host", |_| http_get(self.node_port).is_ok());
        let node = self.cluster.cli(&["get", "nodes", "-o", "jsonpath={.items[0].status.addresses[0].address}"]);
        self.all_answer(pod, &format!("http://{node}:{}/", self.node_port));
    }

    fn replace_one(&self) {
        let before = self.pods();
        self.cluster.cli(&["delete", "pod", before.first().unwrap()]);
        self.ready();
        assert_ne!(self.pods(), before);
    }
}

#[test]
fn services_are_reached_from_pods_and_host_through_replacement_and_restart() {
    if !docker::answers("services_are_reached_from_pods_and_host_through_replacement_and_restart") {
        return;
    }
    let _alone = alone();
    let mut services = Services::up(30_085, &[]);
    services.check();
    services.replace_one();
    services.check();
    services.cluster.kill();
    services.cluster.start();
    services.ready();
    services.reachable();
    services.check();
}

#[test]
fn listeners_serve_where_the_kernel_does_not() {
    if !docker::answers("listeners_serve_where_the_kernel_does_not") {
        return;
    }
    let _alone = alone();
    let services = Services::up(30_086, &["--proxy-mode", "listeners"]);
    services.check();
    services.replace_one();
    services.check();
}

#[test]
fn a_client_in_a_pod_reaches_the_api_by_its_service() {
    const NAME: &str = "a_client_in_a_pod_reaches_the_api_by_its_service";
    let kubectl = Command::new("which").arg("kubectl").output().is_ok_and(|output| output.status.success());
    if !docker::answers(NAME) {
        return;
    }
    if !kubectl {
        println!("left out: {NAME} (no kubectl on PATH)");
        return;
    }
    let _alone = alone();
    let cluster = Cluster::up(&[]);
    let kubectl = String::from_utf8(Command::new("which").arg("kubectl").output().unwrap().stdout).unwrap();
    let config = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    let indented: String = config.lines().map(|line| format!("    {line}\n")).collect();
    let manifest = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: config}}\nstringData:\n  config: |\n{indented}---\n\
         apiVersion: v1\nkind: Pod\nmetadata: {{name: client}}\nspec:\n  containers:\n    - name: c\n      \
         image: trimtab.dev/hello:1\n      volumeMounts:\n        - {{name: config, mountPath: /config}}\n        \
         - {{name: kubectl, mountPath: /kubectl}}\n  volumes:\n    - {{name: config, secret: {{secretName: config}}}}\n    \
         - {{name: kubectl, hostPath: {{path: {}, type: File}}}}\n",
        std::fs::canonicalize(kubectl.trim()).unwrap().display()
    );
    cluster.cli(&["apply", "-f", &cluster.write("client.yaml", &manifest)]);
    cluster.cli(&["wait", "--for=condition=Ready", "pod/client", "--timeout=60s"]);
    let port = cluster.cli(&["get", "endpoints", "kubernetes", "-o", "jsonpath={.subsets[0].ports[0].port}"]);
    let node = cluster.cli(&["get", "nodes", "-o", "jsonpath={.items[0].status.addresses[0].address}"]);
    let by_address = format!("https://{node}:{port}");
    for server in ["https://kubernetes.default.svc", "https://10.96.0.1", &by_address] {
        let command =
            ["exec", "client", "--", "/kubectl", "--kubeconfig=/config/config", "--cache-dir=/tmp", "--server"];
        let mut got = String::new();
        cluster.eventually(&format!("{server} answers"), |cluster| {
            let result = cluster.try_cli(&[&command[..], &[server, "get", "pod", "client", "-o", "name"]].concat());
            got = result.unwrap_or_else(|error| error);
            got.trim() == "pod/client"
        });
    }
    // With nothing but what every pod is given: it is its service account, and may do what that may.
    let own = ["exec", "client", "--", "/kubectl", "--cache-dir=/tmp", "get", "pod", "client", "-o", "name"];
    let refused = cluster.try_cli(&own).unwrap_err();
    assert!(
        refused.contains(r#"User "system:serviceaccount:default:default" cannot get resource "pods""#),
        "{refused}"
    );
    let binding = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: view, namespace: default}\n\
        roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}\n\
        subjects: [{kind: ServiceAccount, name: default, namespace: default}]\n";
    cluster.cli(&["apply", "-f", &cluster.write("binding.yaml", binding)]);
    cluster.eventually("the account may read", |cluster| {
        cluster.try_cli(&own).is_ok_and(|found| found.trim() == "pod/client")
    });
}
