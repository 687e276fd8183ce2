//! Admission policies and match conditions: what is written in CEL about writes
//! (<https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/>), as a
//! computation. Whoever admits gives an [`Input`]; nothing here reads anything.

mod env;
mod input;
mod read;
mod types;

use serde_json::{Value, json};

pub use input::Input;
pub use types::{ExpressionWarning, expression_warnings, named_resources};

use crate::cel::{self, EvalError, MAX_MESSAGE, PER_CALL_LIMIT, Program, RUNTIME_BUDGET};
use input::Scope;

/// The most that the match conditions of one webhook or policy may cost together.
const CONDITIONS_BUDGET: i64 = 2_500_000;

/// The expressions of a policy, or of a webhook's match conditions.
#[derive(Debug, Default)]
pub struct Policy {
    variables: Vec<(String, Program)>,
    conditions: Vec<Expression>,
    validations: Vec<Validation>,
    audit: Vec<(String, Expression)>,
    mutations: Vec<Mutation>,
}

#[derive(Debug)]
struct Expression {
    source: String,
    program: Program,
}

#[derive(Debug)]
struct Validation {
    expression: Expression,
    message: String,
    message_expression: Option<Program>,
    reason: String,
}

#[derive(Debug)]
enum Mutation {
    Apply(Expression),
    JsonPatch(Expression),
}

/// A validation that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub message: String,
    /// The reason of the answer; `""` when the policy says none.
    pub reason: String,
    /// Whether it is the evaluation that failed, which the failure policy is about.
    pub failed: bool,
    /// Which of the policy's validations it is.
    pub index: usize,
}

/// A change that a policy wants made.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// What is to be merged into the object, as an apply does.
    Apply(Value),
    /// A JSON patch.
    JsonPatch(Value),
}

impl Policy {
    /// Whether the match conditions hold. One that does not hold decides, though another fail.
    ///
    /// # Errors
    /// What fails, when none of the others decides.
    pub fn matches<'a>(&'a self, input: &'a Input<'a>) -> Result<bool, String> {
        let scope = Scope::new(self, input, CONDITIONS_BUDGET);
        let mut errors = Vec::new();
        for condition in &self.conditions {
            match evaluate(&scope, condition) {
                Ok(cel::Value::Bool(true)) => {}
                Ok(_) => return Ok(false),
                Err(why) => errors.push(why),
            }
        }
        match errors.len() {
            0 => Ok(true),
            1 => Err(errors.remove(0)),
            _ => Err(format!("[{}]", errors.join(", "))),
        }
    }

    /// The validations that do not hold.
    pub fn refusals<'a>(&'a self, input: &'a Input<'a>) -> Vec<Refusal> {
        let scope = Scope::new(self, input, RUNTIME_BUDGET);
        let mut found = Vec::new();
        for (index, validation) in self.validations.iter().enumerate() {
            let reason = validation.reason.clone();
            match evaluate(&scope, &validation.expression) {
                Ok(cel::Value::Bool(true)) => {}
                Ok(_) => {
                    let message = validation.message_expression.as_ref().and_then(|program| message(&scope, program));
                    let message = message.unwrap_or_else(|| match validation.message.as_str() {
                        "" => format!("failed expression: {}", validation.expression.source.trim()),
                        message => message.to_owned(),
                    });
                    found.push(Refusal { message, reason, failed: false, index });
                }
                Err(message) => found.push(Refusal { message, reason: String::new(), failed: true, index }),
            }
        }
        found
    }

    /// What the policy wants noted: keys and values.
    ///
    /// # Errors
    /// When an expression fails.
    pub fn annotations<'a>(&'a self, input: &'a Input<'a>) -> Result<Vec<(String, String)>, String> {
        let scope = Scope::new(self, input, RUNTIME_BUDGET);
        let mut found = Vec::new();
        for (key, expression) in &self.audit {
            if let cel::Value::String(text) = evaluate(&scope, expression)? {
                let text = text.trim();
                if !text.is_empty() {
                    found.push((key.clone(), text.to_owned()));
                }
            }
        }
        Ok(found)
    }

    /// How many changes the policy makes.
    pub fn changes(&self) -> usize {
        self.mutations.len()
    }

    /// The change `index`, of the object as the changes before it have left it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn change<'a>(&'a self, index: usize, input: &'a Input<'a>) -> Result<Change, String> {
        let scope = Scope::new(self, input, RUNTIME_BUDGET);
        match &self.mutations[index] {
            Mutation::Apply(expression) => {
                let value = evaluate(&scope, expression)?.to_json().map_err(|error| error.to_string())?;
                match value {
                    Value::Object(_) => Ok(Change::Apply(value)),
                    _ => Err("unsupported return type from ApplyConfiguration expression".to_owned()),
                }
            }
            Mutation::JsonPatch(expression) => {
                let cel::Value::List(list) = evaluate(&scope, expression)? else {
                    return Err("type mismatch: JSONPatchType.expression should evaluate to array".to_owned());
                };
                let mut operations = Vec::with_capacity(list.len());
                for item in list.iter() {
                    let cel::Value::Patch(fields) = item.map_err(|error| error.to_string())? else {
                        return Err(
                            "type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch".to_owned()
                        );
                    };
                    let mut operation = json!({});
                    for (name, value) in fields.iter() {
                        operation[name] = value.to_json().map_err(|error| error.to_string())?;
                    }
                    operations.push(operation);
                }
                Ok(Change::JsonPatch(Value::Array(operations)))
            }
        }
    }
}

fn evaluate<'a>(scope: &Scope<'a>, expression: &'a Expression) -> Result<cel::Value<'a>, String> {
    let failed =
        |error: &dyn std::fmt::Display| format!("expression '{}' resulted in error: {error}", expression.source);
    let (value, cost) = expression.program.evaluate(scope, PER_CALL_LIMIT);
    match value {
        Err(EvalError::CostLimit) => Err(failed(&EvalError::CostLimit)),
        value => {
            if !scope.spend(cost) {
                let why =
                    "validation failed due to running out of cost budget, no further validation rules will be run";
                return Err(why.to_owned());
            }
            value.map_err(|error| failed(&error))
        }
    }
}

fn message(scope: &Scope<'_>, program: &Program) -> Option<String> {
    let (value, cost) = program.evaluate(scope, PER_CALL_LIMIT);
    let Ok(cel::Value::String(text)) = value else { return None };
    let text = text.trim();
    let fits = scope.spend(cost) && !text.is_empty() && text.len() <= MAX_MESSAGE && !text.contains('\n');
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
