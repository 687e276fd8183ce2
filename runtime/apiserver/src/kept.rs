//! What takes its time to make, kept to be used again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use trimtab_env::lock;

/// More than this many are not kept: what is needed often is soon made again.
const MOST: usize = 1_024;

/// Values by whatever tells them apart.
pub(crate) struct Kept<T>(Mutex<HashMap<String, Arc<T>>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Kept<T> {
    /// The value of `key`, made if there is none.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn get<E>(&self, key: &str, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        if let Some(value) = lock(&self.0).get(key) {
            return Ok(Arc::clone(value));
        }
        // Not under the lock, for it takes its time.
        let made = Arc::new(make()?);
        let mut known = lock(&self.0);
        if known.len() >= MOST {
            known.clear();
        }
        // Whoever was quicker has made the one that is kept.
        Ok(Arc::clone(known.entry(key.to_owned()).or_insert(made)))
    }
}
