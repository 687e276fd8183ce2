//! How the command line finds its server and says who asks: kubeconfigs that others wrote.

use serde_json::{Value, json};

use crate::harness::Cluster;

/// The cluster's own kubeconfig, as JSON, which YAML is.
fn kubeconfig(cluster: &Cluster) -> Value {
    let text = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    trimtab::api::from_yaml(&text).unwrap()
}

/// Runs `trimtab ARGS` with another kubeconfig and these environment variables.
fn run(cluster: &Cluster, config: &Value, variables: &[&str], args: &[&str]) -> Result<String, String> {
    let file = cluster.write("other", &config.to_string());
    let binary = [env!("CARGO_BIN_EXE_trimtab"), "--kubeconfig", file.as_str()];
    cluster.program("env", &[variables, &binary, args].concat())
}

#[test]
fn the_systems_authorities_are_trusted_where_the_file_names_none() {
    let cluster = Cluster::up(&["--runtime", "sim"]);
    let mut config = kubeconfig(&cluster);
    let entry = config["clusters"][0]["cluster"].as_object_mut().unwrap();
    assert!(entry.remove("certificate-authority-data").is_some());
    let authority = format!("SSL_CERT_FILE={}/pki/ca.crt", cluster.data());
    let args = ["get", "namespace", "default", "-o", "name"];
    assert_eq!(run(&cluster, &config, &[&authority], &args).unwrap(), "namespace/default\n");
    // An authority in the file goes alone.
    config["clusters"][0]["cluster"]["certificate-authority-data"] = json!("Y2E=");
    let error = run(&cluster, &config, &[&authority], &args).unwrap_err();
    assert!(error.starts_with("Unable to connect to the server: "), "{error}");
}
