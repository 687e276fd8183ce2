//! Questions to the server's authorizer.

use std::fmt;
use std::rc::Rc;

use super::{Answer, Call};
use crate::cel::value::Value;

/// Who answers whether somebody may do something.
pub trait Authorizer {
    /// Why it is allowed.
    ///
    /// # Errors
    /// Why it is not.
    fn check(&self, asked: &Check<'_>, verb: &str) -> Result<String, String>;
}

/// A question, as far as it is put.
#[derive(Clone)]
pub struct Check<'a> {
    /// Who is asked.
    pub authorizer: &'a dyn Authorizer,
    /// The namespace and name of the service account that it is about; the writer when there is none.
    pub service_account: Option<(String, String)>,
    /// A path that is no resource.
    pub path: Option<String>,
    /// The API group.
    pub group: String,
    /// The resource.
    pub resource: String,
    /// The subresource.
    pub subresource: String,
    /// The namespace.
    pub namespace: String,
    /// The name of the object.
    pub name: String,
}

impl<'a> Check<'a> {
    /// A question to `authorizer` of which nothing is said yet.
    pub fn of(authorizer: &'a dyn Authorizer) -> Self {
        let empty = String::new;
        Self {
            authorizer,
            service_account: None,
            path: None,
            group: empty(),
            resource: empty(),
            subresource: empty(),
            namespace: empty(),
            name: empty(),
        }
    }
}

impl fmt::Debug for Check<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("resource", &self.resource).finish_non_exhaustive()
    }
}

pub(super) fn call<'a>(call: &Call<'_>, args: &[Value<'a>]) -> Option<Answer<'a>> {
    let with = |check: &Rc<Check<'a>>, change: &dyn Fn(&mut Check<'a>)| {
        let mut check = Check::clone(check);
        change(&mut check);
        Some(Ok(Value::Check(Rc::new(check))))
    };
    match (call.function, args) {
        ("serviceAccount", [Value::Check(check), Value::String(namespace), Value::String(name)]) => {
            with(check, &|check| check.service_account = Some((namespace.to_string(), name.to_string())))
        }
        ("path", [Value::Check(check), Value::String(path)]) => {
            with(check, &|check| check.path = Some(path.to_string()))
        }
        ("group", [Value::Check(check), Value::String(group)]) => with(check, &|check| check.group = group.to_string()),
        ("resource", [Value::Check(check), Value::String(resource)]) => {
            with(check, &|check| check.resource = resource.to_string())
        }
        ("subresource", [Value::Check(check), Value::String(name)]) => {
            with(check, &|check| check.subresource = name.to_string())
        }
        ("namespace", [Value::Check(check), Value::String(name)]) => {
            with(check, &|check| check.namespace = name.to_string())
        }
        ("name", [Value::Check(check), Value::String(name)]) => with(check, &|check| check.name = name.to_string()),
        // What the authorizer here decides does not depend on selectors.
        ("fieldSelector" | "labelSelector", [Value::Check(_), Value::String(_)]) => Some(Ok(args[0].clone())),
        ("check", [Value::Check(check), Value::String(verb)]) => {
            Some(Ok(Value::Decision(Rc::new(check.authorizer.check(check, verb)))))
        }
        ("allowed", [Value::Decision(decision)]) => Some(Ok(Value::Bool(decision.is_ok()))),
        ("reason", [Value::Decision(decision)]) => {
            let reason = match &**decision {
                Ok(reason) | Err(reason) => reason.as_str(),
            };
            Some(Ok(Value::text(reason)))
        }
        ("errored", [Value::Decision(_)]) => Some(Ok(Value::Bool(false))),
        ("error", [Value::Decision(_)]) => Some(Ok(Value::text(""))),
        _ => None,
    }
}
