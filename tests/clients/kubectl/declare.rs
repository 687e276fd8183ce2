//! apply, diff, edit, patch, replace, label, annotate, set and delete.

use super::{Kubectl, WEB};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: one, b: two}\n";

#[tokio::test(flavor = "multi_thread")]
async fn apply_and_diff() {
    let Some(kubectl) = Kubectl::new().await else { return };
    assert_eq!(kubectl.feed("apply --dry-run=server -f -", MAP).await, "configmap/settings created (server dry run)\n");
    assert!(kubectl.refuses("get cm settings", "").await.contains("NotFound"));
    let ended = kubectl.end_of(kubectl.command("diff -f -"), MAP).await;
    assert_eq!(ended.code, 1, "what is not there is a difference: {ended:?}");
    assert!(ended.out.contains("+  a: one"), "{ended:?}");
    assert_eq!(kubectl.feed("apply -f -", MAP).await, "configmap/settings created\n");
    assert_eq!(kubectl.feed("apply -f -", MAP).await, "configmap/settings unchanged\n");
    assert_eq!(kubectl.feed("diff -f -", MAP).await, "");

    let changed = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: three}\n";
    for diff in ["diff -f -", "diff --server-side --force-conflicts -f -"] {
        let ended = kubectl.end_of(kubectl.command(diff), changed).await;
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.out.contains("-  a: one") && ended.out.contains("+  a: three"), "{ended:?}");
    }
    kubectl.prints("get cm settings -o jsonpath={.data}", r#"{"a":"one","b":"two"}"#).await;
    assert_eq!(kubectl.feed("apply -f -", changed).await, "configmap/settings configured\n");
    kubectl.prints("get cm settings -o jsonpath={.data}", r#"{"a":"three"}"#).await;
    kubectl.tells("apply view-last-applied cm/settings", &["a: three"]).await;
    kubectl.write("settings.yaml", MAP);
    kubectl.prints("apply set-last-applied -f settings.yaml", "configmap/settings configured\n").await;
    kubectl.tells("apply view-last-applied cm/settings -o json", &[r#""b": "two""#]).await;

    // Only what is applied with the label and not in the file is pruned.
    let labelled =
        |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{of: set}}}}\n");
    let both = format!("{}---\n{}", labelled("one"), labelled("two"));
    let prune = "apply --prune -l of=set --prune-allowlist=core/v1/ConfigMap -f -";
    kubectl.feed(prune, &both).await;
    assert_eq!(kubectl.feed(prune, &labelled("two")).await, "configmap/two unchanged\nconfigmap/one pruned\n");

    kubectl.write("base/kustomization.yaml", "namePrefix: my-\nresources: [settings.yaml]\n");
    kubectl.write("base/settings.yaml", MAP);
    kubectl.prints("apply -k base", "configmap/my-settings created\n").await;
    let misspelt = MAP.replace("\ndata", "\ndate");
    let error = kubectl.refuses("apply -f -", &misspelt).await;
    assert!(error.contains(r#"strict decoding error: unknown field "date""#), "{error}");
    let ignored = kubectl.feed("apply --validate=ignore -f -", &misspelt).await;
    assert_eq!(ignored, "configmap/settings configured\n");
    kubectl.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_side_apply() {
    let Some(kubectl) = Kubectl::new().await else { return };
    assert_eq!(kubectl.feed("apply --server-side -f -", MAP).await, "configmap/settings serverside-applied\n");
    assert_eq!(kubectl.feed("apply --server-side -f -", MAP).await, "configmap/settings serverside-applied\n");
    let other = MAP.replace("one", "other");
    let error = kubectl.refuses("apply --server-side --field-manager=other -f -", &other).await;
    assert!(error.contains(r#"Apply failed with 1 conflict: conflict with "kubectl": .data.a"#), "{error}");
    assert!(error.contains("Please review the fields above"), "{error}");
    let forced = "apply --server-side --field-manager=other --force-conflicts -f -";
    assert_eq!(kubectl.feed(forced, &other).await, "configmap/settings serverside-applied\n");
    kubectl.tells("get cm settings -o yaml --show-managed-fields", &["manager: other", "operation: Apply"]).await;

    // What was applied by the client before is taken over, field by field.
    kubectl.feed("apply -f -", WEB).await;
    kubectl.feed("apply --server-side -f -", &WEB.replace("sim:1", "sim:2")).await;
    let managers =
        "get rc web -o jsonpath={.metadata.managedFields[?(@.operation==\"Apply\")].manager} --show-managed-fields";
    kubectl.prints(managers, "kubectl kubectl-last-applied").await;
    kubectl.prints("get rc web -o jsonpath={.spec.template.spec.containers[*].image}", "sim:2").await;
    let dry = kubectl.feed("apply --server-side --dry-run=server -f -", WEB).await;
    assert_eq!(dry, "replicationcontroller/web serverside-applied (server dry run)\n");
    kubectl.prints("get rc web -o jsonpath={.spec.template.spec.containers[*].image}", "sim:2").await;
    kubectl.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edit() {
    let Some(kubectl) = Kubectl::new().await else { return };
    kubectl.feed("apply -f -", WEB).await;
    let mut edit = kubectl.command("edit rc web");
    edit.env("KUBE_EDITOR", kubectl.editor("s/replicas: 3/replicas: 1/"));
    let ended = kubectl.end_of(edit, "").await;
    assert_eq!((ended.code, ended.out.as_str()), (0, "replicationcontroller/web edited\n"), "{ended:?}");
    kubectl.prints("get rc web -o jsonpath={.spec.replicas}", "1").await;

    let mut edit = kubectl.command("edit rc web");
    edit.env("KUBE_EDITOR", kubectl.editor(""));
    let ended = kubectl.end_of(edit, "").await;
    assert!(ended.err.contains("Edit cancelled, no changes made"), "{ended:?}");

    // What the server refuses is shown again, with the server's reason, and kept.
    let mut edit = kubectl.command("edit rc web");
    edit.env("KUBE_EDITOR", kubectl.editor("s/replicas: 1/replicas: -1/")).env("TMPDIR", &kubectl.home);
    let ended = kubectl.end_of(edit, "").await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.err.contains(r#"error: replicationcontrollers "web" is invalid"#), "{ended:?}");
    let path = ended.err.split("has been stored to \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let kept = std::fs::read_to_string(path).unwrap();
    assert!(kept.contains("# * spec.replicas: Invalid value: -1: must be greater than or equal to 0"), "{kept}");
    kubectl.prints("get rc web -o jsonpath={.spec.replicas}", "1").await;

    let mut edit = kubectl.command("edit rc web --subresource=status");
    edit.env("KUBE_EDITOR", kubectl.editor("s/^status:/status:\\n  conditions: [{type: Odd, status: \"True\"}]/"));
    let ended = kubectl.end_of(edit, "").await;
    assert_eq!(ended.out, "replicationcontroller/web edited\n", "{ended:?}");
    kubectl.prints("get rc web -o jsonpath={.status.conditions[*].type}", "Odd").await;

    let mut edit = kubectl.command("apply edit-last-applied rc/web");
    edit.env("KUBE_EDITOR", kubectl.editor("s/replicas: 3/replicas: 2/"));
    let ended = kubectl.end_of(edit, "").await;
    assert_eq!(ended.out, "replicationcontroller/web edited\n", "{ended:?}");
    kubectl.tells("apply view-last-applied rc/web", &["replicas: 2"]).await;
    kubectl.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn patch_and_replace() {
    let Some(kubectl) = Kubectl::new().await else { return };
    kubectl.feed("create -f -", WEB).await;
    let image = "get rc web -o jsonpath={.spec.template.spec.containers[*].image}";
    let strategic = r#"patch rc web -p {"spec":{"template":{"spec":{"containers":[{"name":"d","image":"sim:d"}]}}}}"#;
    kubectl.prints(&format!("{strategic} --dry-run=server"), "replicationcontroller/web patched\n").await;
    kubectl.prints(image, "sim:1").await;
    kubectl.prints(strategic, "replicationcontroller/web patched\n").await;
    kubectl.prints(image, "sim:d sim:1").await;
    kubectl.prints(strategic, "replicationcontroller/web patched (no change)\n").await;
    let at = "/spec/template/spec/containers";
    let json = format!(
        r#"patch rc web --type=json -p [{{"op":"remove","path":"{at}/0"}},{{"op":"replace","path":"{at}/0/image","value":"sim:2"}}]"#
    );
    kubectl.prints(&json, "replicationcontroller/web patched\n").await;
    kubectl.prints(image, "sim:2").await;
    let error = kubectl.refuses(&json, "").await;
    assert!(error.contains("the server rejected our request due to an error in our request"), "{error}");
    let merge = r#"patch rc web --type=merge -p {"metadata":{"labels":{"tier":"back"}},"spec":{"minReadySeconds":2}}"#;
    kubectl.prints(merge, "replicationcontroller/web patched\n").await;
    kubectl.prints("get rc web -o jsonpath={.metadata.labels.tier}{.spec.minReadySeconds}", "back2").await;
    let scale = r#"patch rc web --subresource=scale --type=merge -p {"spec":{"replicas":1}}"#;
    kubectl.prints(scale, "scale.autoscaling/web patched\n").await;
    kubectl.prints("get rc web --subresource=scale -o jsonpath={.kind}{.spec.replicas}", "Scale1").await;

    kubectl.write("web.yaml", &WEB.replace("replicas: 3", "replicas: 2"));
    kubectl.prints("replace -f web.yaml", "replicationcontroller/web replaced\n").await;
    kubectl.prints("get rc web -o jsonpath={.spec.replicas}{.metadata.labels.tier}", "2").await;
    let uid = kubectl.run("get rc web -o jsonpath={.metadata.uid}").await;
    kubectl.tells("replace --force -f web.yaml", &["\"web\" deleted", "replicationcontroller/web replaced\n"]).await;
    assert_ne!(kubectl.run("get rc web -o jsonpath={.metadata.uid}").await, uid);
    kubectl.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_annotations_and_setters() {
    let Some(kubectl) = Kubectl::new().await else { return };
    kubectl.feed("apply -f -", WEB).await;
    kubectl.prints("label rc web tier=front", "replicationcontroller/web labeled\n").await;
    let error = kubectl.refuses("label rc web tier=back", "").await;
    assert!(error.contains("'tier' already has a value (front), and --overwrite is false"), "{error}");
    kubectl.prints("label rc -l tier=front tier=back --overwrite", "replicationcontroller/web labeled\n").await;
    kubectl.prints("label rc web tier-", "replicationcontroller/web unlabeled\n").await;
    kubectl.prints("label rc web --list", "app=web\n").await;
    kubectl.prints("annotate rc web why=because", "replicationcontroller/web annotated\n").await;
    kubectl.prints("get rc web -o jsonpath={.metadata.annotations.why}", "because").await;
    kubectl.prints("set image rc/web c=sim:9", "replicationcontroller/web image updated\n").await;
    kubectl.prints("set env rc/web A=b", "replicationcontroller/web env updated\n").await;
    kubectl.tells("set env rc/web --list", &["A=b"]).await;
    kubectl
        .prints("set resources rc/web --requests=cpu=50m", "replicationcontroller/web resource requirements updated\n")
        .await;
    kubectl.prints("set serviceaccount rc/web robot", "replicationcontroller/web serviceaccount updated\n").await;
    let spec =
        kubectl.run("get rc web -o jsonpath={.spec.template.spec.containers[0]['image','env','resources']}").await;
    for part in ["sim:9", r#""name":"A""#, r#""cpu":"50m""#] {
        assert!(spec.contains(part), "{part} in {spec}");
    }
    kubectl.run("create service clusterip inner --tcp=80").await;
    kubectl.prints("set selector service inner app=web", "service/inner selector updated\n").await;
    kubectl.prints("get service inner -o jsonpath={.spec.selector}", r#"{"app":"web"}"#).await;
    kubectl.run("create rolebinding readers --clusterrole=view --user=jane").await;
    let updated = "rolebinding.rbac.authorization.k8s.io/readers subjects updated\n";
    kubectl.prints("set subject rolebinding readers --user=joe", updated).await;
    kubectl.prints("get rolebinding readers -o jsonpath={.subjects[*].name}", "jane joe").await;
    kubectl.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delete() {
    let Some(kubectl) = Kubectl::new().await else { return };
    kubectl.feed("apply -f -", WEB).await;
    kubectl.comes_to("get rc web -o jsonpath={.status.readyReplicas}", "3").await;
    kubectl.prints("delete rc web --dry-run=server", "replicationcontroller \"web\" deleted (server dry run)\n").await;
    kubectl.prints("delete rc web --cascade=orphan", "replicationcontroller \"web\" deleted\n").await;
    let pods = kubectl.run("get pods -o name").await;
    assert_eq!(pods.lines().count(), 3, "the pods are orphans: {pods}");
    let first = pods.lines().next().unwrap();
    let name = first.trim_start_matches("pod/");
    kubectl.prints(&format!("delete {first} --now"), &format!("pod \"{name}\" deleted\n")).await;
    kubectl.run("delete pods -l app=web --field-selector=status.phase=Pending").await;
    kubectl.comes_to("get pods --no-headers -o custom-columns=PHASE:.status.phase", "Running\nRunning\n").await;
    kubectl.feed("apply -f -", WEB).await;
    // The new controller adopts them.
    kubectl.comes_to("get rc web -o jsonpath={.status.readyReplicas}", "3").await;
    assert_eq!(kubectl.run("get pods -o name").await.lines().count(), 3);
    let foreground = kubectl.feed("delete --cascade=foreground -f -", WEB).await;
    assert_eq!(foreground, "replicationcontroller \"web\" deleted\n");
    kubectl.prints("get pods -o name", "").await;
    kubectl.prints("delete rc web --ignore-not-found", "").await;
    assert!(kubectl.refuses("delete rc web", "").await.contains(r#"replicationcontrollers "web" not found"#));
    kubectl.run("create namespace away").await;
    kubectl.run("create cm inside -n away").await;
    kubectl.prints("delete namespace away", "namespace \"away\" deleted\n").await;
    assert!(kubectl.refuses("get namespace away", "").await.contains("NotFound"));
    kubectl.end().await;
}

/// What is one of several things becomes another: kubectl learns from the documents how to say so (`retainKeys`).
#[tokio::test(flavor = "multi_thread")]
async fn apply_of_something_else_in_its_place() {
    let Some(kubectl) = Kubectl::new().await else { return };
    let deployment = |strategy: &str, source: &str| {
        format!(
            "apiVersion: apps/v1
kind: Deployment
metadata: {{name: shop}}
spec:
  selector: {{matchLabels: {{app: shop}}}}
  strategy: {strategy}
  template:
    metadata: {{labels: {{app: shop}}}}
    spec:
      containers: [{{name: c, image: 'sim:1', volumeMounts: [{{name: v, mountPath: /v}}]}}]
      volumes: [{{name: v, {source}}}]
"
        )
    };
    let rolling = deployment("{type: RollingUpdate, rollingUpdate: {maxSurge: 1}}", "emptyDir: {}");
    kubectl.feed("apply -f -", &rolling).await;
    let patched = kubectl.command("apply -v=8 -f -");
    let ended = kubectl.end_of(patched, &deployment("{type: Recreate}", "configMap: {name: m}")).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.err.contains("/openapi/v3/apis/apps/v1"), "{}", ended.err);
    assert!(ended.err.contains("$retainKeys"), "{}", ended.err);
    kubectl.prints("get deployment shop -o jsonpath={.spec.strategy}", r#"{"type":"Recreate"}"#).await;
    let volumes = "get deployment shop -o jsonpath={.spec.template.spec.volumes}";
    kubectl.prints(volumes, r#"[{"configMap":{"defaultMode":420,"name":"m"},"name":"v"}]"#).await;
    kubectl.end().await;
}
