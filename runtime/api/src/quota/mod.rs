//! ResourceQuotas: what an object uses of what a quota limits, and whether there is enough left of it
//! (`pkg/quota/v1`, `k8s.io/apiserver/pkg/admission/plugin/resourcequota`).
//!
//! Start at [`charged`], which decides about a write, and at [`Usage`], which adds up what is there.

mod pod;
mod scope;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::object::Object;
use crate::quantity::Quantity;

pub use pod::{limits as pod_limits, requests as pod_requests};

/// How much of what: `requests.cpu`, `count/deployments.apps`.
pub type Amounts = BTreeMap<String, Quantity>;

/// Kinds of the core group that are counted by their plain name, too.
const PLAIN: [&str; 7] =
    ["configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas", "secrets", "services"];
const OF_STORAGE_CLASS: &str = ".storageclass.storage.k8s.io/";
const OF_DEVICE_CLASS: &str = ".deviceclass.resource.k8s.io/devices";
/// As many devices as an allocation of all of them may come to.
const ALL_DEVICES: i64 = 32;

/// A resource, by its group and plural.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource<'a> {
    /// The API group; `""` for the core group.
    pub group: &'a str,
    /// Such as `pods`.
    pub plural: &'a str,
}

impl<'a> Resource<'a> {
    const fn core(plural: &'a str) -> Self {
        Self { group: "", plural }
    }

    /// The resource that `name`, of a quota's `hard`, limits.
    pub fn limited_by(name: &'a str) -> Self {
        if let Some(counted) = name.strip_prefix("count/") {
            let (plural, group) = counted.split_once('.').unwrap_or((counted, ""));
            return Self { group, plural };
        }
        match name {
            "services.nodeports" | "services.loadbalancers" => Self::core("services"),
            "requests.storage" => Self::core("persistentvolumeclaims"),
            _ if name.contains(OF_STORAGE_CLASS) => Self::core("persistentvolumeclaims"),
            _ if name.ends_with(OF_DEVICE_CLASS) => Self { group: "resource.k8s.io", plural: "resourceclaims" },
            plain if PLAIN.contains(&plain) => Self::core(plain),
            // Processors, memory and the like are what pods use.
            _ => Self::core("pods"),
        }
    }

    /// Whether it takes a look at the objects to know what they use: others are counted alone.
    pub fn is_measured(self) -> bool {
        matches!((self.group, self.plural), ("", "pods" | "services" | "persistentvolumeclaims"))
            || (self.group, self.plural) == ("resource.k8s.io", "resourceclaims")
    }

    fn count(self) -> String {
        let dot = if self.group.is_empty() { "" } else { "." };
        format!("count/{}{dot}{}", self.plural, self.group)
    }
}

/// What `object`, of `resource`, uses of whatever may be limited. `now` is in seconds since the Unix epoch.
pub fn usage(resource: Resource<'_>, object: &Object, now: i64) -> Amounts {
    let one = Quantity::from_units(1);
    let mut used = Amounts::from([(resource.count(), one)]);
    match (resource.group, resource.plural) {
        ("", "pods") => pod::add(object, now, &mut used),
        ("", plain) if PLAIN.contains(&plain) => drop(used.insert(plain.to_owned(), one)),
        _ => {}
    }
    match (resource.group, resource.plural) {
        ("", "services") => add_service(object, &mut used),
        ("", "persistentvolumeclaims") => add_volume_claim(object, &mut used),
        ("resource.k8s.io", "resourceclaims") => add_device_claim(object, &mut used),
        _ => {}
    }
    used
}

fn add_service(service: &Object, used: &mut Amounts) {
    let ports = || service.at(&["spec", "ports"]).and_then(Value::as_array).into_iter().flatten();
    let units = |count: usize| Quantity::from_units(i64::try_from(count).unwrap_or(i64::MAX));
    let (node_ports, balancers) = match service.str_at(&["spec", "type"]) {
        "NodePort" => (ports().count(), 0),
        "LoadBalancer" if service.at(&["spec", "allocateLoadBalancerNodePorts"]) == Some(&Value::Bool(false)) => {
            (ports().filter(|port| port["nodePort"].as_i64().unwrap_or(0) != 0).count(), 1)
        }
        "LoadBalancer" => (ports().count(), 1),
        _ => (0, 0),
    };
    used.insert("services.nodeports".to_owned(), units(node_ports));
    used.insert("services.loadbalancers".to_owned(), units(balancers));
}

