//! Whether the container runtime answers, and what it tells of containers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::Notify;
use trimtab_client::root_cause;
use trimtab_env::lock;

use crate::node::Node;
use crate::runtime::{Error, Version};

/// How often a runtime that tells nothing is asked whether it lives.
const ASK: Duration = Duration::from_secs(10);
/// How long it may think about that; one that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a runtime that is down is asked again.
const PROBE: Duration = Duration::from_secs(1);

/// What is known of a runtime's health.
#[derive(Default)]
pub(crate) struct Health {
    trouble: Mutex<Option<String>>,
    suspected: Notify,
    changed: Notify,
}

impl Health {
    /// Why the runtime does not answer; nothing when it does.
    pub(crate) fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// Somebody got no answer: the runtime is asked at once.
    pub(crate) fn suspect(&self) {
        self.suspected.notify_one();
    }

    /// Waits until the runtime goes down or returns.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn set(&self, trouble: Option<String>) {
        *lock(&self.trouble) = trouble;
        self.changed.notify_one();
    }
}

/// Passes the runtime's events on, and keeps the node's [`Health`] true. Runs until it is dropped.
pub(crate) async fn follow(node: Arc<Node>) {
    loop {
        listen(&node).await;
        if let Err(error) = ask(&node).await {
            await_return(&node, &error).await;
        } else {
            node.shared.env.sleep(PROBE).await;
        }
    }
}

/// Passes events on until the stream ends or the runtime does not answer.
async fn listen(node: &Arc<Node>) {
    // What happened before is seen by looking, and what happens while we look is told.
    let mut events = node.runtime().events(node.shared.env.now());
    node.tell_all_dirty();
    loop {
        let silence = async {
            if node.runtime().is_simulated() { std::future::pending().await } else { node.shared.env.sleep(ASK).await }
        };
        tokio::select! {
            biased;
            event = events.next() => match event {
                Some(Ok(event)) => {
                    tracing::trace!(?event, "runtime event");
                    node.tell(&event.uid, |news| news.dirty = true);
                    continue;
                }
                Some(Err(_)) | None => return,
            },
            () = node.health.suspected.notified() => {}
            () = silence => {}
        }
        if ask(node).await.is_err() {
            return;
        }
    }
}

async fn ask(node: &Node) -> Result<Version, Error> {
    let unanswered = || Error::Unavailable { message: format!("no answer for {} s", PATIENCE.as_secs()), source: None };
    tokio::time::timeout(PATIENCE, node.runtime().version()).await.unwrap_or_else(|_| Err(unanswered()))
}

/// Waits until the runtime is back, with all that pods need.
async fn await_return(node: &Arc<Node>, error: &Error) {
    let Version { name, endpoint, .. } = node.version();
    let trouble = format!("container runtime is down: {name} at {endpoint}: {}", root_cause(error));
    tracing::warn!(node = %node.config.name, trouble, "the node is not ready");
    node.health.set(Some(trouble));
    loop {
        node.shared.env.sleep(PROBE).await;
        let Ok(version) = ask(node).await else { continue };
        // An engine that was set up anew has neither our network nor our images.
        match node.runtime().prepare().await {
            Ok(()) => {
                tracing::info!(node = %node.config.name, version = version.version, "the container runtime is back");
                node.returned(version);
                node.health.set(None);
                return;
            }
            Err(error) => tracing::warn!(%error, "the container runtime is back, but cannot be prepared"),
        }
    }
}
