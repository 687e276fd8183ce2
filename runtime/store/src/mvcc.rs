//! What the store holds: the current version of every key, and the events since the last
//! compaction. Plain data, changed by one writer; knows neither locks nor disks.
//!
//! Older versions are not kept beside the current ones: an event carries the version before it,
//! so the state at an older revision is the current one with the later events undone.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use crate::store::{Entry, Event, ListPage, Page, ReadError, Revision};

/// The state at [`Mvcc::revision`], and how it came about since [`Mvcc::compacted`].
#[derive(Default)]
pub(crate) struct Mvcc {
    current: BTreeMap<Arc<str>, Arc<Entry>>,
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
        self.current.insert(Arc::clone(&entry.key), entry)
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
            Some(entry) => drop(self.current.insert(Arc::clone(&entry.key), Arc::clone(entry))),
            None => drop(self.current.remove(event.key())),
        }
        self.revision = event.revision;
        self.history.push_back(event);
    }

    pub(crate) fn list(&self, prefix: &str, page: &Page) -> Result<ListPage, ReadError> {
        let revision = page.revision.unwrap_or(self.revision);
        let undone = self.undone(prefix, revision)?;
        let after = page.after.as_deref().filter(|after| *after >= prefix);
        let start = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let current = self
            .current
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, entry)| entry);
        if undone.is_empty() {
            return Ok(cut(current, page.limit, revision));
        }
        let mut then: BTreeMap<&str, &Arc<Entry>> = current.map(|entry| (&*entry.key, entry)).collect();
        for (key, previous) in undone.into_iter().filter(|(key, _)| after.is_none_or(|after| *key > after)) {
            match previous {
                Some(entry) => drop(then.insert(key, entry)),
                None => drop(then.remove(key)),
            }
        }
        Ok(cut(then.into_values(), page.limit, revision))
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

fn cut<'a>(mut entries: impl Iterator<Item = &'a Arc<Entry>>, limit: usize, revision: Revision) -> ListPage {
    let limit = if limit == 0 { usize::MAX } else { limit };
    let page = entries.by_ref().take(limit).cloned().collect();
    ListPage { entries: page, revision, remaining: entries.count() }
}
