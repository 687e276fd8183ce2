//! A kind whose behaviour is a table of rules: what it is filled with, what is wrong with it, what may change. The
//! rules work on the object's JSON: a typed form for each kind would be code for each kind.

use serde_json::Value;

use crate::apply::Given;
use crate::check::{Checks, Rule};
use crate::names;
use crate::object::Object;
use crate::schema::Schema;
use crate::strategy::{Admission, Operation, Strategy};

type Cell = fn(&str, &Object, i64) -> Value;
type Check = fn(&Object, &mut Checks);
type Compare = fn(&Object, &Object, &mut Checks);

/// A kind with rules.
#[derive(Clone, Copy, Debug)]
pub struct Ruled {
    name: Rule,
    begin: Option<fn(&mut Object)>,
    fill: fn(&mut Object),
    create: Check,
    check: Check,
    update: Compare,
    status: Compare,
    generation: fn(&Object, &Object) -> bool,
    cell: Cell,
}

impl Ruled {
    /// A kind that is printed so.
    pub(crate) const fn printed(cell: Cell) -> Self {
        Self {
            name: names::dns1123_subdomain,
            begin: None,
            fill: |_| {},
            create: |_, _| {},
            check: |_, _| {},
            update: |_, _, _| {},
            status: |_, _, _| {},
            generation: |_, _| false,
            cell,
        }
    }

    /// A kind that is printed by paths alone.
    pub(crate) const fn new() -> Self {
        Self::printed(|_, _, _| Value::Null)
    }

    /// What its names follow.
    pub(crate) const fn named(self, name: Rule) -> Self {
        Self { name, ..self }
    }

    /// What a new object is given, before it is filled.
    pub(crate) const fn begun(self, begin: fn(&mut Object)) -> Self {
        Self { begin: Some(begin), ..self }
    }

    /// What is filled in.
    pub(crate) const fn filled(self, fill: fn(&mut Object)) -> Self {
        Self { fill, ..self }
    }

    /// What is wrong with a new object, besides what is wrong with any.
    pub(crate) const fn created(self, create: Check) -> Self {
        Self { create, ..self }
    }

    /// What is wrong with an object, new or changed.
    pub(crate) const fn checked(self, check: Check) -> Self {
        Self { check, ..self }
    }

    /// What is wrong with a change: the rule sees what is written and what is stored.
    pub(crate) const fn updated(self, update: Compare) -> Self {
        Self { update, ..self }
    }

    /// What is wrong with a write of the status.
    pub(crate) const fn status(self, status: Compare) -> Self {
        Self { status, ..self }
    }

    /// What raises the generation besides a change of the specification.
    pub(crate) const fn generation(self, generation: fn(&Object, &Object) -> bool) -> Self {
        Self { generation, ..self }
    }
}

impl Strategy for Ruled {
    fn check_name(&self, name: &str) -> Vec<String> {
        (self.name)(name)
    }

    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        let mut checks = Checks::default();
        match operation {
            Operation::Create => {
                object.remove(&["status"]);
                if let Some(begin) = self.begin {
                    let before = object.clone();
                    begin(object);
                    checks.given = Given::between(&before, object, &Schema::default());
                }
                (self.fill)(object);
                (self.create)(object, &mut checks);
                (self.check)(object, &mut checks);
            }
            Operation::Update { old } => {
                (self.fill)(object);
                (self.check)(object, &mut checks);
                (self.update)(object, old, &mut checks);
            }
            Operation::UpdateStatus { old } => (self.status)(object, old, &mut checks),
        }
        checks.into()
    }

    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        (self.cell)(name, object, now)
    }

    fn generation_changes(&self, old: &Object, new: &Object) -> bool {
        crate::strategy::specification_changes(old, new) || (self.generation)(old, new)
    }
}

/// Sets a field that is absent.
pub(crate) fn default(object: &mut Object, path: &[&str], value: impl Into<Value>) {
    if object.at(path).is_none_or(Value::is_null) {
        object.set(path, value);
    }
}
