//! Taints: what a node's conditions put on it, and when they drive a pod away
//! (<https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>).

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, Taint, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use trimtab_env::{HashMap, Instant};

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// Conditions that keep new pods away, and their taints.
const PRESSURES: [(&str, &str); 4] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "node.kubernetes.io/network-unavailable"),
];
const NO_SCHEDULE: &str = "NoSchedule";
const NO_EXECUTE: &str = "NoExecute";

/// Whether evicting is of use: not when every node is away, for then it is more likely the
/// network, and the pods would have nowhere to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evictions {
    Wanted,
    Suspended,
}

/// The status of the node's condition `type_`: `True`, `False`, `Unknown`, or `None` when it has none.
pub(crate) fn condition<'a>(node: &'a Node, type_: &str) -> Option<&'a str> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_).map(|condition| condition.status.as_str())
}

/// The taints that `node` should have: its own, and those of its conditions. A taint that is
/// already there keeps the time at which it was added, from which tolerations count.
pub(crate) fn wanted(node: &Node, evictions: Evictions, now: Timestamp) -> Vec<Taint> {
    let current = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    let due = due(node, evictions);
    let mut taints: Vec<_> =
        current.iter().filter(|taint| !is_ours(taint) || due.contains(&pair(taint))).cloned().collect();
    for (key, effect) in due {
        if !taints.iter().any(|taint| pair(taint) == (key, effect)) {
            taints.push(Taint {
                key: key.to_owned(),
                effect: effect.to_owned(),
                time_added: Some(Time(now)),
                value: None,
            });
        }
    }
    taints
}

fn pair(taint: &Taint) -> (&str, &str) {
    (&taint.key, &taint.effect)
}

fn is_ours(taint: &Taint) -> bool {
    let pressure = PRESSURES.iter().any(|(_, key)| taint.key == *key);
    match taint.effect.as_str() {
        NO_SCHEDULE => pressure || [NOT_READY, UNREACHABLE, UNSCHEDULABLE].contains(&taint.key.as_str()),
        NO_EXECUTE => [NOT_READY, UNREACHABLE].contains(&taint.key.as_str()),
        _ => false,
    }
}

fn due(node: &Node, evictions: Evictions) -> Vec<(&'static str, &'static str)> {
    let mut due = Vec::new();
    let (away, spoke) = match condition(node, "Ready") {
        Some("True") => (None, true),
        Some("False") => (Some(NOT_READY), true),
        Some(_) => (Some(UNREACHABLE), true),
        // It has registered and is about to say how it is. Nobody is driven away by that.
        None => (Some(NOT_READY), false),
    };
    if let Some(key) = away {
        due.push((key, NO_SCHEDULE));
        if spoke && evictions == Evictions::Wanted {
            due.push((key, NO_EXECUTE));
        }
    }
    let pressures = PRESSURES.iter().filter(|(type_, _)| condition(node, type_) == Some("True"));
    due.extend(pressures.map(|(_, key)| (*key, NO_SCHEDULE)));
    if node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false) {
        due.push((UNSCHEDULABLE, NO_SCHEDULE));
    }
    due
}

/// Since when this process has seen the taints of a node that drive pods away. Tolerations count
/// from then, as upstream's do, and not from when the taint was added: an agent that was away
/// together with us gets its time to come back.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashMap<(String, String), Instant>);

impl Seen {
    /// Notes the taints that `node` has at `now`, and answers since when each has been seen.
    pub(crate) fn observe<'a>(&mut self, node: &'a Node, now: Instant) -> Vec<(&'a Taint, Instant)> {
        let key = |taint: &Taint| (taint.key.clone(), taint.value.clone().unwrap_or_default());
        let there: Vec<_> = evicting(node).collect();
        self.0.retain(|seen, _| there.iter().any(|taint| key(taint) == *seen));
        there.into_iter().map(|taint| (taint, *self.0.entry(key(taint)).or_insert(now))).collect()
    }
}

/// The taints of `node` that drive pods away.
pub(crate) fn evicting(node: &Node) -> impl Iterator<Item = &Taint> {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    taints.filter(|taint| taint.effect == NO_EXECUTE)
}

