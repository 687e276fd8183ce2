//! Groups and versions that other servers serve, and this one passes on
//! (<https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/apiserver-aggregation/>).
//!
//! The stored APIServices say who serves what. [`Aggregation`] knows them all, [`route`] passes
//! requests on, [`keeper`] keeps those of this server's own groups and says which of the others
//! are available.

mod available;
mod keeper;
mod register;
mod route;

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::sync::Notify;
use trimtab_api::kinds::api_service::AVAILABLE;
use trimtab_api::{Kinds, Object, crd};
use trimtab_env::{exclusive, shared};
use trimtab_store::{Entry, Page, ReadError, Revision, Store};

use crate::allocate::Hook;
use crate::encode;

pub(crate) use keeper::run;
pub(crate) use register::reconcile;
pub(crate) use route::{asked, pass_on};

pub(crate) const GROUP: &str = "apiregistration.k8s.io";
pub(crate) const PLURAL: &str = "apiservices";
/// Comes before all other groups: by it, whatever went wrong is put right.
const FIRST: (i64, i64) = (i64::MAX, 0);

/// What an APIService says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Known {
    pub group: String,
    pub version: String,
    /// Of the group among the groups, and of the version within it: the highest first.
    pub priority: (i64, i64),
    /// The value of the label by which this server knows those that it keeps; `""` for others'.
    managed: String,
    /// Who serves it; `None` for this server.
    remote: Option<Remote>,
    available: bool,
}

/// A Service that serves a group and version.
#[derive(Clone, Debug, PartialEq)]
struct Remote {
    namespace: String,
    name: String,
    port: u64,
    /// The authorities of its certificate, in PEM; empty for the system's.
    authority: Vec<u8>,
    insecure: bool,
}

/// What another server says that it serves.
#[derive(Debug, PartialEq)]
pub(crate) struct Discovered {
    /// The `resources` of its `APIResourceList`.
    pub resources: Value,
    /// Where its OpenAPI v3 document is, with a hash; `None` when it has none.
    pub openapi: Option<String>,
}

/// A group and version of another server.
pub(crate) struct Other {
    pub known: Arc<Known>,
    /// `None` as long as it has never answered.
    pub discovered: Option<Arc<Discovered>>,
}

impl Other {
    /// Whether what is known of it is what it serves now.
    pub(crate) fn is_current(&self) -> bool {
        self.known.available && self.discovered.is_some()
    }
}

/// The APIServices there are.
pub(crate) struct Aggregation {
    state: RwLock<State>,
    /// How this server shows other servers that it speaks for its callers: a certificate and its
    /// key, in PEM.
    identity: Option<String>,
    /// Wakes the keeper.
    work: Notify,
}

#[derive(Default)]
struct State {
    /// By name: the revision of the last write or of the deletion, and what was written.
    known: BTreeMap<String, (Revision, Option<Arc<Known>>)>,
    /// Those of other servers, of which there are few.
    others: Vec<Arc<Known>>,
    /// By name, what those serve.
    discovered: BTreeMap<String, Arc<Discovered>>,
}

