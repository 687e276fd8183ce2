//! What whoever writes an object is warned of, though it is not wrong: what does nothing any more, hides something
//! else, or surprises (upstream's `GetWarningsFor…`, in its words).

mod address;
mod node;
mod pod;

use crate::at::At;
use crate::kind::Kind;
use crate::names;
use crate::object::Object;
use crate::strategy::{Operation, specification_changes};

/// Of a CronJob; the field is upstream's.
const ZONE: &str = "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details";

/// Collects warnings.
#[derive(Default)]
struct Warnings(Vec<String>);

impl Warnings {
    /// Of what stands at `at`.
    fn at(&mut self, at: &At<'_>, text: &str) {
        self.0.push(format!("{}: {text}", at.path));
    }

    /// If anything stands at `at`.
    fn if_set(&mut self, at: &At<'_>, text: &str) {
        if at.is_set() {
            self.at(at, text);
        }
    }

    /// Unless what stands at `at` is a whole number of bytes, or nothing.
    fn whole_bytes(&mut self, at: &At<'_>) {
        if let Some(Ok(quantity)) = at.quantity()
            && !quantity.is_whole()
        {
            self.at(at, &format!("fractional byte value {:?} is invalid, must be an integer", quantity.to_string()));
        }
    }
}

/// What a write of `object`, which has been admitted, is warned of.
pub fn of(kind: &Kind, operation: Operation<'_>, object: &Object) -> Vec<String> {
    let mut warnings = Warnings::default();
    let created = matches!(operation, Operation::Create);
    let old = match operation {
        Operation::Create => None,
        Operation::Update { old } => Some(old),
        Operation::UpdateStatus { .. } => return Vec::new(),
    };
    if !kind.built_in {
        finalizers(object, old, &mut warnings);
        return warnings.0;
    }
    let spec = At::of(object, "spec");
    // What is as it was has been told before.
    let changed = old.is_none_or(|old| specification_changes(old, object));
    match (&*kind.group, &*kind.kind) {
        // Whoever changes a pod is a program.
        ("", "Pod") if created => {
            name(object, "the Pod's hostname", &mut warnings);
            // Of most pods there is nothing to tell.
            let mut found = Warnings::default();
            pod::check(&At::unnamed(object, "metadata"), &At::unnamed(object, "spec"), false, &mut found);
            if !found.0.is_empty() {
                pod::check(&At::of(object, "metadata"), &spec, false, &mut warnings);
            }
        }
        ("", "ReplicationController") | ("apps", "Deployment" | "ReplicaSet") if changed => {
            if created {
                name(object, "Pod names and hostnames", &mut warnings);
            }
            pod::check_template(&spec.get("template"), &mut warnings);
        }
        ("apps", "DaemonSet") if changed => pod::check_template(&spec.get("template"), &mut warnings),
        ("", "PodTemplate") if changed => pod::check_template(&At::of(object, "template"), &mut warnings),
        ("apps", "StatefulSet") if changed => stateful_set(&spec, &mut warnings),
        ("batch", "Job") if changed => {
            if created {
                name(object, "Pod names and hostnames", &mut warnings);
            }
            job(&spec, &mut warnings);
        }
        ("batch", "CronJob") => {
            if created {
                name(object, "Pod names and hostnames", &mut warnings);
            }
            if changed {
                job(&spec.get("jobTemplate").get("spec"), &mut warnings);
            }
            if !created && spec.get("schedule").text().contains("TZ") {
                warnings.0.push(ZONE.to_owned());
            }
        }
        ("", "Service") => service(object, &spec, &mut warnings),
        ("", "Endpoints") => endpoints(object, &mut warnings),
        ("", "PersistentVolume") => persistent_volume(object, &spec, &mut warnings),
        ("", "PersistentVolumeClaim") => {
            storage_class_annotation(object, &mut warnings);
            claim(&spec, &mut warnings);
        }
        ("", "Node") => {
            warnings.if_set(&spec.get("configSource"), "the feature is removed");
            let text = "this field is deprecated, and is unused by Kubernetes";
            warnings.if_set(&spec.get("externalID"), text);
        }
        ("networking.k8s.io", "Ingress") if created => ingress(object, &spec, &mut warnings),
        ("networking.k8s.io", "NetworkPolicy") => network_policy(&spec, &mut warnings),
        ("node.k8s.io", "RuntimeClass") => {
            let selector = At::of(object, "scheduling").get("nodeSelector");
            for text in selector.entries().filter_map(|(key, _)| node::deprecated(key)) {
                warnings.at(&selector, text);
            }
        }
        ("storage.k8s.io", "StorageClass") => {
            for topology in At::of(object, "allowedTopologies").items() {
                for expression in topology.get("matchLabelExpressions").items() {
                    let key = expression.get("key");
                    node::deprecated(key.text()).into_iter().for_each(|text| warnings.at(&key, text));
                }
            }
        }
        ("storage.k8s.io", "CSIStorageCapacity") => {
            node::label_selector(&At::of(object, "nodeTopology"), &mut warnings);
        }
        _ => {}
    }
    warnings.0
}

