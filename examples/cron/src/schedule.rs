//! The kind, and its controller.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};
use trimtab::client::DeleteParams;
use trimtab::{Conditions, Context, Error, EventType, Named, Next, Resource, Result, Schema, controller, named};

use crate::cron::{Cron, until};

/// When a pod is made, and of what.
#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
#[resource(group = "demo.io", version = "v1", kind = "Schedule", status = ScheduleStatus,
           column("Schedule", ".spec.schedule"), column("Last", ".status.lastScheduleTime"))]
pub(crate) struct ScheduleSpec {
    /// Five fields, as `crontab(5)` has them; in UTC.
    pub(crate) schedule: String,
    /// What runs.
    pub(crate) containers: Vec<Container>,
    #[resource(default = "Allow")]
    pub(crate) concurrency_policy: ConcurrencyPolicy,
    /// How many pods that have ended are kept.
    #[resource(default = 3, rule = "self >= 0")]
    pub(crate) history_limit: i32,
    #[resource(default = false)]
    pub(crate) suspend: bool,
}

/// What becomes of a pod that still runs when the next is due.
#[derive(Schema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConcurrencyPolicy {
    /// It goes on beside the next.
    Allow,
    /// The next waits for it.
    Forbid,
    /// It is stopped.
    Replace,
}

#[derive(Schema, Serialize, Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScheduleStatus {
    pub(crate) last_schedule_time: Option<Time>,
    #[serde(default)]
    pub(crate) active: Vec<String>,
    #[serde(default)]
    pub(crate) conditions: Vec<Condition>,
}

#[controller(owns(Pod))]
impl Reconcile for Schedule {
    async fn reconcile(&self, cx: &Context<Self>) -> Result<Next> {
        let cron = match Cron::parse(&self.spec.schedule) {
            Ok(cron) => cron,
            Err(why) => {
                let wrong = cx.condition("Ready", false, "InvalidSchedule", &why);
                cx.status(|status| status.conditions.put(wrong)).await?;
                return Err(Error::terminal(why));
            }
        };
        self.forget_old_runs(cx).await?;
        let now = cx.env().now();
        if let Some(due) = cron.due(self.last(), now).filter(|_| !self.spec.suspend) {
            self.start(due, cx).await?;
        }
        let active = self.runs(cx).iter().filter(|run| !is_finished(run)).map(|run| run.name().to_owned()).collect();
        let ready = cx.condition("Ready", true, "Scheduled", "");
        cx.status(|status| {
            status.active = active;
            status.conditions.put(ready);
        })
        .await?;
        Ok(match cron.after(now).filter(|_| !self.spec.suspend) {
            Some(next) => Next::after(until(next, now)),
            None => Next::on_change(),
        })
    }
}

impl Schedule {
    /// After which time a run may be due.
    fn last(&self) -> Timestamp {
        let last = self.status.as_ref().and_then(|status| status.last_schedule_time.as_ref());
        last.or(self.metadata.creation_timestamp.as_ref()).map_or(Timestamp::MIN, |time| time.0)
    }

    /// Its pods, the oldest first.
    fn runs(&self, cx: &Context<Self>) -> Vec<Arc<Pod>> {
        let going = |pod: &Arc<Pod>| pod.metadata.deletion_timestamp.is_some();
        cx.owned::<Pod>().into_iter().filter(|pod| !going(pod)).collect()
    }

    /// Makes the pod of the time `due`, unless another has to end before.
    async fn start(&self, due: Timestamp, cx: &Context<Self>) -> Result<()> {
        let name = format!("{}-{}", self.name(), due.as_second() / 60);
        let runs = self.runs(cx);
        let others = runs.iter().filter(|run| !is_finished(run) && run.name() != name);
        match self.spec.concurrency_policy {
            ConcurrencyPolicy::Forbid if others.clone().next().is_some() => return Ok(()),
            ConcurrencyPolicy::Allow | ConcurrencyPolicy::Forbid => {}
            ConcurrencyPolicy::Replace => {
                for run in others {
                    cx.delete(&**run, DeleteParams::default()).await?;
                }
            }
        }
        // It may be there already: whoever made it may have died before it could say so.
        if !runs.iter().any(|run| run.name() == name) {
            cx.create_owned(self.pod(name.clone())).await?;
            cx.event(self, EventType::Normal, "Started", format!("pod {name}"));
        }
        cx.status(|status| status.last_schedule_time = Some(Time(due))).await
    }

    fn pod(&self, name: String) -> Pod {
        let containers = self.spec.containers.clone();
        let spec = PodSpec { containers, restart_policy: Some("Never".to_owned()), ..PodSpec::default() };
        Pod { metadata: named(name), spec: Some(spec), ..Pod::default() }
    }

    async fn forget_old_runs(&self, cx: &Context<Self>) -> Result<()> {
        let runs = self.runs(cx);
        let finished: Vec<_> = runs.iter().filter(|run| is_finished(run)).collect();
        let kept = usize::try_from(self.spec.history_limit).unwrap_or_default();
        for old in &finished[..finished.len().saturating_sub(kept)] {
            cx.delete(&***old, DeleteParams::default()).await?;
        }
        Ok(())
    }
}

pub(crate) fn is_finished(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}
