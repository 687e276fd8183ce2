//! PodDisruptionBudgets: how many of the pods that one covers may go (`pkg/controller/disruption`).
//!
//! The API server takes each eviction from what is told here. A pod whose eviction it has noted
//! counts as gone at once, and again as there if it has not gone within [`DELETION_TIMEOUT`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, OwnerReference, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use trimtab_api::kinds::pod_is_ready;
use trimtab_api::{ObjectRef, Selector};
use trimtab_client::{Api, Discovered};
use trimtab_reconcile::{Context, EventType, Next, Result, Setup, controller, controller_of};

use crate::metadata::Seen;
use crate::served::Served;

/// How long an evicted pod may take until its deletion is seen.
const DELETION_TIMEOUT: Duration = Duration::from_secs(120);
const ALLOWED: &str = "DisruptionAllowed";

type Cx = Context<PodDisruptionBudget>;

/// The disruption controller.
#[derive(Debug, Default)]
pub struct Disruption {
    served: Served,
}

#[controller(for = PodDisruptionBudget, name = "disruption-controller", crate = "trimtab_reconcile")]
impl Disruption {
    fn setup(&self, setup: &mut Setup<'_, Self>) {
        let budgets = setup.manager().cache::<PodDisruptionBudget>();
        let covering = move |namespace: Option<&String>, labels: Option<&BTreeMap<String, String>>| {
            let all = budgets.in_namespace(namespace.map(String::as_str).unwrap_or_default());
            let covers = |budget: &&Arc<PodDisruptionBudget>| selector(budget).is_some_and(|s| s.matches_map(labels));
            all.iter().filter(covers).map(|budget| ObjectRef::of(&**budget)).collect::<Vec<_>>()
        };
        let of_pods = covering.clone();
        setup.watches::<Pod>(move |pod| of_pods(pod.metadata.namespace.as_ref(), pod.metadata.labels.as_ref()));
        // How many there should be is a controller's to say.
        setup.watches::<ReplicationController>(move |rc| {
            let template = rc.spec.as_ref().and_then(|spec| spec.template.as_ref()?.metadata.as_ref());
            covering(rc.metadata.namespace.as_ref(), template.and_then(|template| template.labels.as_ref()))
        });
    }

    async fn reconcile(&self, budget: &PodDisruptionBudget, cx: &Cx) -> Result<Next> {
        let namespace = budget.metadata.namespace.as_deref().unwrap_or_default();
        let selector = selector(budget);
        let covers = |pod: &Arc<Pod>| selector.as_ref().is_some_and(|s| s.matches_map(pod.metadata.labels.as_ref()));
        let pods: Vec<_> = cx.cache::<Pod>().in_namespace(namespace).into_iter().filter(covers).collect();
        let scales = if is_relative(budget) { self.scales(namespace, &pods, cx).await? } else { Ok(Vec::new()) };
        let (status, again) = status(budget, &pods, scales, cx.env().now());
        if budget.status.as_ref() != Some(&status) {
            let failed = status.conditions.iter().flatten().find(|condition| condition.reason == "SyncFailed");
            if let Some(condition) = failed {
                cx.event(budget, EventType::Warning, "CalculateExpectedPodCountFailed", &condition.message);
            }
            cx.replace_status(&PodDisruptionBudget { status: Some(status), ..budget.clone() }).await?;
        }
        Ok(again.map_or_else(Next::on_change, Next::after))
    }
}

impl Disruption {
    /// How many pods each of the controllers of `pods` wants; a pod that is nobody's does not count.
    async fn scales(&self, namespace: &str, pods: &[Arc<Pod>], cx: &Cx) -> Result<Scales> {
        let (mut owners, mut scales) = (BTreeSet::new(), BTreeMap::new());
        for pod in pods {
            let Some(owner) = controller_of(&**pod).filter(|owner| owners.insert(owner.uid.clone())) else { continue };
            match self.scale(namespace, owner.clone(), cx).await? {
                Ok(Some((uid, replicas))) => drop(scales.insert(uid, replicas)),
                Ok(None) => {
                    let name = pod.metadata.name.as_deref().unwrap_or_default();
                    return Ok(Err(format!("found no controllers for pod {name:?}")));
                }
                Err(why) => return Ok(Err(why)),
            }
        }
        Ok(Ok(scales.into_values().collect()))
    }

