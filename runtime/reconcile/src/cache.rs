//! What is known of one kind's objects.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::{mpsc, watch};
use trimtab_api::ObjectRef;
use trimtab_env::HashMap;

use crate::resource::{View, revision};

/// A change of one object, as subscribers see it.
#[derive(Debug)]
pub enum Change<K> {
    /// The object is there; `old` is what was known of it before.
    Applied {
        /// Before.
        old: Option<Arc<K>>,
        /// Now.
        new: Arc<K>,
    },
    /// The object is gone. Carries its last known state.
    Deleted(Arc<K>),
}

impl<K> Change<K> {
    /// The newest state known.
    pub fn object(&self) -> &Arc<K> {
        match self {
            Self::Applied { new, .. } => new,
            Self::Deleted(old) => old,
        }
    }
}

impl<K> Clone for Change<K> {
    fn clone(&self) -> Self {
        match self {
            Self::Applied { old, new } => Self::Applied { old: old.clone(), new: Arc::clone(new) },
            Self::Deleted(old) => Self::Deleted(Arc::clone(old)),
        }
    }
}

type IndexFn<K> = Box<dyn Fn(&K) -> Vec<String> + Send + Sync>;

struct Index<K> {
    name: Cow<'static, str>,
    keys: IndexFn<K>,
    map: HashMap<String, BTreeSet<ObjectRef>>,
}

struct State<K> {
    objects: HashMap<ObjectRef, Arc<K>>,
    indexes: Vec<Index<K>>,
    subscribers: Vec<mpsc::UnboundedSender<Change<K>>>,
    /// Up to where everything has been seen, by namespace if each is watched by itself, or else under `""`; an
    /// absent object of an older version is gone.
    seen: BTreeMap<String, u64>,
    /// Of which of those a list is in.
    listed: BTreeSet<String>,
    /// What this process took away, and what the watch has yet to tell of.
    gone: HashMap<ObjectRef, Gone>,
}

/// An object that is not among those of a cache any more. Until the watch has told, news of it is old news.
struct Gone {
    /// Of what was deleted. What is only selected no longer may come back.
    uid: Option<String>,
    /// The version that was deleted, or with which it left.
    at: u64,
}

impl Gone {
    fn is_older(&self, news: &impl View) -> bool {
        revision(news) <= self.at || (self.uid.is_some() && self.uid == news.metadata().uid)
    }

    /// Whether the watch, now at `at`, need tell no more of it.
    fn is_past(&self, at: u64) -> bool {
        self.uid.is_none() && self.at <= at
    }
}

struct Inner<K> {
    state: RwLock<State<K>>,
    /// Whether each namespace is watched by itself.
    by_namespace: bool,
    /// How many lists are still to come in.
    missing: watch::Sender<usize>,
}

/// A cache of one kind's objects, kept by a watch, without their `managedFields`. Cloning is cheap;
/// clones share it.
pub struct Cache<K>(Arc<Inner<K>>);

impl<K> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: View> Default for Cache<K> {
    fn default() -> Self {
        Self::of(None)
    }
}

impl<K: View> Cache<K> {
    /// A cache that is filled by one watch, or by one for each of so many namespaces.
    pub(crate) fn of(namespaces: Option<usize>) -> Self {
        let state = State {
            objects: HashMap::default(),
            indexes: Vec::new(),
            subscribers: Vec::new(),
            seen: BTreeMap::new(),
            listed: BTreeSet::new(),
            gone: HashMap::default(),
        };
        let missing = watch::Sender::new(namespaces.unwrap_or(1));
        Self(Arc::new(Inner { state: RwLock::new(state), by_namespace: namespaces.is_some(), missing }))
    }

    fn read(&self) -> RwLockReadGuard<'_, State<K>> {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State<K>> {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// One object.
    pub fn get(&self, key: &ObjectRef) -> Option<Arc<K>> {
        self.read().objects.get(key).cloned()
    }

    /// All objects, in no order.
    pub fn list(&self) -> Vec<Arc<K>> {
        self.read().objects.values().cloned().collect()
    }

    /// The objects of one namespace, in no order.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let state = self.read();
        state
            .objects
            .iter()
            .filter(|(key, _)| key.namespace == namespace)
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.read().objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps an index called `name` of the keys that `keys` gives for an object. Adding it twice
    /// is adding it once.
    pub fn add_index(
        &self,
        name: impl Into<Cow<'static, str>>,
        keys: impl Fn(&K) -> Vec<String> + Send + Sync + 'static,
    ) {
        let (mut state, name) = (self.write(), name.into());
        if state.indexes.iter().any(|index| index.name == name) {
            return;
        }
        let mut index = Index { name, keys: Box::new(keys), map: HashMap::default() };
        for (key, object) in &state.objects {
            index.insert(key, object);
        }
        state.indexes.push(index);
    }

