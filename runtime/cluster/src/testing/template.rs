//! What every test's cluster begins with: a cluster without nodes that has come to rest. It is made once in a process.

use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use trimtab_store::Memory;

use super::builder::{Builder, EPOCH};
use super::seeds::in_virtual_time;
use crate::pki::Authority;

/// Nobody else's, as the same seed gives the same uids.
const SEED: u64 = u64::MAX;
/// How long before the others it is made.
const AGE: Duration = Duration::from_secs(60);

pub(super) struct Template {
    pub store: Memory,
    /// It has signed what is stored.
    pub authority: Arc<Authority>,
}

impl Template {
    #[expect(clippy::disallowed_methods, reason = "the thread is joined")]
    pub(super) fn get() -> &'static Self {
        // Its time is its own, so it has a thread of its own.
        static TEMPLATE: LazyLock<Template> = LazyLock::new(|| {
            let made = thread::spawn(|| in_virtual_time(Template::make())).join();
            made.expect("a cluster without nodes starts")
        });
        &TEMPLATE
    }

    async fn make() -> Self {
        let epoch = EPOCH.parse::<Timestamp>().expect("a time") - AGE;
        let authority = Arc::new(Authority::of_seed([0; 32], epoch).expect("any bytes are a key"));
        let store = Arc::new(Memory::new());
        let cluster = Builder::new(SEED).nodes(0).start_on(Arc::clone(&store), Arc::clone(&authority), epoch).await;
        cluster.settle().await;
        let store = store.fork();
        cluster.stop().await;
        Self { store, authority }
    }
}
