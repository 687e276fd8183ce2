//! Whether a node can run a pod at all, and why not in upstream's words.

use k8s_openapi::api::core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, Taint, Toleration};

use crate::node_info::{NodeInfo, Request, host_ports};

/// Why a node cannot run a pod.
pub type Reason = String;

/// What keeps `pod`, which asks for `request`, from a node; `None` when nothing does.
pub fn refusal(pod: &Pod, request: &Request, info: &NodeInfo) -> Option<Reason> {
    let node = info.node.as_deref()?;
    unschedulable(pod, node)
        .or_else(|| untolerated(pod, node))
        .or_else(|| unselected(pod, node))
        .or_else(|| ports_taken(pod, info))
        .or_else(|| insufficient(request, info))
}

fn unschedulable(pod: &Pod, node: &Node) -> Option<Reason> {
    let cordon = Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    let cordoned = node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true));
    (cordoned && !tolerates(pod, &cordon)).then(|| "node(s) were unschedulable".to_owned())
}

fn untolerated(pod: &Pod, node: &Node) -> Option<Reason> {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    let hard = |taint: &&Taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute");
    let taint = taints.into_iter().flatten().filter(hard).find(|taint| !tolerates(pod, taint))?;
    let value = taint.value.as_deref().unwrap_or_default();
    Some(format!("node(s) had untolerated taint {{{}: {value}}}", taint.key))
}

fn tolerates(pod: &Pod, taint: &Taint) -> bool {
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_ref());
    let fits = |toleration: &Toleration| {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let (key, effect) = (text(&toleration.key), text(&toleration.effect));
        let exists = toleration.operator.as_deref() == Some("Exists");
        (effect.is_empty() || effect == taint.effect)
            && ((key.is_empty() && exists) || key == taint.key)
            && (exists || text(&toleration.value) == taint.value.clone().unwrap_or_default())
    };
    tolerations.into_iter().flatten().any(fits)
}

fn unselected(pod: &Pod, node: &Node) -> Option<Reason> {
    let spec = pod.spec.as_ref()?;
    let label = |key: &str| node.metadata.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str);
    let selected = spec.node_selector.iter().flatten().all(|(key, value)| label(key) == Some(value));
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    let name = node.metadata.name.as_deref().unwrap_or_default();
    let wanted = required
        .is_none_or(|required| required.node_selector_terms.iter().any(|term| term_matches(term, name, &label)));
    (!selected || !wanted).then(|| "node(s) didn't match Pod's node affinity/selector".to_owned())
}

fn term_matches<'a>(term: &NodeSelectorTerm, name: &str, label: &impl Fn(&str) -> Option<&'a str>) -> bool {
    let (expressions, fields) =
        (term.match_expressions.as_deref().unwrap_or_default(), term.match_fields.as_deref().unwrap_or_default());
    // A term of nothing matches nothing.
    !(expressions.is_empty() && fields.is_empty())
        && expressions.iter().all(|requirement| holds(requirement, label(&requirement.key)))
        && fields.iter().all(|requirement| requirement.key == "metadata.name" && holds(requirement, Some(name)))
}

fn holds(requirement: &NodeSelectorRequirement, found: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let listed = found.is_some_and(|found| values.iter().any(|value| value == found));
    let compared =
        || -> Option<std::cmp::Ordering> { Some(found?.parse::<i64>().ok()?.cmp(&values.first()?.parse().ok()?)) };
    match requirement.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        "Gt" => compared() == Some(std::cmp::Ordering::Greater),
        "Lt" => compared() == Some(std::cmp::Ordering::Less),
        _ => false,
    }
}

fn ports_taken(pod: &Pod, info: &NodeInfo) -> Option<Reason> {
    const ANY: &str = "0.0.0.0";
    let clash = |(ip, protocol, port): (String, String, i32)| {
        info.ports.iter().any(|(other_ip, other_protocol, other)| {
            *other == port && *other_protocol == protocol && (ip == ANY || other_ip == ANY || *other_ip == ip)
        })
    };
    host_ports(pod).any(clash).then(|| "node(s) didn't have free ports for the requested pod ports".to_owned())
}

