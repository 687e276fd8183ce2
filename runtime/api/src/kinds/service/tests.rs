//! Services from their YAML: what they are filled with, what is refused, what may change.

use super::*;
use crate::kinds::fixture::{create_errors, created, object, update_errors};

const SMALL: &str = "{metadata: {name: s, namespace: d}, spec: {selector: {a: b}, ports: [{port: 80}]}}";

fn errors(spec: &str) -> Vec<String> {
    create_errors(&Service, &format!("{{metadata: {{name: s, namespace: d}}, spec: {spec}}}"))
}

#[test]
fn a_small_service_is_filled_as_upstream_fills_it() {
    let expected = object(
        "apiVersion: v1
kind: Service
metadata: {name: s, namespace: d}
spec:
  internalTrafficPolicy: Cluster
  ipFamilies: [IPv4]
  ipFamilyPolicy: SingleStack
  ports: [{port: 80, protocol: TCP, targetPort: 80}]
  selector: {a: b}
  sessionAffinity: None
  type: ClusterIP
status: {loadBalancer: {}}",
    );
    assert_eq!(created(&Service, SMALL), expected);
}

#[test]
fn types_bring_their_own_defaults() {
    let service = created(
        &Service,
        "{metadata: {name: s, namespace: d}, spec: {type: NodePort, sessionAffinity: ClientIP, ports: [{port: 80, targetPort: web}]}}",
    );
    assert_eq!(service.str_at(&["spec", "externalTrafficPolicy"]), "Cluster");
    let timeout = service.at(&["spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"]);
    assert_eq!(timeout, Some(&10_800.into()));
    let headless = created(&Service, "{metadata: {name: s, namespace: d}, spec: {clusterIP: None}}");
    assert_eq!(headless.0["spec"]["clusterIPs"], serde_json::json!(["None"]));
    assert_eq!(headless.0["spec"]["ipFamilies"], serde_json::json!(["IPv4", "IPv6"]));
}

#[test]
fn what_is_wrong_with_a_service() {
    for (spec, expected) in [
        ("{}", "spec.ports: Required value"),
        (
            "{type: Cluster, ports: [{port: 80}]}",
            "spec.type: Unsupported value: \"Cluster\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
        ),
        (
            "{ports: [{port: 0, targetPort: 1}]}",
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        ("{ports: [{port: 1}, {name: b, port: 2}]}", "spec.ports[0].name: Required value"),
        (
            "{ports: [{port: 1, nodePort: 30000}]}",
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        (
            "{type: NodePort, ports: [{port: 1, nodePort: 80}]}",
            "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767",
        ),
        (
            "{type: NodePort, clusterIP: None, ports: [{port: 1}]}",
            "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
        ),
        ("{type: ExternalName}", "spec.externalName: Required value"),
        (
            "{clusterIP: here, ports: [{port: 1}]}",
            "spec.clusterIPs[0]: Invalid value: \"here\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        ),
        (
            "{ipFamilies: [IPv6], ports: [{port: 1}]}",
            "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster",
        ),
        (
            "{sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 0}}, ports: [{port: 1}]}",
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0 and less than 86400",
        ),
    ] {
        assert_eq!(errors(spec), [expected], "{spec}");
    }
}

#[test]
fn what_was_allocated_is_kept_and_may_not_change() {
    let yaml = "{metadata: {name: s, namespace: d}, spec: {type: NodePort, clusterIP: 10.0.0.5, ports: [{port: 80, nodePort: 30080}]}}";
    let old = created(&Service, yaml);
    let mut new = object("{metadata: {name: s, namespace: d}, spec: {type: NodePort, ports: [{port: 80}]}}");
    let admission = Service.admit(Operation::Update { old: &old }, &mut new);
    assert_eq!(admission.errors, []);
    assert_eq!(new.0["spec"], old.0["spec"]);

    let changed = update_errors(&Service, yaml, |service| {
        service.set(&["spec", "clusterIP"], "10.0.0.6");
        service.set(&["spec", "clusterIPs"], vec!["10.0.0.6"]);
    });
    assert_eq!(changed, ["spec.clusterIPs[0]: Invalid value: [\"10.0.0.6\"]: may not change once set"]);

    let plain = update_errors(&Service, yaml, |service| service.set(&["spec", "type"], "ClusterIP"));
    assert_eq!(plain, [""; 0], "node ports that are merely repeated go with the type");
}

#[test]
fn a_service_is_named_as_a_host_is() {
    let problems = Service.check_name("1web");
    assert!(problems[0].starts_with("a DNS-1035 label must consist of"), "{problems:?}");
}
