//! Random histories, checked against a model that is too simple to be wrong: a `BTreeMap` of every
//! state there ever was. The embedded backend is closed and opened again on the way.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{When, delete, put, value_of};
use futures::{FutureExt, StreamExt};
use proptest::prelude::*;
use trimtab_store::{CommitError, Embedded, Memory, Page, Precondition, ReadError, Store};

/// Key to value and the revision of that version.
type State = BTreeMap<String, (String, u64)>;

#[derive(Clone, Debug)]
enum Step {
    Put { key: u8, value: u8, when: Condition },
    Delete { key: u8, when: Condition },
    Compact { back: u64 },
    Reopen,
}

#[derive(Clone, Copy, Debug)]
enum Condition {
    Always,
    Absent,
    /// The precondition names the present version.
    Present,
    /// The precondition names another one.
    Stale,
}

fn step() -> impl Strategy<Value = Step> {
    let when =
        prop_oneof![Just(Condition::Always), Just(Condition::Absent), Just(Condition::Present), Just(Condition::Stale)];
    prop_oneof![
        8 => (0_u8..6, any::<u8>(), when.clone()).prop_map(|(key, value, when)| Step::Put { key, value, when }),
        4 => (0_u8..6, when).prop_map(|(key, when)| Step::Delete { key, when }),
        1 => (0_u64..12).prop_map(|back| Step::Compact { back }),
        1 => Just(Step::Reopen),
    ]
}

/// Every state since the last compaction, the newest last.
struct Model {
    states: Vec<State>,
    compacted: u64,
}

impl Model {
    fn revision(&self) -> u64 {
        self.compacted + self.states.len() as u64 - 1
    }

    fn newest(&self) -> &State {
        self.states.last().unwrap()
    }

    fn precondition(&self, key: &str, when: Condition) -> (Precondition, bool) {
        let present = self.newest().get(key).map(|(_, revision)| *revision);
        match when {
            Condition::Always => (Precondition::None, true),
            Condition::Absent => (Precondition::Absent, present.is_none()),
            Condition::Present => (Precondition::At(present.unwrap_or(0)), present.is_some()),
            Condition::Stale => (Precondition::At(present.unwrap_or(0) + 1_000), false),
        }
    }
}

fn name(key: u8) -> String {
    format!("/{}/{key}", ["p", "q"][usize::from(key % 2)])
}

async fn write(store: &dyn Store, model: &mut Model, key: u8, value: Option<u8>, when: Condition) {
    let key = name(key);
    let (precondition, holds) = model.precondition(&key, when);
    let write = value.map_or_else(|| delete(&key), |value| put(&key, &value.to_string()));
    let outcome = store.commit(write.when(precondition)).await;
    if !holds {
        let Err(CommitError::Conflict { current, .. }) = outcome else { panic!("{key}: the precondition fails") };
        assert_eq!(current.map(|e| e.mod_revision), model.newest().get(&key).map(|(_, revision)| *revision));
        return;
    }
    let mut state = model.newest().clone();
    let revision = model.revision() + 1;
    let changes = match value {
        Some(value) => {
            state.insert(key, (value.to_string(), revision));
            true
        }
        None => state.remove(&key).is_some(),
    };
    if changes {
        model.states.push(state);
    }
    assert_eq!(outcome.unwrap().0, model.revision());
}

async fn compact(store: &dyn Store, model: &mut Model, back: u64) {
    let revision = model.revision().saturating_sub(back).max(model.compacted);
    store.compact(revision).await.unwrap();
    model.states.drain(..usize::try_from(revision - model.compacted).unwrap());
    model.compacted = revision;
}

/// Every state that can be read is the model's, and the events between them lead from one to the
/// next.
async fn check(store: &dyn Store, model: &Model) {
    assert_eq!(store.revision(), model.revision());
    for (revision, expected) in (model.compacted..).zip(&model.states) {
        for prefix in ["/", "/p/"] {
            let page = store.list(prefix, Page { revision: Some(revision), ..Page::default() }).await.unwrap();
            let found: State =
                page.entries.iter().map(|e| (e.key.to_string(), (value_of(e), e.mod_revision))).collect();
            let expected: State = expected
                .iter()
                .filter(|(key, _)| key.starts_with(prefix))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            assert_eq!(found, expected, "{prefix} at {revision}");
            for after in ["/p/2", "/q/1", "/z"] {
                let page = Page { revision: Some(revision), after: Some(after.to_owned()), limit: 2 };
                let page = store.list(prefix, page).await.unwrap();
                let found: Vec<_> = page.entries.iter().map(|entry| entry.key.to_string()).collect();
                let mut rest: Vec<_> = expected.keys().filter(|key| key.as_str() > after).cloned().collect();
                let remaining = rest.split_off(rest.len().min(2)).len();
                assert_eq!((found, page.remaining), (rest, remaining), "{prefix} at {revision}, after {after}");
            }
        }
    }
    if model.compacted > 0 {
        let before = model.compacted - 1;
        assert!(matches!(store.watch("/", before).await.err(), Some(ReadError::Compacted { .. })));
    }
    let mut watch = store.watch("/", model.compacted).await.unwrap();
    let mut state = model.states[0].clone();
    let mut revision = model.compacted;
    while let Some(batch) = watch.next().now_or_never().flatten() {
        for event in batch.unwrap() {
            let previous = event.previous.as_ref().map(|e| (value_of(e), e.mod_revision));
            assert_eq!(state.get(event.key()), previous.as_ref());
            match &event.entry {
                Some(entry) => drop(state.insert(entry.key.to_string(), (value_of(entry), entry.mod_revision))),
                None => drop(state.remove(event.key())),
            }
            revision += 1;
            assert_eq!(event.revision, revision);
            assert_eq!(&state, &model.states[usize::try_from(revision - model.compacted).unwrap()]);
        }
    }
    assert_eq!(revision, model.revision());
}

async fn run(steps: Vec<Step>, file: Option<&Path>) {
    let open = || -> Box<dyn Store> {
        match file {
            Some(path) => Box::new(Embedded::open(path).unwrap()),
            None => Box::new(Memory::new()),
        }
    };
    let mut store = open();
    let mut model = Model { states: vec![State::new()], compacted: 0 };
    for step in steps {
        match step {
            Step::Put { key, value, when } => write(&*store, &mut model, key, Some(value), when).await,
            Step::Delete { key, when } => write(&*store, &mut model, key, None, when).await,
            Step::Compact { back } => compact(&*store, &mut model, back).await,
            Step::Reopen if file.is_some() => {
                store.close().await;
                drop(store);
                store = open();
            }
            Step::Reopen => {}
        }
        check(&*store, &model).await;
    }
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn memory_does_as_the_model(steps in prop::collection::vec(step(), 1..60)) {
        block_on(run(steps, None));
    }
}

proptest! {
    // Each commit is an fsync.
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn embedded_does_as_the_model(steps in prop::collection::vec(step(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        block_on(run(steps, Some(&folder.path().join("store.redb"))));
    }
}