fn add_volume_claim(claim: &Object, used: &mut Amounts) {
    let amount = |path: &[&str]| claim.at(path).and_then(Value::as_str).and_then(|text| Quantity::parse(text).ok());
    let asked = amount(&["spec", "resources", "requests", "storage"]);
    // What is being made smaller is still there.
    let storage = asked.max(amount(&["status", "allocatedResources", "storage"]));
    let annotated = claim.str_at(&["metadata", "annotations", "volume.beta.kubernetes.io/storage-class"]);
    let class = if annotated.is_empty() { claim.str_at(&["spec", "storageClassName"]) } else { annotated };
    for prefix in [None, Some(class).filter(|class| !class.is_empty())] {
        let named =
            |name: &str| prefix.map_or_else(|| name.to_owned(), |class| format!("{class}{OF_STORAGE_CLASS}{name}"));
        used.insert(named("persistentvolumeclaims"), Quantity::from_units(1));
        used.extend(storage.map(|storage| (named("requests.storage"), storage)));
    }
}

fn add_device_claim(claim: &Object, used: &mut Amounts) {
    let requests = claim.at(&["spec", "devices", "requests"]).and_then(Value::as_array);
    for request in requests.into_iter().flatten() {
        let alternatives = request["firstAvailable"].as_array().into_iter().flatten();
        // Of alternatives, each class may be the one that is used, as often as it is asked for at most.
        let mut most = Amounts::new();
        for asked in request.get("exactly").into_iter().chain(alternatives) {
            let count = match asked["allocationMode"].as_str() {
                Some("All") => ALL_DEVICES,
                _ => asked["count"].as_i64().unwrap_or(1),
            };
            let class = asked["deviceClassName"].as_str().unwrap_or_default();
            let of_class = most.entry(format!("{class}{OF_DEVICE_CLASS}")).or_default();
            *of_class = (*of_class).max(Quantity::from_units(count));
        }
        most.into_iter().for_each(|(name, amount)| add(used, name, amount));
    }
}

fn add(amounts: &mut Amounts, name: String, amount: Quantity) {
    let sum = amounts.entry(name).or_default();
    *sum = *sum + amount;
}

/// The amounts that stand in the map `at` of a quota.
fn amounts(quota: &Object, at: &[&str]) -> Amounts {
    let entries = quota.at(at).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(name, text)| Some((name.clone(), Quantity::parse(text.as_str()?).ok()?))).collect()
}

/// A write that quotas may limit.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// What is written.
    pub resource: Resource<'a>,
    /// The object as it will be.
    pub new: &'a Object,
    /// As it is, in an update.
    pub old: Option<&'a Object>,
    /// In seconds since the Unix epoch.
    pub now: i64,
}

impl Write<'_> {
    /// How much more is used after it.
    fn delta(&self) -> Amounts {
        let mut more = usage(self.resource, self.new, self.now);
        for (name, before) in self.old.into_iter().flat_map(|old| usage(self.resource, old, self.now)) {
            let after = more.get(&name).copied().unwrap_or_default();
            more.insert(name, after - before);
        }
        more.retain(|_, amount| !amount.is_zero());
        more
    }
}

/// What is used of `quota` after the write, as it stands in its status; `None` when it is none of this
/// quota's business.
///
/// # Errors
/// Why the write may not be made, in upstream's words.
pub fn charged(quota: &Object, write: &Write<'_>) -> Result<Option<Amounts>, String> {
    let hard = amounts(quota, &["status", "hard"]);
    let limited: Vec<&str> =
        hard.keys().map(String::as_str).filter(|name| Resource::limited_by(name) == write.resource).collect();
    if limited.is_empty() || !scope::selects(quota, write.resource, write.new) {
        return Ok(None);
    }
    if write.resource == Resource::core("pods") {
        pod::check_constraints(&limited, write.new)
            .map_err(|missing| format!("failed quota: {}: {missing}", quota.name()))?;
    }
    let mut used = amounts(quota, &["status", "used"]);
    let unknown: Vec<&str> = limited.iter().copied().filter(|name| !used.contains_key(*name)).collect();
    if !unknown.is_empty() {
        return Err(format!("status unknown for quota: {}, resources: {}", quota.name(), limited.join(",")));
    }
    let delta = write.delta();
    let asked: Vec<(&String, Quantity)> =
        delta.iter().filter(|(name, _)| hard.contains_key(*name)).map(|(name, amount)| (name, *amount)).collect();
    if asked.is_empty() {
        return Ok(None);
    }
    let mut exceeded = Vec::new();
    for (name, amount) in &asked {
        let before = used.get(*name).copied().unwrap_or_default();
        let after = before + *amount;
        // To use less is always allowed.
        if after > hard[*name] && *amount > Quantity::default() {
            exceeded.push((name.as_str(), *amount, before, hard[*name]));
        }
        used.insert((*name).clone(), after);
    }
    if exceeded.is_empty() {
        return Ok(Some(used));
    }
    let told = |of: fn(&(&str, Quantity, Quantity, Quantity)) -> Quantity| {
        exceeded.iter().map(|one| format!("{}={}", one.0, of(one))).collect::<Vec<_>>().join(",")
    };
    Err(format!(
        "exceeded quota: {}, requested: {}, used: {}, limited: {}",
        quota.name(),
        told(|one| one.1),
        told(|one| one.2),
        told(|one| one.3)
    ))
}

