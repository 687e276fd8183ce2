//! The types of an expression's parts, and what is wrong with them, in upstream's words (`cel-go`,
//! `checker`).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::Env;
use super::ast::{Expr, Fold, Kind, Literal};
use super::functions::{OPAQUE, Overload, overloads};
use super::problem::Problem;
use super::types::Type;
use super::unify::{Bindings, general, numbered};

/// What a check finds.
#[derive(Debug)]
pub(super) struct Types {
    /// By an expression's identity.
    pub types: HashMap<usize, Type>,
    /// By a call's identity: upstream's names of the ways it may be meant.
    pub overloads: HashMap<usize, Vec<&'static str>>,
    /// The variables of the environment that are looked at.
    pub used: BTreeSet<String>,
}

/// Checks `expr`, and makes of `ip.isCanonical(x)` a call of the function so named.
pub(super) fn check(env: &Env, expr: &mut Expr) -> Result<Types, Vec<Problem>> {
    let mut checker = Checker {
        env,
        scopes: Vec::new(),
        bindings: Bindings::default(),
        uses: 0,
        formats: 0,
        problems: Vec::new(),
        found: Types { types: HashMap::new(), overloads: HashMap::new(), used: BTreeSet::new() },
    };
    checker.visit(expr);
    if !checker.problems.is_empty() {
        return Err(checker.problems);
    }
    for type_ in checker.found.types.values_mut() {
        *type_ = checker.bindings.resolved(type_, true);
    }
    Ok(checker.found)
}

struct Checker<'a> {
    env: &'a Env,
    scopes: Vec<(String, Type)>,
    bindings: Bindings,
    uses: u32,
    /// Within the arguments of how many `format`s it is: what those write may be of several types.
    formats: usize,
    problems: Vec<Problem>,
    found: Types,
}

