//! Connections to other servers, kept to be used again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use trimtab_client::{HttpTransport, TransportError};

/// More than this many are not kept: whoever is asked often is soon known again.
const KEPT: usize = 1_024;

/// Connections by whatever tells them apart.
#[derive(Default)]
pub(crate) struct Pool(Mutex<HashMap<String, Arc<HttpTransport>>>);

impl Pool {
    /// The connection of `key`, made if there is none.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn get(
        &self,
        key: &str,
        make: impl FnOnce() -> Result<HttpTransport, TransportError>,
    ) -> Result<Arc<HttpTransport>, TransportError> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transport) = open.get(key) {
            return Ok(Arc::clone(transport));
        }
        let made = Arc::new(make()?);
        if open.len() >= KEPT {
            open.clear();
        }
        open.insert(key.to_owned(), Arc::clone(&made));
        Ok(made)
    }
}
