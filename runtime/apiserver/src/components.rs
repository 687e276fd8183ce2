//! ComponentStatuses (`kubectl get componentstatuses`): how the parts of the control plane are. Nothing is stored of
//! them, and nobody is asked: upstream's server knocks at ports of its own machine, but who runs the controllers or the
//! scheduler may be anywhere. Whoever does has watches open here, all the time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::json;
use trimtab_api::{Kind, Object};
use trimtab_env::lock;
use trimtab_store::{Entry, Store};

use crate::allocate::Hook;
use crate::encode;
use crate::server::ApiServer;

pub(crate) const PLURAL: &str = "componentstatuses";
/// The components, by the names that they have here and as users.
const WATCHING: [(&str, &str); 2] =
    [("controller-manager", "system:kube-controller-manager"), ("scheduler", "system:kube-scheduler")];
const STORE: &str = "etcd-0";

/// What is known of the components.
pub(crate) struct Components {
    store: Arc<dyn Store>,
    /// How many watches each has open.
    watches: Mutex<HashMap<&'static str, usize>>,
}

impl Components {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, watches: Mutex::default() }
    }

    fn watches(&self) -> MutexGuard<'_, HashMap<&'static str, usize>> {
        lock(&self.watches)
    }

    /// Takes note that `user` watches, until what is returned is dropped; `None` for who is no component.
    pub(crate) fn watched_by(self: &Arc<Self>, user: &str) -> Option<Watching> {
        let (name, _) = WATCHING.into_iter().find(|(_, of)| *of == user)?;
        *self.watches().entry(name).or_default() += 1;
        Some(Watching { components: Arc::clone(self), name })
    }

    async fn conditions(&self) -> Vec<(&'static str, Result<(), String>)> {
        let mut found = Vec::with_capacity(WATCHING.len() + 1);
        for (name, user) in WATCHING {
            let open = self.watches().get(name).is_some_and(|count| *count > 0);
            found.push((name, if open { Ok(()) } else { Err(format!("{user} watches nothing")) }));
        }
        let read = self.store.get("/registry/health").await;
        found.push((STORE, read.map(drop).map_err(|error| error.to_string())));
        found
    }
}

impl ApiServer {
    /// Takes note that `user`, a component, is at work in this process and sees there what another one watches. It
    /// counts as watching until what is returned is dropped.
    pub fn watching(&self, user: &str) -> Option<Watching> {
        self.inner.components.watched_by(user)
    }
}

/// An open watch of a component.
pub struct Watching {
    components: Arc<Components>,
    name: &'static str,
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(count) = self.components.watches().get_mut(self.name) {
            *count = count.saturating_sub(1);
        }
    }
}

impl Hook for Components {
    fn computed<'a>(&'a self, kind: &'a Kind) -> Option<BoxFuture<'a, Vec<Arc<Entry>>>> {
        let entry = |(name, healthy): (&str, Result<(), String>)| {
            let (status, message) = match &healthy {
                Ok(()) => ("True", "ok"),
                Err(why) => ("False", why.as_str()),
            };
            let condition = json!({"type": "Healthy", "status": status, "message": message});
            let status = json!({"metadata": {"name": name}, "conditions": [condition]});
            let value = encode::to_stored(kind, &Object(status.as_object().cloned().unwrap_or_default()));
            let (key, revision) = (encode::key(kind, "", name).into(), self.store.revision());
            Arc::new(Entry { key, value, create_revision: revision, mod_revision: revision, memo: OnceLock::new() })
        };
        Some(async move { self.conditions().await.into_iter().map(entry).collect() }.boxed())
    }
}