fn insufficient(request: &Request, info: &NodeInfo) -> Option<Reason> {
    if info.pods() as i64 + 1 > info.max_pods {
        return Some("Too many pods".to_owned());
    }
    let short = |wanted: i64, used: i64, all: i64| wanted > 0 && wanted > all - used;
    if short(request.milli_cpu, info.requested.milli_cpu, info.allocatable.milli_cpu) {
        return Some("Insufficient cpu".to_owned());
    }
    if short(request.memory, info.requested.memory, info.allocatable.memory) {
        return Some("Insufficient memory".to_owned());
    }
    let amount = |of: &Request, name: &String| of.other.get(name).copied().unwrap_or(0);
    let missing = request
        .other
        .iter()
        .find(|(name, wanted)| short(**wanted, amount(&info.requested, name), amount(&info.allocatable, name)));
    missing.map(|(name, _)| format!("Insufficient {name}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn info(node: Value) -> NodeInfo {
        let mut node: Node = serde_json::from_value(node).unwrap();
        let capacity = json!({"cpu": "1", "memory": "1Gi", "pods": "2"});
        node.status.get_or_insert_default().allocatable = serde_json::from_value(capacity).unwrap();
        let mut info = NodeInfo::default();
        info.set_node(Arc::new(node));
        info
    }

    fn pod(spec: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap()
    }

    fn check(node: Value, spec: Value, expected: Option<&str>) {
        let mut spec = spec;
        if spec.get("containers").is_none() {
            spec["containers"] = json!([]);
        }
        let pod = pod(spec);
        assert_eq!(refusal(&pod, &Request::of(&pod), &info(node)).as_deref(), expected);
    }

    #[test]
    fn a_node_is_refused_for_upstreams_reasons() {
        let plain = json!({"metadata": {"name": "n", "labels": {"disk": "ssd", "rank": "5"}}});
        let tainted = json!({"metadata": {"name": "n"}, "spec": {"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}});
        let asks = |cpu: &str| json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]});
        check(plain.clone(), json!({}), None);
        check(plain.clone(), asks("1"), None);
        check(plain.clone(), asks("1001m"), Some("Insufficient cpu"));
        check(
            plain.clone(),
            json!({"nodeSelector": {"disk": "hdd"}}),
            Some("node(s) didn't match Pod's node affinity/selector"),
        );
        let affinity = |op: &str, value: &str| {
            let term = json!({"matchExpressions": [{"key": "rank", "operator": op, "values": [value]}]});
            json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}})
        };
        check(plain.clone(), affinity("Gt", "4"), None);
        check(plain, affinity("NotIn", "5"), Some("node(s) didn't match Pod's node affinity/selector"));
        check(tainted.clone(), json!({}), Some("node(s) had untolerated taint {gpu: yes}"));
        check(tainted, json!({"tolerations": [{"key": "gpu", "operator": "Exists"}]}), None);
        check(
            json!({"metadata": {"name": "n"}, "spec": {"unschedulable": true}}),
            json!({}),
            Some("node(s) were unschedulable"),
        );
    }

    #[test]
    fn pods_and_ports_fill_a_node() {
        let mut info = info(json!({"metadata": {"name": "n"}}));
        let port = json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]});
        info.add(&pod(port.clone()));
        let again = pod(port);
        let taken = "node(s) didn't have free ports for the requested pod ports";
        assert_eq!(refusal(&again, &Request::of(&again), &info).as_deref(), Some(taken));
        for name in ["a", "b"] {
            let mut other = pod(json!({"containers": []}));
            other.metadata.name = Some(name.to_owned());
            info.add(&other);
        }
        let one_more = pod(json!({"containers": []}));
        assert_eq!(refusal(&one_more, &Request::of(&one_more), &info).as_deref(), Some("Too many pods"));
    }
}
