//! run, logs, exec, attach, debug, drain, taint, rollout, scale, expose and autoscale.

use super::{Kubectl, WEB, words};

#[tokio::test(flavor = "multi_thread")]
async fn logs_exec_attach_and_debug() {
    let Some(kubectl) = Kubectl::new().await else { return };
    let run = "run talks --image=sim --env=SIM_LOG=one --env=SIM_EXEC_OUTPUT=out --env=SIM_EXEC_CODE=5 --labels=app=t";
    kubectl.prints(run, "pod/talks created\n").await;
    kubectl.run("wait --for=condition=Ready pod/talks --timeout=100s").await;
    kubectl.prints("logs talks", "one\n").await;
    kubectl.prints("logs -f talks --tail=1", "one\n").await;
    kubectl.prints("logs -l app=t --prefix", "[pod/talks/talks] one\n").await;
    kubectl.prints("logs talks --all-containers --limit-bytes=2", "on").await;
    let stamped = kubectl.run("logs talks --timestamps").await;
    let (time, line) = stamped.split_once(' ').unwrap();
    assert!(line == "one\n" && time.parse::<k8s_openapi::jiff::Timestamp>().is_ok(), "{stamped}");
    kubectl.prints(&format!("logs talks --since-time={time}"), "one\n").await;
    let error = kubectl.refuses("logs talks -c other", "").await;
    assert!(error.contains("container other is not valid for pod talks"), "{error}");
    let error = kubectl.refuses("logs talks --previous", "").await;
    assert!(error.contains("previous terminated container"), "{error}");

    let ended = kubectl.end_of(kubectl.command("exec talks -- any"), "").await;
    assert_eq!((ended.code, ended.out.as_str()), (5, "out"), "{ended:?}");
    assert!(ended.err.contains("command terminated with exit code 5"), "{ended:?}");
    let ended = kubectl.end_of(kubectl.command("exec talks -c other -- any"), "").await;
    assert!(ended.err.contains("container other is not valid for pod talks"), "{ended:?}");
    kubectl.tells("attach talks", &["one"]).await;
    kubectl.run("run cat --image=sim --env=SIM_EXEC_ECHO=true").await;
    kubectl.run("wait --for=condition=Ready pod/cat --timeout=100s").await;
    assert_eq!(kubectl.feed("exec -i cat -- cat", "through the pod\n").await, "through the pod\n");

    kubectl.run("debug talks --copy-to=copy --set-image=*=sim:debug --attach=false").await;
    kubectl.prints("get pod copy -o jsonpath={.spec.containers[*].image}", "sim:debug").await;
    kubectl.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_cordoned_tainted_and_drained() {
    let Some(kubectl) = Kubectl::new().await else { return };
    kubectl.feed("apply -f -", WEB).await;
    kubectl.comes_to("get rc web -o jsonpath={.status.readyReplicas}", "3").await;
    kubectl.run("run bare --image=sim").await;
    kubectl.prints("cordon sim-0", "node/sim-0 cordoned\n").await;
    kubectl.prints("cordon sim-0", "node/sim-0 already cordoned\n").await;
    let table = kubectl.run("get nodes --no-headers").await;
    assert_eq!(words(&table)[1], "Ready,SchedulingDisabled", "{table}");
    let error = kubectl.refuses("drain sim-0", "").await;
    assert!(error.contains("declare no controller (use --force to override): default/bare"), "{error}");
    let drained = kubectl.run("drain sim-0 --force --timeout=100s").await;
    assert_eq!(drained.lines().filter(|line| line.starts_with("evicting pod default/")).count(), 4, "{drained}");
    assert!(drained.ends_with("node/sim-0 drained\n"), "{drained}");
    kubectl.prints("get pods --field-selector=spec.nodeName=sim-0 -o name", "").await;
    kubectl.prints("uncordon sim-0", "node/sim-0 uncordoned\n").await;
    kubectl.comes_to("get rc web -o jsonpath={.status.readyReplicas}", "3").await;

    kubectl.prints("taint node sim-0 only=them:NoExecute", "node/sim-0 tainted\n").await;
    kubectl.comes_to("get pods --field-selector=spec.nodeName=sim-0 -o name", "").await;
    kubectl.prints("taint node sim-0 only-", "node/sim-0 untainted\n").await;
    kubectl.comes_to("get rc web -o jsonpath={.status.readyReplicas}", "3").await;
    kubectl.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scale_expose_and_autoscale() {
    let Some(kubectl) = Kubectl::new().await else { return };
    kubectl.feed("apply -f -", WEB).await;
    kubectl.prints("scale rc web --replicas=2", "replicationcontroller/web scaled\n").await;
    let error = kubectl.refuses("scale rc web --current-replicas=3 --replicas=1", "").await;
    assert!(error.contains("Expected replicas to be 3, was 2"), "{error}");
    kubectl.comes_to("get rc web -o jsonpath={.status.readyReplicas}", "2").await;
    kubectl.prints("expose rc web --name=front --port=8080 --target-port=80", "service/front exposed\n").await;
    kubectl.prints("get service front -o jsonpath={.spec.selector.app}:{.spec.ports[*].targetPort}", "web:80").await;
    kubectl.comes_to("get endpoints front -o jsonpath={.subsets[*].ports[*].port}", "80").await;
    kubectl.run("autoscale rc web --min=1 --max=4").await;
    kubectl
        .prints("get hpa web -o jsonpath={.spec.scaleTargetRef.kind}{.spec.maxReplicas}", "ReplicationController4")
        .await;
    kubectl.end().await;
}

/// No controller acts on a Deployment; what rollout asks of the API is there all the same.
#[tokio::test(flavor = "multi_thread")]
async fn rollout() {
    let Some(kubectl) = Kubectl::new().await else { return };
    kubectl.run("create deployment web --image=sim --replicas=2").await;
    kubectl.prints("rollout pause deployment/web", "deployment.apps/web paused\n").await;
    kubectl.prints("get deployment web -o jsonpath={.spec.paused}", "true").await;
    assert!(kubectl.refuses("rollout pause deployment/web", "").await.contains("is already paused"));
    kubectl.prints("rollout resume deployment/web", "deployment.apps/web resumed\n").await;
    kubectl.prints("rollout restart deployment/web", "deployment.apps/web restarted\n").await;
    let at =
        r"get deployment web -o jsonpath={.spec.template.metadata.annotations.kubectl\.kubernetes\.io/restartedAt}";
    assert_ne!(kubectl.run(at).await, "");
    let waiting = kubectl.refuses("rollout status deployment/web --timeout=1s", "").await;
    assert!(waiting.contains("timed out waiting"), "{waiting}");
    let generation = kubectl.run("get deployment web -o jsonpath={.metadata.generation}").await;
    let status = format!(
        r#"{{"status":{{"observedGeneration":{generation},"replicas":2,"updatedReplicas":2,"readyReplicas":2,"availableReplicas":2}}}}"#
    );
    kubectl.run(&format!("patch deployment web --subresource=status --type=merge -p {status}")).await;
    kubectl.prints("rollout status deployment/web", "deployment \"web\" successfully rolled out\n").await;
    kubectl.tells("rollout history deployment/web", &["No rollout history found."]).await;
    let error = kubectl.refuses("rollout undo deployment/web", "").await;
    assert!(error.contains("no rollout history found"), "{error}");
    kubectl.end().await;
}
