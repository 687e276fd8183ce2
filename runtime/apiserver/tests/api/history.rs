//! Random histories of writes, lists and watches, checked against a model that does little more than remember.
//!
//! What a watch guarantees: its events are in the order of the writes, each is told once, none is left out, each is told
//! whole, it goes on where another ended, and a bookmark promises no more than what was told.

//!
//! Over the durable store the server is ended and begun anew on the way, which nobody notices who goes on where he was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use trimtab_store::{Embedded, Memory, Store};

use crate::harness::{Server, Watch, version};

/// For an event that must come: no more than a word for ever.
const SOON: Duration = Duration::from_secs(60);
/// For one that must not.
const WHILE: Duration = Duration::from_millis(10);

type Key = (&'static str, &'static str);
/// What a configmap says: its label, and a number that no other write has.
type Content = (&'static str, u64);

const NAMESPACES: [&str; 2] = ["default", "kube-system"];
const NAMES: [&str; 4] = ["a", "ab", "b", "c"];
const LABELS: [&str; 2] = ["x", "y"];

#[derive(Clone, Copy, Debug)]
struct Scope {
    /// One namespace, or all.
    namespace: Option<&'static str>,
    /// One label, or any.
    label: Option<&'static str>,
}

impl Scope {
    fn path(self) -> String {
        let base = self.namespace.map_or_else(String::new, |namespace| format!("/namespaces/{namespace}"));
        let label = self.label.map_or_else(String::new, |label| format!("labelSelector=l%3D{label}&"));
        format!("/api/v1{base}/configmaps?{label}")
    }

    fn has(self, key: Key, content: Option<Content>) -> bool {
        let label = content.is_some_and(|(label, _)| self.label.is_none_or(|wanted| wanted == label));
        label && self.namespace.is_none_or(|namespace| namespace == key.0)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(Key, &'static str),
    Delete(Key),
    /// Begins a watch: after a list, with what is there, as a streamed list, or after a revision of long ago.
    Watch(Scope, Start),
    /// Reads what one of the watches has to tell.
    Read(usize),
    /// Ends one of the watches, and goes on where it was.
    Resume(usize),
    /// Begins a list in pages of so many.
    List(Scope, usize),
    /// Reads the next page of one of the lists.
    Page(usize),
    /// Forgets all history but the last so many writes.
    Compact(u64),
    /// Lets time pass, in which watches get their bookmarks.
    Wait,
    /// Ends the server and begins another over the same store, if it is durable.
    Restart,
}

#[derive(Clone, Copy, Debug)]
enum Start {
    List,
    Now,
    Streamed,
    Past(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let key = || (prop::sample::select(&NAMESPACES[..]), prop::sample::select(&NAMES[..]));
    let scope = || {
        let parts = (
            prop::option::of(prop::sample::select(&NAMESPACES[..])),
            prop::option::of(prop::sample::select(&LABELS[..])),
        );
        parts.prop_map(|(namespace, label)| Scope { namespace, label })
    };
    let start =
        prop_oneof![Just(Start::List), Just(Start::Now), Just(Start::Streamed), (0..12_u64).prop_map(Start::Past)];
    prop_oneof![
        8 => (key(), prop::sample::select(&LABELS[..])).prop_map(|(key, label)| Step::Put(key, label)),
        3 => key().prop_map(Step::Delete),
        3 => (scope(), start).prop_map(|(scope, start)| Step::Watch(scope, start)),
        4 => (0..8_usize).prop_map(Step::Read),
        2 => (0..8_usize).prop_map(Step::Resume),
        2 => (scope(), 0..4_usize).prop_map(|(scope, limit)| Step::List(scope, limit)),
        3 => (0..8_usize).prop_map(Step::Page),
        1 => (0..6_u64).prop_map(Step::Compact),
        1 => Just(Step::Wait),
        1 => Just(Step::Restart),
    ]
}

struct Change {
    revision: u64,
    key: Key,
    before: Option<Content>,
    after: Option<Content>,
}

/// All that was ever written.
#[derive(Default)]
struct Model {
    changes: Vec<Change>,
    /// History before this revision may be gone.
    compacted: u64,
}

/// What an event tells: its type, whose it is, what the object says, and the revision.
type Told = (String, Key, Content, u64);

impl Model {
    fn at(&self, revision: u64) -> BTreeMap<Key, Content> {
        let mut state = BTreeMap::new();
        for change in self.changes.iter().take_while(|change| change.revision <= revision) {
            match change.after {
                Some(content) => drop(state.insert(change.key, content)),
                None => drop(state.remove(&change.key)),
            }
        }
        state
    }

    fn write(&mut self, key: Key, after: Option<Content>, revision: u64) {
        let before = self.at(revision).get(&key).copied();
        self.changes.push(Change { revision, key, before, after });
    }

    /// What a watch of `scope` tells of what was written after `revision`.
    fn after(&self, scope: Scope, revision: u64) -> Vec<Told> {
        let later = self.changes.iter().filter(|change| change.revision > revision);
        let told = later.filter_map(|change| {
            let (type_, content) = match (scope.has(change.key, change.before), scope.has(change.key, change.after)) {
                (false, true) => ("ADDED", change.after?),
                (true, true) => ("MODIFIED", change.after?),
                (true, false) => ("DELETED", change.before?),
                (false, false) => return None,
            };
            Some((type_.to_owned(), change.key, content, change.revision))
        });
        told.collect()
    }

    fn selected(&self, scope: Scope, revision: u64) -> Vec<(Key, Content)> {
        self.at(revision).into_iter().filter(|(key, content)| scope.has(*key, Some(*content))).collect()
    }
}

fn known(all: &[&'static str], found: &Value) -> &'static str {
    all.iter().find(|one| *found == ***one).expect("one of those that were written")
}

fn content(object: &Value) -> (Key, Content) {
    let metadata = &object["metadata"];
    let key = (known(&NAMESPACES, &metadata["namespace"]), known(&NAMES, &metadata["name"]));
    let number = object["data"]["n"].as_str().unwrap().parse().unwrap();
    (key, (known(&LABELS, &metadata["labels"]["l"]), number))
}

struct Watcher {
    scope: Scope,
    watch: Watch,
    /// All up to here has been told.
    at: u64,
}

struct Pages {
    scope: Scope,
    limit: usize,
    revision: u64,
    token: String,
    left: Vec<(Key, Content)>,
}

struct Run {
    server: Server,
    model: Model,
    watchers: Vec<Watcher>,
    lists: Vec<Pages>,
    number: u64,
    waited: usize,
    /// Where the store is, if it is durable. Its time is not virtual: that would run ahead of the disk.
    file: Option<PathBuf>,
}

fn open(file: Option<&Path>) -> Arc<dyn Store> {
    match file {
        Some(file) => Arc::new(Embedded::open(file).unwrap()),
        None => Arc::new(Memory::new()),
    }
}

impl Run {
    async fn new(file: Option<PathBuf>) -> Self {
        let server = Server::over(open(file.as_deref())).await;
        Self { server, model: Model::default(), watchers: Vec::new(), lists: Vec::new(), number: 0, waited: 0, file }
    }

    async fn end(mut self) {
        while let Some(last) = self.watchers.len().checked_sub(1) {
            self.read(last).await;
            self.watchers.truncate(last);
        }
        self.server.api.shutdown().await;
    }

    /// What was written is there again, under the same revisions, and the history too.
    async fn restart(&mut self) {
        let revision = self.server.store.revision();
        self.server.api.shutdown().await;
        let broken: Vec<_> = self.watchers.drain(..).collect();
        self.server.store.close().await;
        let file = self.file.clone();
        self.server = Server::over(open(file.as_deref())).await;
        assert_eq!(self.server.store.revision(), revision, "a server that begins has nothing to write");
        for Watcher { scope, at, .. } in broken {
            self.begin_after(scope, at).await;
        }
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Put(key, label) => self.put(*key, label).await,
            Step::Delete(key) => {
                let path = format!("/api/v1/namespaces/{}/configmaps/{}", key.0, key.1);
                if self.server.delete(&path, json!({})).await.code == 200 {
                    self.model.write(*key, None, self.server.store.revision());
                }
            }
            Step::Watch(scope, start) => self.begin(*scope, *start).await,
            Step::Read(index) if !self.watchers.is_empty() => drop(self.read(index % self.watchers.len()).await),
            Step::Resume(index) if !self.watchers.is_empty() => {
                let index = index % self.watchers.len();
                if !self.read(index).await {
                    return;
                }
                let Watcher { scope, at, .. } = self.watchers.swap_remove(index);
                self.begin_after(scope, at).await;
            }
            Step::List(scope, limit) => {
                let revision = self.server.store.revision();
                let left = self.model.selected(*scope, revision);
                self.lists.push(Pages { scope: *scope, limit: *limit, revision, token: String::new(), left });
                self.page(self.lists.len() - 1).await;
            }
            Step::Page(index) if !self.lists.is_empty() => self.page(index % self.lists.len()).await,
            Step::Compact(keep) => {
                let revision = self.server.store.revision().saturating_sub(*keep);
                self.server.store.compact(revision).await.unwrap();
                self.model.compacted = self.model.compacted.max(revision);
            }
            // After 300 seconds the server itself forgets history.
            Step::Restart if self.file.is_some() => self.restart().await,
            Step::Wait if self.waited < 9 && self.file.is_none() => {
                self.waited += 1;
                tokio::time::sleep(Duration::from_secs(31)).await;
            }
            Step::Read(_) | Step::Resume(_) | Step::Page(_) | Step::Wait | Step::Restart => {}
        }
    }

    async fn put(&mut self, key: Key, label: &'static str) {
        self.number += 1;
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": key.1, "labels": {"l": label}}, "data": {"n": self.number.to_string()}});
        let all = format!("/api/v1/namespaces/{}/configmaps", key.0);
        let there = self.model.at(u64::MAX).contains_key(&key);
        let answer = if there {
            self.server.put(&format!("{all}/{}", key.1), &object).await
        } else {
            self.server.post(&all, object).await
        };
        let revision = version(&answer.ok()).parse().unwrap();
        self.model.write(key, Some((label, self.number)), revision);
    }

    async fn begin(&mut self, scope: Scope, start: Start) {
        let (path, now) = (scope.path(), self.server.store.revision());
        let query = match start {
            Start::List => {
                let list = self.server.get(&path).await.ok();
                assert_eq!(version(&list), now.to_string());
                return self.begin_after(scope, now).await;
            }
            Start::Past(back) => return self.begin_after(scope, now.saturating_sub(back).max(1)).await,
            Start::Now => "watch=true",
            Start::Streamed => {
                "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
            }
        };
        let mut watch = self.server.watch(&format!("{path}{query}")).await;
        for (key, expected) in self.model.selected(scope, now) {
            let event = watch.next().await.unwrap();
            assert_eq!((&event["type"], content(&event["object"])), (&json!("ADDED"), (key, expected)));
        }
        if matches!(start, Start::Streamed) {
            let event = watch.next().await.unwrap();
            assert_eq!((&event["type"], version(&event["object"])), (&json!("BOOKMARK"), &*now.to_string()));
        }
        self.watchers.push(Watcher { scope, watch, at: now });
    }

    /// Begins a watch after a revision, which may be gone.
    async fn begin_after(&mut self, scope: Scope, at: u64) {
        let path = format!("{}watch=true&allowWatchBookmarks=true&resourceVersion={at}", scope.path());
        let mut watch = self.server.watch(&path).await;
        if at < self.model.compacted {
            let event = watch.next().await.unwrap();
            assert_eq!((&event["type"], &event["object"]["reason"]), (&json!("ERROR"), &json!("Expired")), "{event}");
            assert_eq!(watch.next().await, None);
            return;
        }
        self.watchers.push(Watcher { scope, watch, at });
    }

    /// Reads what a watch has to tell. Answers whether it goes on.
    async fn read(&mut self, index: usize) -> bool {
        let watcher = &mut self.watchers[index];
        let mut expected = self.model.after(watcher.scope, watcher.at).into_iter();
        loop {
            // Virtual time moves when there is nothing else to do.
            let patience = if expected.as_slice().is_empty() { WHILE } else { SOON };
            let Ok(event) = tokio::time::timeout(patience, watcher.watch.next()).await else { break };
            let event = event.expect("the watch goes on");
            let revision: u64 = version(&event["object"]).parse().unwrap_or_default();
            match event["type"].as_str().unwrap() {
                "BOOKMARK" => {
                    assert!(revision >= watcher.at && revision <= self.server.store.revision(), "{event}");
                    assert!(expected.as_slice().first().is_none_or(|next| next.3 > revision), "{event}");
                    watcher.at = revision;
                }
                // It slept while history went.
                "ERROR" => {
                    assert_eq!(event["object"]["reason"], "Expired");
                    assert!(watcher.at < self.model.compacted, "{event}");
                    self.watchers.swap_remove(index);
                    return false;
                }
                type_ => {
                    let (key, content) = content(&event["object"]);
                    assert_eq!(Some((type_.to_owned(), key, content, revision)), expected.next());
                    watcher.at = revision;
                }
            }
        }
        assert_eq!(expected.next(), None, "what a watch has to tell is told");
        true
    }

    async fn page(&mut self, index: usize) {
        let pages = &mut self.lists[index];
        let path = format!("{}limit={}&continue={}", pages.scope.path(), pages.limit, pages.token);
        let answer = self.server.get(&path).await;
        if answer.code == 410 {
            assert!(pages.revision < self.model.compacted && !pages.token.is_empty());
            assert!(!answer.body["metadata"]["continue"].as_str().unwrap().is_empty(), "the rest can still be had");
            self.lists.swap_remove(index);
            return;
        }
        let list = answer.ok();
        assert_eq!(version(&list), pages.revision.to_string());
        let items: Vec<_> = list["items"].as_array().unwrap().iter().map(content).collect();
        let count = if pages.limit == 0 { pages.left.len() } else { pages.limit.min(pages.left.len()) };
        assert_eq!(items, pages.left.drain(..count).collect::<Vec<_>>());
        pages.token = list["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
        if let Some(remaining) = list["metadata"]["remainingItemCount"].as_u64() {
            assert_eq!(remaining, pages.left.len() as u64);
        }
        if pages.token.is_empty() {
            assert_eq!(pages.left, []);
            self.lists.swap_remove(index);
        }
    }
}

/// How many histories, unless `PROPTEST_CASES` says otherwise.
fn config(few: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(few);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

async fn run(steps: &[Step], file: Option<PathBuf>) {
    let mut run = Run::new(file).await;
    for step in steps {
        run.step(step).await;
    }
    run.end().await;
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn lists_and_watches_tell_what_was_written(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(run(&steps, None));
    }
}

proptest! {
    // Each write is an fsync.
    #![proptest_config(config(6))]

    #[test]
    fn they_do_so_over_restarts(steps in prop::collection::vec(step(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(&steps, Some(folder.path().join("store.redb"))));
    }
}