/// Adds up what is used of one quota.
#[derive(Debug)]
pub struct Usage<'a> {
    quota: &'a Object,
    used: Amounts,
}

impl<'a> Usage<'a> {
    /// Nothing yet.
    pub fn of(quota: &'a Object) -> Self {
        Self { quota, used: Amounts::new() }
    }

    /// The resources that have to be looked at.
    pub fn resources(&self) -> Vec<Resource<'a>> {
        let hard = self.quota.at(&["spec", "hard"]).and_then(Value::as_object).into_iter().flatten();
        let mut all: Vec<_> = hard.map(|(name, _)| Resource::limited_by(name)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether the quota counts all objects of a resource alike, without regard to what they are.
    pub fn counts_all(&self, resource: Resource<'_>) -> bool {
        !resource.is_measured() && !scope::is_scoped(self.quota)
    }

    /// `objects` are all that there is of `resource` in the quota's namespace. `now` is in seconds since the
    /// Unix epoch.
    pub fn measure<'o>(&mut self, resource: Resource<'_>, objects: impl IntoIterator<Item = &'o Object>, now: i64) {
        self.begin(resource);
        for object in objects {
            if scope::selects(self.quota, resource, object) {
                for (name, amount) in usage(resource, object, now) {
                    // What nothing limits is not told.
                    if let Some(sum) = self.used.get_mut(&name) {
                        *sum = *sum + amount;
                    }
                }
            }
        }
    }

    /// As [`Usage::measure`], of `number` objects that are [counted alike](Self::counts_all).
    pub fn count(&mut self, resource: Resource<'_>, number: i64) {
        self.begin(resource);
        for name in [resource.count(), resource.plural.to_owned()] {
            if let Some(sum) = self.used.get_mut(&name) {
                *sum = Quantity::from_units(number);
            }
        }
    }

    fn begin(&mut self, resource: Resource<'_>) {
        let hard = self.quota.at(&["spec", "hard"]).and_then(Value::as_object).into_iter().flatten();
        for (name, _) in hard.filter(|(name, _)| Resource::limited_by(name) == resource) {
            self.used.insert(name.clone(), Quantity::default());
        }
    }

