//! What disruption budgets leave of an eviction
//! (<https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/>).
//!
//! The disruption controller says in a budget's status how many pods may go. Each eviction takes one
//! of those before its pod goes, so that two at once cannot both have the last.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;
use serde_json::Value;
use trimtab_api::{ApiError, Kind, Object, Selector, crd};
use trimtab_store::Precondition;

use crate::server::ApiServer;
use crate::write::{Committed, commit};
use crate::{encode, stored};

/// Evicted pods that the controller has not seen go yet: more means that nobody looks.
const MAX_DISRUPTED: usize = 2_000;
/// When to come back for a budget whose status is behind, in seconds.
const BEHIND: i32 = 10;
const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

/// Takes the eviction of `pod` from the budget that covers it, if one does.
///
/// # Errors
/// 429 when the budget has none left; 500 when several cover the pod.
pub(crate) async fn spend(server: &ApiServer, pod: &Object, dry_run: bool) -> Result<(), ApiError> {
    let is_going = pod.at(&["metadata", "deletionTimestamp"]).is_some();
    if is_going || matches!(pod.str_at(&["status", "phase"]), "Succeeded" | "Failed" | "Pending") {
        return Ok(());
    }
    let kinds = server.inner.kinds();
    let Some(kind) = kinds.by_resource("policy", "v1", "poddisruptionbudgets") else { return Ok(()) };
    let all = stored::entries(server, kind, pod.namespace()).await?;
    let mut covering = all.into_iter().filter(|entry| covers(&encode::to_object(kind, entry), pod));
    let Some(mut entry) = covering.next() else { return Ok(()) };
    if covering.next().is_some() {
        let message =
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        return Err(ApiError::new(500, "InternalError", message));
    }
    loop {
        let mut budget = encode::to_object(kind, &entry);
        if !crd::is_true(pod, "Ready") && lets_unready_go(&budget) {
            return Ok(());
        }
        take(kind, &mut budget, pod.name(), &server.inner.timestamp())?;
        if dry_run {
            return Ok(());
        }
        match commit(server, kind, &budget, Precondition::At(entry.mod_revision)).await {
            // One that is gone asks for nothing any more.
            Ok(_) | Err(Committed::Conflict(None)) => return Ok(()),
            Err(Committed::Conflict(Some(newer))) => entry = newer,
            Err(Committed::Other(error)) => return Err(error),
        }
    }
}

fn covers(budget: &Object, pod: &Object) -> bool {
    let Some(labels) = pod.at(&["metadata", "labels"]).and_then(Value::as_object).filter(|labels| !labels.is_empty())
    else {
        return false;
    };
    let selector = budget.at(&["spec", "selector"]).map(LabelSelector::deserialize).and_then(Result::ok);
    let selector = selector.and_then(|selector| Selector::try_from(&selector).ok());
    selector.is_some_and(|selector| selector.matches(|key| labels.get(key)?.as_str()))
}

/// A pod that is not ready counts for nothing, and may go while enough others are (or whenever, if the budget says so).
fn lets_unready_go(budget: &Object) -> bool {
    let (healthy, desired) = (count(budget, "currentHealthy"), count(budget, "desiredHealthy"));
    budget.str_at(&["spec", "unhealthyPodEvictionPolicy"]) == "AlwaysAllow" || (desired > 0 && healthy >= desired)
}

fn count(budget: &Object, field: &str) -> i64 {
    budget.at(&["status", field]).and_then(Value::as_i64).unwrap_or(0)
}

fn take(kind: &Kind, budget: &mut Object, pod: &str, time: &str) -> Result<(), ApiError> {
    let name = budget.name().to_owned();
    let refused = |seconds, cause: String| {
        ApiError::too_many_requests(REFUSED, seconds).with_cause("DisruptionBudget", None, cause)
    };
    let generation = budget.at(&["metadata", "generation"]).and_then(Value::as_i64).unwrap_or(0);
    if count(budget, "observedGeneration") < generation {
        return Err(refused(BEHIND, format!("The disruption budget {name} is still being processed by the server.")));
    }
    let disrupted = budget.at(&["status", "disruptedPods"]).and_then(Value::as_object).map_or(0, serde_json::Map::len);
    let allowed = count(budget, "disruptionsAllowed");
    if allowed < 0 {
        return Err(ApiError::forbidden(kind, &name, "pdb disruptions allowed is negative"));
    }
    if disrupted > MAX_DISRUPTED {
        let detail = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
        return Err(ApiError::forbidden(kind, &name, detail));
    }
    if allowed == 0 {
        let (desired, healthy) = (count(budget, "desiredHealthy"), count(budget, "currentHealthy"));
        let conditions = budget.at(&["status", "conditions"]).and_then(Value::as_array);
        let failed = conditions.into_iter().flatten().find(|condition| condition["reason"] == "SyncFailed");
        let cause = match failed {
            Some(failed) => format!(
                "The disruption budget {name} does not allow evicting pods currently because it failed sync: {}",
                failed["message"].as_str().unwrap_or_default()
            ),
            None => format!("The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"),
        };
        return Err(refused(0, cause));
    }
    budget.set(&["status", "disruptionsAllowed"], allowed - 1);
    budget.set(&["status", "disruptedPods", pod], time);
    Ok(())
}
