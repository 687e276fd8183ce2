//! Pods and their templates (`pkg/api/pod`, `warningsForPodSpecAndMeta`).

use std::collections::{HashMap, HashSet};

use super::{GONE, Warnings, address, claim, node};
use crate::at::At;

const ANNOTATIONS: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        r#"non-functional in v1.16+; use the "priorityClassName" field instead"#,
    ),
    ("security.alpha.kubernetes.io/sysctls", r#"non-functional in v1.11+; use the "sysctls" field instead"#),
    ("security.alpha.kubernetes.io/unsafe-sysctls", r#"non-functional in v1.11+; use the "sysctls" field instead"#),
];
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const SECCOMP: &str = r#"non-functional in v1.27+; use the "seccompProfile" field instead"#;
/// What is measured in bytes.
const BYTES: [&str; 2] = ["memory", "ephemeral-storage"];
const NO_SELECTOR: &str = "a null labelSelector results in matching no pod";

pub(super) fn check_template(template: &At<'_>, warnings: &mut Warnings) {
    check(&template.get("metadata"), &template.get("spec"), true, warnings);
}

pub(super) fn check(metadata: &At<'_>, spec: &At<'_>, template: bool, warnings: &mut Warnings) {
    placement(spec, warnings);
    let annotations = metadata.get("annotations");
    let annotation = |key: &str| annotations.entries().find(|(found, _)| *found == key).map(|(_, at)| at);
    for (key, text) in ANNOTATIONS {
        annotation(key).iter().for_each(|at| warnings.at(at, text));
    }
    for volume in spec.get("volumes").items() {
        check_volume(&volume, warnings);
    }
    projections(spec, warnings);
    duplicates(&spec.get("hostAliases"), "ip", 1, warnings);
    spec.get("hostAliases").items().for_each(|alias| address::ip(&alias.get("ip"), warnings));
    let secrets = spec.get("imagePullSecrets");
    duplicates(&secrets, "name", 1, warnings);
    for name in secrets.items().map(|secret| secret.get("name")).filter(At::is_empty) {
        warnings.at(&name, "invalid empty name \"\"");
    }
    bytes(&spec.get("overhead"), warnings);
    let of_pod = spec.get("securityContext");
    if !of_pod.get("seccompProfile").is_set() {
        annotation(SECCOMP_POD).iter().for_each(|at| warnings.at(at, SECCOMP));
    }
    for container in containers(spec) {
        let (name, own) = (container.get("name"), container.get("securityContext"));
        if !own.get("seccompProfile").is_set() {
            annotation(&format!("{SECCOMP_CONTAINER}{}", name.text())).iter().for_each(|at| warnings.at(at, SECCOMP));
        }
        if template && [&of_pod, &own].into_iter().all(|context| !context.get("appArmorProfile").is_set()) {
            let text = r#"deprecated since v1.30; use the "appArmorProfile" field instead"#;
            annotation(&format!("{APP_ARMOR}{}", name.text())).iter().for_each(|at| warnings.at(at, text));
        }
        let resources = container.get("resources");
        ["limits", "requests"].into_iter().for_each(|field| bytes(&resources.get(field), warnings));
        environment(&container.get("env"), warnings);
    }
    ports(spec, warnings);
    let grace = spec.get("terminationGracePeriodSeconds");
    if grace.int().is_some_and(|seconds| seconds < 0) {
        warnings.at(&grace, "must be >= 0; negative values are invalid and will be treated as 1");
    }
    spec.get("dnsConfig").get("nameservers").items().for_each(|server| address::ip(&server, warnings));
    for affinity in ["podAffinity", "podAntiAffinity"].map(|field| spec.get("affinity").get(field)) {
        let required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution").items();
        let preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution").items();
        for term in required.chain(preferred.map(|weighted| weighted.get("podAffinityTerm"))) {
            without_selector(&term, warnings);
        }
    }
}

/// All containers, in the order in which they are begun.
fn containers<'a>(spec: &At<'a>) -> impl Iterator<Item = At<'a>> {
    let fields = ["initContainers", "containers", "ephemeralContainers"];
    fields.map(|field| spec.get(field)).into_iter().flat_map(|list| list.items())
}

fn without_selector(term: &At<'_>, warnings: &mut Warnings) {
    if !term.get("labelSelector").is_set() {
        warnings.at(&term.get("labelSelector"), NO_SELECTOR);
    }
}

fn placement(spec: &At<'_>, warnings: &mut Warnings) {
    for (label, at) in spec.get("nodeSelector").entries() {
        node::deprecated(label).into_iter().for_each(|text| warnings.at(&at, text));
    }
    let affinity = spec.get("affinity").get("nodeAffinity");
    let required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution");
    required.get("nodeSelectorTerms").items().for_each(|term| node::term(&term, warnings));
    let preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution");
    preferred.items().for_each(|weighted| node::term(&weighted.get("preference"), warnings));
    for constraint in spec.get("topologySpreadConstraints").items() {
        let key = constraint.get("topologyKey");
        if let Some(text) = node::deprecated(key.text()) {
            warnings.at(&key, &format!("{} is {text}", key.text()));
        }
        without_selector(&constraint, warnings);
    }
}