    /// What is used of each thing that was looked at.
    pub fn used(self) -> Amounts {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PODS: Resource<'_> = Resource::core("pods");

    fn object(value: Value) -> Object {
        Object(value.as_object().unwrap().clone())
    }

    fn told(amounts: &Amounts) -> Value {
        amounts
            .iter()
            .map(|(name, amount)| (name.clone(), amount.to_string()))
            .collect::<BTreeMap<_, _>>()
            .into_iter()
            .collect()
    }

    fn pod(requests: Value, more: Value) -> Object {
        let mut spec = json!({"containers": [{"name": "c", "resources": {"requests": requests}}]});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object(json!({"metadata": {"name": "p"}, "spec": spec}))
    }

    #[test]
    fn a_name_says_what_it_limits() {
        for (name, group, plural) in [
            ("pods", "", "pods"),
            ("limits.cpu", "", "pods"),
            ("requests.example.com/dongle", "", "pods"),
            ("count/deployments.apps", "apps", "deployments"),
            ("count/secrets", "", "secrets"),
            ("services.nodeports", "", "services"),
            ("gold.storageclass.storage.k8s.io/requests.storage", "", "persistentvolumeclaims"),
            ("gpu.deviceclass.resource.k8s.io/devices", "resource.k8s.io", "resourceclaims"),
        ] {
            assert_eq!(Resource::limited_by(name), Resource { group, plural }, "{name}");
        }
    }

    #[test]
    fn each_kind_uses_what_it_uses() {
        let used = |group, plural, value: Value| told(&usage(Resource { group, plural }, &object(value), 0));
        let dongle = pod(json!({"cpu": "500m", "example.com/dongle": "2"}), json!({}));
        assert_eq!(
            told(&usage(PODS, &dongle, 0)),
            json!({"count/pods": "1", "pods": "1", "cpu": "500m", "requests.cpu": "500m", "requests.example.com/dongle": "2"})
        );
        assert_eq!(used("apps", "deployments", json!({})), json!({"count/deployments.apps": "1"}));
        assert_eq!(used("", "secrets", json!({})), json!({"count/secrets": "1", "secrets": "1"}));
        assert_eq!(
            used("", "services", json!({"spec": {"type": "NodePort", "ports": [{"port": 80}, {"port": 81}]}})),
            json!({"count/services": "1", "services": "1", "services.nodeports": "2", "services.loadbalancers": "0"})
        );
        assert_eq!(
            used(
                "",
                "persistentvolumeclaims",
                json!({"spec": {"storageClassName": "gold", "resources": {"requests": {"storage": "1Gi"}}}})
            ),
            json!({"count/persistentvolumeclaims": "1", "persistentvolumeclaims": "1", "requests.storage": "1Gi",
                "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
                "gold.storageclass.storage.k8s.io/requests.storage": "1Gi"})
        );
        let requests = json!([{"name": "a", "exactly": {"deviceClassName": "gpu", "count": 2}},
            {"name": "b", "firstAvailable": [{"name": "x", "deviceClassName": "gpu"}, {"name": "y", "deviceClassName": "fpga"}]}]);
        assert_eq!(
            used("resource.k8s.io", "resourceclaims", json!({"spec": {"devices": {"requests": requests}}})),
            json!({"count/resourceclaims.resource.k8s.io": "1", "gpu.deviceclass.resource.k8s.io/devices": "3",
                "fpga.deviceclass.resource.k8s.io/devices": "1"})
        );
    }

    #[test]
    fn a_pod_that_ended_uses_nothing_more() {
        let mut ended = pod(json!({"cpu": 1}), json!({}));
        ended.set(&["status", "phase"], "Succeeded");
        assert_eq!(told(&usage(PODS, &ended, 0)), json!({"count/pods": "1"}));
    }

    #[test]
    fn a_write_takes_what_is_left_or_is_refused() {
        let quota = |used: Value, scopes: Value| {
            object(json!({"metadata": {"name": "q"}, "spec": {"scopes": scopes},
                "status": {"hard": {"pods": "2", "requests.cpu": "1"}, "used": used}}))
        };
        let write = |new: &Object, quota: &Object| {
            charged(quota, &Write { resource: PODS, new, old: None, now: 0 }).map(|used| used.map(|used| told(&used)))
        };
        let some = quota(json!({"pods": "1", "requests.cpu": "700m"}), json!([]));
        let small = pod(json!({"cpu": "300m"}), json!({}));
        assert_eq!(write(&small, &some), Ok(Some(json!({"pods": "2", "requests.cpu": "1"}))));
        let large = pod(json!({"cpu": "301m"}), json!({}));
        let full = "exceeded quota: q, requested: requests.cpu=301m, used: requests.cpu=700m, limited: requests.cpu=1";
        assert_eq!(write(&large, &some), Err(full.to_owned()));
        let none = pod(json!({}), json!({}));
        assert_eq!(write(&none, &some), Err("failed quota: q: must specify requests.cpu for: c".to_owned()));
        let unknown = quota(json!({"pods": "1"}), json!([]));
        assert_eq!(
            write(&small, &unknown),
            Err("status unknown for quota: q, resources: pods,requests.cpu".to_owned())
        );
        let ending = quota(json!({"pods": "1", "requests.cpu": "0"}), json!(["Terminating"]));
        assert_eq!(write(&small, &ending), Ok(None));
        assert!(write(&pod(json!({"cpu": "1"}), json!({"activeDeadlineSeconds": 5})), &ending).unwrap().is_some());
    }

    #[test]
    fn what_there_is_adds_up() {
        let quota = object(json!({"metadata": {"name": "q"},
            "spec": {"hard": {"pods": "5", "memory": "1Gi", "count/widgets.demo.io": "3", "secrets": "9"}}}));
        let mut usage = Usage::of(&quota);
        let resources = usage.resources();
        let names: Vec<_> = resources.iter().map(|resource| resource.plural).collect();
        assert_eq!(names, ["pods", "secrets", "widgets"]);
        assert!(!usage.counts_all(resources[0]) && usage.counts_all(resources[1]));
        let pods = [pod(json!({"memory": "64Mi"}), json!({})), pod(json!({"memory": "64Mi"}), json!({}))];
        usage.measure(resources[0], &pods, 0);
        usage.count(resources[1], 4);
        usage.count(resources[2], 0);
        let expected = json!({"pods": "2", "memory": "128Mi", "count/widgets.demo.io": "0", "secrets": "4"});
        assert_eq!(told(&usage.used()), expected);
    }
}
