//! A test: its function, how often it runs, and on what.

use syn::{Attribute, Expr, FnArg, ItemFn, LitInt, Path, Result, Type, parse_quote};

use super::parse::{Arguments, Faults};
use crate::errors::Errors;

pub(crate) const EXPECTED: &str = "async fn converges(cluster: TestCluster)";

pub(crate) struct Model {
    /// What the harness is told: `should_panic`, `ignore`, `cfg`, documentation.
    pub attributes: Vec<Attribute>,
    /// The user's, without attributes.
    pub function: ItemFn,
    /// Whether it takes the cluster as `&TestCluster`.
    pub borrows: bool,
    pub seeds: Option<LitInt>,
    pub nodes: Option<LitInt>,
    pub kinds: Vec<Type>,
    pub faults: Option<Option<Box<Expr>>>,
    pub root: Path,
}

impl Model {
    pub(crate) fn new(mut function: ItemFn, arguments: Arguments) -> Result<Self> {
        let mut errors = Errors::default();
        let (name, signature) = (&function.sig.ident, &function.sig);
        if signature.asyncness.is_none() {
            errors.at(signature.fn_token, format!("a test with a cluster waits for it: write `async fn {name}`"));
        }
        if !signature.generics.params.is_empty() {
            errors.at(&signature.generics, "nobody says what these are in a test; remove them");
        }
        let borrows = cluster(&function, &mut errors);
        for attribute in function.attrs.iter().filter(|attribute| attribute.path().is_ident("test")) {
            errors.at(attribute, "`#[trimtab::test]` makes a test of it already; remove this one");
        }
        let attributes = std::mem::take(&mut function.attrs);
        let Arguments { seeds, nodes, kinds, faults, root } = arguments;
        errors.finish(Self {
            attributes,
            function,
            borrows,
            seeds,
            nodes,
            kinds,
            faults: faults.map(|Faults(expression)| expression),
            root: root.unwrap_or_else(|| parse_quote!(::trimtab::testing)),
        })
    }
}

/// Whether the cluster, which is the one argument, is borrowed.
fn cluster(function: &ItemFn, errors: &mut Errors) -> bool {
    let inputs = &function.sig.inputs;
    let (Some(first), 1) = (inputs.first(), inputs.len()) else {
        let message = format!("a test takes one cluster: write `{EXPECTED}`");
        match inputs.iter().nth(1) {
            Some(second) => errors.at(second, message),
            None => errors.at(&function.sig.ident, message),
        }
        return false;
    };
    let FnArg::Typed(argument) = first else {
        errors.at(first, format!("a test takes no `self`: write `{EXPECTED}`"));
        return false;
    };
    let (borrows, inner) = match &*argument.ty {
        Type::Reference(reference) if reference.mutability.is_none() => (true, &*reference.elem),
        other => (false, other),
    };
    let is_cluster = matches!(inner, Type::Path(path)
        if path.path.segments.last().is_some_and(|last| last.ident == "TestCluster" && last.arguments.is_none()));
    if !is_cluster {
        errors.at(&argument.ty, "expected `TestCluster` or `&TestCluster`");
    }
    borrows
}
