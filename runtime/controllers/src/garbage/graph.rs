//! Who owns whom, and what follows from it. Knows no client: [`Graph::decide`] says what is to be
//! done about an object, from what the graph has been told.
//!
//! ```text
//! [ ReplicationController ] <- ownerReferences - [ Pod ]
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use trimtab_client::{ApiResource, Propagation};
use trimtab_env::HashMap;

use crate::metadata::Meta;

/// The finalizer of an object that waits for its dependents to go first.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of an object whose dependents are to be let go.
pub(super) const ORPHAN: &str = "orphan";

/// An object and where it is served.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) resource: Arc<ApiResource>,
    pub(super) meta: Meta,
}

/// What is to be done about an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Task {
    /// Nothing.
    Rest,
    /// Look at these first: the object waits for them.
    Await(Vec<String>),
    /// Ask the server whether these owners are there, for the graph has never heard of them.
    Verify(Vec<OwnerReference>),
    /// Delete it: nobody owns it any more.
    Delete(Propagation),
    /// Keep only these owners: the others are gone, or wait for it to be theirs no more.
    Own(Vec<OwnerReference>),
    /// Let its dependents go: each keeps the other owners.
    LetGo(Vec<(String, Vec<OwnerReference>)>),
    /// Keep only these finalizers: the one that we see to is done.
    Finalize(Vec<String>),
}

/// Where and as what a dependent names an owner. Whoever names one wrongly finds it gone; those who name it rightly do
/// not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    namespace: String,
    api_version: String,
    kind: String,
    name: String,
}

impl Claim {
    fn of(dependent: &Node, owner: &OwnerReference) -> Self {
        Self {
            namespace: dependent.meta.namespace.clone(),
            api_version: owner.api_version.clone(),
            kind: owner.kind.clone(),
            name: owner.name.clone(),
        }
    }
}

enum Owner {
    /// It is there.
    Solid,
    /// It waits for its dependents to go.
    Waiting,
    /// It is gone.
    Gone,
    /// Nobody knows.
    Unheard,
}

/// Every object, by uid, and which objects name which owner.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: HashMap<String, Node>,
    dependents: HashMap<String, BTreeSet<String>>,
    /// Owners that somebody names and that are known to be gone, as they are named. A uid never comes back.
    gone: HashMap<String, BTreeSet<Claim>>,
}

impl Graph {
    /// Notes the present state of an object. Answers whom to look at because of it.
    pub(super) fn set(&mut self, resource: &Arc<ApiResource>, meta: Meta) -> Vec<String> {
        let uid = meta.uid.clone();
        let mut look = vec![uid.clone()];
        let node = Node { resource: Arc::clone(resource), meta };
        let old = self.nodes.insert(uid.clone(), node);
        match &old {
            Some(old) => look.extend(self.unlink(&uid, &old.meta.owner_references)),
            // Its dependents may have come before it.
            None => look.extend(self.dependents.get(&uid).into_iter().flatten().cloned()),
        }
        for owner in &self.nodes[&uid].meta.owner_references {
            self.dependents.entry(owner.uid.clone()).or_default().insert(uid.clone());
        }
        look
    }

    /// Notes that an object is gone. Answers whom to look at because of it.
    pub(super) fn remove(&mut self, uid: &str) -> Vec<String> {
        let Some(node) = self.nodes.remove(uid) else { return Vec::new() };
        let mut look = self.unlink(uid, &node.meta.owner_references);
        let dependents: Vec<_> = self.dependents.get(uid).into_iter().flatten().cloned().collect();
        // Of what never owned it, nothing has gone.
        let is_owned = |dependent: &&Node| !node.resource.namespaced || dependent.resource.namespaced;
        for dependent in dependents.iter().filter_map(|dependent| self.nodes.get(dependent)).filter(is_owned) {
            let named = dependent.meta.owner_references.iter().filter(|owner| owner.uid == uid);
            let claims = named.map(|owner| Claim::of(dependent, owner));
            self.gone.entry(uid.to_owned()).or_default().extend(claims);
        }
        look.extend(dependents);
        look
    }

    /// Notes that an owner does not exist as `dependent` names it. Answers whom to look at because of it.
    pub(super) fn note_gone(&mut self, dependent: &str, owner: &OwnerReference) -> Vec<String> {
        let (Some(node), Some(dependents)) = (self.nodes.get(dependent), self.dependents.get(&owner.uid)) else {
            return Vec::new();
        };
        self.gone.entry(owner.uid.clone()).or_default().insert(Claim::of(node, owner));
        dependents.iter().cloned().collect()
    }

