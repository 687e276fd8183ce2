//! The program as a process of its own.

use std::process::{Child, Command, Stdio};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ReplicationController;
use trimtab::testing::TestCluster;

const PROGRAM: &str = env!("CARGO_BIN_EXE_website");

/// Ends with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_prints_all_that_a_cluster_needs() {
    let output = Command::new(PROGRAM).args(["manifests", "--image", "demo.io/website:1"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let kinds: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("kind: ")).collect();
    for kind in
        ["Namespace", "CustomResourceDefinition", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Deployment"]
    {
        assert!(kinds.contains(&kind), "{kind} is missing in\n{text}");
    }
    assert!(output.status.success() && text.contains("image: demo.io/website:1"), "{text}");
}

#[trimtab::test]
async fn told_to_end_it_ends_in_order_and_lets_another_lead(cluster: &TestCluster) {
    let listening = cluster.listen().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), listening.kubeconfig()).unwrap();
    let run = || {
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--install-crds", "--leader-elect", "--metrics-bind-address", "0", "--kubeconfig"]);
        Program(command.arg(file.path()).stderr(Stdio::null()).spawn().unwrap())
    };
    let leases = cluster.api::<Lease>("default");
    let holder = async || leases.get_opt("website").await.unwrap()?.spec?.holder_identity;
    let controllers = cluster.api::<ReplicationController>("default");

    let mut first = run();
    cluster.until("it leads", async |_| holder().await.is_some()).await;
    cluster.apply(include_str!("../manifests/website.yaml")).await;
    let there = async || controllers.get_opt("home").await.unwrap().is_some();
    cluster.until("it works", async |_| there().await).await;

    let pid = first.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let mut status = None;
    while status.is_none() {
        cluster.advance(std::time::Duration::from_millis(10)).await;
        status = first.0.try_wait().unwrap();
    }
    assert!(status.unwrap().success(), "{status:?}");
    assert_eq!(holder().await, None);

    // Nobody waits for it.
    let _second = run();
    cluster.until("another leads", async |_| holder().await.is_some()).await;
}