impl Aggregation {
    /// Knows the stored APIServices.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn load(kinds: &Kinds, store: &dyn Store, identity: Option<String>) -> Result<Self, ReadError> {
        let this = Self { state: RwLock::default(), identity, work: Notify::new() };
        if let Some(kind) = kinds.by_resource(GROUP, "v1", PLURAL) {
            for entry in store.list(&encode::prefix(kind, ""), Page::default()).await?.entries {
                this.written(&entry);
            }
        }
        Ok(this)
    }

    /// Who else serves `version` of `group`.
    pub(crate) fn other(&self, group: &str, version: &str) -> Option<Arc<Known>> {
        self.read(|state| state.others.iter().find(|known| known.group == group && known.version == version).cloned())
    }

    /// All that others serve.
    pub(crate) fn others(&self) -> Vec<Other> {
        let other = |state: &State, known: &Arc<Known>| Other {
            known: Arc::clone(known),
            discovered: state.discovered.get(&known.name()).cloned(),
        };
        self.read(|state| state.others.iter().map(|known| other(state, known)).collect())
    }

    /// The priorities of `group` and of its `version`.
    pub(crate) fn priority(&self, group: &str, version: &str) -> (i64, i64) {
        if group == GROUP {
            return FIRST;
        }
        let name = format!("{version}.{group}");
        let told = self.read(|state| Some(state.known.get(&name)?.1.as_ref()?.priority));
        told.unwrap_or_else(|| register::priority(group, version))
    }

    fn all(&self) -> BTreeMap<String, Arc<Known>> {
        let there = |(name, (_, known)): (&String, &(_, Option<Arc<Known>>))| Some((name.clone(), known.clone()?));
        self.read(|state| state.known.iter().filter_map(there).collect())
    }

    /// Takes note of what one serves; `None` leaves what it served when it last answered.
    fn discovered(&self, known: &Known, found: Option<Discovered>) {
        let Some(found) = found else { return };
        let mut state = exclusive(&self.state);
        // It may have gone meanwhile.
        if state.others.iter().any(|other| **other == *known) {
            state.discovered.insert(known.name(), Arc::new(found));
        }
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&shared(&self.state))
    }

    fn note(&self, name: String, revision: Revision, now: Option<Known>) {
        let mut state = exclusive(&self.state);
        let before = state.known.get(&name);
        if before.is_some_and(|(known, _)| *known >= revision) {
            return;
        }
        let is_other = |known: &Option<Arc<Known>>| known.as_ref().is_some_and(|known| known.remote.is_some());
        let was_other = before.is_some_and(|(_, known)| is_other(known));
        let now = now.map(Arc::new);
        if was_other || is_other(&now) {
            state.others.retain(|other| other.name() != name);
        }
        match now.as_ref().filter(|known| known.remote.is_some()) {
            Some(known) => state.others.push(Arc::clone(known)),
            None => drop(state.discovered.remove(&name)),
        }
        state.known.insert(name, (revision, now));
        drop(state);
        self.work.notify_one();
    }
}

impl Known {
    fn of(service: &Object) -> Self {
        let text = |field| service.str_at(&["spec", field]).to_owned();
        let number = |field| service.at(&["spec", field]).and_then(Value::as_i64).unwrap_or_default();
        let remote = service.at(&["spec", "service"]).filter(|service| service.is_object()).map(|reference| Remote {
            namespace: reference["namespace"].as_str().unwrap_or_default().to_owned(),
            name: reference["name"].as_str().unwrap_or_default().to_owned(),
            port: reference["port"].as_u64().unwrap_or(443),
            // What is no base64 was refused when it was written.
            authority: STANDARD.decode(service.str_at(&["spec", "caBundle"])).unwrap_or_default(),
            insecure: service.at(&["spec", "insecureSkipTLSVerify"]) == Some(&Value::Bool(true)),
        });
        let mut labels = service.labels();
        let managed = labels.find(|(name, _)| *name == register::MANAGED).map(|(_, value)| value.to_owned());
        Self {
            group: text("group"),
            version: text("version"),
            priority: (number("groupPriorityMinimum"), number("versionPriority")),
            managed: managed.unwrap_or_default(),
            remote,
            available: crd::is_true(service, AVAILABLE),
        }
    }

    /// The name of the APIService.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.version, self.group)
    }

    /// Where what it serves lies.
    pub(crate) fn path(&self) -> String {
        match &*self.group {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        }
    }
}

impl Hook for Aggregation {
    fn written(&self, entry: &Entry) {
        let service = encode::stored_object(entry);
        self.note(service.name().to_owned(), entry.mod_revision, Some(Known::of(&service)));
    }

    fn removed(&self, entry: &Entry, revision: Revision) {
        let name = entry.key.rsplit('/').next().unwrap_or_default().to_owned();
        self.note(name, revision, None);
    }
}
