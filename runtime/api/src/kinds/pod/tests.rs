//! Pods from their YAML: what they are filled with, what is refused, what may change.

use serde_json::json;

use super::*;
use crate::kinds::fixture::{create_errors, created, object, update_errors};

const SMALL: &str =
    "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: d}, spec: {containers: [{name: c, image: i}]}}";

/// The errors of a pod with `spec`.
fn errors(spec: &str) -> Vec<String> {
    create_errors(&Pod, &format!("{{metadata: {{name: p, namespace: d}}, spec: {spec}}}"))
}

/// The errors of a pod with one container with `fields`.
fn container(fields: &str) -> Vec<String> {
    errors(&format!("{{containers: [{{name: c, image: i, {fields}}}]}}"))
}

#[test]
fn a_small_pod_is_filled_as_upstream_fills_it() {
    let expected = object(
        "apiVersion: v1
kind: Pod
metadata: {name: p, namespace: d}
spec:
  containers:
  - {image: i, imagePullPolicy: Always, name: c, resources: {}, terminationMessagePath: /dev/termination-log, terminationMessagePolicy: File}
  dnsPolicy: ClusterFirst
  enableServiceLinks: true
  preemptionPolicy: PreemptLowerPriority
  priority: 0
  restartPolicy: Always
  schedulerName: default-scheduler
  securityContext: {}
  serviceAccount: default
  serviceAccountName: default
  terminationGracePeriodSeconds: 30
  tolerations:
  - {effect: NoExecute, key: node.kubernetes.io/not-ready, operator: Exists, tolerationSeconds: 300}
  - {effect: NoExecute, key: node.kubernetes.io/unreachable, operator: Exists, tolerationSeconds: 300}
status: {phase: Pending, qosClass: BestEffort}",
    );
    assert_eq!(created(&Pod, SMALL), expected);
}

#[test]
fn probes_ports_volumes_and_resources_are_filled() {
    let pod = created(
        &Pod,
        "metadata: {name: p, namespace: d}
spec:
  hostNetwork: true
  volumes: [{name: v}, {name: s, secret: {secretName: x}}]
  containers:
  - name: c
    image: r.io:5000/i:1
    ports: [{containerPort: 80}]
    livenessProbe: {httpGet: {port: 80}}
    resources: {limits: {cpu: '0.5', memory: 1024Mi}}
    volumeMounts: [{name: v, mountPath: /v}]",
    );
    let container = &pod.at(&["spec", "containers"]).unwrap()[0];
    assert_eq!(container["imagePullPolicy"], "IfNotPresent");
    assert_eq!(container["ports"][0], serde_json::json!({"containerPort": 80, "hostPort": 80, "protocol": "TCP"}));
    let probe = serde_json::json!({
        "failureThreshold": 3, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1,
        "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
    });
    assert_eq!(container["livenessProbe"], probe);
    let amounts = serde_json::json!({"cpu": "500m", "memory": "1Gi"});
    assert_eq!(container["resources"], serde_json::json!({"limits": amounts, "requests": amounts}));
    assert_eq!(pod.at(&["spec", "volumes"]).unwrap()[0]["emptyDir"], serde_json::json!({}));
    assert_eq!(pod.at(&["spec", "volumes"]).unwrap()[1]["secret"]["defaultMode"], 420);
    assert_eq!(pod.str_at(&["status", "qosClass"]), "Guaranteed");
}

#[test]
fn images_are_pulled_by_their_tag() {
    for (image, latest) in [("i", true), ("i:latest", true), ("i:1", false), ("r:5000/i", true), ("i@sha256:0", false)]
    {
        assert_eq!(defaults::tag_is_latest(image), latest, "{image}");
    }
}

#[test]
fn what_is_wrong_with_containers() {
    for (spec, expected) in [
        ("{containers: []}", "spec.containers: Required value"),
        ("{containers: [{name: c}]}", "spec.containers[0].image: Required value"),
        ("{containers: [{image: i}]}", "spec.containers[0].name: Required value"),
        ("{containers: [{name: c, image: i}, {name: c, image: i}]}", "spec.containers[1].name: Duplicate value: \"c\""),
        (
            "{containers: [{name: c, image: i}], initContainers: [{name: c, image: i}]}",
            "spec.initContainers[0].name: Duplicate value: \"c\"",
        ),
        (
            "{containers: [{name: c, image: i}], restartPolicy: Sometimes}",
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
        ),
        (
            "{containers: [{name: c, image: i}], initContainers: [{name: d, image: i, livenessProbe: {exec: {command: [x]}}}]}",
            "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
        ),
        (
            "{containers: [{name: c, image: i}], tolerations: [{key: k, operator: Exists, value: v}]}",
            "spec.tolerations[0].operator: Invalid value: \"v\": value must be empty when `operator` is 'Exists'",
        ),
    ] {
        assert_eq!(errors(spec), [expected], "{spec}");
    }
}