    /// Who says how many pods `owner` has, by its uid, and how many: whoever controls it or itself, by the scale
    /// subresource.
    async fn scale(
        &self,
        namespace: &str,
        mut owner: OwnerReference,
        cx: &Cx,
    ) -> Result<Result<Option<(String, i32)>, String>> {
        loop {
            let is = |found: &Discovered| {
                found.resource.kind == owner.kind && found.resource.api_version() == owner.api_version
            };
            let unknown = || format!("{}.{} does not implement the scale subresource", owner.kind, owner.api_version);
            let Some(found) = self.served.find(cx.client(), is).await? else { return Ok(Err(unknown())) };
            if !found.subresources.iter().any(|name| name == "scale") {
                return Ok(Err(unknown()));
            }
            let api = Api::<Seen>::of(cx.client(), found.resource.clone(), Some(namespace));
            // A ReplicaSet is as large as its Deployment says.
            if (&*found.resource.group, &*owner.kind) == ("apps", "ReplicaSet") {
                let seen = api.get_opt(&owner.name).await?;
                let above = seen.map(|seen| seen.metadata.owner_references).unwrap_or_default().into_iter();
                if let Some(above) =
                    above.filter(|above| above.kind == "Deployment").find(|above| above.controller == Some(true))
                {
                    owner = above;
                    continue;
                }
            }
            return match api.scale(&owner.name).await {
                Ok(scale) if scale.metadata.uid.as_ref() == Some(&owner.uid) => {
                    let replicas = scale.spec.and_then(|spec| spec.replicas).unwrap_or(0);
                    Ok(Ok(Some((owner.uid, replicas))))
                }
                Ok(_) => Ok(Ok(None)),
                Err(error) if error.is_not_found() => Ok(Ok(None)),
                Err(error) => Err(error.into()),
            };
        }
    }
}

/// Whether the budget depends on how many pods there should be.
fn is_relative(budget: &PodDisruptionBudget) -> bool {
    budget.spec.as_ref().is_some_and(|spec| {
        spec.max_unavailable.is_some() || matches!(spec.min_available, Some(IntOrString::String(_)))
    })
}

/// No selector covers nothing, an empty one everything.
fn selector(budget: &PodDisruptionBudget) -> Option<Selector> {
    Selector::try_from(budget.spec.as_ref()?.selector.as_ref()?).ok()
}

/// How many pods each of the pods' controllers wants, or why that is not known.
type Scales = Result<Vec<i32>, String>;

/// The budget's status, and when it changes by itself.
fn status(
    budget: &PodDisruptionBudget,
    pods: &[Arc<Pod>],
    scales: Scales,
    now: Timestamp,
) -> (PodDisruptionBudgetStatus, Option<Duration>) {
    let old = budget.status.clone().unwrap_or_default();
    let (disrupted, again) = disrupted(&old, pods, now);
    let spec = budget.spec.clone().unwrap_or_default();
    let counted = wanted(&spec, pods, scales);
    let generation = budget.metadata.generation;
    let observed = |reason: &str, message: String| {
        let status = if reason == "SufficientPods" { "True" } else { "False" };
        let mut conditions = old.conditions.clone().unwrap_or_default();
        let before = conditions.iter().position(|known| known.type_ == ALLOWED).map(|at| conditions.remove(at));
        let since = before.filter(|before| before.status == status).map(|before| before.last_transition_time);
        conditions.push(Condition {
            type_: ALLOWED.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            observed_generation: generation,
            last_transition_time: since.unwrap_or(Time(now)),
        });
        Some(conditions)
    };
    let new = match counted {
        Err(why) => {
            let conditions = observed("SyncFailed", why);
            PodDisruptionBudgetStatus {
                disruptions_allowed: Some(0),
                observed_generation: generation,
                conditions,
                ..old
            }
        }
        Ok(Wanted { expected, desired }) => {
            let is_healthy = |pod: &&Arc<Pod>| {
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                pod.metadata.deletion_timestamp.is_none() && !disrupted.contains_key(name) && pod_is_ready(pod)
            };
            let healthy = count(pods.iter().filter(is_healthy).count());
            let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
            let reason = if allowed > 0 { "SufficientPods" } else { "InsufficientPods" };
            PodDisruptionBudgetStatus {
                conditions: observed(reason, String::new()),
                current_healthy: Some(healthy),
                desired_healthy: Some(desired),
                disrupted_pods: (!disrupted.is_empty()).then_some(disrupted),
                disruptions_allowed: Some(allowed),
                expected_pods: Some(expected),
                observed_generation: generation,
            }
        }
    };
    (new, again)
}

/// The evicted pods whose deletion is yet to be seen, and when the first of them counts again.
fn disrupted(
    old: &PodDisruptionBudgetStatus,
    pods: &[Arc<Pod>],
    now: Timestamp,
) -> (BTreeMap<String, Time>, Option<Duration>) {
    let there = |name: &str| {
        let pod = pods.iter().find(|pod| pod.metadata.name.as_deref() == Some(name));
        pod.is_some_and(|pod| pod.metadata.deletion_timestamp.is_none())
    };
    let left = |time: &Time| {
        let until = time.0.saturating_add(DELETION_TIMEOUT).ok()?;
        Duration::try_from(until.duration_since(now)).ok().filter(|left| !left.is_zero())
    };
    let noted = old.disrupted_pods.iter().flatten().filter(|(name, _)| there(name));
    let waiting: Vec<_> = noted.filter_map(|(name, time)| Some((name.clone(), time.clone(), left(time)?))).collect();
    let again = waiting.iter().map(|(_, _, left)| *left).min();
    (waiting.into_iter().map(|(name, time, _)| (name, time)).collect(), again)
}

/// How many pods there should be, and how many of them must be healthy.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    expected: i32,
    desired: i32,
}

