//! How the controllers of all programs stand, and what led to it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use trimtab_env::lock;
use trimtab_reconcile::Manager;

use super::history::History;

/// What runs the controllers of each program in its present life.
#[derive(Default)]
pub(super) struct Managers(Mutex<BTreeMap<String, Manager>>);

impl Managers {
    pub(super) fn began(&self, program: &str, manager: &Manager) {
        lock(&self.0).insert(program.to_owned(), manager.clone());
    }

    /// # Panics
    /// If a reconcile did: it is tried again, as outside of tests, but an assertion in it has failed.
    pub(super) fn check(&self) {
        for manager in lock(&self.0).values() {
            let panicked = manager.panicked();
            assert!(panicked.is_none(), "a reconcile panicked: {}", panicked.unwrap_or_default());
        }
    }
}

/// The last writes, and what fails.
pub(super) struct Trace {
    pub(super) managers: Arc<Managers>,
    pub(super) history: History,
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.history)?;
        let failing: String = lock(&self.managers.0).values().map(Manager::failing).collect();
        if failing.is_empty() { Ok(()) } else { write!(f, "what fails:\n{failing}") }
    }
}
