use super::*;

/// The warnings of making an object of `kind` that `yaml` says the rest of.
fn warned(api_version: &str, kind: &str, yaml: &str) -> Vec<String> {
    let kinds = crate::builtin();
    let kind = kinds.by_kind(api_version, kind).unwrap();
    of(kind, Operation::Create, &object(yaml))
}

fn object(yaml: &str) -> Object {
    serde_yaml::from_str(yaml).unwrap()
}

#[test]
fn pods_are_told_what_they_hide() {
    let check = |spec: &str, expected: &[&str]| {
        assert_eq!(warned("v1", "Pod", &format!("{{metadata: {{name: p}}, spec: {spec}}}")), expected, "{spec}");
    };
    check("{containers: [{name: c, env: [{name: A, value: a}, {name: A, value: '$(A)b'}]}]}", &[]);
    check(
        "{containers: [{name: c, env: [{name: A, value: a}, {name: A, value: b}]}]}",
        &[r#"spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply"#],
    );
    check(
        "{initContainers: [{name: i, ports: [{containerPort: 80, protocol: TCP}]}], containers: [{name: c, ports: [{containerPort: 80, protocol: TCP}, {containerPort: 80, hostPort: 8080, protocol: TCP}, {containerPort: 80, protocol: UDP}]}]}",
        &[
            "spec.containers[0].ports[0]: duplicate port definition with spec.initContainers[0].ports[0]",
            "spec.containers[0].ports[1]: overlapping port definition with spec.initContainers[0].ports[0]",
            "spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]",
        ],
    );
    check(
        "{containers: [{name: c, ports: [{containerPort: 80, hostPort: 1, protocol: TCP}, {containerPort: 80, hostPort: 1, hostIP: 1.2.3.4, protocol: TCP}, {containerPort: 81, hostIP: 1.2.3.4, protocol: TCP}]}]}",
        &[
            "spec.containers[0].ports[1]: dangerously ambiguous port definition with spec.containers[0].ports[0]",
            "spec.containers[0].ports[2]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:81 Protocol:TCP HostIP:1.2.3.4}",
        ],
    );
    check(
        "{nodeSelector: {beta.kubernetes.io/os: linux}, hostAliases: [{ip: 1.2.3.4}, {ip: 1.2.3.4}], imagePullSecrets: [{name: ''}]}",
        &[
            r#"spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead"#,
            r#"spec.hostAliases[1].ip: duplicate ip "1.2.3.4""#,
            r#"spec.imagePullSecrets[0].name: invalid empty name """#,
        ],
    );
    check(
        "{containers: [{name: c, resources: {limits: {memory: 100m, cpu: 100m}}}], volumes: [{name: v, gitRepo: {repository: r}}, {name: w, cephfs: {}}]}",
        &[
            "spec.volumes[0].gitRepo: deprecated in v1.11",
            "spec.volumes[1].cephfs: deprecated in v1.28, non-functional in v1.31+",
            r#"spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer"#,
        ],
    );
    check(
        "{topologySpreadConstraints: [{topologyKey: failure-domain.beta.kubernetes.io/zone}], terminationGracePeriodSeconds: -1, affinity: {podAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{podAffinityTerm: {}}]}}}",
        &[
            r#"spec.topologySpreadConstraints[0].topologyKey: failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; use "topology.kubernetes.io/zone" instead"#,
            "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
            "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
            "spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.labelSelector: a null labelSelector results in matching no pod",
        ],
    );
    check(
        "{volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: token}}, {secret: {items: [{key: k, path: token}]}}]}}]}",
        &[r#"spec.volumes[0].projected.sources.secrets[0]: has duplicated path with ServiceAccountToken "token""#],
    );
    let dotted = "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]";
    assert_eq!(warned("v1", "Pod", "{metadata: {name: a.b}}"), [dotted]);
}

#[test]
fn templates_are_pods_within() {
    let template = "{metadata: {annotations: {container.apparmor.security.beta.kubernetes.io/c: x}}, spec: {containers: [{name: c, env: [{name: A}, {name: A}]}]}}";
    let hides = |path: &str| {
        format!(
            "{path}.spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply"
        )
    };
    let armor = |path: &str| {
        format!(
            "{path}.metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: deprecated since v1.30; use the \"appArmorProfile\" field instead"
        )
    };
    for (api_version, kind, path, yaml) in [
        (
            "apps/v1",
            "Deployment",
            "spec.template",
            format!("{{metadata: {{name: d}}, spec: {{template: {template}}}}}"),
        ),
        ("batch/v1", "Job", "spec.template", format!("{{metadata: {{name: d}}, spec: {{template: {template}}}}}")),
        (
            "batch/v1",
            "CronJob",
            "spec.jobTemplate.spec.template",
            format!("{{metadata: {{name: d}}, spec: {{jobTemplate: {{spec: {{template: {template}}}}}}}}}"),
        ),
        ("v1", "PodTemplate", "template", format!("{{metadata: {{name: d}}, template: {template}}}")),
    ] {
        assert_eq!(warned(api_version, kind, &yaml), [armor(path), hides(path)], "{kind}");
    }
    // What is not changed is not told again.
    let kinds = crate::builtin();
    let kind = kinds.by_kind("apps/v1", "Deployment").unwrap();
    let old = object(&format!("{{metadata: {{name: d}}, spec: {{template: {template}}}}}"));
    assert!(of(kind, Operation::Update { old: &old }, &old).is_empty());
}

#[test]
fn services_volumes_and_others_are_warned() {
    let check = |api_version: &str, kind: &str, yaml: &str, expected: &[&str]| {
        assert_eq!(warned(api_version, kind, yaml), expected, "{kind} {yaml}");
    };
    check(
        "v1",
        "Service",
        "{metadata: {name: s}, spec: {type: ClusterIP, clusterIP: None, sessionAffinity: ClientIP, externalIPs: [1.2.3.4]}}",
        &["spec.externalIPs is ignored for headless services", "spec.SessionAffinity is ignored for headless services"],
    );
    check(
        "v1",
        "Service",
        "{metadata: {name: s}, spec: {type: ClusterIP, clusterIPs: ['FD00::1', '::ffff:1.2.3.4'], externalName: x, trafficDistribution: PreferClose}}",
        &[
            r#"spec.clusterIPs[0]: IPv6 address "FD00::1" should be in RFC 5952 canonical format ("fd00::1")"#,
            r#"spec.clusterIPs[1]: non-standard IP address "::ffff:1.2.3.4" will be considered invalid in a future Kubernetes release: use "1.2.3.4""#,
            r#"spec.externalName is ignored when spec.type is not "ExternalName""#,
            r#"spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone""#,
        ],
    );
    check(
        "v1",
        "PersistentVolume",
        "{metadata: {name: v}, spec: {persistentVolumeReclaimPolicy: Recycle, rbd: {}}}",
        &[
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.",
            "spec.rbd: deprecated in v1.28, non-functional in v1.31+",
        ],
    );
    check(
        "v1",
        "PersistentVolumeClaim",
        "{metadata: {name: v, annotations: {volume.beta.kubernetes.io/storage-class: x}}, spec: {resources: {requests: {storage: 1500m}}}}",
        &[
            r#"metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use "storageClassName" attribute instead"#,
            r#"spec.resources.requests[storage]: fractional byte value "1500m" is invalid, must be an integer"#,
        ],
    );
    check(
        "networking.k8s.io/v1",
        "Ingress",
        "{metadata: {name: i, annotations: {kubernetes.io/ingress.class: x}}, spec: {}}",
        &[r#"annotation "kubernetes.io/ingress.class" is deprecated, please use 'spec.ingressClassName' instead"#],
    );
    check(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        "{metadata: {name: n}, spec: {egress: [{to: [{ipBlock: {cidr: 10.1.2.3/8}}]}]}}",
        &[
            r#"spec.egress[0].to[0].ipBlock.cidr: CIDR value "10.1.2.3/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.1.2.3/32"?)"#,
        ],
    );
    check(
        "apps/v1",
        "StatefulSet",
        "{metadata: {name: s}, spec: {revisionHistoryLimit: -1, volumeClaimTemplates: [{spec: {resources: {limits: {storage: 1m}}}}]}}",
        &[
            r#"spec.volumeClaimTemplates[0].resources.limits[storage]: fractional byte value "1m" is invalid, must be an integer"#,
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended",
        ],
    );
    check(
        "v1",
        "Node",
        "{metadata: {name: n}, spec: {externalID: x}}",
        &["spec.externalID: this field is deprecated, and is unused by Kubernetes"],
    );
}
