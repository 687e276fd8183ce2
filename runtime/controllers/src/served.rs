//! What is served, for controllers that learn which kinds they deal with from the objects.

use std::sync::{Arc, Mutex, MutexGuard};

use trimtab_client::{Client, Discovered, Error};
use trimtab_env::lock;

/// What was served when somebody last asked for what was not known.
#[derive(Debug, Default)]
pub(crate) struct Served(Mutex<Vec<Arc<Discovered>>>);

impl Served {
    /// The first resource of which `is` holds, in the preferred version if that will do; `None` when there is none, by now.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub(crate) async fn find(
        &self,
        client: &Client,
        is: impl Fn(&Discovered) -> bool,
    ) -> Result<Option<Arc<Discovered>>, Error> {
        let found = |all: &[Arc<Discovered>]| all.iter().find(|found| is(found)).cloned();
        if let Some(known) = found(&self.known()) {
            return Ok(Some(known));
        }
        let served = client.discover().await?;
        let all: Vec<_> = served.resources.into_iter().chain(served.others).map(Arc::new).collect();
        let answer = found(&all);
        *self.known() = all;
        Ok(answer)
    }

    fn known(&self) -> MutexGuard<'_, Vec<Arc<Discovered>>> {
        lock(&self.0)
    }
}
