//! What a pod's worker is told. Level-triggered: only the latest of each counts, nothing queues up.

use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::Notify;
use trimtab_env::lock;

use crate::probe::Verdict;

/// Where a worker gets its news.
#[derive(Default)]
pub(crate) struct Mailbox {
    news: Mutex<News>,
    wake: Notify,
}

/// What has happened since the worker looked last.
#[derive(Default)]
pub(crate) struct News {
    /// The pod's newest version.
    pub(crate) pod: Option<Arc<Pod>>,
    /// The pod is no longer in the API.
    pub(crate) gone: bool,
    /// Something happened to its containers, or may have.
    pub(crate) dirty: bool,
    /// Something that its volumes are made from changed.
    pub(crate) sources_changed: bool,
    /// Why it must leave the node.
    pub(crate) evicted: Option<String>,
    /// What probes found.
    pub(crate) verdicts: Vec<Verdict>,
}

impl Mailbox {
    /// Takes the news.
    pub(crate) fn take(&self) -> News {
        std::mem::take(&mut self.lock())
    }

    /// Waits until there is news.
    pub(crate) async fn news(&self) {
        self.wake.notified().await;
    }

    /// Waits until the pod is gone from the API.
    pub(crate) async fn gone(&self) {
        while !self.lock().gone {
            self.wake.notified().await;
        }
        self.wake.notify_one();
    }

    pub(crate) fn tell(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.lock());
        self.wake.notify_one();
    }

    /// Whether there is no news.
    pub(crate) fn is_empty(&self) -> bool {
        let News { pod, gone, dirty, sources_changed, evicted, verdicts } = &*self.lock();
        pod.is_none() && !gone && !dirty && !sources_changed && evicted.is_none() && verdicts.is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, News> {
        lock(&self.news)
    }
}
