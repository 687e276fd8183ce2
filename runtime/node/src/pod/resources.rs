//! Requests and limits, in the kernel's terms (as the kubelet converts them).

use k8s_openapi::api::core::v1::{Container, Pod};
use trimtab_api::quantity::Quantity;

use crate::runtime::Limits;

const MIN_SHARES: u64 = 2;
const SHARES_PER_CPU: u64 = 1024;
/// Microseconds of processor time in 100 ms for each thousandth of a processor.
const QUOTA_PER_MILLI: i64 = 100;
const MIN_QUOTA: i64 = 1000;

/// What a container asks for, or may use at most, of `resource`; nothing when it does not say.
pub(crate) fn amount(container: &Container, limits: bool, resource: &str) -> Option<Quantity> {
    let resources = container.resources.as_ref()?;
    let map = if limits { &resources.limits } else { &resources.requests };
    Quantity::try_from(map.as_ref()?.get(resource)?).ok()
}

/// The limits of a container on a machine with `memory` bytes.
pub(crate) fn limits(pod: &Pod, container: &Container, memory: u64) -> Limits {
    let request = amount(container, false, "cpu").or_else(|| amount(container, true, "cpu"));
    let quota = amount(container, true, "cpu").map_or(0, |cpu| (cpu.milli() * QUOTA_PER_MILLI).max(MIN_QUOTA));
    Limits {
        cpu_shares: request.map_or(MIN_SHARES, shares),
        cpu_quota: quota,
        memory: amount(container, true, "memory").map_or(0, Quantity::units),
        oom_score_adj: oom_score(pod, container, memory),
    }
}

fn shares(cpu: Quantity) -> u64 {
    (u64::try_from(cpu.milli()).unwrap_or_default() * SHARES_PER_CPU / 1000).max(MIN_SHARES)
}

/// Guaranteed pods end last, pods without requests first (`pkg/kubelet/qos/policy.go`).
fn oom_score(pod: &Pod, container: &Container, memory: u64) -> i32 {
    match pod.status.as_ref().and_then(|status| status.qos_class.as_deref()) {
        Some("Guaranteed") => -997,
        Some("BestEffort") => 1000,
        _ => {
            let request = amount(container, false, "memory").map_or(0, Quantity::units);
            let capacity = i64::try_from(memory).unwrap_or(i64::MAX).max(1);
            let score = 1000 - request.saturating_mul(1000) / capacity;
            i32::try_from(score.clamp(3, 999)).unwrap_or(999)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requests_become_shares_and_limits_become_quota() {
        let container: Container = serde_json::from_value(json!({
            "name": "a", "resources": {"requests": {"cpu": "250m"}, "limits": {"cpu": "1500m", "memory": "64Mi"}},
        }))
        .unwrap();
        let limits = limits(&Pod::default(), &container, 1 << 30);
        assert_eq!((limits.cpu_shares, limits.cpu_quota, limits.memory), (256, 150_000, 64 << 20));
        assert_eq!(limits.oom_score_adj, 999);
    }

    #[test]
    fn without_requests_there_is_the_least_share_and_no_limit() {
        let limits = limits(&Pod::default(), &Container::default(), 1 << 30);
        assert_eq!((limits.cpu_shares, limits.cpu_quota, limits.memory), (2, 0, 0));
    }
}