    /// The objects under `key` of the index `name`, ordered by name; none when there is no such
    /// index.
    pub fn by_index(&self, name: &str, key: &str) -> Vec<Arc<K>> {
        let state = self.read();
        let Some(index) = state.indexes.iter().find(|index| index.name == name) else { return Vec::new() };
        let keys = index.map.get(key).into_iter().flatten();
        keys.filter_map(|key| state.objects.get(key).cloned()).collect()
    }

    /// Resolves once the first list is in.
    pub async fn synced(&self) {
        // The sender lives in this cache, so that waiting cannot fail.
        let _ = self.0.missing.subscribe().wait_for(|missing| *missing == 0).await;
    }

    /// Whether the first list is in.
    pub fn is_synced(&self) -> bool {
        *self.0.missing.borrow() == 0
    }

    /// Every change from now on, after one `Applied` for each object that is there already. The
    /// channel is not bounded: it holds at most what changed and was not yet taken, and dropping a
    /// change would break whoever counts on them.
    pub fn subscribe(&self) -> mpsc::UnboundedReceiver<Change<K>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut state = self.write();
        for object in state.objects.values() {
            // The receiver is at hand.
            let _ = sender.send(Change::Applied { old: None, new: Arc::clone(object) });
        }
        state.subscribers.push(sender);
        receiver
    }

    /// Takes in what this process itself wrote, if it is newer than what is known.
    pub fn fold(&self, object: &K) {
        let mut state = self.write();
        let key = ObjectRef::of(object);
        // The watch is past this version and holds no such object: it was deleted since.
        let past = 1..=state.seen(self.scope(&key));
        if past.contains(&revision(object)) && !state.objects.contains_key(&key) {
            return;
        }
        state.apply(key, object.clone());
    }

    /// Forgets an object that this process itself wrote in a way that it is not among those of this cache any more.
    pub(crate) fn fold_out(&self, key: &ObjectRef, at: u64) {
        let mut state = self.write();
        if state.objects.get(key).is_some_and(|known| revision(&**known) < at) {
            state.remove(key);
        }
        if at > state.seen(self.scope(key)) {
            state.gone.insert(key.clone(), Gone { uid: None, at });
        }
    }

    fn scope<'a>(&self, key: &'a ObjectRef) -> &'a str {
        if self.0.by_namespace { &key.namespace } else { "" }
    }

    /// Forgets an object that this process itself deleted, at this version or a later one. Whether it is `expected`
    /// here: the watch will tell of it, if it has not yet.
    pub(crate) fn fold_delete(&self, key: &ObjectRef, uid: &str, at: u64, expected: bool) {
        let mut state = self.write();
        let known = state.is(key, Some(uid));
        if known {
            state.remove(key);
        }
        if known || (expected && at > state.seen(self.scope(key))) {
            let at = state.gone.get(key).map_or(at, |gone| gone.at.max(at));
            state.gone.insert(key.clone(), Gone { uid: Some(uid.to_owned()), at });
        }
    }

    /// Takes in what a watch tells of an object that is there.
    pub(crate) fn observe(&self, object: K) {
        let mut state = self.write();
        // In one step with the change: a fold in between would take the object for a deleted one.
        let key = ObjectRef::of(&object);
        state.see(self.scope(&key), revision(&object));
        state.apply(key, object);
    }

    /// The watch has told all up to here, of one namespace if each is watched by itself.
    pub(crate) fn passed(&self, at: u64, namespace: &str) {
        let mut state = self.write();
        let elsewhere = |key: &ObjectRef| self.0.by_namespace && key.namespace != namespace;
        state.gone.retain(|key, gone| elsewhere(key) || !gone.is_past(at));
        state.see(if self.0.by_namespace { namespace } else { "" }, at);
    }

    /// A deletion that a watch tells: `last` carries the revision of the deletion.
    pub(crate) fn deleted(&self, last: &K) {
        self.deleted_ref(&ObjectRef::of(last), last.metadata().uid.as_deref(), revision(last));
    }

    /// As [`Cache::deleted`], of an object that could not be read.
    pub(crate) fn deleted_ref(&self, key: &ObjectRef, uid: Option<&str>, at: u64) {
        let mut state = self.write();
        state.see(self.scope(key), at);
        if state.gone.get(key).is_some_and(|gone| gone.is_past(at) || (uid.is_some() && gone.uid.as_deref() == uid)) {
            state.gone.remove(key);
        }
        // Since then another object of the same name, or a version that is selected again, may have been folded in.
        if state.is(key, uid) && state.objects.get(key).is_some_and(|known| revision(&**known) <= at) {
            state.remove(key);
        }
    }

    /// Takes in a whole list, of one namespace if each is watched by itself: what is not in it is gone.
    pub(crate) fn replace(&self, objects: Vec<K>, at: u64, namespace: &str) {
        let mut state = self.write();
        let listed: HashMap<ObjectRef, Option<String>> =
            objects.iter().map(|object| (ObjectRef::of(object), object.metadata().uid.clone())).collect();
        // What was folded in after the list was read stays; one of another uid was deleted and
        // made again unseen.
        let elsewhere = |key: &ObjectRef| self.0.by_namespace && key.namespace != namespace;
        let stays = |key: &ObjectRef, object: &Arc<K>| {
            elsewhere(key)
                || revision(&**object) > at
                || listed.get(key).is_some_and(|uid| *uid == object.metadata().uid)
        };
        let gone: Vec<_> =
            state.objects.iter().filter(|(key, object)| !stays(key, object)).map(|(k, _)| k.clone()).collect();
        gone.iter().for_each(|key| state.remove(key));
        let listed = |key: &ObjectRef, uid: &Option<String>| uid.is_some() && listed.get(key) == Some(uid);
        state
            .gone
            .retain(|key, gone| elsewhere(key) || listed(key, &gone.uid) || (gone.uid.is_none() && !gone.is_past(at)));
        for object in objects {
            state.apply(ObjectRef::of(&object), object);
        }
        let scope = if self.0.by_namespace { namespace } else { "" };
        state.see(scope, at);
        let first = state.listed.insert(scope.to_owned());
        drop(state);
        self.0.missing.send_if_modified(|missing| {
            *missing = missing.saturating_sub(usize::from(first));
            first
        });
    }
}

