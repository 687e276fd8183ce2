//! What the store holds: the current version of every key, and the events since the last
//! compaction. Plain data, changed by one writer; knows neither locks nor disks.
//!
//! Older versions are not kept beside the current ones: an event carries the version before it,
//! so the state at an older revision is the current one with the later events undone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::ordered::Ordered;
use crate::store::{Entry, Event, ListPage, Page, ReadError, Revision};

/// The state at [`Mvcc::revision`], and how it came about since [`Mvcc::compacted`].
#[derive(Default)]
pub(crate) struct Mvcc {
    current: Ordered,
    /// The events of revisions `compacted + 1 ..= revision`, one for each.
    history: VecDeque<Event>,
    compacted: Revision,
    revision: Revision,
}

impl Mvcc {
    /// An empty state whose history before and at `revision` is compacted.
    pub(crate) fn at(revision: Revision) -> Self {
        Self { compacted: revision, revision, ..Self::default() }
    }

    /// The same state, of whose history nothing is kept.
    pub(crate) fn fork(&self) -> Self {
        Self { current: self.current.clone(), ..Self::at(self.revision) }
    }

    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    /// The oldest revision that can be read.
    pub(crate) fn compacted(&self) -> Revision {
        self.compacted
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Arc<Entry>> {
        self.current.get(key)
    }

    /// Puts in a version from before the compacted revision. Only while restoring.
    pub(crate) fn restore(&mut self, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        self.current.insert(entry)
    }

    /// Takes out a key that was deleted before the compacted revision. Only while restoring.
    pub(crate) fn forget(&mut self, key: &str) -> Option<Arc<Entry>> {
        self.current.remove(key)
    }

    /// Makes the next change.
    ///
    /// # Panics
    /// If `event` is not the next revision's.
    pub(crate) fn apply(&mut self, event: Event) {
        assert_eq!(event.revision, self.revision + 1, "revisions have no gaps");
        match &event.entry {
            Some(entry) => drop(self.current.insert(Arc::clone(entry))),
            None => drop(self.current.remove(event.key())),
        }
        self.revision = event.revision;
        self.history.push_back(event);
    }

    pub(crate) fn list(&self, prefix: &str, page: &Page) -> Result<ListPage, ReadError> {
        let revision = page.revision.unwrap_or(self.revision);
        let after = page.after.as_deref().filter(|after| *after >= prefix);
        let limit = if page.limit == 0 { usize::MAX } else { page.limit };
        let mut undone = self.undone(prefix, revision)?;
        if let Some(after) = after {
            undone.retain(|key, _| *key > after);
        }
        let start = self.current.place(|key| after.map_or(key < prefix, |after| key <= after));
        let end = self.current.place(|key| key < prefix || key.starts_with(prefix)).max(start);
        let mut count = self.current.count(start, end);
        for (key, previous) in &undone {
            count += usize::from(previous.is_some());
            count -= usize::from(self.current.get(key).is_some());
        }
        let entries: Vec<_> = merged(self.current.range(start, end), undone).take(limit).cloned().collect();
        Ok(ListPage { revision, remaining: count - entries.len(), entries })
    }

    /// What each key under `prefix` that changed after `revision` was at `revision`.
    fn undone(&self, prefix: &str, revision: Revision) -> Result<BTreeMap<&str, Option<&Arc<Entry>>>, ReadError> {
        let mut undone = BTreeMap::new();
        for event in self.after(revision)?.filter(|event| event.key().starts_with(prefix)) {
            undone.entry(event.key()).or_insert(event.previous.as_ref());
        }
        Ok(undone)
    }

    /// The events after `revision`, in order.
    pub(crate) fn after(&self, revision: Revision) -> Result<impl Iterator<Item = &Event>, ReadError> {
        if revision < self.compacted {
            return Err(ReadError::Compacted { asked: revision, oldest: self.compacted });
        }
        if revision > self.revision {
            return Err(ReadError::Future { asked: revision, current: self.revision });
        }
        let skip = usize::try_from(revision - self.compacted).expect("the history is in memory");
        Ok(self.history.range(skip..))
    }

    /// Takes out the events up to `revision`.
    ///
    /// # Panics
    /// If `revision` is in the future.
    pub(crate) fn compact(&mut self, revision: Revision) -> Vec<Event> {
        assert!(revision <= self.revision, "the caller has checked it");
        let count = usize::try_from(revision.saturating_sub(self.compacted)).expect("the history is in memory");
        self.compacted = self.compacted.max(revision);
        let gone = self.history.drain(..count).collect();
        self.history.shrink_to(self.history.len() * 2);
        gone
    }
}

/// The revisions whose versions nothing can read once `gone` is compacted, in an order that keeps a
/// key's deletion until its older versions are gone.
pub(crate) fn superseded(gone: &[Event]) -> impl Iterator<Item = Revision> {
    gone.iter().flat_map(|event| {
        let previous = event.previous.as_ref().map(|entry| entry.mod_revision);
        previous.into_iter().chain(event.entry.is_none().then_some(event.revision))
    })
}

/// The entries of `current`, with those that `undone` says were there instead; both are in the order of their keys.
fn merged<'a>(
    current: impl Iterator<Item = &'a Arc<Entry>>,
    undone: BTreeMap<&'a str, Option<&'a Arc<Entry>>>,
) -> impl Iterator<Item = &'a Arc<Entry>> {
    let (mut current, mut undone) = (current.peekable(), undone.into_iter().peekable());
    std::iter::from_fn(move || {
        loop {
            let Some((key, _)) = undone.peek() else { return current.next() };
            if let Some(entry) = current.next_if(|entry| *entry.key < **key) {
                return Some(entry);
            }
            let (key, previous) = undone.next()?;
            current.next_if(|entry| *entry.key == *key);
            if previous.is_some() {
                return previous;
            }
        }
    })
}
