//! A controller of one's own beside the cluster: `examples/website` with the roles that it prints, and real
//! containers.

use std::collections::BTreeSet;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::ServiceAccount;
use serde_json::{Value, json};
use trimtab::Api;
use trimtab::client::Kubeconfig;

use crate::docker;
use crate::harness::{Cluster, alone};

const NAMESPACE: &str = "website-system";

/// The program that the tests of its package are built with, which have the name of these.
fn program() -> PathBuf {
    let path = PathBuf::from(env!("CARGO_BIN_EXE_trimtab")).with_file_name("website");
    assert!(path.exists(), "{} is not built: run the tests with --workspace", path.display());
    path
}

/// A kubeconfig of the operator's service account.
fn account(cluster: &Cluster) -> PathBuf {
    let mut config = Kubeconfig::read(&cluster.kubeconfig()).unwrap();
    let client = config.client(None).unwrap();
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": {"audiences": [], "expirationSeconds": 3600}});
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(&client, NAMESPACE);
    let answer = runtime.block_on(accounts.create_subresource("website", "token", &request)).unwrap();
    let token = serde_json::to_value(answer).unwrap()["status"]["token"].as_str().unwrap().to_owned();
    for user in &mut config.users {
        user.entry.user = Default::default();
        user.entry.user.token = Some(token.clone());
    }
    PathBuf::from(cluster.write("account", &config.to_yaml()))
}

fn run(cluster: &mut Cluster) {
    let arguments = ["run", "--leader-elect", "--leader-election-namespace", NAMESPACE, "--metrics-bind-address", "0"];
    let account = account(cluster);
    cluster.run_program(&program(), &account, &arguments);
}

fn ready(cluster: &Cluster, replicas: usize) {
    let wanted = replicas.to_string();
    cluster.eventually(&format!("{replicas} pods of the website are ready"), |cluster| {
        let told = cluster.try_cli(&["get", "website", "home", "-o", "jsonpath={.status.ready}"]);
        told.is_ok_and(|told| told == wanted) && containers(cluster).len() == replicas
    });
}

/// Those of the website that run.
fn containers(cluster: &Cluster) -> BTreeSet<String> {
    let pods = cluster.cli(&["get", "pods", "-l", "website=home", "-o", "jsonpath={.items[*].metadata.uid}"]);
    let pods: BTreeSet<_> = pods.split_whitespace().collect();
    let all: Vec<Value> = docker::containers("io.kubernetes.container.name=web", false);
    let ours =
        all.iter().filter(|one| pods.contains(one["Labels"]["io.kubernetes.pod.uid"].as_str().unwrap_or_default()));
    ours.map(|one| one["Id"].as_str().unwrap().to_owned()).collect()
}

fn holder(cluster: &Cluster) -> String {
    cluster.cli(&["get", "lease", "website", "-n", NAMESPACE, "-o", "jsonpath={.spec.holderIdentity}"])
}

#[test]
fn a_website_runs_heals_and_goes_and_its_operator_ends_in_order() {
    if !docker::answers("a_website_runs_heals_and_goes_and_its_operator_ends_in_order") {
        return;
    }
    let _alone = alone();
    let mut cluster = Cluster::up(&[]);
    let program_path = program();
    let printed =
        cluster.program(program_path.to_str().unwrap(), &["manifests", "--image", "demo.io/website:1"]).unwrap();
    let file = cluster.write("operator.yaml", &printed);
    cluster.cli(&["apply", "-f", &file]);
    run(&mut cluster);
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/website/manifests");
    cluster.eventually("its kind is served", |cluster| cluster.try_cli(&["apply", "-f", example]).is_ok());
    ready(&cluster, 3);
    assert!(cluster.cli(&["get", "configmap", "home.default", "-n", "dns", "-o", "name"]).contains("home.default"));

    let before = containers(&cluster);
    docker::remove(before.first().unwrap());
    cluster.eventually("the container is replaced", |cluster| {
        let now = containers(cluster);
        now.len() == 3 && now != before
    });
    ready(&cluster, 3);
    // What the operator made is made again, too.
    cluster.cli(&["delete", "service", "home"]);
    cluster.eventually("its service is back", |cluster| cluster.try_cli(&["get", "service", "home"]).is_ok());
    cluster.cli(&["scale", "website", "home", "--replicas=2"]);
    ready(&cluster, 2);

    assert_ne!(holder(&cluster), "");
    cluster.end_components();
    assert_eq!(holder(&cluster), "", "the lease is released");
    let left = containers(&cluster);
    run(&mut cluster);
    cluster.eventually("the next one leads", |cluster| !holder(cluster).is_empty());
    assert_eq!(containers(&cluster), left, "containers outlive the operator");
    cluster.cli(&["delete", "website", "home"]);
    cluster.eventually("nothing is left", |cluster| {
        let record = cluster.try_cli(&["get", "configmap", "home.default", "-n", "dns"]);
        record.is_err() && cluster.cli(&["get", "pods", "-o", "name"]).is_empty()
    });
    cluster.end_components();
}
