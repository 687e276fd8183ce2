//! Expressions, after their macros are expanded.

/// The variable that a macro's loop builds its result in. No source can name it.
pub(super) const RESULT: &str = "@result";

/// One expression.
#[derive(Clone, Debug)]
pub(super) struct Expr {
    /// Tells it from the others of its source.
    pub id: usize,
    /// The byte of the source that messages about it point at.
    pub at: usize,
    pub kind: Kind,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Literal(Literal),
    Ident(String),
    /// `operand.field`; `has(operand.field)` when only its presence is asked.
    Select {
        operand: Box<Expr>,
        field: String,
        presence: bool,
    },
    Call {
        function: String,
        target: Option<Box<Expr>>,
        args: Vec<Expr>,
    },
    List(Vec<Item>),
    Map(Vec<Entry>),
    Struct {
        name: String,
        fields: Vec<Field>,
    },
    Fold(Box<Fold>),
}

/// An item of a list; left out when it is `optional` and none.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub value: Expr,
    pub optional: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub key: Expr,
    pub value: Expr,
    pub optional: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Field {
    pub at: usize,
    pub name: String,
    pub value: Expr,
    pub optional: bool,
}

/// A loop over `range`, and what a macro becomes: `accumulator` is `init` at first, then `step` once
/// for each item while `condition` holds.
#[derive(Clone, Debug)]
pub(super) struct Fold {
    pub range: Expr,
    pub variable: String,
    /// With two variables the first is the index or key, and this the value.
    pub second: Option<String>,
    pub accumulator: String,
    pub init: Expr,
    pub condition: Expr,
    pub step: Expr,
    pub result: Expr,
}

impl Fold {
    /// Whether it loops over nothing, and only names a value (`cel.bind`).
    pub(super) fn is_bind(&self) -> bool {
        self.accumulator != RESULT
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
}

impl Expr {
    /// Calls `visit` with this and everything within.
    pub(super) fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        match &self.kind {
            Kind::Literal(_) | Kind::Ident(_) => {}
            Kind::Select { operand, .. } => operand.walk(visit),
            Kind::Call { target, args, .. } => {
                target.iter().for_each(|target| target.walk(visit));
                args.iter().for_each(|arg| arg.walk(visit));
            }
            Kind::List(items) => items.iter().for_each(|item| item.value.walk(visit)),
            Kind::Map(entries) => entries.iter().for_each(|entry| {
                entry.key.walk(visit);
                entry.value.walk(visit);
            }),
            Kind::Struct { fields, .. } => fields.iter().for_each(|field| field.value.walk(visit)),
            Kind::Fold(fold) => {
                for part in [&fold.range, &fold.init, &fold.condition, &fold.step, &fold.result] {
                    part.walk(visit);
                }
            }
        }
    }
}