#[test]
fn what_is_wrong_in_a_container() {
    for (fields, expected) in [
        ("ports: [{containerPort: 0}]", "spec.containers[0].ports[0].containerPort: Required value"),
        (
            "ports: [{containerPort: 70000}]",
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (
            "ports: [{name: a, containerPort: 1}, {name: a, containerPort: 2}]",
            "spec.containers[0].ports[1].name: Duplicate value: \"a\"",
        ),
        (
            "ports: [{containerPort: 1, protocol: ICMP}]",
            "spec.containers[0].ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
        ),
        (
            "ports: [{containerPort: 1, hostPort: 9}, {containerPort: 2, hostPort: 9}]",
            "spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//9\"",
        ),
        (
            "env: [{name: 'a=b'}]",
            "spec.containers[0].env[0].name: Invalid value: \"a=b\": a valid environment variable name must consist only of printable ASCII characters other than '='",
        ),
        (
            "env: [{name: a, valueFrom: {fieldRef: {fieldPath: spec.x}}}]",
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"spec.x\": supported values: \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", \"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\"",
        ),
        ("volumeMounts: [{name: x, mountPath: /x}]", "spec.containers[0].volumeMounts[0].name: Not found: \"x\""),
        ("livenessProbe: {}", "spec.containers[0].livenessProbe: Required value: must specify a handler type"),
        (
            "readinessProbe: {tcpSocket: {port: 80}, periodSeconds: -1}",
            "spec.containers[0].readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            "livenessProbe: {tcpSocket: {port: 80}, successThreshold: 2}",
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ),
        (
            "resources: {requests: {cpu: 2}, limits: {cpu: 1}}",
            "spec.containers[0].resources.requests[cpu]: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
        ),
        (
            "resources: {limits: {cpu: -1}, requests: {cpu: -1}}",
            "spec.containers[0].resources.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
        ),
        (
            "imagePullPolicy: Often",
            "spec.containers[0].imagePullPolicy: Unsupported value: \"Often\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
        ),
        (
            "securityContext: {runAsUser: -1}",
            "spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
        ),
    ] {
        assert_eq!(container(fields).first().map(String::as_str), Some(expected), "{fields}");
    }
}

#[test]
fn what_is_wrong_with_volumes() {
    for (volumes, expected) in [
        ("[{name: a}, {name: a}]", "spec.volumes[1].name: Duplicate value: \"a\""),
        (
            "[{name: a, emptyDir: {}, hostPath: {path: /x}}]",
            "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
        ),
        (
            "[{name: a, hostPath: {path: /x/../y}}]",
            "spec.volumes[0].hostPath.path: Invalid value: \"/x/../y\": must not contain '..'",
        ),
        (
            "[{name: a, configMap: {name: m, items: [{key: k, path: /abs}]}}]",
            "spec.volumes[0].configMap.items[0].path: Invalid value: \"/abs\": must be a relative path",
        ),
        ("[{name: a, secret: {}}]", "spec.volumes[0].secret.secretName: Required value"),
    ] {
        let spec = format!("{{containers: [{{name: c, image: i}}], volumes: {volumes}}}");
        assert_eq!(errors(&spec), [expected], "{volumes}");
    }
}

#[test]
fn images_and_tolerations_may_change_and_nothing_else() {
    let image = |pod: &mut Object| pod.0["spec"]["containers"][0]["image"] = "j".into();
    assert_eq!(update_errors(&Pod, SMALL, image), [""; 0]);
    let node = update_errors(&Pod, SMALL, |pod| pod.set(&["spec", "nodeName"], "n"));
    assert_eq!(
        node,
        [
            "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n+ nodeName: \"n\"\n"
        ]
    );
    // What the server filled in may be left out again.
    let less = |pod: &mut Object| {
        for field in ["tolerations", "priority", "preemptionPolicy", "dnsPolicy"] {
            pod.remove(&["spec", field]);
        }
    };
    assert_eq!(update_errors(&Pod, SMALL, less), [""; 0]);
    let tolerant = SMALL.replace("spec: {", "spec: {tolerations: [{key: k, operator: Exists}], ");
    let fewer = update_errors(&Pod, &tolerant, |pod| drop(pod.remove(&["spec", "tolerations"])));
    assert_eq!(
        fewer,
        ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"]
    );
}

#[test]
fn where_a_pod_goes_that_is_held_back_may_be_narrowed() {
    let gated = SMALL.replace("spec: {", "spec: {schedulingGates: [{name: g}], nodeSelector: {a: b}, affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: k, operator: Exists}]}]}}}, ");
    let terms =
        ["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"];
    let exists = |key: &str| json!({"key": key, "operator": "Exists"});
    let narrower = |pod: &mut Object| {
        pod.set(&["spec", "nodeSelector"], json!({"a": "b", "c": "d"}));
        pod.set(&terms, json!([{"matchExpressions": [exists("k"), exists("l")]}]));
    };
    assert_eq!(update_errors(&Pod, &gated, narrower), [""; 0]);
    let other = |pod: &mut Object| {
        pod.set(&["spec", "nodeSelector"], json!({"a": "c"}));
        pod.set(&terms, json!([{"matchExpressions": [exists("l")]}]));
    };
    let at = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    assert_eq!(
        update_errors(&Pod, &gated, other),
        [
            "spec.nodeSelector: Invalid value: {\"a\":\"c\"}: only additions to spec.nodeSelector are allowed (no mutations or deletions)".to_owned(),
            format!("{at}[0]: Invalid value: {{\"matchExpressions\":[{{\"key\":\"l\",\"operator\":\"Exists\"}}]}}: only additions are allowed (no mutations or deletions)"),
        ]
    );
    let more = |pod: &mut Object| pod.set(&terms, json!([{}, {}]));
    let expected = format!(
        "{at}: Invalid value: [{{}},{{}}]: no additions/deletions to non-empty NodeSelectorTerms list are allowed"
    );
    assert!(update_errors(&Pod, &gated, more).contains(&expected));
    // One that is not held back stays where it is.
    let free = |pod: &mut Object| pod.set(&["spec", "nodeSelector"], json!({"a": "b"}));
    assert!(update_errors(&Pod, SMALL, free)[0].contains("pod updates may not change fields other than"));
}

#[test]
fn an_ended_container_stays_ended() {
    let old = created(
        &Pod,
        "{metadata: {name: p, namespace: d}, spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}",
    );
    let status = |state: &str| {
        object(&format!(
            "{{containerStatuses: [{{name: c, image: i, imageID: '', ready: false, restartCount: 0, state: {state}}}], phase: Running}}"
        ))
    };
    let mut ended = old.clone();
    ended.set(&["status"], Value::Object(status("{terminated: {exitCode: 0}}").0));
    let admission = Pod.admit(Operation::UpdateStatus { old: &old }, &mut ended);
    assert_eq!(admission.errors, []);
    assert_eq!(ended.str_at(&["status", "qosClass"]), "BestEffort");
    let mut again = ended.clone();
    again.set(&["status"], Value::Object(status("{running: {}}").0));
    let admission = Pod.admit(Operation::UpdateStatus { old: &ended }, &mut again);
    assert_eq!(
        admission.errors[0].to_string(),
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
    );
}

#[test]
fn a_container_with_a_policy_or_rules_of_its_own_may_run_again() {
    for (own, allowed) in [
        ("", false),
        (", restartPolicy: OnFailure", true),
        (
            ", restartPolicy: Never, restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [3]}}]",
            true,
        ),
    ] {
        let mut old = object(&format!(
            "{{metadata: {{name: p}}, spec: {{restartPolicy: Never, containers: [{{name: c, image: i{own}}}]}}}}"
        ));
        let status = |state: &str| {
            let text = format!(
                "{{containerStatuses: [{{name: c, image: i, imageID: '', ready: false, restartCount: 0, state: {state}}}]}}"
            );
            Value::Object(object(&text).0)
        };
        old.set(&["status"], status("{terminated: {exitCode: 3}}"));
        let mut new = old.clone();
        new.set(&["status"], status("{running: {}}"));
        assert_eq!(Pod.admit(Operation::UpdateStatus { old: &old }, &mut new).errors.is_empty(), allowed, "{own}");
    }
}

#[test]
fn a_pod_on_a_node_gets_its_grace_period() {
    for (spec, asked, expected) in [
        ("{}", None, 0),
        ("{}", Some(7), 0),
        ("{nodeName: n}", None, 30),
        ("{nodeName: n, terminationGracePeriodSeconds: 5}", None, 5),
        ("{nodeName: n, terminationGracePeriodSeconds: -3}", None, 1),
        ("{nodeName: n, terminationGracePeriodSeconds: 5}", Some(0), 0),
        ("{nodeName: n, terminationGracePeriodSeconds: 5}", Some(-3), 1),
        // What is asked for counts, even of a pod that by itself takes no time.
        ("{nodeName: n, terminationGracePeriodSeconds: 0}", Some(7), 7),
    ] {
        assert_eq!(Pod.grace_period(&object(&format!("{{spec: {spec}}}")), asked), expected, "{spec} {asked:?}");
    }
}
