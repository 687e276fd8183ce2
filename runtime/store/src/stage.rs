//! Writes on their way to a commit: checked against the state and against each other, numbered,
//! but not yet visible to anyone.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use crate::mvcc::Mvcc;
use crate::store::{CommitError, Entry, Event, Outcome, Precondition, Revision, Write};

/// The writes of one commit to the log.
pub(crate) struct Stage<'a> {
    state: &'a Mvcc,
    revision: Revision,
    /// The keys that this stage changes; `None` for a deleted one.
    changed: HashMap<Arc<str>, Option<Arc<Entry>>>,
    events: Vec<Event>,
}

impl<'a> Stage<'a> {
    pub(crate) fn on(state: &'a Mvcc) -> Self {
        Self { state, revision: state.revision(), changed: HashMap::new(), events: Vec::new() }
    }

    /// Takes `write` in, and those `beside` it before it, if their preconditions hold. The outcome
    /// is true once the events of [`Stage::finish`] are durable, and not before: it may tell of
    /// another write of this stage.
    ///
    /// Deleting what is not there changes nothing and takes no revision.
    pub(crate) fn admit(&mut self, beside: Vec<Write>, write: Write) -> Outcome {
        let present = self.checked(&write)?;
        for other in &beside {
            self.checked(other)?;
        }
        for other in beside {
            let present = self.present(&other.key);
            self.take(other, present);
        }
        Ok(self.take(write, present))
    }

    /// What is there, if `write` may be made.
    fn checked(&self, write: &Write) -> Result<Option<Arc<Entry>>, CommitError> {
        let present = self.present(&write.key);
        if holds(write.precondition, present.as_deref()) {
            return Ok(present);
        }
        Err(CommitError::Conflict { key: write.key.clone(), current: present })
    }

    fn take(&mut self, write: Write, present: Option<Arc<Entry>>) -> (Revision, Option<Arc<Entry>>) {
        if present.is_none() && write.value.is_none() {
            return (self.revision, None);
        }
        self.revision += 1;
        let key = present.as_ref().map_or_else(|| Arc::from(&*write.key), |entry| Arc::clone(&entry.key));
        let create_revision = present.as_ref().map_or(self.revision, |entry| entry.create_revision);
        let entry = write.value.map(|value| {
            let (key, memo) = (Arc::clone(&key), OnceLock::new());
            Arc::new(Entry { key, value, create_revision, mod_revision: self.revision, memo })
        });
        self.changed.insert(key, entry.clone());
        self.events.push(Event { revision: self.revision, previous: present.clone(), entry: entry.clone() });
        (self.revision, entry.or(present))
    }

    /// The changes, in order.
    pub(crate) fn finish(self) -> Vec<Event> {
        self.events
    }

    fn present(&self, key: &str) -> Option<Arc<Entry>> {
        self.changed.get(key).cloned().unwrap_or_else(|| self.state.get(key).cloned())
    }
}

fn holds(precondition: Precondition, present: Option<&Entry>) -> bool {
    match precondition {
        Precondition::None => true,
        Precondition::Absent => present.is_none(),
        Precondition::At(revision) => present.is_some_and(|entry| entry.mod_revision == revision),
    }
}
