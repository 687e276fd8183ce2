//! What was applied last, so that applying what is there already costs no request.
//!
//! A child is as it was applied when the same was asked for last time, and the object is still what the
//! server answered then, but for its status. That holds for any kind, whatever the server fills in.

use std::any::TypeId;
use std::sync::Mutex;

use serde_json::Value;
use trimtab_api::ObjectRef;
use trimtab_env::{HashMap, lock};

use crate::predicates::digest;
use crate::resource::{Resource, revision};

type Child = (TypeId, ObjectRef);

#[derive(Clone)]
struct Last {
    uid: Option<String>,
    wanted: u64,
    found: u64,
    revision: u64,
}

/// By owner.
#[derive(Default)]
pub(crate) struct Applied(Mutex<HashMap<ObjectRef, HashMap<Child, Last>>>);

impl Applied {
    /// Whether `known` is what applying something of the digest `wanted` made of it.
    pub(crate) fn holds<C: Resource>(&self, owner: &ObjectRef, key: &ObjectRef, wanted: u64, known: &C) -> bool {
        let child = (TypeId::of::<C>(), key.clone());
        let last = lock(&self.0).get(owner).and_then(|children| children.get(&child)).cloned();
        let Some(last) = last.filter(|last| last.uid == known.metadata().uid && last.wanted == wanted) else {
            return false;
        };
        if last.revision == revision(known) {
            return true;
        }
        let same = last.found == found(known);
        if same {
            self.put(owner, child, Last { revision: revision(known), ..last });
        }
        same
    }

    /// Whether this child was applied before.
    pub(crate) fn has<C: Resource>(&self, owner: &ObjectRef, key: &ObjectRef) -> bool {
        let child = (TypeId::of::<C>(), key.clone());
        lock(&self.0).get(owner).is_some_and(|children| children.contains_key(&child))
    }

    /// Applying something of the digest `wanted` made `written`.
    pub(crate) fn remember<C: Resource>(&self, owner: &ObjectRef, key: &ObjectRef, wanted: u64, written: &C) {
        let uid = written.metadata().uid.clone();
        let last = Last { uid, wanted, found: found(written), revision: revision(written) };
        self.put(owner, (TypeId::of::<C>(), key.clone()), last);
    }

    fn put(&self, owner: &ObjectRef, child: Child, last: Last) {
        lock(&self.0).entry(owner.clone()).or_default().insert(child, last);
    }

    /// Forgets one child.
    pub(crate) fn forget<C: Resource>(&self, owner: &ObjectRef, key: &ObjectRef) {
        if let Some(children) = lock(&self.0).get_mut(owner) {
            children.remove(&(TypeId::of::<C>(), key.clone()));
        }
    }

    /// Forgets an owner that is gone.
    pub(crate) fn forget_owner(&self, owner: &ObjectRef) {
        lock(&self.0).remove(owner);
    }
}

/// What an apply could change: all but the status, and what every write changes.
fn found(object: &impl Resource) -> u64 {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        fields.remove("status");
        if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
            for name in ["resourceVersion", "generation", "managedFields"] {
                metadata.remove(name);
            }
        }
    }
    digest(&value)
}
