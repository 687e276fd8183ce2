//! What upstream's admission plug-ins that are on by default do to a new pod: ServiceAccount,
//! Priority and DefaultTolerationSeconds.

use k8s_openapi::api::core::v1::{PodSpec, Toleration};

use crate::check::{Checks, text};
use crate::field::Path;

/// How long a pod stays bound to a node that is not ready or out of reach, in seconds.
const TOLERATION_SECONDS: i64 = 300;

/// The taints that a node gets when it is not ready or out of reach.
const NODE_TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// The priority classes that every cluster has, with their values.
const CLASSES: [(&str, i32); 2] = [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

/// Fills what the plug-ins fill, and refuses what they refuse.
pub(super) fn admit(spec: &mut PodSpec, path: &Path, checks: &mut Checks) {
    if text(&spec.service_account_name).is_empty() {
        spec.service_account_name = Some("default".to_owned());
        spec.service_account = Some("default".to_owned());
    }
    admit_priority(spec, path, checks);
    tolerate_for_a_while(spec);
}

/// Fills again what a write of `spec` over `old` may leave out.
pub(super) fn admit_update(spec: &mut PodSpec, old: &PodSpec) {
    spec.priority = spec.priority.or(old.priority);
    if spec.preemption_policy.is_none() {
        spec.preemption_policy.clone_from(&old.preemption_policy);
    }
    tolerate_for_a_while(spec);
}

fn tolerate_for_a_while(spec: &mut PodSpec) {
    let tolerations = spec.tolerations.get_or_insert_default();
    for taint in NODE_TAINTS {
        if !tolerations.iter().any(|toleration| tolerates(toleration, taint)) {
            tolerations.push(for_a_while(taint));
        }
    }
}

fn admit_priority(spec: &mut PodSpec, path: &Path, checks: &mut Checks) {
    let class = text(&spec.priority_class_name);
    let computed = match CLASSES.iter().find(|(name, _)| *name == class) {
        Some((_, value)) => *value,
        None if class.is_empty() => 0,
        None => {
            let detail = format!("no PriorityClass with name {class} was found");
            return checks.forbidden(&path.child("priorityClassName"), &detail);
        }
    };
    if let Some(given) = spec.priority.filter(|given| *given != computed) {
        let detail = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {computed} from the given PriorityClass name"
        );
        checks.forbidden(&path.child("priority"), &detail);
    }
    spec.priority = Some(computed);
    spec.preemption_policy.get_or_insert_with(|| "PreemptLowerPriority".to_owned());
}

fn tolerates(toleration: &Toleration, taint: &str) -> bool {
    let (key, effect) = (text(&toleration.key), text(&toleration.effect));
    (key == taint || key.is_empty()) && matches!(effect, "NoExecute" | "")
}

fn for_a_while(taint: &str) -> Toleration {
    Toleration {
        key: Some(taint.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some("NoExecute".to_owned()),
        toleration_seconds: Some(TOLERATION_SECONDS),
        value: None,
    }
}
