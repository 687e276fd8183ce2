//! Ending containers, and whole pods.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use trimtab_client::{Api, DeleteParams};

use super::{RETRY, Worker};
use crate::pod;
use crate::pod::actions::{self, Stop};

impl Worker {
    /// Ends containers, in parallel: their `preStop` hook, SIGTERM, and after the grace SIGKILL.
    pub(super) async fn stop_all(&mut self, stops: &[Stop], grace: u32) {
        if stops.is_empty() {
            return;
        }
        join_all(stops.iter().map(|stop| self.stop_one(stop, stop.grace.unwrap_or(grace)))).await;
        self.dirty = true;
    }

    async fn stop_one(&self, stop: &Stop, grace: u32) {
        self.node.event(&self.pod, Some(&stop.name), false, "Killing", stop.why.clone());
        let started = tokio::time::Instant::now();
        let limit = Duration::from_secs(grace.into());
        let hook = self.wanted(&stop.name).and_then(|c| Some((c, c.lifecycle.as_ref()?.pre_stop.as_ref()?)));
        if let Some((container, hook)) = hook.filter(|_| grace > 0) {
            match tokio::time::timeout(limit, self.hook(container, &stop.id, hook)).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => {
                    let message = format!("PreStopHook failed: {why}");
                    self.node.event(&self.pod, Some(&stop.name), true, "FailedPreStopHook", message);
                }
                Err(_) => tracing::warn!(container = %stop.name, "the preStop hook used up the grace period"),
            }
        }
        // Whatever the hook took, there are two seconds more, as upstream.
        let least = u64::from(grace.min(2));
        let left = limit.saturating_sub(started.elapsed()).as_secs().max(least);
        let stopped = self.runtime().stop(&stop.id, u32::try_from(left).unwrap_or(u32::MAX)).await;
        self.report("could not stop a container", stopped);
    }

    /// A pod that is being deleted: its containers end, then it goes from the API.
    pub(super) async fn terminate(&mut self) -> Option<Duration> {
        self.probes.end().await;
        self.dirty = true;
        if !self.observe().await {
            return Some(RETRY);
        }
        let stops = actions::end_all(&self.observed, "").stop;
        let stops: Vec<Stop> =
            stops.into_iter().map(|s| Stop { why: format!("Stopping container {}", s.name), ..s }).collect();
        let (grace, mailbox) = (self.remaining_grace(), std::sync::Arc::clone(&self.mailbox));
        tokio::select! {
            biased;
            () = self.stop_all(&stops, grace) => {}
            // Removed from the API by force: there is no more grace.
            () = mailbox.gone() => return Some(Duration::ZERO),
        }
        if !self.remove_everything().await {
            return Some(RETRY);
        }
        let id = pod::id(&self.pod);
        let api = Api::<Pod>::namespaced(&self.node.shared.client, &id.namespace);
        match api.delete(&id.name, &DeleteParams::now().uid(id.uid)).await {
            Ok(_) => None,
            Err(error) if error.is_not_found() => {
                self.mailbox.tell(|news| news.gone = true);
                None
            }
            // Another of the same name: the watch tells, and this ends.
            Err(error) if error.is_conflict() => Some(RETRY),
            Err(error) => {
                tracing::warn!(pod = %id.name, %error, "could not delete a pod that has ended");
                Some(RETRY)
            }
        }
    }

    /// The deletion time is when the grace ends, also for an agent that was restarted meanwhile.
    fn remaining_grace(&self) -> u32 {
        let grace = pod::grace_seconds(&self.pod);
        let Some(end) = &self.pod.metadata.deletion_timestamp else { return grace };
        let left = end.0.duration_since(self.node.shared.env.now()).as_secs();
        u32::try_from(left.max(1)).unwrap_or(grace).min(grace)
    }

    /// A pod that is gone from the API, and whatever is left of it. Whether nothing is.
    pub(super) async fn end_gone(&mut self) -> bool {
        self.probes.end().await;
        self.dirty = true;
        self.observe().await && self.remove_everything().await
    }

    async fn remove_everything(&mut self) -> bool {
        let containers = self.observed.containers.iter().map(|c| &c.id);
        let removed = join_all(containers.map(|id| self.runtime().remove(id))).await;
        let sandboxes = self.observed.sandboxes.iter().map(|s| &s.id);
        let sandboxes = join_all(sandboxes.map(|id| self.runtime().remove(id))).await;
        let failed = removed.into_iter().chain(sandboxes).find_map(Result::err);
        if let Some(error) = failed {
            tracing::warn!(pod = %self.uid(), %error, "could not remove a pod's containers");
            return false;
        }
        self.observed = crate::runtime::Observed::default();
        if !self.runtime().is_simulated() {
            self.node.shared.tokens.forget(self.uid());
            self.node.remove_files(self.uid());
        }
        true
    }
}
