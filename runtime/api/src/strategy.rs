//! What a kind does of its own accord: defaults, validation, what an update may touch.

use serde_json::Value;

use crate::apply::Given;
use crate::check::Checks;
use crate::field;
use crate::names;
use crate::object::Object;

/// The write that is being admitted. `old` is what is stored.
#[derive(Clone, Copy, Debug)]
pub enum Operation<'a> {
    /// A new object.
    Create,
    /// A write of everything but `status`.
    Update {
        /// What is stored.
        old: &'a Object,
    },
    /// A write of `status` alone.
    UpdateStatus {
        /// What is stored.
        old: &'a Object,
    },
}

/// What a strategy found.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    /// Fields that do not fit; the write is refused when there are any.
    pub errors: Vec<field::Error>,
    /// Texts for `Warning:` headers.
    pub warnings: Vec<String>,
    /// What it has put into the object that is no default.
    pub given: Given,
}

impl From<Checks> for Admission {
    fn from(Checks { errors, warnings, given }: Checks) -> Self {
        Self { errors, warnings, given }
    }
}

/// The behaviour of one kind, beside its YAML file. All of it is optional: a custom kind has none.
pub trait Strategy: Send + Sync + 'static {
    /// What is wrong with an object's name; nothing when it fits. By default a name is a DNS
    /// subdomain.
    fn check_name(&self, name: &str) -> Vec<String> {
        names::dns1123_subdomain(name)
    }

    /// Fills defaults, resets what this operation may not set, and validates, in this order.
    ///
    /// The machinery has already checked `object` against the kind's schema, its `metadata`, and
    /// that an `Update` keeps the stored `status` (and an `UpdateStatus` the stored rest).
    fn admit(&self, _operation: Operation<'_>, _object: &mut Object) -> Admission {
        Admission::default()
    }

    /// As [`Strategy::admit`] of an update that comes by the subresource `part`: only that part of the
    /// object may change, and what else differs is put back. By default it is an update like others.
    fn admit_part(&self, _part: &str, old: &Object, object: &mut Object) -> Admission {
        self.admit(Operation::Update { old }, object)
    }

    /// What a delete changes in the object besides its timestamps, once, before it is decided
    /// whether the object stays.
    fn mark_deleted(&self, _object: &mut Object) {}

    /// How many seconds a delete gives the object to end, when the request asks for so many.
    fn grace_period(&self, _object: &Object, _asked: Option<i64>) -> i64 {
        0
    }

    /// Whether something besides `metadata.finalizers` keeps a deleted object from going.
    fn holds_deletion(&self, _object: &Object) -> bool {
        false
    }

    /// The value of the printer column `name` that the YAML file declares as computed. `now` is in
    /// seconds since the Unix epoch.
    fn cell(&self, _name: &str, _object: &Object, _now: i64) -> Value {
        Value::Null
    }

    /// Whether a change from `old` to `new` raises `metadata.generation`. By default anything
    /// outside `metadata` and `status` does.
    fn generation_changes(&self, old: &Object, new: &Object) -> bool {
        specification_changes(old, new)
    }
}

/// Whether anything outside `metadata` and `status` differs.
pub(crate) fn specification_changes(old: &Object, new: &Object) -> bool {
    fn specification(object: &Object) -> impl Iterator<Item = (&String, &Value)> {
        object.0.iter().filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status"))
    }
    !specification(old).eq(specification(new))
}

/// The strategy of a kind without behaviour of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Strategy for Plain {}
