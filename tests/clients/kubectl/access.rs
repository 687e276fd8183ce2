//! auth, certificate, tokens and acting as others.

use super::{Kubectl, words};

#[tokio::test(flavor = "multi_thread")]
async fn who_can_do_what() {
    let Some(kubectl) = Kubectl::new().await else { return };
    kubectl.prints("auth can-i create pods", "yes\n").await;
    kubectl.prints("auth can-i get /metrics", "yes\n").await;
    kubectl.tells("auth can-i --list", &["*.*", "[*]"]).await;
    let who = kubectl.run("auth whoami").await;
    assert!(who.lines().any(|line| words(line) == ["Username", "kubernetes-admin"]), "{who}");

    kubectl.run("create role reader --verb=get,list --resource=pods,pods/log").await;
    kubectl.run("create rolebinding readers --role=reader --user=jane").await;
    kubectl.comes_to("auth can-i list pods --as=jane --quiet=false", "yes\n").await;
    kubectl.prints("auth can-i get pods --subresource=log --as=jane", "yes\n").await;
    for refused in ["delete pods", "list secrets", "list pods -n kube-system", "list pods -A", "get /metrics"] {
        let ended = kubectl.end_of(kubectl.command(&format!("auth can-i {refused} --as=jane")), "").await;
        assert_eq!((ended.code, ended.out.as_str()), (1, "no\n"), "{refused}: {ended:?}");
    }
    kubectl.run("get pods --as=jane").await;
    let refused = kubectl.refuses("delete pod any --as=jane", "").await;
    assert!(
        refused.contains(r#"User "jane" cannot delete resource "pods" in API group "" in the namespace "default""#),
        "{refused}"
    );
    let list = kubectl.run("auth can-i --list --as=jane --no-headers").await;
    assert!(list.lines().any(|line| words(line) == ["pods", "[]", "[]", "[get", "list]"]), "{list}");
    let who = "auth whoami -o jsonpath={.status.userInfo.username} --as=joe --as-group=dev";
    kubectl.prints(who, "joe").await;

    // The rules that a file asks for are added; those that are there stay.
    let more = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reader, namespace: default}\n\
                rules: [{apiGroups: [\"\"], resources: [secrets], verbs: [list]}]\n";
    let reconciled = kubectl.feed("auth reconcile -f -", more).await;
    assert!(reconciled.starts_with("role.rbac.authorization.k8s.io/reader reconciled\n"), "{reconciled}");
    kubectl.comes_to("auth can-i list secrets --as=jane", "yes\n").await;
    kubectl.prints("auth can-i list pods --as=jane", "yes\n").await;
    // The namespace is made. To what names none, kubectl gives none: of such a file it asks without a namespace,
    // whatever `-n` says, and stops at its own error.
    let binding = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\n\
                   metadata: {name: viewers, namespace: fresh}\n\
                   roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}\n\
                   subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: jane}]\n";
    let reconciled = kubectl.feed("auth reconcile -f -", binding).await;
    assert!(reconciled.starts_with("rolebinding.rbac.authorization.k8s.io/viewers reconciled\n"), "{reconciled}");
    kubectl.comes_to("auth can-i list pods -n fresh --as=jane", "yes\n").await;
    kubectl.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_certificates() {
    let Some(kubectl) = Kubectl::new().await else { return };
    kubectl.run("create serviceaccount robot").await;
    let token = kubectl.run("create token robot --duration=10m").await;
    let whoami = "auth whoami -o jsonpath={.status.userInfo.username} --token";
    // A client certificate comes before a token, so it is left away.
    let server = kubectl.run("config view --minify -o jsonpath={.clusters[0].cluster.server}").await;
    let bare = format!("--kubeconfig=/dev/null --server={server} --insecure-skip-tls-verify");
    kubectl.prints(&format!("{whoami}={} {bare}", token.trim()), "system:serviceaccount:default:robot").await;
    let error = kubectl.refuses(&format!("get pods --token=nonsense {bare}"), "").await;
    assert!(error.contains("You must be logged in to the server"), "{error}");

    for name in ["good", "bad"] {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        let request = params.serialize_request(&key).unwrap().pem().unwrap();
        let csr = serde_json::json!({
            "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name},
            "spec": {"request": k8s_openapi::ByteString(request.into_bytes()), "usages": ["client auth"],
                "signerName": "kubernetes.io/kube-apiserver-client"},
        });
        let made = format!("certificatesigningrequest.certificates.k8s.io/{name} created\n");
        assert_eq!(kubectl.feed("create -f -", &csr.to_string()).await, made);
    }
    let condition = "-o custom-columns=C:.status.conditions[*].type --no-headers";
    kubectl.prints(&format!("get csr good {condition}"), "<none>\n").await;
    kubectl.prints("certificate approve good", "certificatesigningrequest.certificates.k8s.io/good approved\n").await;
    kubectl.prints("certificate deny bad", "certificatesigningrequest.certificates.k8s.io/bad denied\n").await;
    let table = async || {
        let table = kubectl.run("get csr --no-headers").await;
        table.lines().map(|line| words(line).last().copied().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    crate::harness::within("one is signed", async {
        while table().await != ["Denied", "Approved,Issued"] {
            tokio::task::yield_now().await;
        }
    })
    .await;
    kubectl.end().await;
}
