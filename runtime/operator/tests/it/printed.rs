//! What is printed, beside the files in `tests/output`. With `UPDATE=1` in the environment they are written, to be
//! reviewed.

use std::path::Path;
use std::process::ExitCode;

use trimtab_env::CancellationToken;

use crate::kinds::operator;

/// What the program prints for these arguments.
pub(crate) fn printed(arguments: &[&str]) -> Result<(String, ExitCode), String> {
    let mut out = Vec::new();
    let all = std::iter::once("websites").chain(arguments.iter().copied());
    let code = operator().execute(all, &mut out, &CancellationToken::new()).map_err(|error| format!("{error:#}"))?;
    Ok((String::from_utf8(out).unwrap(), code))
}

fn check(file: &str, arguments: &[&str]) {
    let (text, code) = printed(arguments).unwrap();
    assert_eq!(code, ExitCode::SUCCESS);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/output").join(file);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == expected, "{} differs; run with UPDATE=1 and review it:\n{text}", path.display());
}

#[test]
fn definitions_roles_manifests_and_a_diagram_are_printed() {
    check("crds.yaml", &["crds"]);
    check("crds_with_webhook.yaml", &["crds", "--webhook-service", "prod/websites"]);
    check("rbac.yaml", &["rbac"]);
    check("rbac_of_namespaces.yaml", &["rbac", "-n", "blue", "-n", "green", "--operator-namespace", "tools"]);
    let image = ["manifests", "--image", "registry.demo.io/websites:1.2.3"];
    let replicas = ["--replicas=2", "--webhook-cert-secret=websites-tls", "--namespace=blue"];
    check("manifests.yaml", &image);
    check("manifests_of_several.yaml", &[&image[..], &replicas].concat());
    let (text, _) = printed(&[&image[..], &["--workload=replicationcontroller"]].concat()).unwrap();
    let workload = text.split("---\n").last().unwrap();
    assert!(workload.starts_with("apiVersion: v1\nkind: ReplicationController\n"), "{workload}");
    assert!(!workload.contains("matchLabels") && !workload.contains("strategy"), "{workload}");
    check("diagram.mmd", &["diagram"]);
}

#[test]
fn a_webhooks_address_is_completed() {
    let (text, _) = printed(&["crds", "--webhook-url", "https://10.0.0.7:9443"]).unwrap();
    assert!(text.contains("url: https://10.0.0.7:9443/convert\n"), "{text}");
    let (text, _) = printed(&["crds", "--webhook-url", "https://hooks.demo.io/websites"]).unwrap();
    assert!(text.contains("url: https://hooks.demo.io/websites\n"), "{text}");
}

#[test]
fn a_wrong_command_line_is_told_and_ends_with_2() {
    for arguments in [
        &["crds", "--webhook-url", "http://hooks.demo.io"][..],
        &["crds", "--webhook-url", "https://hooks.demo.io", "--webhook-service", "a/b"],
        &["crds", "--webhook-service", "websites"],
        &["manifests"],
        &["run", "--metrics-bind-address", "localhost"],
        &["reconcile"],
        &[],
    ] {
        let (text, code) = printed(arguments).unwrap();
        assert_eq!((text.as_str(), code), ("", ExitCode::from(2)), "{arguments:?}");
    }
    assert_eq!(printed(&["--version"]).unwrap().1, ExitCode::SUCCESS);
}

#[test]
fn what_cannot_be_done_is_told() {
    let error = |arguments: &[&str]| printed(arguments).unwrap_err();
    let several = error(&["manifests", "--image", "i", "--replicas", "2"]);
    assert!(several.ends_with("give --webhook-cert-secret NAME"), "{several}");
    assert!(error(&["crds", "--webhook-ca-file", "/none"]).starts_with("could not read /none: "));
    let run = |more: &[&'static str]| {
        let base = ["run", "--kubeconfig", "tests/kubeconfig", "--metrics-bind-address", "0"];
        error(&base.iter().chain(more).copied().collect::<Vec<_>>())
    };
    assert_eq!(
        error(&["run", "--kubeconfig", "/none"]),
        "could not read /none: No such file or directory (os error 2)"
    );
    assert_eq!(run(&["--context", "other"]), "the kubeconfig has no context named \"other\"");
    let nowhere = "Website has several versions: say where the API server finds what converts between them, by --webhook-service NAMESPACE/NAME or --webhook-url URL";
    assert_eq!(run(&["--install-crds"]), nowhere);
    let certificate = run(&["--webhook-cert-dir", "/none"]);
    assert!(certificate.starts_with("--webhook-cert-dir: could not read /none/tls.crt: "), "{certificate}");
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let error = error(&["run", "--kubeconfig", "tests/kubeconfig", "--metrics-bind-address", &address]);
    let expected = format!("cannot listen on {address}; say where else by --metrics-bind-address, or 0 for nowhere: ");
    assert!(error.starts_with(&expected), "{error}");
}
