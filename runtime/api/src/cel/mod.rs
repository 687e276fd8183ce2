//! The Common Expression Language, as Kubernetes has it: rules of custom resources, match conditions
//! and admission policies are written in it (<https://kubernetes.io/docs/reference/using-api/cel/>).
//!
//! ```text
//! source ─ lex, parse, macros ─▶ expression ─ check ─▶ types ─ cost ─▶ the most it can cost
//!                                     └───────────── eval ──────────▶ a value, and what it cost
//! ```
//!
//! The syntax (`ast`, `lex`, `macros`, `parse`, `problem`) stands by itself: `trimtab-macros` has the same
//! files, to read rules where they are written.
//!
//! Start at [`Env`], which says what an expression may look at, and [`Env::compile`]. Nothing here
//! knows what the expressions are for.

mod ast;
mod check;
mod cost;
mod declare;
mod error;
mod eval;
mod functions;
mod lex;
mod library;
mod macros;
mod parse;
mod problem;
mod runtime_cost;
mod types;
mod unify;
mod value;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use regex::Regex;

pub use cost::Range;
pub use declare::{cardinality, declared, escape, most_per_request};
pub use error::EvalError;
pub use eval::Variables;
pub use library::{Authorizer, Check, Semver, Url};
pub use types::{Declared, Fields, Identity, Shape, Type};
pub use value::{Key, Lazy, List, Map, Text, Value};

use ast::{Expr, Kind, Literal};
use problem::{Problem, shown};

/// The most that one evaluation may cost (`k8s.io/apiserver/pkg/apis/cel`, `PerCallLimit`).
pub const PER_CALL_LIMIT: u64 = 1_000_000;
/// The most that all rules may cost together, of one object (`RuntimeCELCostBudget`).
pub const RUNTIME_BUDGET: i64 = 10_000_000;
/// The most bytes of a message that an expression gives.
pub const MAX_MESSAGE: usize = 5 * 1024;

/// What an expression may look at.
#[derive(Clone, Debug, Default)]
pub struct Env {
    variables: BTreeMap<String, Variable>,
    /// Whether it may make `Object{…}` and `JSONPatch{…}`, as in mutating policies.
    mutates: bool,
}

#[derive(Clone, Debug)]
struct Variable {
    type_: Type,
    declared: Option<Arc<Declared>>,
}

impl Env {
    /// With a variable of which its type is known.
    #[must_use]
    pub fn with(mut self, name: &str, type_: Type) -> Self {
        self.variables.insert(name.to_owned(), Variable { type_, declared: None });
        self
    }

    /// With a variable of which there is a schema.
    #[must_use]
    pub fn declaring(mut self, name: &str, declared: &Arc<Declared>) -> Self {
        let declared = Some(Arc::clone(declared));
        let type_ = declared.as_ref().map_or(Type::Dyn, |declared| declared.type_());
        self.variables.insert(name.to_owned(), Variable { type_, declared });
        self
    }

    /// With `Object{…}` and `JSONPatch{…}`.
    #[must_use]
    pub fn mutating(mut self) -> Self {
        self.mutates = true;
        self
    }

    fn variable(&self, name: &str) -> Option<Type> {
        self.variables.get(name).map(|variable| variable.type_.clone())
    }

    fn declared(&self, name: &str) -> Option<&Declared> {
        self.variables.get(name)?.declared.as_deref()
    }

    fn knows(&self, function: &str) -> bool {
        self.mutates || !function.starts_with("jsonpatch.")
    }

    /// Reads and checks `source`.
    ///
    /// # Errors
    /// What is wrong with it, each mistake with its place: `ERROR: <input>:1:6: …`.
    pub fn compile(&self, source: &str) -> Result<Compiled, String> {
        let failed = |problems| shown(source, problems);
        let mut expr = parse::parse(source).map_err(|problem| failed(vec![problem]))?;
        let types = check::check(self, &mut expr).map_err(failed)?;
        let regexes = literals(&expr).map_err(failed)?;
        let result = types.types.get(&expr.id).cloned().unwrap_or(Type::Dyn);
        let cost = cost::Estimator::new(self, &types).cost(&expr);
        let uses = types.used.into_iter().collect();
        Ok(Compiled { program: Program { expr, regexes }, result, cost, uses })
    }
}

/// An expression that is right, and what is known of it.
#[derive(Debug)]
pub struct Compiled {
    /// What evaluates it.
    pub program: Program,
    /// The type of its value.
    pub result: Type,
    /// What it costs.
    pub cost: Range,
    /// The variables it looks at.
    pub uses: Vec<String>,
}

/// An expression that can be evaluated.
#[derive(Debug)]
pub struct Program {
    expr: Expr,
    regexes: HashMap<usize, Regex>,
}

impl Program {
    /// The value of the expression, and what it cost to find. More than `limit` it may not cost.
    pub fn evaluate<'a>(&self, variables: &dyn Variables<'a>, limit: u64) -> (Result<Value<'a>, EvalError>, u64) {
        let regexes = &self.regexes;
        let mut evaluator = eval::Evaluator { variables, regexes, cost: 0, limit, scopes: Vec::new() };
        let value = evaluator.value(&self.expr);
        (value, evaluator.cost)
    }
}

/// Texts that mean something to the function they are given to must be right before there is any
/// object; regular expressions are compiled once.
fn literals(expr: &Expr) -> Result<HashMap<usize, Regex>, Vec<Problem>> {
    let (mut regexes, mut problems) = (HashMap::new(), Vec::new());
    expr.walk(&mut |expr| {
        let Kind::Call { function, args, target } = &expr.kind else { return };
        let pattern = if target.is_some() { args.first() } else { args.last() };
        let Some(Expr { kind: Kind::Literal(Literal::String(text)), at, .. }) = pattern else { return };
        let fits = match function.as_str() {
            "matches" | "find" | "findAll" => match library::compiled(text) {
                Ok(regex) => {
                    regexes.insert(expr.id, regex);
                    true
                }
                Err(_) => false,
            },
            "duration" => library::time::duration(text).is_some(),
            "timestamp" => library::time::timestamp(text).is_some(),
            _ => true,
        };
        if !fits {
            problems.push(Problem::new(*at, format!("invalid {function} argument")));
        }
    });
    if problems.is_empty() { Ok(regexes) } else { Err(problems) }
}