    /// The objects that name an owner of this resource of which the graph has not heard.
    pub(super) fn waiting_for(&self, resource: &ApiResource) -> Vec<String> {
        let group =
            |owner: &OwnerReference| owner.api_version.split_once('/').map_or("", |(group, _)| group) == resource.group;
        let unheard = |owner: &OwnerReference| !self.nodes.contains_key(&owner.uid);
        let waits = |node: &Node| {
            let owners = &node.meta.owner_references;
            owners.iter().any(|owner| owner.kind == resource.kind && group(owner) && unheard(owner))
        };
        self.nodes.iter().filter(|(_, node)| waits(node)).map(|(uid, _)| uid.clone()).collect()
    }

    /// The object with this uid.
    pub(super) fn get(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// The uids of all objects of a resource.
    pub(super) fn of_resource(&self, resource: &ApiResource) -> Vec<String> {
        let of = self.nodes.iter().filter(|(_, node)| *node.resource == *resource);
        of.map(|(uid, _)| uid.clone()).collect()
    }

    /// What is to be done about the object `uid`.
    pub(super) fn decide(&self, uid: &str) -> Task {
        let Some(node) = self.nodes.get(uid) else { return Task::Rest };
        let meta = &node.meta;
        if meta.is_deleting_with(ORPHAN) {
            self.let_go(node)
        } else if meta.is_deleting_with(FOREGROUND) {
            self.wait_for_dependents(node)
        } else if meta.deletion_timestamp.is_some() || meta.owner_references.is_empty() {
            Task::Rest
        } else {
            self.judge_owners(node)
        }
    }

    fn let_go(&self, node: &Node) -> Task {
        let without = |dependent: &Node| {
            let owners = dependent.meta.owner_references.iter().filter(|owner| owner.uid != node.meta.uid);
            (dependent.meta.uid.clone(), owners.cloned().collect())
        };
        let dependents: Vec<_> = self.dependents_of(node).map(without).collect();
        if dependents.is_empty() { finalized(node, ORPHAN) } else { Task::LetGo(dependents) }
    }

    fn wait_for_dependents(&self, node: &Node) -> Task {
        let blocks = |dependent: &&Node| {
            let owners = &dependent.meta.owner_references;
            owners.iter().any(|owner| owner.uid == node.meta.uid && owner.block_owner_deletion == Some(true))
        };
        if self.dependents_of(node).any(|dependent| blocks(&dependent)) {
            Task::Await(self.dependents_of(node).map(|dependent| dependent.meta.uid.clone()).collect())
        } else {
            finalized(node, FOREGROUND)
        }
    }

    fn judge_owners(&self, node: &Node) -> Task {
        let (mut solid, mut waiting, mut unheard) = (Vec::new(), false, Vec::new());
        for owner in &node.meta.owner_references {
            match self.judge(node, owner) {
                Owner::Solid => solid.push(owner.clone()),
                Owner::Waiting => waiting = true,
                Owner::Gone => {}
                Owner::Unheard => unheard.push(owner.clone()),
            }
        }
        if !unheard.is_empty() {
            return Task::Verify(unheard);
        }
        match solid.len() {
            0 => self.delete(node, waiting),
            kept if kept == node.meta.owner_references.len() => Task::Rest,
            _ => Task::Own(solid),
        }
    }

    fn judge(&self, dependent: &Node, reference: &OwnerReference) -> Owner {
        match self.nodes.get(&reference.uid) {
            // A cluster-scoped object cannot be owned from within a namespace; who wrote that is
            // wrong, but the object may well be wanted.
            Some(owner) if cannot_own(owner, dependent) && !dependent.resource.namespaced => Owner::Solid,
            Some(owner) if cannot_own(owner, dependent) => Owner::Gone,
            Some(owner) if owner.meta.is_deleting_with(FOREGROUND) => Owner::Waiting,
            Some(_) => Owner::Solid,
            None if self.is_gone(dependent, reference) => Owner::Gone,
            None => Owner::Unheard,
        }
    }

    fn is_gone(&self, dependent: &Node, owner: &OwnerReference) -> bool {
        self.gone.get(&owner.uid).is_some_and(|claims| claims.contains(&Claim::of(dependent, owner)))
    }

    /// Of the owners that `node` names, one that is within a namespace where `node` is not.
    pub(super) fn misplaced<'a>(&self, node: &'a Node) -> Option<&'a OwnerReference> {
        let misplaced =
            |reference: &&OwnerReference| self.nodes.get(&reference.uid).is_some_and(|owner| cannot_own(owner, node));
        node.meta.owner_references.iter().find(misplaced)
    }

    fn delete(&self, node: &Node, owner_waits: bool) -> Task {
        let has = |finalizer: &str| node.meta.finalizers.iter().any(|f| f == finalizer);
        let mut dependents = self.dependents_of(node).peekable();
        // Who waits for this object waits for what it owns, too, but not round in a circle.
        let in_circle = |dependent: &Node| dependent.meta.is_deleting_with(FOREGROUND);
        let foreground = owner_waits && dependents.peek().is_some() && !dependents.any(in_circle);
        Task::Delete(match () {
            () if foreground || has(FOREGROUND) => Propagation::Foreground,
            () if has(ORPHAN) => Propagation::Orphan,
            () => Propagation::Background,
        })
    }

    fn dependents_of<'a>(&'a self, owner: &'a Node) -> impl Iterator<Item = &'a Node> + 'a {
        let named = self.dependents.get(&owner.meta.uid).into_iter().flatten();
        let nodes = named.filter_map(|uid| self.nodes.get(uid));
        nodes.filter(|node| !owner.resource.namespaced || node.meta.namespace == owner.meta.namespace)
    }

    /// Forgets that `uid` names `owners`. Answers those of them that may wait for that.
    fn unlink(&mut self, uid: &str, owners: &[OwnerReference]) -> Vec<String> {
        for owner in owners {
            let Some(dependents) = self.dependents.get_mut(&owner.uid) else { continue };
            dependents.remove(uid);
            if dependents.is_empty() {
                self.dependents.remove(&owner.uid);
                self.gone.remove(&owner.uid);
            }
        }
        let waits = |owner: &&OwnerReference| {
            self.nodes.get(&owner.uid).is_some_and(|node| node.meta.deletion_timestamp.is_some())
        };
        owners.iter().filter(waits).map(|owner| owner.uid.clone()).collect()
    }
}