impl<K: View> State<K> {
    fn seen(&self, scope: &str) -> u64 {
        self.seen.get(scope).copied().unwrap_or(0)
    }

    fn see(&mut self, scope: &str, at: u64) {
        match self.seen.get_mut(scope) {
            Some(seen) => *seen = at.max(*seen),
            None => drop(self.seen.insert(scope.to_owned(), at)),
        }
    }

    /// Whether the object known under `key` is the one with `uid`.
    fn is(&self, key: &ObjectRef, uid: Option<&str>) -> bool {
        self.objects.get(key).is_some_and(|object| object.metadata().uid.as_deref() == uid)
    }

    fn apply(&mut self, key: ObjectRef, mut new: K) {
        // They would be most of the cache, and no reconciler asks who set a field.
        new.metadata_mut().managed_fields = None;
        let new = Arc::new(new);
        let old = self.objects.get(&key).cloned();
        let stale = old.as_ref().is_some_and(|old| revision(&**old) >= revision(&*new));
        if stale || self.gone.get(&key).is_some_and(|gone| gone.is_older(&*new)) {
            return;
        }
        for index in &mut self.indexes {
            if let Some(old) = &old {
                index.remove(&key, old);
            }
            index.insert(&key, &new);
        }
        self.objects.insert(key, Arc::clone(&new));
        self.tell(&Change::Applied { old, new });
    }

    fn remove(&mut self, key: &ObjectRef) {
        let Some(old) = self.objects.remove(key) else { return };
        for index in &mut self.indexes {
            index.remove(key, &old);
        }
        self.tell(&Change::Deleted(old));
    }

    fn tell(&mut self, change: &Change<K>) {
        self.subscribers.retain(|subscriber| subscriber.send(change.clone()).is_ok());
    }
}

impl<K> Index<K> {
    fn insert(&mut self, key: &ObjectRef, object: &K) {
        for value in (self.keys)(object) {
            self.map.entry(value).or_default().insert(key.clone());
        }
    }

