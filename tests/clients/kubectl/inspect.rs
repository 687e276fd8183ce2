//! get, describe, explain, events, wait, and what a server tells of itself.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::{Kubectl, WEB, words};
use crate::harness::within;

#[tokio::test(flavor = "multi_thread")]
async fn get_in_every_form() {
    let Some(kubectl) = Kubectl::new().await else { return };
    kubectl.feed("apply -f -", WEB).await;
    kubectl.run("wait --for=jsonpath={.status.readyReplicas}=3 rc/web --timeout=100s").await;
    let table = kubectl.run("get pods -o wide --show-labels -L app").await;
    let mut lines = table.lines();
    let heading = "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES APP LABELS";
    assert_eq!(words(lines.next().unwrap()).join(" "), heading);
    let row = words(lines.next().unwrap());
    assert_eq!((row[1], row[2], row[3], row[6]), ("1/1", "Running", "0", "sim-0"), "{table}");
    assert_eq!(row[9..], ["web", "app=web"], "{table}");
    let table = kubectl.run("get rc,pods,nodes,svc -A --show-kind").await;
    for part in ["replicationcontroller/web", "pod/web-", "node/sim-0", "service/kubernetes", "NAMESPACE"] {
        assert!(table.contains(part), "{part} in\n{table}");
    }
    kubectl
        .prints(
            "get rc web --no-headers -o custom-columns=N:.metadata.name,R:.spec.replicas,X:.spec.none",
            "web   3     <none>\n",
        )
        .await;
    kubectl.write("columns.txt", "NAME           IMAGES\n.metadata.name .spec.template.spec.containers[*].image\n");
    let columns = kubectl.run("get rc -o custom-columns-file=columns.txt").await;
    assert_eq!(columns.lines().map(|line| words(line).join(" ")).collect::<Vec<_>>(), ["NAME IMAGES", "web sim:1"]);
    kubectl.prints("get rc web -o name", "replicationcontroller/web\n").await;
    kubectl.prints("get rc web -o go-template={{.spec.replicas}}", "3").await;
    kubectl.prints("get rc web -o jsonpath={.kind}/{.apiVersion}", "ReplicationController/v1").await;
    kubectl.tells("get rc web -o yaml", &["kind: ReplicationController", "  replicas: 3"]).await;
    kubectl.tells("get rc -o json", &[r#""kind": "List""#, r#""name": "web""#]).await;

    for (name, value) in [("a", "2"), ("b", "3"), ("c", "1")] {
        kubectl.run(&format!("create cm {name} --from-literal=k={value}")).await;
        kubectl.run(&format!("label cm {name} of=sort")).await;
    }
    kubectl.prints("get cm -l of=sort --sort-by=.data.k -o name", "configmap/c\nconfigmap/a\nconfigmap/b\n").await;
    kubectl.prints("get cm -l of=sort --chunk-size=1 -o name", "configmap/a\nconfigmap/b\nconfigmap/c\n").await;
    kubectl.prints("get cm --field-selector=metadata.name=b -o name", "configmap/b\n").await;
    kubectl.prints("get cm none --ignore-not-found", "").await;
    // Reviews have no metadata, and need none to be created from a file.
    let review = "apiVersion: authorization.k8s.io/v1\nkind: SubjectAccessReview\nspec: {user: u, groups: [system:authenticated], nonResourceAttributes: {path: /livez, verb: get}}\n";
    assert_eq!(kubectl.feed("create -f - -o jsonpath={.status.allowed}", review).await, "true");
    let error = kubectl.refuses("get cm none", "").await;
    assert_eq!(error, "Error from server (NotFound): configmaps \"none\" not found\n");
    let error = kubectl.refuses("get cm --field-selector=data.k=1", "").await;
    let expected = "Error from server (BadRequest): Unable to find \"/v1, Resource=configmaps\" that match label \
                    selector \"\", field selector \"data.k=1\": field label not supported: data.k\n";
    assert_eq!(error, expected);
    let error = kubectl.refuses("get cm -l of>sort", "").await;
    assert!(error.contains("for 'Gt', 'Lt' operators, the value must be an integer"), "{error}");
    assert!(kubectl.refuses("get widgets", "").await.contains(r#"the server doesn't have a resource type "widgets""#));
    kubectl.prints("get endpoints kubernetes -o jsonpath={.subsets[*].addresses[*].ip}", "10.127.255.254").await;
    let addresses = "get ipaddress -o jsonpath={.items[*].metadata.name}/{.items[*].spec.parentRef.name}";
    kubectl.prints(addresses, "10.96.0.1/kubernetes").await;
    kubectl.prints("get --raw /readyz", "ok").await;
    kubectl.tells("get --raw /readyz?verbose", &["readyz check passed"]).await;
    kubectl.tells("get --raw /metrics", &["apiserver_request_total"]).await;
    // The scheduler works on what the controllers watch, and is there all the same.
    let well = ["controller-manager Healthy ok", "scheduler Healthy ok", "etcd-0 Healthy ok"];
    let table = kubectl.run("get componentstatuses --no-headers").await;
    assert_eq!(table.lines().map(|line| words(line).join(" ")).collect::<Vec<_>>(), well);
    kubectl.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn get_and_watch() {
    let Some(kubectl) = Kubectl::new().await else { return };
    kubectl.run("create cm one --from-literal=k=v").await;
    kubectl.run("label cm one of=watch").await;
    let mut watch = kubectl.command("get cm -l of=watch -w --output-watch-events --no-headers").spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = async || within("an event", lines.next_line()).await.unwrap().unwrap_or_default();
    assert_eq!(words(&next().await)[..3], ["ADDED", "one", "1"]);
    kubectl.run("create cm two --from-literal=k=v --from-literal=l=w").await;
    kubectl.run("label cm two of=watch").await;
    assert_eq!(words(&next().await)[..3], ["ADDED", "two", "2"]);
    kubectl.run(r#"patch cm one --type=merge -p {"data":{"l":"w"}}"#).await;
    assert_eq!(words(&next().await)[..3], ["MODIFIED", "one", "2"]);
    kubectl.run("delete cm one").await;
    assert_eq!(words(&next().await)[..3], ["DELETED", "one", "2"]);
    watch.kill().await.unwrap();

    // Only what is new; whole objects instead of a table.
    let words_ = "get pods --watch-only -o jsonpath={.metadata.name}={.status.phase},";
    let mut watch = kubectl.command(words_).spawn().unwrap();
    let mut out = watch.stdout.take().unwrap();
    let create = async {
        // The watch begins when it has looked at what there is.
        loop {
            kubectl.run("run once --image=sim --restart=Never --env=SIM_EXIT_AFTER_MS=10").await;
            kubectl.run("wait --for=jsonpath={.status.phase}=Succeeded pod/once --timeout=100s").await;
            kubectl.run("delete pod once").await;
        }
    };
    let mut seen = String::new();
    let read = async {
        let mut piece = [0; 256];
        while !seen.contains("once=Pending,") || !seen.contains("once=Succeeded,") {
            let length = out.read(&mut piece).await.unwrap();
            assert_ne!(length, 0, "it goes on");
            seen.push_str(std::str::from_utf8(&piece[..length]).unwrap());
        }
    };
    tokio::select! {
        () = create => {}
        () = within("the pod's life", read) => {}
    }
    watch.kill().await.unwrap();
    kubectl.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn explain() {
    let Some(kubectl) = Kubectl::new().await else { return };
    kubectl
        .tells(
            "explain pod.spec.containers.image",
            &["KIND:       Pod", "FIELD: image <string>", "Container image name."],
        )
        .await;
    kubectl.tells("explain rc --recursive", &["VERSION:    v1", "minReadySeconds\t<integer>"]).await;
    kubectl
        .tells("explain deployment.spec.strategy.type", &["GROUP:      apps", "FIELD: type <string>", "RollingUpdate"])
        .await;
    kubectl
        .tells(
            "explain hpa.spec.targetCPUUtilizationPercentage --api-version=autoscaling/v1",
            &["VERSION:    v1", "<integer>"],
        )
        .await;
    kubectl
        .tells(
            "explain service --output=plaintext-openapiv2",
            &["KIND:     Service", "VERSION:  v1", "apiVersion\t<string>"],
        )
        .await;
    let error = kubectl.refuses("explain pod.spec.none", "").await;
    assert!(error.contains(r#"field "none" does not exist"#), "{error}");
    kubectl.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn describe_events_and_wait() {
    let Some(kubectl) = Kubectl::new().await else { return };
    kubectl.feed("apply -f -", WEB).await;
    kubectl.comes_to("get rc web -o jsonpath={.status.readyReplicas}", "3").await;
    let waited = kubectl.run("wait --for=condition=Ready pod -l app=web --timeout=100s").await;
    assert_eq!(waited.lines().filter(|line| line.ends_with(" condition met")).count(), 3, "{waited}");
    let error = kubectl.refuses("wait --for=jsonpath={.spec.replicas}=4 rc/web --timeout=1s", "").await;
    assert!(error.contains("timed out waiting for the condition on replicationcontrollers/web"), "{error}");
    let mut deleted = kubectl.command("wait --for=delete rc/web --timeout=100s").spawn().unwrap();
    let mut created = kubectl.command("wait --for=create cm/late --timeout=100s").spawn().unwrap();

    kubectl
        .tells("describe rc web", &["Replicas:     3 current / 3 desired", "3 Running / 0 Waiting", "SuccessfulCreate"])
        .await;
    kubectl
        .tells(
            "describe pods",
            &[
                "Node:             sim-0/127.0.0.1",
                "Successfully assigned default/web-",
                "Controlled By:  ReplicationController/web",
            ],
        )
        .await;
    kubectl.tells("describe node sim-0", &["Roles:", "Allocated resources:", "Non-terminated Pods:", "web-"]).await;
    kubectl.tells("describe namespace default", &["Status:       Active"]).await;
    kubectl.tells("describe svc kubernetes", &["Endpoints:", "https  443/TCP"]).await;
    for kind in
        ["clusterrole/admin", "crd", "sc", "lease -n=kube-node-lease", "serviceaccount/default", "endpointslices"]
    {
        kubectl.run(&format!("describe {kind}")).await;
    }
    let pod = kubectl.run("get pods -o jsonpath={.items[0].metadata.name}").await;
    let events = kubectl.run(&format!("events --for=pod/{pod} --no-headers")).await;
    assert!(events.contains("Scheduled") && !events.contains("SuccessfulCreate"), "{events}");
    kubectl
        .tells(
            "get events --field-selector=reason=SuccessfulCreate",
            &["replicationcontroller/web", "Created pod: web-"],
        )
        .await;
    assert!(!kubectl.run("events --types=Warning").await.contains("Scheduled"));

    kubectl.run("create cm late").await;
    kubectl.run("delete rc web").await;
    assert!(within("it is gone", deleted.wait()).await.unwrap().success());
    assert!(within("it is made", created.wait()).await.unwrap().success());
    kubectl.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served() {
    let Some(kubectl) = Kubectl::new().await else { return };
    let table = kubectl.run("api-resources -o wide --no-headers").await;
    let row = |name: &str| {
        table.lines().map(words).find(|row| row[0] == name).unwrap_or_else(|| panic!("{name} in\n{table}"))
    };
    let verbs = "create,delete,deletecollection,get,list,patch,update,watch";
    assert_eq!(row("pods")[..6], ["pods", "po", "v1", "true", "Pod", verbs]);
    assert_eq!(row("pods").last(), Some(&"all"));
    assert_eq!(row("deployments")[..5], ["deployments", "deploy", "apps/v1", "true", "Deployment"]);
    assert_eq!(row("tokenreviews")[1..], ["authentication.k8s.io/v1", "false", "TokenReview", "create"]);
    let cluster_wide = kubectl.run("api-resources --namespaced=false --verbs=list,watch -o name").await;
    assert!(cluster_wide.contains("nodes\n") && !cluster_wide.contains("pods\n"), "{cluster_wide}");
    kubectl.prints("api-resources --api-group=batch -o name", "cronjobs.batch\njobs.batch\n").await;
    let versions = kubectl.run("api-versions").await;
    for version in ["v1", "apps/v1", "autoscaling/v1", "autoscaling/v2", "apiextensions.k8s.io/v1"] {
        assert!(versions.lines().any(|line| line == version), "{version} in\n{versions}");
    }
    let server = kubectl.run("config view --minify -o jsonpath={.clusters[0].cluster.server}").await;
    let info = kubectl.run("cluster-info").await;
    assert!(info.contains("Kubernetes control plane") && info.contains(&server), "{info}");
    kubectl.tells("cluster-info dump", &[r#""kind": "NodeList""#, r#""kind": "PodList""#]).await;
    kubectl.tells("version -o json", &[r#""gitVersion": "v1.36"#]).await;
    assert!(kubectl.refuses("top pods", "").await.contains("Metrics API not available"));
    kubectl.end().await;
}

/// `kubectl proxy` passes on what a program without credentials asks.
#[tokio::test(flavor = "multi_thread")]
async fn proxy() {
    let Some(kubectl) = Kubectl::new().await else { return };
    let mut proxy = kubectl.command("proxy --port=0").stderr(Stdio::inherit()).spawn().unwrap();
    let mut lines = BufReader::new(proxy.stdout.take().unwrap()).lines();
    let line = within("it serves", lines.next_line()).await.unwrap().unwrap();
    let address = line.strip_prefix("Starting to serve on ").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = "GET /api/v1/namespaces/default HTTP/1.0\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within("the answer", stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.contains("200 OK") && answer.contains(r#""kind":"Namespace""#), "{answer}");
    proxy.kill().await.unwrap();
    kubectl.end().await;
}
