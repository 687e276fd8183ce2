//! What CustomResourceDefinitions make of the server: the kinds it serves.
//!
//! A definition is given its names while it is being written, and its kinds are served before anybody
//! can hear of that write. Upstream does both a little later, in controllers; whoever waits for the
//! condition `Established` sees the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, RwLock};

use serde_json::Value;
use tokio::sync::Notify;
use trimtab_api::crd::{self, Taken};
use trimtab_api::field::Error;
use trimtab_api::{Kind, Kinds, Object};
use trimtab_env::{CancellationToken, Env, exclusive, lock, shared};
use trimtab_store::{Entry, Page, ReadError, Revision, Store};

use crate::allocate::Hook;
use crate::encode;
use crate::server::format_time;

/// The definitions there are, and what is served because of them.
pub(crate) struct Definitions {
    env: Env,
    /// What is served without any definition.
    own: Kinds,
    served: RwLock<Kinds>,
    state: Mutex<State>,
    /// Wakes whoever does what definitions are waiting for.
    pub(crate) work: Notify,
    /// Wakes whoever looks at what is served.
    pub(crate) changed: Notify,
}

#[derive(Default)]
struct State {
    /// By name: the revision of the last write or of the deletion, and what was written.
    known: BTreeMap<String, (Revision, Option<Known>)>,
    /// By uid: the names that a write under way has been given, and their group.
    given: HashMap<String, (String, Taken)>,
    /// Definitions that wait for something: to go, or for names that have become free.
    waiting: BTreeSet<String>,
}

struct Known {
    group: String,
    plural: String,
    names: Taken,
    accepted: bool,
    generation: Option<i64>,
    /// Cancelled when its objects are no longer served as they were: watches end.
    ending: CancellationToken,
}

impl Definitions {
    /// Serves `own`, and what the stored definitions define.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn load(own: Kinds, store: &dyn Store, env: &Env) -> Result<Self, ReadError> {
        let prefix = own.by_resource(crd::GROUP, "v1", crd::PLURAL).map(|kind| encode::prefix(kind, ""));
        let this = Self {
            env: env.clone(),
            served: RwLock::new(own.clone()),
            own,
            state: Mutex::default(),
            work: Notify::new(),
            changed: Notify::new(),
        };
        if let Some(prefix) = prefix {
            for entry in store.list(&prefix, Page::default()).await?.entries {
                this.written(&entry);
            }
        }
        Ok(this)
    }

    /// All kinds that are served now.
    pub(crate) fn kinds(&self) -> Kinds {
        shared(&self.served).clone()
    }

    /// Cancelled when the objects of `kind` are no longer served as they are now; `None` for a kind
    /// of the program's own.
    pub(crate) fn ending(&self, kind: &Kind) -> Option<CancellationToken> {
        kind.defined.as_ref()?;
        let state = self.state();
        let known = state.known.get(&kind.resource()).and_then(|(_, known)| known.as_ref());
        // It went between the look at the registry and this one.
        let over = || {
            let token = CancellationToken::new();
            token.cancel();
            token
        };
        Some(known.map_or_else(over, |known| known.ending.clone()))
    }

    /// The definitions that wait for something, each told once.
    pub(crate) fn waiting(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.state().waiting)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn serve(&self, change: impl FnOnce(&Kinds) -> Kinds) {
        let mut served = exclusive(&self.served);
        *served = change(&served);
        self.changed.notify_one();
    }
}

impl State {
    /// The names of `group` that others than the definition `name` with this uid have.
    fn taken(&self, group: &str, name: &str, uid: &str, own: &Kinds) -> Taken {
        let mut taken = Taken::default();
        own.group(group).for_each(|kind| taken.add_kind(kind));
        let others = self.known.iter().filter(|(other, _)| *other != name).filter_map(|(_, (_, known))| known.as_ref());
        others.filter(|known| known.group == group).for_each(|known| taken.add_all(&known.names));
        let given = self.given.iter().filter(|(other, (of, _))| *other != uid && of == group);
        given.for_each(|(_, (_, names))| taken.add_all(names));
        taken
    }

    /// Whoever lacks a name may have it now.
    fn reconsider(&mut self, group: &str) {
        let lacking = |known: &Known| known.group == group && !known.accepted;
        let all = self.known.iter().filter(|(_, (_, known))| known.as_ref().is_some_and(lacking));
        let names: Vec<String> = all.map(|(name, _)| name.clone()).collect();
        self.waiting.extend(names);
    }
}

impl Hook for Definitions {
    fn admit(&self, _old: Option<&Object>, object: &mut Object) -> Vec<Error> {
        let group = object.str_at(&["spec", "group"]).to_owned();
        let mut state = self.state();
        let taken = state.taken(&group, object.name(), object.uid(), &self.own);
        crd::accept(object, &taken, &format_time(self.env.now()));
        let mut names = Taken::default();
        names.add(object);
        state.given.insert(object.uid().to_owned(), (group, names));
        Vec::new()
    }

    fn admit_status(&self, object: &mut Object) {
        let taken = self.state().taken(object.str_at(&["spec", "group"]), object.name(), object.uid(), &self.own);
        crd::accept(object, &taken, &format_time(self.env.now()));
    }

    fn release(&self, object: &Object, _kept: Option<&Object>) {
        self.state().given.remove(object.uid());
    }

    fn written(&self, entry: &Entry) {
        let definition = encode::stored_object(entry);
        let name = definition.name().to_owned();
        let mut state = self.state();
        state.given.remove(definition.uid());
        if state.known.get(&name).is_some_and(|(revision, _)| *revision >= entry.mod_revision) {
            return;
        }
        let kinds = crd::kinds(&definition, &entry.value, entry.mod_revision);
        let generation = definition.at(&["metadata", "generation"]).and_then(Value::as_i64);
        let before = state.known.remove(&name).and_then(|(_, known)| known);
        let same = |before: &Known| before.generation == generation && !kinds.is_empty();
        let ending = match before {
            Some(before) if same(&before) => before.ending,
            before => {
                before.inspect(|before| before.ending.cancel());
                CancellationToken::new()
            }
        };
        let mut names = Taken::default();
        names.add(&definition);
        let known = Known {
            group: definition.str_at(&["spec", "group"]).to_owned(),
            plural: definition.str_at(&["spec", "names", "plural"]).to_owned(),
            names,
            accepted: crd::is_true(&definition, "NamesAccepted"),
            generation,
            ending,
        };
        self.serve(|served| served.without(&known.group, &known.plural).with(kinds));
        let group = known.group.clone();
        state.known.insert(name.clone(), (entry.mod_revision, Some(known)));
        if definition.deletion_timestamp().is_some() {
            state.waiting.insert(name);
        } else {
            // It may have given up a name.
            state.reconsider(&group);
            state.waiting.remove(&name);
        }
        if !state.waiting.is_empty() {
            self.work.notify_one();
        }
    }

    fn removed(&self, entry: &Entry, revision: Revision) {
        let name = entry.key.rsplit('/').next().unwrap_or_default().to_owned();
        let mut state = self.state();
        let Some((_, Some(known))) = state.known.insert(name, (revision, None)) else { return };
        self.serve(|served| served.without(&known.group, &known.plural));
        known.ending.cancel();
        state.reconsider(&known.group);
        self.work.notify_one();
    }
}