impl Checker<'_> {
    fn wrong(&mut self, at: usize, message: String) -> Type {
        self.problems.push(Problem::new(at, message));
        Type::Error
    }

    fn parameter(&mut self) -> Type {
        self.uses += 1;
        Type::Param('T', self.uses)
    }

    fn visit(&mut self, expr: &mut Expr) -> Type {
        self.make_global(expr);
        self.make_variable(expr);
        let (id, at) = (expr.id, expr.at);
        let type_ = match &mut expr.kind {
            Kind::Literal(literal) => literal_type(literal),
            Kind::Ident(name) => self.ident(at, name),
            Kind::Select { operand, field, presence } => {
                let qualified = qualified_name(operand).map(|prefix| format!("{prefix}.{field}"));
                match qualified.and_then(|name| OPAQUE.iter().find(|known| **known == name)) {
                    Some(name) => Type::Type(Arc::new(Type::Opaque(name, None))),
                    None => {
                        let of = self.visit(operand);
                        let found = self.select(at, &of, field);
                        if *presence { Type::Bool } else { found }
                    }
                }
            }
            Kind::Call { function, target, args } => {
                let formats = usize::from(function == "format" && target.is_some());
                self.formats += formats;
                let types: Vec<Type> = args.iter_mut().map(|arg| self.visit(arg)).collect();
                self.formats -= formats;
                let target = target.as_mut().map(|target| self.visit(target));
                if function == "_?._" {
                    self.optional_select(at, args, types)
                } else {
                    self.call(id, at, function, target, types)
                }
            }
            Kind::List(items) => {
                let mut of = None;
                for item in items {
                    let type_ = self.visit(&mut item.value);
                    let type_ = self.plain(type_, item.optional, item.value.at);
                    of = Some(self.joined(item.value.at, of, type_));
                }
                Type::list(of.unwrap_or_else(|| self.parameter()))
            }
            Kind::Map(entries) => {
                let (mut keys, mut values) = (None, None);
                for entry in entries {
                    let key = self.visit(&mut entry.key);
                    keys = Some(self.joined(entry.key.at, keys, key));
                    let value = self.visit(&mut entry.value);
                    let value = self.plain(value, entry.optional, entry.value.at);
                    values = Some(self.joined(entry.value.at, values, value));
                }
                let keys = keys.unwrap_or_else(|| self.parameter());
                Type::map(keys, values.unwrap_or_else(|| self.parameter()))
            }
            Kind::Struct { name, fields } => {
                let name = name.clone();
                for field in fields {
                    let (at, field_name) = (field.at, field.name.clone());
                    let type_ = self.visit(&mut field.value);
                    let type_ = self.plain(type_, field.optional, at);
                    self.field(at, &name, &field_name, &type_);
                }
                self.constructed(at, &name)
            }
            Kind::Fold(fold) => self.fold(fold),
        };
        self.found.types.insert(id, type_.clone());
        type_
    }

    fn ident(&mut self, at: usize, name: &str) -> Type {
        if let Some((_, type_)) = self.scopes.iter().rev().find(|(scoped, _)| scoped == name) {
            return type_.clone();
        }
        if let Some(type_) = self.env.variable(name) {
            self.found.used.insert(name.to_owned());
            return type_;
        }
        match type_named(name) {
            Some(type_) => Type::Type(Arc::new(type_)),
            None => self.wrong(at, format!("undeclared reference to '{name}' (in container '')")),
        }
    }

    fn select(&mut self, at: usize, of: &Type, field: &str) -> Type {
        match self.bindings.resolved(of, false) {
            Type::Dyn | Type::Error => Type::Dyn,
            Type::Map(_, values) => Type::clone(&values),
            Type::Object(fields) => match fields.fields.get(field) {
                Some(field) => field.type_(),
                None => self.wrong(at, format!("undefined field '{field}'")),
            },
            Type::Opaque("optional_type", Some(of)) => Type::optional(self.select(at, &of, field)),
            parameter @ Type::Param(..) => {
                self.bindings.assignable(&Type::Dyn, &parameter);
                Type::Dyn
            }
            other => self.wrong(at, format!("type '{other}' does not support field selection")),
        }
    }

    fn optional_select(&mut self, at: usize, args: &[Expr], types: Vec<Type>) -> Type {
        let Some(Kind::Literal(Literal::String(field))) = args.get(1).map(|arg| &arg.kind) else {
            return self.wrong(at, "unsupported optional field selection".to_owned());
        };
        match self.select(at, &types[0], field) {
            optional @ Type::Opaque("optional_type", _) => optional,
            plain => Type::optional(plain),
        }
    }

    /// What an optional item contributes: what it may hold.
    fn plain(&mut self, type_: Type, optional: bool, at: usize) -> Type {
        if !optional {
            return type_;
        }
        match self.bindings.resolved(&type_, false) {
            Type::Opaque("optional_type", Some(of)) => Type::clone(&of),
            Type::Dyn | Type::Error => Type::Dyn,
            other => self.wrong(at, format!("expected type 'optional_type({other})' but found '{other}'")),
        }
    }

    fn joined(&mut self, at: usize, so_far: Option<Type>, next: Type) -> Type {
        let Some(so_far) = so_far else { return next };
        if self.bindings.assignable(&next, &so_far) || self.bindings.assignable(&so_far, &next) {
            return general(&so_far, &next);
        }
        if self.formats > 0 {
            return Type::Dyn;
        }
        let (so_far, next) = (self.bindings.resolved(&so_far, false), self.bindings.resolved(&next, false));
        self.wrong(at, format!("expected type '{so_far}' but found '{next}'"))
    }

    fn constructed(&mut self, at: usize, name: &str) -> Type {
        match name {
            "JSONPatch" if self.env.mutates => Type::Opaque("jsonpatch.JSONPatch", None),
            _ if self.env.mutates && (name == "Object" || name.starts_with("Object.")) => Type::Dyn,
            _ => self.wrong(at, format!("undeclared reference to '{name}' (in container '')")),
        }
    }

    fn field(&mut self, at: usize, of: &str, name: &str, type_: &Type) {
        if of != "JSONPatch" || !self.env.mutates {
            return;
        }
        match name {
            "op" | "path" | "from" if !self.bindings.assignable(type_, &Type::String) => {
                let message = format!("expected type of field '{name}' is 'string' but provided type is '{type_}'");
                self.wrong(at, message);
            }
            "op" | "path" | "from" | "value" => {}
            _ => drop(self.wrong(at, format!("undefined field '{name}'"))),
        }
    }

    /// `a.b.f(x)`, where `a.b.f` is a function and `a` no variable, is a call of it.
    fn make_global(&self, expr: &mut Expr) {
        let Kind::Call { function, target: Some(target), .. } = &expr.kind else { return };
        let Some(prefix) = qualified_name(target) else { return };
        let first = prefix.split('.').next().unwrap_or_default();
        if self.env.variable(first).is_some() || self.scopes.iter().any(|(name, _)| name == first) {
            return;
        }
        let name = format!("{prefix}.{function}");
        if overloads(&name).is_some()
            && let Kind::Call { function, target, .. } = &mut expr.kind
        {
            *function = name;
            *target = None;
        }
    }

    /// `a.b` is one variable where there is one so called.
    fn make_variable(&self, expr: &mut Expr) {
        if let Kind::Select { presence: false, .. } = &expr.kind
            && let Some(name) = qualified_name(expr)
            && self.env.variable(&name).is_some()
        {
            expr.kind = Kind::Ident(name);
        }
    }

    fn call(&mut self, id: usize, at: usize, function: &str, target: Option<Type>, args: Vec<Type>) -> Type {
        let Some(known) = overloads(function).filter(|_| self.env.knows(function)) else {
            return self.wrong(at, format!("undeclared reference to '{function}' (in container '')"));
        };
        let member = target.is_some();
        let args: Vec<Type> = target.into_iter().chain(args).collect();
        let mut result: Option<Type> = None;
        let mut fitting = Vec::new();
        for overload in known.iter().filter(|overload| overload.member == member && overload.args.len() == args.len()) {
            let Some(type_) = self.try_overload(overload, &args) else { continue };
            fitting.push(overload.id);
            result = Some(match result {
                None => type_,
                Some(so_far) if so_far == type_ => so_far,
                Some(_) => Type::Dyn,
            });
        }
        let Some(result) = result else {
            let args: Vec<String> = args.iter().map(|arg| self.bindings.resolved(arg, false).to_string()).collect();
            let signature = match args.split_first() {
                Some((target, rest)) if member => format!("{target}.({})", rest.join(", ")),
                _ => format!("({})", args.join(", ")),
            };
            return self.wrong(at, format!("found no matching overload for '{function}' applied to '{signature}'"));
        };
        self.found.overloads.insert(id, fitting);
        result
    }

    fn try_overload(&mut self, overload: &Overload, args: &[Type]) -> Option<Type> {
        self.uses += 1;
        let number = self.uses;
        let mark = self.bindings.mark();
        let mut pairs = args.iter().zip(&overload.args);
        let fits = pairs.all(|(given, asked)| self.bindings.assignable(given, &numbered(asked, number)));
        if !fits {
            self.bindings.forget(mark);
        }
        fits.then(|| self.bindings.resolved(&numbered(&overload.result, number), false))
    }

    fn fold(&mut self, fold: &mut Fold) -> Type {
        let range = self.visit(&mut fold.range);
        let init = self.visit(&mut fold.init);
        let (first, second) = match self.bindings.resolved(&range, false) {
            Type::List(items) if fold.second.is_some() => (Type::Int, Type::clone(&items)),
            Type::List(items) => (Type::clone(&items), Type::Dyn),
            Type::Map(keys, values) => (Type::clone(&keys), Type::clone(&values)),
            Type::Dyn | Type::Error | Type::Param(..) => (Type::Dyn, Type::Dyn),
            other => {
                let message = format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                (self.wrong(fold.range.at, message), Type::Error)
            }
        };
        let depth = self.scopes.len();
        self.scopes.push((fold.accumulator.clone(), init.clone()));
        self.scopes.push((fold.variable.clone(), first));
        if let Some(name) = &fold.second {
            self.scopes.push((name.clone(), second));
        }
        let condition = self.visit(&mut fold.condition);
        self.expect(fold.condition.at, &condition, &Type::Bool);
        let step = self.visit(&mut fold.step);
        self.expect(fold.step.at, &step, &init);
        self.scopes.truncate(depth + 1);
        let result = self.visit(&mut fold.result);
        self.scopes.truncate(depth);
        self.bindings.resolved(&result, false)
    }

    fn expect(&mut self, at: usize, found: &Type, expected: &Type) {
        if !self.bindings.assignable(found, expected) {
            let (found, expected) = (self.bindings.resolved(found, false), self.bindings.resolved(expected, false));
            self.wrong(at, format!("expected type '{expected}' but found '{found}'"));
        }
    }
}

fn qualified_name(expr: &Expr) -> Option<String> {
    match &expr.kind {
        Kind::Ident(name) => Some(name.clone()),
        Kind::Select { operand, field, presence: false } => Some(format!("{}.{field}", qualified_name(operand)?)),
        _ => None,
    }
}

fn literal_type(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Uint(_) => Type::Uint,
        Literal::Double(_) => Type::Double,
        Literal::String(_) => Type::String,
        Literal::Bytes(_) => Type::Bytes,
    }
}

/// The type that is called `name` in expressions.
pub(super) fn type_named(name: &str) -> Option<Type> {
    Some(match name {
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "list" => Type::list(Type::Dyn),
        "map" => Type::map(Type::Dyn, Type::Dyn),
        "null_type" => Type::Null,
        "type" => Type::Type(Arc::new(Type::Dyn)),
        "optional_type" => Type::optional(Type::Dyn),
        _ => return None,
    })
}