fn wanted(spec: &PodDisruptionBudgetSpec, pods: &[Arc<Pod>], scales: Scales) -> Result<Wanted, String> {
    match (&spec.max_unavailable, &spec.min_available) {
        (Some(most), _) => {
            let expected = scales?.iter().sum();
            Ok(Wanted { expected, desired: (expected - share(most, expected)?).max(0) })
        }
        // However many there should be.
        (None, Some(IntOrString::Int(least))) => Ok(Wanted { expected: count(pods.len()), desired: *least }),
        (None, Some(least)) => {
            let expected = scales?.iter().sum();
            Ok(Wanted { expected, desired: share(least, expected)? })
        }
        (None, None) => Ok(Wanted { expected: count(pods.len()), desired: 0 }),
    }
}

/// A number, or a part of `whole` in percent, rounded up.
fn share(value: &IntOrString, whole: i32) -> Result<i32, String> {
    match value {
        IntOrString::Int(number) => Ok(*number),
        IntOrString::String(text) => {
            let percent = text.strip_suffix('%').and_then(|number| number.parse::<i64>().ok());
            let percent = percent.ok_or_else(|| format!("invalid value for IntOrString: {text:?}"))?;
            let parts = i64::from(whole) * percent;
            Ok(i32::try_from(parts.div_euclid(100) + i64::from(parts.rem_euclid(100) > 0)).unwrap_or(i32::MAX))
        }
    }
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn pod(name: &str, ready: bool) -> Arc<Pod> {
        let status = if ready { "True" } else { "False" };
        let owner =
            json!({"apiVersion": "v1", "kind": "ReplicationController", "name": "web", "uid": "u", "controller": true});
        let pod = json!({"metadata": {"name": name, "ownerReferences": [owner]},
            "status": {"conditions": [{"type": "Ready", "status": status}]}});
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn told(spec: Value, status: Value, pods: &[Arc<Pod>]) -> (PodDisruptionBudgetStatus, Option<Duration>) {
        told_of(spec, status, pods, Ok(vec![4]))
    }

    fn told_of(
        spec: Value,
        status: Value,
        pods: &[Arc<Pod>],
        scales: Scales,
    ) -> (PodDisruptionBudgetStatus, Option<Duration>) {
        let budget = json!({"metadata": {"name": "b", "generation": 2}, "spec": spec, "status": status});
        let budget = serde_json::from_value(budget).unwrap();
        super::status(&budget, pods, scales, at(0))
    }

    #[test]
    fn as_many_may_go_as_the_budget_leaves() {
        let pods = [pod("a", true), pod("b", true), pod("c", true), pod("d", false)];
        let check = |spec: Value, expected: [i32; 4]| {
            let (status, _) = told(spec.clone(), json!({"disruptionsAllowed": 0}), &pods);
            let PodDisruptionBudgetStatus { expected_pods, desired_healthy, current_healthy, .. } = status;
            let found =
                [expected_pods, desired_healthy, current_healthy, status.disruptions_allowed].map(Option::unwrap);
            assert_eq!((found, status.observed_generation), (expected, Some(2)), "{spec}");
        };
        check(json!({"minAvailable": 2}), [4, 2, 3, 1]);
        check(json!({"minAvailable": 3}), [4, 3, 3, 0]);
        check(json!({"minAvailable": "50%"}), [4, 2, 3, 1]);
        check(json!({"minAvailable": "51%"}), [4, 3, 3, 0]);
        check(json!({"maxUnavailable": 2}), [4, 2, 3, 1]);
        check(json!({"maxUnavailable": "100%"}), [4, 0, 3, 3]);
    }

    #[test]
    fn an_evicted_pod_counts_as_gone_until_it_should_have_gone() {
        let pods = [pod("a", true), pod("b", true)];
        let noted = |seconds: i64| json!({"disruptionsAllowed": 0, "disruptedPods": {"a": at(seconds), "gone": at(0)}});
        let (status, again) = told(json!({"minAvailable": 1}), noted(-20), &pods);
        assert_eq!((status.current_healthy, status.disruptions_allowed), (Some(1), Some(0)));
        assert_eq!(status.disrupted_pods.unwrap().into_keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(again, Some(Duration::from_secs(100)));
        let (status, again) = told(json!({"minAvailable": 1}), noted(-120), &pods);
        assert_eq!((status.disruptions_allowed, status.disrupted_pods, again), (Some(1), None, None));
    }

    #[test]
    fn without_a_known_controller_a_share_is_of_nothing() {
        let unknown = Err("found no controllers for pod \"a\"".to_owned());
        let (spec, status) = (json!({"maxUnavailable": 1}), json!({"disruptionsAllowed": 3}));
        let (status, _) = told_of(spec, status, &[pod("a", true)], unknown);
        let condition = &status.conditions.unwrap()[0];
        assert_eq!((condition.reason.as_str(), condition.status.as_str()), ("SyncFailed", "False"));
        assert_eq!(status.disruptions_allowed, Some(0));
    }
}
