//! The nodes and the pods on them, kept up to date change by change.
//!
//! A pod is on a node from the moment that the scheduler decides so: it is assumed there until the
//! API confirms it, or the binding fails and it is forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use trimtab_api::ObjectRef;
use trimtab_env::HashMap;

use crate::filter::{self, Reason};
use crate::node_info::{Facts, NodeInfo};
use crate::pod_info::PodInfo;
use crate::preempt::{self, NoHelp, Preemption};
use crate::score;

struct Placed {
    node: String,
    pod: Arc<PodInfo>,
    assumed: bool,
}

/// All nodes, and what their pods hold.
#[derive(Default)]
pub(crate) struct World {
    nodes: BTreeMap<String, NodeInfo>,
    placed: HashMap<ObjectRef, Placed>,
    /// The pods that others leave a node for. What they need there is kept from all who are less important.
    nominated: BTreeMap<ObjectRef, (String, Arc<PodInfo>)>,
}

/// Where a pod can go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// These nodes suit it best, and equally.
    Best(Vec<String>),
    /// No node can take it.
    Nowhere {
        /// How many nodes there are.
        nodes: usize,
        /// How many nodes have each reason.
        reasons: BTreeMap<Reason, usize>,
    },
}

impl World {
    /// Takes in what is told of a node. Answers whether a pod that fitted nowhere may fit now.
    pub(crate) fn set_node(&mut self, name: &str, facts: Facts) -> bool {
        let node = self.node(name);
        let changed = node.facts.as_ref() != Some(&facts);
        node.facts = Some(facts);
        changed
    }

    /// Forgets a node. Its pods stay known, for they may outlive it.
    pub(crate) fn remove_node(&mut self, name: &str) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.facts = None;
        }
        self.sweep(name);
    }

    /// Takes in a pod that is on a node.
    pub(crate) fn place(&mut self, pod: Arc<PodInfo>, node: &str) {
        self.put(pod, node, false);
    }

    /// Takes a pod to be on `node` until that is confirmed.
    pub(crate) fn assume(&mut self, pod: Arc<PodInfo>, node: &str) {
        self.put(pod, node, true);
    }

    /// Whether the pod is only assumed to be on a node.
    pub(crate) fn is_assumed(&self, key: &ObjectRef) -> bool {
        self.placed.get(key).is_some_and(|placed| placed.assumed)
    }

    /// Takes back an assumption that did not come true; one that did stays.
    pub(crate) fn forget(&mut self, key: &ObjectRef) {
        if self.is_assumed(key) {
            self.remove_pod(key);
        }
    }

    /// Forgets a pod. Answers whether it held something of a node.
    pub(crate) fn remove_pod(&mut self, key: &ObjectRef) -> bool {
        let Some(Placed { node, pod, .. }) = self.placed.remove(key) else { return false };
        self.node(&node).remove(&pod);
        self.sweep(&node);
        true
    }

    /// The best nodes for `pod`.
    pub(crate) fn choose(&self, pod: &PodInfo) -> Choice {
        let mut reasons = BTreeMap::<Reason, usize>::new();
        let (mut able, mut nodes) = (Vec::new(), 0);
        for (node, facts) in self.nodes.values().filter_map(|node| Some((node, node.facts.as_ref()?))) {
            nodes += 1;
            let promised = self.promised(node, pod);
            let refusals = filter::refusals(pod, promised.as_ref().unwrap_or(node), facts);
            if refusals.is_empty() {
                able.push((node, facts));
            }
            refusals.into_iter().for_each(|reason| *reasons.entry(reason).or_default() += 1);
        }
        let scores = score::scores(pod, &able);
        let Some(best) = scores.iter().max() else { return Choice::Nowhere { nodes, reasons } };
        let best = able.iter().zip(&scores).filter(|(_, score)| *score == best);
        Choice::Best(best.map(|((node, _), _)| node.name.clone()).collect())
    }

    /// Who has to go so that `pod` finds room.
    ///
    /// # Errors
    /// How many nodes are no help, and why.
    pub(crate) fn preempt(&self, pod: &PodInfo) -> Result<Preemption, BTreeMap<NoHelp, usize>> {
        let mut less_important: HashMap<&str, Vec<Arc<PodInfo>>> = HashMap::default();
        // Who is not there yet cannot be asked to leave.
        for placed in self.placed.values().filter(|placed| !placed.assumed) {
            if placed.pod.needs.priority < pod.needs.priority {
                less_important.entry(&placed.node).or_default().push(Arc::clone(&placed.pod));
            }
        }
        let (mut found, mut no_help) = (BTreeMap::new(), BTreeMap::<NoHelp, usize>::new());
        for (node, facts) in self.nodes.values().filter_map(|node| Some((node, node.facts.as_ref()?))) {
            let promised = self.promised(node, pod);
            let others = less_important.get(&*node.name).map(Vec::as_slice).unwrap_or_default();
            match preempt::victims(pod, promised.as_ref().unwrap_or(node), facts, others) {
                Ok(victims) => drop(found.insert(node.name.clone(), victims)),
                Err(why) => *no_help.entry(why).or_default() += 1,
            }
        }
        preempt::cheapest(found).ok_or(no_help)
    }

    /// Whether less important pods are leaving the node that `pod` is to have.
    pub(crate) fn is_being_made_room_for(&self, pod: &PodInfo) -> bool {
        let Some((node, _)) = self.nominated.get(&pod.key) else { return false };
        let mut there = self.placed.values().filter(|placed| placed.node == *node);
        there.any(|placed| placed.pod.is_going() && placed.pod.needs.priority < pod.needs.priority)
    }

    /// Promises `pod` the room on `node` that others leave.
    pub(crate) fn nominate(&mut self, pod: Arc<PodInfo>, node: &str) {
        self.nominated.insert(pod.key.clone(), (node.to_owned(), pod));
    }

    /// The pod needs no promise any more.
    pub(crate) fn fulfil(&mut self, key: &ObjectRef) {
        self.nominated.remove(key);
    }

    /// `node` with the pods that have been promised room there and are no less important than `pod`; `None` when there
    /// are none.
    fn promised(&self, node: &NodeInfo, pod: &PodInfo) -> Option<NodeInfo> {
        let mut promised = None;
        for (key, (on, other)) in &self.nominated {
            if *on == node.name && *key != pod.key && other.needs.priority >= pod.needs.priority {
                promised.get_or_insert_with(|| node.clone()).add(other);
            }
        }
        promised
    }

    fn put(&mut self, pod: Arc<PodInfo>, node: &str, assumed: bool) {
        self.remove_pod(&pod.key);
        self.fulfil(&pod.key);
        self.node(node).add(&pod);
        self.placed.insert(pod.key.clone(), Placed { node: node.to_owned(), pod, assumed });
    }

    fn node(&mut self, name: &str) -> &mut NodeInfo {
        let made = || NodeInfo { name: name.to_owned(), ..NodeInfo::default() };
        self.nodes.entry(name.to_owned()).or_insert_with(made)
    }

    /// Drops a node of which nothing is known and on which nothing is.
    fn sweep(&mut self, name: &str) {
        if self.nodes.get(name).is_some_and(|node| node.facts.is_none() && node.pods == 0) {
            self.nodes.remove(name);
        }
    }
}