/// An object is called otherwise than what its name is used in may be.
fn name(object: &Object, used: &str, warnings: &mut Warnings) {
    let problems = names::dns1123_label(object.name());
    if !problems.is_empty() {
        let problems = problems.join(" ");
        let text = "which can result in surprising behavior; a DNS label is recommended";
        warnings.0.push(format!("metadata.name: this is used in {used}, {text}: [{problems}]"));
    }
}

/// Of a built-in kind they would be refused.
fn finalizers(object: &Object, old: Option<&Object>, warnings: &mut Warnings) {
    const STANDARD: [&str; 3] = ["foregroundDeletion", "kubernetes", "orphan"];
    let all = |object| At::of(object, "metadata").get("finalizers").items().map(|item| item.text()).collect::<Vec<_>>();
    let before = old.map(all).unwrap_or_default();
    let mut added: Vec<&str> = all(object).into_iter().filter(|finalizer| !before.contains(finalizer)).collect();
    added.sort_unstable();
    added.dedup();
    for finalizer in added {
        let mut tell = |text: &str| warnings.0.push(format!("metadata.finalizers: {finalizer:?}: {text}"));
        names::qualified_name(finalizer).iter().for_each(|text| tell(text));
        if !finalizer.contains('/') && !STANDARD.contains(&finalizer) {
            tell(
                "prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers",
            );
        }
    }
}

fn stateful_set(spec: &At<'_>, warnings: &mut Warnings) {
    pod::check_template(&spec.get("template"), warnings);
    for template in spec.get("volumeClaimTemplates").items() {
        // Upstream leaves out that it is the claim's specification.
        let requested = At { path: template.path, value: &template.value["spec"] };
        claim(&requested, warnings);
    }
    if spec.get("revisionHistoryLimit").int().is_some_and(|limit| limit < 0) {
        let text = "a negative value retains all historical revisions; a value >= 0 is recommended";
        warnings.at(&spec.get("revisionHistoryLimit"), text);
    }
}

fn job(spec: &At<'_>, warnings: &mut Warnings) {
    let count = |field: &str| spec.get(field).int().unwrap_or(0);
    let indexed = spec.get("completionMode").text() == "Indexed";
    if indexed && count("completions") > 100_000 && count("parallelism") > 10_000 {
        warnings.at(spec, "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail");
    }
    pod::check_template(&spec.get("template"), warnings);
}

