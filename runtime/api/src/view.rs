//! One stored kind, served under a second group or version: a `View` says what its fields are called
//! there. Kinds of one's own have versions by their definition instead.

mod autoscaler;
mod event;

use serde_json::Value;

use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

pub use autoscaler::AUTOSCALER;
pub use event::EVENT;

/// How a kind's objects are stored, when that is under another group or version than its own.
#[derive(Debug)]
pub struct View {
    /// The group of the stored kind.
    pub group: &'static str,
    /// The version of the stored kind.
    pub version: &'static str,
    /// Turns the fields of a served object into those of the stored one.
    pub to_stored: fn(&mut Object),
    /// Turns the fields of a stored object into those of the served one; what has no field there is
    /// kept in annotations, so that nothing is lost when it is written back.
    pub from_stored: fn(&mut Object),
    /// The stored name of the selectable field, such as `.involvedObject.kind` for `.regarding.kind`.
    pub field: fn(&str) -> &str,
}

impl View {
    fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The object as it is stored.
    #[must_use]
    pub fn stored(&self, served: &Object) -> Object {
        let mut stored = served.clone();
        (self.to_stored)(&mut stored);
        stored.set(&["apiVersion"], self.api_version());
        stored
    }

    /// Makes `object`, which is as stored, what is served under `api_version`.
    pub fn serve(&self, object: &mut Object, api_version: &str) {
        (self.from_stored)(object);
        object.set(&["apiVersion"], api_version);
    }
}

/// The behaviour of the stored kind, for those who see it through a view.
pub struct Viewed<S>(
    /// The behaviour.
    pub S,
    /// The view.
    pub &'static View,
);

impl<S: Strategy> Strategy for Viewed<S> {
    fn check_name(&self, name: &str) -> Vec<String> {
        self.0.check_name(name)
    }

    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        let served = object.api_version().to_owned();
        let mut stored = self.1.stored(object);
        let admission = match operation {
            Operation::Create => self.0.admit(operation, &mut stored),
            Operation::Update { old } => self.0.admit(Operation::Update { old: &self.1.stored(old) }, &mut stored),
            Operation::UpdateStatus { old } => {
                self.0.admit(Operation::UpdateStatus { old: &self.1.stored(old) }, &mut stored)
            }
        };
        self.1.serve(&mut stored, &served);
        *object = stored;
        admission
    }

    fn mark_deleted(&self, object: &mut Object) {
        let served = object.api_version().to_owned();
        let mut stored = self.1.stored(object);
        self.0.mark_deleted(&mut stored);
        self.1.serve(&mut stored, &served);
        *object = stored;
    }

    fn grace_period(&self, object: &Object, asked: Option<i64>) -> i64 {
        self.0.grace_period(&self.1.stored(object), asked)
    }

    fn holds_deletion(&self, object: &Object) -> bool {
        self.0.holds_deletion(&self.1.stored(object))
    }

    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        self.0.cell(name, &self.1.stored(object), now)
    }

    fn generation_changes(&self, old: &Object, new: &Object) -> bool {
        self.0.generation_changes(&self.1.stored(old), &self.1.stored(new))
    }
}

/// Gives the field at `from` the name `to`.
fn rename(object: &mut Object, from: &[&str], to: &[&str]) {
    if let Some(value) = object.remove(from) {
        object.set(to, value);
    }
}
