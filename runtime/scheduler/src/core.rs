//! What the scheduler decides, without time and without the API: changes go in, verdicts come out.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use trimtab_api::ObjectRef;
use trimtab_env::Instant;
use trimtab_reconcile::Change;

use crate::node_info::Facts;
use crate::pod_info::PodInfo;
use crate::preempt::Preemption;
use crate::queue::Queue;
use crate::report;
use crate::world::{Choice, World};

/// What is to be done with a pod.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Bind it to `node`; it is assumed there until [`Core::bound`] or [`Core::not_bound`].
    Bind {
        /// The pod.
        pod: Arc<Pod>,
        /// Where it goes.
        node: String,
    },
    /// Have `victims` leave `node` for it, and tell it so; it is tried again once they have.
    Preempt {
        /// The pod.
        pod: Arc<Pod>,
        /// Where there will be room.
        node: String,
        /// Less important pods.
        victims: Vec<Arc<Pod>>,
        /// Why it fits nowhere, in upstream's words.
        message: String,
    },
    /// Tell it why it fits nowhere; it is tried again once the world changes.
    Unschedulable {
        /// The pod.
        pod: Arc<Pod>,
        /// Why, in upstream's words.
        message: String,
    },
}

/// The pods that wait, and the nodes that can take them.
pub struct Core {
    name: String,
    world: World,
    queue: Queue,
}

impl Core {
    /// A scheduler that places the pods whose `schedulerName` is `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), world: World::default(), queue: Queue::default() }
    }

    /// Takes in a change of a pod.
    pub fn pod_changed(&mut self, change: &Change<Pod>, now: Instant) {
        let pod = Arc::new(PodInfo::new(Arc::clone(change.object())));
        let key = pod.key.clone();
        if matches!(change, Change::Deleted(_)) || pod.has_ended() {
            self.queue.remove(&key);
            self.world.fulfil(&key);
            if self.world.remove_pod(&key) {
                self.queue.wake_all(now);
            }
        } else if !pod.node().is_empty() {
            self.queue.remove(&key);
            let node = pod.node().to_owned();
            self.world.place(pod, &node);
        } else if self.world.is_assumed(&key) {
            // This tells of a time before the binding.
        } else if pod.is_for(&self.name) {
            self.queue.add(pod, now);
        } else {
            self.queue.remove(&key);
            self.world.fulfil(&key);
        }
    }

    /// Takes in a change of a node.
    pub fn node_changed(&mut self, change: &Change<Node>, now: Instant) {
        let node = change.object();
        let name = node.metadata.name.as_deref().unwrap_or_default();
        match change {
            Change::Deleted(_) => self.world.remove_node(name),
            Change::Applied { .. } => {
                if self.world.set_node(name, Facts::of(node)) {
                    self.queue.wake_all(now);
                }
            }
        }
    }

    /// The next verdict; `None` when no pod is to be placed now. Of nodes that suit equally well,
    /// `pick` chooses: it gets how many there are, and gives one's index.
    pub fn next(&mut self, now: Instant, pick: impl FnOnce(usize) -> usize) -> Option<Verdict> {
        self.queue.advance(now);
        let pod = self.queue.pop()?;
        match self.world.choose(&pod) {
            Choice::Best(nodes) => {
                let node = nodes[pick(nodes.len()).min(nodes.len() - 1)].clone();
                self.world.assume(Arc::clone(&pod), &node);
                Some(Verdict::Bind { pod: Arc::clone(&pod.pod), node })
            }
            Choice::Nowhere { nodes, reasons } => {
                self.queue.fits_nowhere(&pod.key, now);
                let message = report::message(nodes, &reasons);
                Some(self.make_room(&pod, nodes, message))
            }
        }
    }

    /// What becomes of a pod that fits nowhere as things are.
    fn make_room(&mut self, pod: &Arc<PodInfo>, nodes: usize, message: String) -> Verdict {
        let stuck = |message| Verdict::Unschedulable { pod: Arc::clone(&pod.pod), message };
        if nodes == 0 || self.world.is_being_made_room_for(pod) {
            return stuck(message);
        }
        if !pod.needs.preempts {
            return stuck(format!("{message} preemption: not eligible due to preemptionPolicy=Never."));
        }
        match self.world.preempt(pod) {
            Ok(Preemption { node, victims }) => {
                self.world.nominate(Arc::clone(pod), &node);
                // Who is going already need not be asked.
                let staying = victims.iter().filter(|victim| !victim.is_going());
                let victims: Vec<_> = staying.map(|victim| Arc::clone(&victim.pod)).collect();
                Verdict::Preempt { pod: Arc::clone(&pod.pod), node, victims, message }
            }
            Err(no_help) => {
                self.world.fulfil(&pod.key);
                stuck(format!("{message} preemption: {}", report::message(nodes, &no_help)))
            }
        }
    }

    /// The pod is bound. What the watch tells of it will follow.
    pub fn bound(&mut self, key: &ObjectRef) {
        self.queue.remove(key);
    }

    /// The pod could not be bound: its place is free again, and it is tried later, if it is there
    /// still.
    pub fn not_bound(&mut self, key: &ObjectRef, now: Instant) {
        self.world.forget(key);
        self.queue.retry(key, now);
        self.queue.wake_all(now);
    }

    /// When [`Core::next`] is to be asked again if nothing changes before; `None` for never.
    pub fn next_due(&self) -> Option<Instant> {
        self.queue.next_due()
    }
}

#[cfg(test)]
mod tests;