fn cannot_own(owner: &Node, dependent: &Node) -> bool {
    owner.resource.namespaced && owner.meta.namespace != dependent.meta.namespace
}

fn finalized(node: &Node, finalizer: &str) -> Task {
    Task::Finalize(node.meta.finalizers.iter().filter(|f| *f != finalizer).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(plural: &'static str, namespaced: bool) -> Arc<ApiResource> {
        Arc::new(ApiResource {
            version: "v1".into(),
            kind: plural.into(),
            plural: plural.into(),
            namespaced,
            ..ApiResource::default()
        })
    }

    fn meta(uid: &str, owners: &[&str]) -> Meta {
        let reference = |owner: &&str| OwnerReference {
            uid: (*owner).to_owned(),
            block_owner_deletion: Some(true),
            ..OwnerReference::default()
        };
        Meta {
            name: uid.to_owned(),
            namespace: "shop".to_owned(),
            uid: uid.to_owned(),
            owner_references: owners.iter().map(reference).collect(),
            ..Meta::default()
        }
    }

    fn deleting(uid: &str, owners: &[&str], finalizer: &str) -> Meta {
        let deletion_timestamp = Some("2026-01-01T00:00:00Z".to_owned());
        Meta { deletion_timestamp, finalizers: vec![finalizer.to_owned(), "mine".to_owned()], ..meta(uid, owners) }
    }

    fn graph(metas: impl IntoIterator<Item = Meta>) -> Graph {
        let mut graph = Graph::default();
        for meta in metas {
            graph.set(&resource("things", true), meta);
        }
        graph
    }

    #[test]
    fn an_object_is_deleted_with_the_last_of_its_owners() {
        let mut graph = graph([meta("a", &[]), meta("b", &[]), meta("child", &["a", "b"])]);
        assert_eq!(graph.decide("child"), Task::Rest);
        assert_eq!(graph.remove("a"), ["child"]);
        assert_eq!(graph.decide("child"), Task::Own(meta("child", &["b"]).owner_references));
        graph.set(&resource("things", true), meta("child", &["b"]));
        graph.remove("b");
        assert_eq!(graph.decide("child"), Task::Delete(Propagation::Background));
        assert!(graph.remove("child").is_empty() && graph.gone.is_empty() && graph.dependents.is_empty());
    }

    #[test]
    fn an_owner_never_heard_of_is_asked_for_before_anything_is_deleted() {
        let mut graph = graph([meta("child", &["nobody"])]);
        assert_eq!(graph.decide("child"), Task::Verify(meta("child", &["nobody"]).owner_references));
        assert_eq!(graph.waiting_for(&ApiResource::default()), ["child"]);
        assert!(graph.waiting_for(&resource("things", true)).is_empty(), "it names another kind");
        // Where the owner is, it may be there: that it is not in the graph says nothing.
        let elsewhere = Meta { namespace: "other".to_owned(), ..meta("other", &["nobody"]) };
        graph.set(&resource("things", true), elsewhere);
        assert_eq!(graph.note_gone("child", &meta("child", &["nobody"]).owner_references[0]), ["child", "other"]);
        assert_eq!(graph.decide("child"), Task::Delete(Propagation::Background));
        assert_eq!(graph.decide("other"), Task::Verify(meta("other", &["nobody"]).owner_references));
    }

    #[test]
    fn foreground_deletion_goes_from_the_leaves_up() {
        let mut graph =
            graph([deleting("root", &[], FOREGROUND), meta("branch", &["root"]), meta("leaf", &["branch"])]);
        assert_eq!(graph.decide("root"), Task::Await(vec!["branch".to_owned()]));
        assert_eq!(graph.decide("branch"), Task::Delete(Propagation::Foreground));
        graph.set(&resource("things", true), deleting("branch", &["root"], FOREGROUND));
        assert_eq!(graph.decide("leaf"), Task::Delete(Propagation::Background));
        assert_eq!(graph.remove("leaf"), ["branch"]);
        assert_eq!(graph.decide("branch"), Task::Finalize(vec!["mine".to_owned()]));
        assert_eq!(graph.remove("branch"), ["root"]);
        assert_eq!(graph.decide("root"), Task::Finalize(vec!["mine".to_owned()]));
    }

    #[test]
    fn a_dependent_that_does_not_block_is_not_waited_for() {
        let mut unblocking = meta("child", &["root"]);
        unblocking.owner_references[0].block_owner_deletion = None;
        let graph = graph([deleting("root", &[], FOREGROUND), unblocking]);
        assert_eq!(graph.decide("root"), Task::Finalize(vec!["mine".to_owned()]));
    }

    #[test]
    fn a_circle_of_waiting_owners_is_broken() {
        let graph = graph([deleting("a", &["b"], FOREGROUND), meta("b", &["a"])]);
        assert_eq!(graph.decide("b"), Task::Delete(Propagation::Background));
    }

    #[test]
    fn orphans_are_let_go_before_their_owner_is() {
        let mut graph = graph([deleting("root", &[], ORPHAN), meta("child", &["root"])]);
        assert_eq!(graph.decide("root"), Task::LetGo(vec![("child".to_owned(), Vec::new())]));
        let look = graph.set(&resource("things", true), meta("child", &[]));
        assert_eq!(look, ["child", "root"]);
        assert_eq!(graph.decide("root"), Task::Finalize(vec!["mine".to_owned()]));
        assert_eq!(graph.decide("child"), Task::Rest);
    }

    #[test]
    fn an_owner_in_another_namespace_is_none() {
        let mut graph = graph([meta("child", &["root"])]);
        let elsewhere = Meta { namespace: "other".to_owned(), ..meta("root", &[]) };
        graph.set(&resource("things", true), elsewhere.clone());
        let misplaced = |graph: &Graph, uid: &str| graph.misplaced(graph.get(uid).unwrap()).is_some();
        assert_eq!(graph.decide("child"), Task::Delete(Propagation::Background));
        assert!(misplaced(&graph, "child") && !misplaced(&graph, "root"));
        let cluster_wide = Meta { namespace: String::new(), ..elsewhere };
        graph.set(&resource("nodes", false), cluster_wide.clone());
        assert_eq!(graph.decide("child"), Task::Rest);
        assert!(!misplaced(&graph, "child"));
        let within = Meta { owner_references: meta("", &["child"]).owner_references, ..cluster_wide };
        graph.set(&resource("nodes", false), within);
        assert_eq!(graph.decide("root"), Task::Rest, "it may be wanted, whatever it says");
        assert!(misplaced(&graph, "root"));
        graph.remove("child");
        assert!(matches!(graph.decide("root"), Task::Verify(_)), "that its owner has gone says nothing");
    }
}
