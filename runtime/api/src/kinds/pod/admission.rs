//! What upstream's admission plug-ins that are on by default do to a new pod: ServiceAccount,
//! Priority and DefaultTolerationSeconds.

use k8s_openapi::api::core::v1::{PodSpec, Toleration};

use crate::check::{Checks, text};

/// How long a pod stays bound to a node that is not ready or out of reach, in seconds.
const TOLERATION_SECONDS: i64 = 300;

/// The taints that a node gets when it is not ready or out of reach.
const NODE_TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// Fills what the plug-ins fill that look at nothing else; the priority, where no class has given one.
pub(super) fn admit(spec: &mut PodSpec, checks: &mut Checks) {
    let mut gives = |field| checks.given.field(&["spec", field]);
    if text(&spec.service_account_name).is_empty() {
        spec.service_account_name = Some("default".to_owned());
        spec.service_account = Some("default".to_owned());
        ["serviceAccountName", "serviceAccount"].into_iter().for_each(&mut gives);
    }
    if spec.priority.is_none() {
        spec.priority = Some(0);
        gives("priority");
    }
    if spec.preemption_policy.is_none() {
        spec.preemption_policy = Some("PreemptLowerPriority".to_owned());
        gives("preemptionPolicy");
    }
    if spec.tolerations.as_ref().is_none_or(Vec::is_empty) {
        gives("tolerations");
    }
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