/// When taints drive `pod` away, each with the time since when it is known to be there; `None` when
/// it tolerates them for ever. The past means: at once.
pub(crate) fn eviction_time<'a>(pod: &Pod, taints: impl Iterator<Item = (&'a Taint, Instant)>) -> Option<Instant> {
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default();
    let deadline = |(taint, since): (&Taint, Instant)| {
        let Some(toleration) = tolerations.iter().find(|toleration| tolerates(toleration, taint)) else {
            return Some(since);
        };
        let seconds = u64::try_from(toleration.toleration_seconds?).unwrap_or(0);
        // What is too far away to be counted is never.
        since.checked_add(Duration::from_secs(seconds))
    };
    taints.filter_map(deadline).min()
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let says = |text: &Option<String>| text.clone().unwrap_or_default();
    let (effect, key) = (says(&toleration.effect), says(&toleration.key));
    let effect_fits = effect.is_empty() || effect == taint.effect;
    let key_fits = key.is_empty() || key == taint.key;
    let value_fits = match toleration.operator.as_deref().unwrap_or_default() {
        "Exists" => true,
        "" | "Equal" => !key.is_empty() && says(&toleration.value) == says(&taint.value),
        _ => false,
    };
    effect_fits && key_fits && value_fits
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: &str = "2026-01-01T00:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    fn node(conditions: &[(&str, &str)], unschedulable: bool) -> Node {
        let conditions: Vec<_> = conditions.iter().map(|(t, s)| json!({"type": t, "status": s})).collect();
        serde_json::from_value(json!({
            "metadata": {"name": "n1"},
            "spec": {"unschedulable": unschedulable, "taints": [{"key": "dedicated", "value": "db", "effect": "NoSchedule"}]},
            "status": {"conditions": conditions},
        }))
        .unwrap()
    }

    fn keys(taints: &[Taint]) -> Vec<String> {
        taints.iter().map(|t| format!("{}:{}", t.key.trim_start_matches("node.kubernetes.io/"), t.effect)).collect()
    }

    #[test]
    fn conditions_become_taints_and_foreign_ones_stay() {
        type Case<'a> = (&'a [(&'a str, &'a str)], bool, &'a [&'a str]);
        let cases: [Case<'_>; 6] = [
            (&[], false, &["not-ready:NoSchedule"]),
            (&[("Ready", "True")], false, &[]),
            (&[("Ready", "False")], false, &["not-ready:NoSchedule", "not-ready:NoExecute"]),
            (&[("Ready", "Unknown")], false, &["unreachable:NoSchedule", "unreachable:NoExecute"]),
            (&[("Ready", "True"), ("DiskPressure", "True")], false, &["disk-pressure:NoSchedule"]),
            (&[("Ready", "True"), ("MemoryPressure", "False")], true, &["unschedulable:NoSchedule"]),
        ];
        for (conditions, unschedulable, expected) in cases {
            let found = keys(&wanted(&node(conditions, unschedulable), Evictions::Wanted, now()));
            let expected: Vec<_> = std::iter::once(&"dedicated:NoSchedule").chain(expected).copied().collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_taint_keeps_its_time_and_goes_with_its_condition() {
        let mut away = node(&[("Ready", "Unknown")], false);
        away.spec.as_mut().unwrap().taints = Some(wanted(&away, Evictions::Wanted, now()));
        let later = now() + Duration::from_secs(60);
        assert_eq!(Some(wanted(&away, Evictions::Wanted, later)), away.spec.as_ref().unwrap().taints);
        assert_eq!(
            keys(&wanted(&away, Evictions::Suspended, later)),
            ["dedicated:NoSchedule", "unreachable:NoSchedule"]
        );
        away.status = node(&[("Ready", "True")], false).status;
        assert_eq!(keys(&wanted(&away, Evictions::Wanted, later)), ["dedicated:NoSchedule"]);
    }

    #[test]
    fn tolerations_delay_eviction_by_their_seconds() {
        let taint = Taint { key: UNREACHABLE.into(), effect: NO_EXECUTE.into(), time_added: None, value: None };
        let since = Instant::now();
        let cases = [
            (json!([]), Some(since)),
            (
                json!([{"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]),
                Some(since + Duration::from_secs(300)),
            ),
            (json!([{"operator": "Exists"}]), None),
            (json!([{"key": UNREACHABLE, "value": "other"}]), Some(since)),
            (json!([{"key": UNREACHABLE, "operator": "Exists", "effect": "NoSchedule"}]), Some(since)),
            (json!([{"key": UNREACHABLE, "tolerationSeconds": -5}]), Some(since)),
        ];
        for (tolerations, expected) in cases {
            let pod: Pod =
                serde_json::from_value(json!({"spec": {"containers": [], "tolerations": tolerations}})).unwrap();
            assert_eq!(eviction_time(&pod, [(&taint, since)].into_iter()), expected, "{tolerations}");
        }
    }

    #[test]
    fn a_taint_counts_from_when_we_first_saw_it_and_anew_when_it_returns() {
        let mut away = node(&[("Ready", "Unknown")], false);
        // Added a day before.
        away.spec.as_mut().unwrap().taints =
            Some(wanted(&away, Evictions::Wanted, now() - Duration::from_secs(86_400)));
        let (mut seen, start) = (Seen::default(), Instant::now());
        let since = |seen: &mut Seen, node: &Node, after| {
            let all = seen.observe(node, start + Duration::from_secs(after));
            all.into_iter().map(|(_, since)| since.duration_since(start).as_secs()).collect::<Vec<_>>()
        };
        assert_eq!(since(&mut seen, &away, 0), [0]);
        assert_eq!(since(&mut seen, &away, 60), [0]);
        assert!(since(&mut seen, &node(&[("Ready", "True")], false), 70).is_empty());
        assert_eq!(since(&mut seen, &away, 80), [80]);
    }
}
