//! What a policy is asked about, and its variables, which are reckoned when they are first looked at.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use serde_json::Value;

use super::Policy;
use super::env::{NAMESPACE, REQUEST};
use crate::cel::{self, Check, EvalError, Lazy, PER_CALL_LIMIT, Variables};

/// A write, as expressions see it. What is not there is null.
pub struct Input<'a> {
    /// The object as it would be; null when it is deleted.
    pub object: &'a Value,
    /// What is stored; null when it is created.
    pub old: &'a Value,
    /// The request of an AdmissionReview.
    pub request: &'a Value,
    /// What the policy is told besides.
    pub params: &'a Value,
    /// The namespace of the object.
    pub namespace: &'a Value,
    /// A question to the authorizer of which nothing is said yet.
    pub authorizer: Check<'a>,
    /// The same, about what the request is for.
    pub resource: Check<'a>,
}

/// The variables of one evaluation, and what it may still cost.
pub(super) struct Scope<'a> {
    inner: Rc<Inner<'a>>,
}

struct Inner<'a> {
    policy: &'a Policy,
    input: &'a Input<'a>,
    budget: Cell<i64>,
    known: RefCell<HashMap<String, Result<cel::Value<'a>, EvalError>>>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(policy: &'a Policy, input: &'a Input<'a>, budget: i64) -> Self {
        Self { inner: Rc::new(Inner { policy, input, budget: Cell::new(budget), known: RefCell::default() }) }
    }

    /// Whether `cost` could still be afforded.
    pub(super) fn spend(&self, cost: u64) -> bool {
        self.inner.spend(cost)
    }
}

impl Inner<'_> {
    fn spend(&self, cost: u64) -> bool {
        let left = self.budget.get().saturating_sub(i64::try_from(cost).unwrap_or(i64::MAX));
        self.budget.set(left);
        left >= 0
    }
}

impl<'a> Variables<'a> for Scope<'a> {
    fn get(&self, name: &str) -> Option<Result<cel::Value<'a>, EvalError>> {
        let input = self.inner.input;
        Some(match name {
            "object" => cel::Value::of(input.object, None),
            "oldObject" => cel::Value::of(input.old, None),
            "request" => cel::Value::of(input.request, Some(&REQUEST)),
            "params" => cel::Value::of(input.params, None),
            "namespaceObject" => cel::Value::of(input.namespace, Some(&NAMESPACE)),
            "authorizer" => Ok(cel::Value::Check(Rc::new(input.authorizer.clone()))),
            "authorizer.requestResource" => Ok(cel::Value::Check(Rc::new(input.resource.clone()))),
            "variables" => Ok(cel::Value::Lazy(Rc::new(Composed(Rc::clone(&self.inner))))),
            _ => return None,
        })
    }
}

struct Composed<'a>(Rc<Inner<'a>>);

impl fmt::Debug for Composed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("variables")
    }
}

impl<'a> Lazy<'a> for Composed<'a> {
    fn field(&self, name: &str) -> Option<Result<cel::Value<'a>, EvalError>> {
        if let Some(known) = self.0.known.borrow().get(name) {
            return Some(known.clone());
        }
        // Each looks only at those before it, so this ends.
        let policy: &'a Policy = self.0.policy;
        let (_, program) = policy.variables.iter().find(|(known, _)| known == name)?;
        let scope = Scope { inner: Rc::clone(&self.0) };
        let (value, cost) = program.evaluate(&scope, PER_CALL_LIMIT);
        let value = match value {
            Err(EvalError::CostLimit) => Err(EvalError::CostLimit),
            _ if !self.0.spend(cost) => Err(EvalError::CostLimit),
            Err(error) => Err(EvalError::Failed(format!("composited variable \"{name}\" fails to evaluate: {error}"))),
            value => value,
        };
        self.0.known.borrow_mut().insert(name.to_owned(), value.clone());
        Some(value)
    }
}