fn service(object: &Object, spec: &At<'_>, warnings: &mut Warnings) {
    const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
    if At::of(object, "metadata").get("annotations").get(HINTS).is_set() {
        let instead = "service.kubernetes.io/topology-mode";
        warnings.0.push(format!("annotation {HINTS} is deprecated, please use {instead} instead"));
    }
    let (type_, headless) = (spec.get("type"), spec.get("clusterIP").text() == "None");
    let (headless, external) = (headless && type_.text() == "ClusterIP", type_.text() == "ExternalName");
    let (balancer, ips) = (spec.get("loadBalancerIP"), spec.get("externalIPs"));
    if !headless {
        spec.get("clusterIPs").items().for_each(|ip| address::ip(&ip, warnings));
    } else {
        if !balancer.is_empty() {
            warnings.0.push("spec.loadBalancerIP is ignored for headless services".to_owned());
        }
        if !ips.is_empty() {
            warnings.0.push("spec.externalIPs is ignored for headless services".to_owned());
        }
        if spec.get("sessionAffinity").text() != "None" {
            warnings.0.push("spec.SessionAffinity is ignored for headless services".to_owned());
        }
    }
    ips.items().for_each(|ip| address::ip(&ip, warnings));
    if !ips.is_empty() && !headless && !external {
        let text = "spec.externalIPs is deprecated and may no longer be implemented in some clusters";
        warnings.0.push(text.to_owned());
    }
    if !balancer.is_empty() {
        address::ip(&balancer, warnings);
    }
    spec.get("loadBalancerSourceRanges").items().for_each(|range| address::cidr(&range, warnings));
    if external && !ips.is_empty() {
        warnings.0.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".to_owned());
    }
    if !external && !spec.get("externalName").is_empty() {
        warnings.0.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
    if spec.get("trafficDistribution").text() == "PreferClose" {
        warnings.at(&spec.get("trafficDistribution"), "\"PreferClose\" is deprecated; use \"PreferSameZone\"");
    }
}

fn endpoints(object: &Object, warnings: &mut Warnings) {
    // What our own controller writes is fine.
    const MANAGED: &str = "endpoints.kubernetes.io/managed-by";
    if At::of(object, "metadata").get("labels").get(MANAGED).text() == "endpoint-controller" {
        return;
    }
    for subset in At::of(object, "subsets").items() {
        for field in ["addresses", "notReadyAddresses"] {
            subset.get(field).items().for_each(|address| address::ip(&address.get("ip"), warnings));
        }
    }
}

fn storage_class_annotation(object: &Object, warnings: &mut Warnings) {
    const KEY: &str = "volume.beta.kubernetes.io/storage-class";
    if At::of(object, "metadata").get("annotations").get(KEY).is_set() {
        let text = "deprecated since v1.8; use \"storageClassName\" attribute instead";
        warnings.0.push(format!("metadata.annotations[{KEY}]: {text}"));
    }
}

fn claim(spec: &At<'_>, warnings: &mut Warnings) {
    for field in ["requests", "limits"] {
        let resources = spec.get("resources").get(field);
        let storage = resources.entries().find(|(key, _)| *key == "storage");
        storage.iter().for_each(|(_, storage)| warnings.whole_bytes(storage));
    }
}

/// Kinds of volumes that do nothing any more, of pods and of PersistentVolumes.
const GONE: [(&str, &str); 7] = [
    ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
];

fn persistent_volume(object: &Object, spec: &At<'_>, warnings: &mut Warnings) {
    storage_class_annotation(object, warnings);
    let policy = spec.get("persistentVolumeReclaimPolicy");
    if policy.text() == "Recycle" {
        let text = "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.";
        warnings.at(&policy, text);
    }
    let required = spec.get("nodeAffinity").get("required");
    required.get("nodeSelectorTerms").items().for_each(|term| node::term(&term, warnings));
    for (field, text) in GONE.into_iter().filter(|(field, _)| *field != "quobyte") {
        warnings.if_set(&spec.get(field), text);
    }
}

fn ingress(object: &Object, spec: &At<'_>, warnings: &mut Warnings) {
    const CLASS: &str = "kubernetes.io/ingress.class";
    let annotated = At::of(object, "metadata").get("annotations").get(CLASS).is_set();
    if annotated && !spec.get("ingressClassName").is_set() {
        let text = "is deprecated, please use 'spec.ingressClassName' instead";
        warnings.0.push(format!("annotation {CLASS:?} {text}"));
    }
}

fn network_policy(spec: &At<'_>, warnings: &mut Warnings) {
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        for peer in spec.get(rules).items().flat_map(|rule| rule.get(peers).items()) {
            let block = peer.get("ipBlock");
            if block.is_set() {
                address::cidr(&block.get("cidr"), warnings);
                block.get("except").items().for_each(|range| address::cidr(&range, warnings));
            }
        }
    }
}

#[cfg(test)]
mod tests;
