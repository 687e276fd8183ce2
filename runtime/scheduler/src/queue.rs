//! The pods that wait for a node.

use std::collections::{HashMap, HashSet, VecDeque};

use trimtab_api::ObjectRef;

/// Pods to be tried, and pods that were tried in vain and wait for the world to change.
#[derive(Default)]
pub(crate) struct Waiting {
    ready: VecDeque<ObjectRef>,
    known: HashSet<ObjectRef>,
    /// With the message of their last try, so that it is told once.
    stuck: HashMap<ObjectRef, String>,
}

impl Waiting {
    pub(crate) fn add(&mut self, pod: ObjectRef) {
        if self.known.insert(pod.clone()) {
            self.ready.push_back(pod);
        }
    }

    pub(crate) fn next(&mut self) -> Option<ObjectRef> {
        let pod = self.ready.pop_front()?;
        self.known.remove(&pod);
        Some(pod)
    }

    /// Sets a pod aside. Answers whether `message` is news.
    pub(crate) fn set_aside(&mut self, pod: ObjectRef, message: String) -> bool {
        self.stuck.insert(pod, message.clone()).is_none_or(|before| before != message)
    }

    pub(crate) fn forget(&mut self, pod: &ObjectRef) {
        self.stuck.remove(pod);
    }

    /// The world changed: all that were set aside are tried again.
    pub(crate) fn retry_all(&mut self) {
        let stuck: Vec<ObjectRef> = self.stuck.keys().cloned().collect();
        stuck.into_iter().for_each(|pod| self.add(pod));
    }
}