    fn remove(&mut self, key: &ObjectRef, object: &K) {
        for value in (self.keys)(object) {
            if let Some(keys) = self.map.get_mut(&value) {
                keys.remove(key);
                if keys.is_empty() {
                    self.map.remove(&value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    use super::*;

    fn map(uid: &str, version: u64) -> ConfigMap {
        let metadata = json!({"namespace": "d", "name": "a", "uid": uid, "resourceVersion": version.to_string()});
        serde_json::from_value(json!({"metadata": metadata})).unwrap()
    }

    fn key() -> ObjectRef {
        ObjectRef::new("d", "a")
    }

    #[track_caller]
    fn check(cache: &Cache<ConfigMap>, expected: Option<(&str, u64)>) {
        let known = cache.get(&key());
        let known = known.as_deref().map(|map| (map.metadata.uid.as_deref().unwrap_or_default(), revision(map)));
        assert_eq!(known, expected);
    }

    #[test]
    fn our_write_is_known_at_once_and_older_news_does_not_undo_it() {
        let cache = Cache::default();
        cache.fold(&map("1", 7));
        cache.observe(map("1", 5));
        check(&cache, Some(("1", 7)));
    }

    // The answer to a create may be read after the watch has told of the deletion.
    #[test]
    fn a_write_that_was_deleted_since_does_not_come_back() {
        let cache = Cache::default();
        cache.observe(map("1", 7));
        cache.deleted(&map("1", 9));
        cache.fold(&map("1", 7));
        check(&cache, None);
    }

    // The watch may still have to tell of changes from before our deletion.
    #[test]
    fn what_we_deleted_does_not_come_back_but_its_successor_does() {
        let cache = Cache::default();
        cache.observe(map("1", 5));
        cache.fold_delete(&key(), "1", 5, true);
        cache.observe(map("1", 6));
        cache.replace(vec![map("1", 6)], 6, "");
        check(&cache, None);
        cache.deleted(&map("1", 8));
        cache.observe(map("2", 9));
        check(&cache, Some(("2", 9)));
    }

    // Another cache of the kind, or whoever asked the server, may have heard of it before this one.
    #[test]
    fn what_we_deleted_before_the_watch_told_of_it_does_not_come() {
        let cache = Cache::default();
        cache.fold_delete(&key(), "1", 5, true);
        cache.observe(map("1", 5));
        cache.observe(map("1", 6));
        check(&cache, None);
        cache.deleted(&map("1", 8));
        cache.observe(map("2", 9));
        check(&cache, Some(("2", 9)));
        // Of what the watch is past, it tells nothing more.
        cache.fold_delete(&key(), "3", 7, true);
        check(&cache, Some(("2", 9)));
        assert!(cache.read().gone.is_empty());
    }

    #[test]
    fn what_left_by_our_write_comes_back_by_a_later_one_alone() {
        let cache = Cache::default();
        cache.fold_out(&key(), 7);
        cache.observe(map("1", 5));
        check(&cache, None);
        cache.observe(map("1", 9));
        check(&cache, Some(("1", 9)));
        cache.fold_out(&key(), 11);
        check(&cache, None);
        cache.passed(11, "");
        assert!(cache.read().gone.is_empty());
    }

    #[test]
    fn late_news_that_it_left_does_not_undo_our_write_by_which_it_came_back() {
        let cache = Cache::default();
        cache.observe(map("1", 5));
        cache.fold_out(&key(), 7);
        cache.fold(&map("1", 9));
        cache.deleted(&map("1", 7));
        check(&cache, Some(("1", 9)));
    }

    #[test]
    fn a_late_deletion_leaves_the_successor_that_we_made() {
        let cache = Cache::default();
        cache.observe(map("1", 5));
        cache.fold_delete(&key(), "1", 5, true);
        cache.fold(&map("2", 9));
        cache.deleted(&map("1", 8));
        check(&cache, Some(("2", 9)));
    }

    #[tokio::test]
    async fn a_list_drops_what_is_gone_keeps_what_is_newer_and_tells_of_both() {
        let cache = Cache::default();
        cache.observe(map("1", 5));
        let mut changes = cache.subscribe();
        cache.replace(vec![map("2", 8)], 8, "");
        check(&cache, Some(("2", 8)));
        let told: Vec<_> = std::iter::from_fn(|| changes.try_recv().ok()).collect();
        assert!(
            matches!(&told[..], [Change::Applied { .. }, Change::Deleted(_), Change::Applied { old: None, .. }]),
            "{told:?}"
        );
        cache.replace(Vec::new(), 7, "");
        check(&cache, Some(("2", 8)));
        cache.synced().await;
    }

    #[test]
    fn an_index_follows_its_objects() {
        let cache = Cache::default();
        cache.observe(map("1", 5));
        cache.add_index("uid", |map: &ConfigMap| map.metadata.uid.iter().cloned().collect());
        assert_eq!(cache.by_index("uid", "1").len(), 1);
        cache.replace(vec![map("2", 8)], 8, "");
        assert_eq!((cache.by_index("uid", "1").len(), cache.by_index("uid", "2").len()), (0, 1));
    }
}