fn check_volume(volume: &At<'_>, warnings: &mut Warnings) {
    warnings.if_set(&volume.get("gitRepo"), "deprecated in v1.11");
    warnings.if_set(&volume.get("flocker"), "deprecated in v1.22, non-functional in v1.25+");
    for (field, text) in GONE {
        warnings.if_set(&volume.get(field), text);
    }
    let template = volume.get("ephemeral").get("volumeClaimTemplate");
    if template.is_set() {
        claim(&template.get("spec"), warnings);
    }
}

/// Files of a projected volume that stand where a token does.
fn projections(spec: &At<'_>, warnings: &mut Warnings) {
    let projected = || spec.get("volumes").items().map(|volume| volume.get("projected"));
    let sources = || projected().flat_map(|projected| projected.get("sources").items());
    let tokens: HashSet<&str> = sources()
        .map(|source| source.get("serviceAccountToken"))
        .filter(At::is_set)
        .map(|token| token.get("path").text())
        .collect();
    if tokens.is_empty() {
        return;
    }
    for projected in projected() {
        let at = |field: &str| At { path: projected.path.child("sources").child(field), value: projected.value };
        let text = |path: &str| format!("has duplicated path with ServiceAccountToken {path:?}");
        for source in projected.get("sources").items() {
            for (field, told) in [("configMap", "configMap"), ("secret", "secrets"), ("downwardAPI", "downwardAPI")] {
                for (index, item) in source.get(field).get("items").items().enumerate() {
                    let path = item.get("path").text();
                    if tokens.contains(path) {
                        warnings.0.push(format!("{}: {}", at(told).path.index(index), text(path)));
                    }
                }
            }
            let path = source.get("clusterTrustBundle").get("path");
            if path.is_set() && tokens.contains(path.text()) {
                warnings.at(&at("ClusterTrustBundle"), &text(path.text()));
            }
        }
    }
}

/// Items of a list of more than `least` that say the same in `field`.
fn duplicates(list: &At<'_>, field: &str, least: usize, warnings: &mut Warnings) {
    let mut seen = HashSet::new();
    for at in list.items().map(|item| item.get(field)).filter(|_| list.len() > least) {
        if !seen.insert(at.text()) {
            warnings.at(&at, &format!("duplicate {field} {:?}", at.text()));
        }
    }
}

fn bytes(resources: &At<'_>, warnings: &mut Warnings) {
    for (name, at) in resources.entries() {
        if BYTES.contains(&name) {
            warnings.whole_bytes(&at);
        }
    }
}

fn environment(env: &At<'_>, warnings: &mut Warnings) {
    let mut seen = HashSet::new();
    for variable in env.items() {
        let (name, value) = (variable.get("name").text(), variable.get("value").text());
        let earlier = format!("$({name})");
        // What adds to the earlier value does not hide it.
        let hides = variable.get("valueFrom").is_set() || value == earlier || !value.contains(&earlier);
        if !seen.insert(name) && hides {
            let text = "which may be dropped when using apply";
            warnings.at(&variable, &format!("hides previous definition of {name:?}, {text}"));
        }
    }
}

fn ports(spec: &At<'_>, warnings: &mut Warnings) {
    // By number and protocol: where it is, with the address and the number on the node.
    type Known<'a> = HashMap<(i64, &'a str), Vec<(At<'a>, &'a str, i64)>>;
    let mut known = Known::new();
    for port in containers(spec).flat_map(|container| container.get("ports").items()) {
        let number = |field: &str| port.get(field).int().unwrap_or(0);
        let (host, ip, protocol) = (number("hostPort"), port.get("hostIP").text(), port.get("protocol").text());
        if !ip.is_empty() && host == 0 {
            // As Go writes such a thing.
            let (name, container) = (port.get("name").text(), number("containerPort"));
            let shown =
                format!("{{Name:{name} HostPort:{host} ContainerPort:{container} Protocol:{protocol} HostIP:{ip}}}");
            warnings.at(&port, &format!("hostIP set without hostPort: {shown}"));
        }
        let others = known.entry((number("containerPort"), protocol)).or_default();
        for (other, other_ip, other_host) in &*others {
            let what = if (ip, host) == (*other_ip, *other_host) {
                "duplicate"
            } else if host == 0 || *other_host == 0 {
                "overlapping"
            } else if host == *other_host && ip.is_empty() != other_ip.is_empty() {
                "dangerously ambiguous"
            } else {
                continue;
            };
            warnings.at(&port, &format!("{what} port definition with {}", other.path));
        }
        others.push((port, ip, host));
    }
}
