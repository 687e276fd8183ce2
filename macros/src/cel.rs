//! The syntax of CEL, so that a rule that cannot be read is told where it is written. What its names mean
//! is known only where there is a schema. The files are those of `trimtab-api`, which depends on this
//! crate and not the other way round.

#[path = "../../runtime/api/src/cel/ast.rs"]
mod ast;
#[path = "../../runtime/api/src/cel/lex.rs"]
mod lex;
#[path = "../../runtime/api/src/cel/macros.rs"]
mod macros;
#[path = "../../runtime/api/src/cel/parse.rs"]
mod parse;
#[path = "../../runtime/api/src/cel/problem.rs"]
mod problem;

/// Reads an expression.
///
/// # Errors
/// What is wrong with it, and where in it.
pub(crate) fn check(source: &str) -> Result<(), String> {
    parse::parse(source).map(drop).map_err(|problem| problem::shown(source, vec![problem]))
}
