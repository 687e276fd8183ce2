//! The most that an expression can cost, whatever the object (`cel-go`, `checker/cost.go`;
//! `k8s.io/apiserver/pkg/cel/library/cost.go`). The numbers are part of the API: they say which
//! rules a CustomResourceDefinition may have.

use std::collections::HashMap;

use super::Env;
use super::ast::{Expr, Fold, Kind, Literal};
use super::check::Types;
use super::runtime_cost::{AUTHORIZATION, COMPARISON, NEW_LIST, REGEX, TRAVERSAL, scaled};
use super::types::{Declared, Shape, Type};

/// The least and the most, of a size or a cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The least.
    pub min: u64,
    /// The most; `u64::MAX` when there is no bound.
    pub max: u64,
}

impl Range {
    const NONE: Self = Self::exactly(0);
    const UNKNOWN: Self = Self { min: 0, max: u64::MAX };

    const fn exactly(number: u64) -> Self {
        Self { min: number, max: number }
    }

    fn plus(self, other: Self) -> Self {
        Self { min: self.min.saturating_add(other.min), max: self.max.saturating_add(other.max) }
    }

    fn times(self, other: Self) -> Self {
        Self { min: self.min.saturating_mul(other.min), max: self.max.saturating_mul(other.max) }
    }

    fn scaled(self, factor: f64) -> Self {
        Self { min: scaled(self.min, factor), max: scaled(self.max, factor) }
    }

    fn or(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

/// Of a list or map: the sizes of its keys and of its values.
type Entries = (Range, Range);

struct Local {
    name: String,
    path: Option<Vec<String>>,
    size: Option<Range>,
    entries: Option<Entries>,
}

pub(super) struct Estimator<'a> {
    env: &'a Env,
    types: &'a Types,
    locals: Vec<Local>,
    paths: HashMap<usize, Vec<String>>,
    sizes: HashMap<usize, Range>,
    entries: HashMap<usize, Entries>,
}

impl<'a> Estimator<'a> {
    pub(super) fn new(env: &'a Env, types: &'a Types) -> Self {
        let (paths, sizes, entries) = Default::default();
        Self { env, types, locals: Vec::new(), paths, sizes, entries }
    }

    pub(super) fn cost(&mut self, expr: &Expr) -> Range {
        match &expr.kind {
            Kind::Literal(_) => Range::NONE,
            Kind::Ident(name) => {
                let path = self.path_of(expr).unwrap_or_else(|| vec![name.clone()]);
                self.paths.insert(expr.id, path);
                Range::exactly(1)
            }
            Kind::Select { operand, presence: true, .. } => self.cost(operand),
            Kind::Select { operand, field, .. } => {
                let cost = self.cost(operand);
                if let Some(mut path) = self.path_of(operand) {
                    path.push(field.clone());
                    self.paths.insert(expr.id, path);
                }
                let known = matches!(self.type_of(operand), Type::Map(..) | Type::Object(_) | Type::Param(..));
                if known { cost.plus(Range::exactly(1)) } else { cost }
            }
            Kind::Call { function, target, args } => self.call(expr, function, target.as_deref(), args),
            Kind::List(items) => {
                let (mut cost, mut size) = (Range::exactly(10), Range { min: u64::MAX, max: 0 });
                for item in items {
                    cost = cost.plus(self.cost(&item.value));
                    size = size.or(self.size_or_unknown(&item.value));
                }
                let size = if items.is_empty() { Range::NONE } else { size };
                self.entries.insert(expr.id, (Range::exactly(1), size));
                cost
            }
            Kind::Map(entries) => {
                let (mut cost, mut sizes) = (Range::exactly(30), [Range { min: u64::MAX, max: 0 }; 2]);
                for entry in entries {
                    for (part, size) in [&entry.key, &entry.value].into_iter().zip(&mut sizes) {
                        cost = cost.plus(self.cost(part));
                        *size = size.or(self.size_or_unknown(part));
                    }
                }
                let [keys, values] = if entries.is_empty() { [Range::NONE; 2] } else { sizes };
                self.entries.insert(expr.id, (keys, values));
                cost
            }
            Kind::Struct { fields, .. } => {
                fields.iter().fold(Range::exactly(40), |cost, field| cost.plus(self.cost(&field.value)))
            }
            Kind::Fold(fold) if fold.is_bind() => self.bind(expr, fold),
            Kind::Fold(fold) => self.fold(expr, fold),
        }
    }

    fn type_of(&self, expr: &Expr) -> Type {
        self.types.types.get(&expr.id).cloned().unwrap_or(Type::Dyn)
    }

    fn path_of(&self, expr: &Expr) -> Option<Vec<String>> {
        if let Kind::Ident(name) = &expr.kind
            && let Some(local) = self.locals.iter().rev().find(|local| local.name == *name)
        {
            return local.path.clone();
        }
        self.paths.get(&expr.id).cloned()
    }

    fn bind(&mut self, expr: &Expr, fold: &Fold) -> Range {
        let cost = self.cost(&fold.range).plus(self.cost(&fold.init));
        let (path, size, entries) = (self.path_of(&fold.init), self.size(&fold.init), self.entries_of(&fold.init));
        self.locals.push(Local { name: fold.accumulator.clone(), path, size, entries });
        let cost = cost.plus(self.cost(&fold.result));
        if let Some(size) = self.size(&fold.result) {
            self.sizes.insert(expr.id, size);
        }
        if let Some(entries) = self.entries_of(&fold.result) {
            self.entries.insert(expr.id, entries);
        }
        self.locals.pop();
        cost
    }

    fn fold(&mut self, expr: &Expr, fold: &Fold) -> Range {
        let cost = self.cost(&fold.range).plus(self.cost(&fold.init));
        let depth = self.locals.len();
        let (size, entries) = (self.size(&fold.init), self.entries_of(&fold.init));
        self.locals.push(Local { name: fold.accumulator.clone(), path: None, size, entries });
        let (of, path) = (self.entries_of(&fold.range), self.path_of(&fold.range));
        let is_list = matches!(self.type_of(&fold.range), Type::List(_));
        let mut push = |name: &str, part: &str, size: Option<Range>| {
            let path = path.clone().map(|mut path| {
                path.push(part.to_owned());
                path
            });
            self.locals.push(Local { name: name.to_owned(), path, size, entries: None });
        };
        let (keys, values) = (of.map(|(keys, _)| keys), of.map(|(_, values)| values));
        let value_part = if is_list { "@items" } else { "@values" };
        match &fold.second {
            Some(second) => {
                push(&fold.variable, if is_list { "@indices" } else { "@keys" }, keys);
                push(second, value_part, values);
            }
            None if is_list => push(&fold.variable, "@items", values),
            None => push(&fold.variable, "@keys", keys),
        }
        let turn = self.cost(&fold.condition).plus(self.cost(&fold.step));
        self.locals.truncate(depth + 1);
        let result = self.cost(&fold.result);
        let turns = self.size_or_unknown(&fold.range);
        match &fold.init.kind {
            Kind::Literal(_) => drop(self.size(&fold.init).map(|size| self.sizes.insert(expr.id, size))),
            _ => {
                self.sizes.insert(expr.id, turns);
                if let Some(entries) = self.entries_of(&fold.step) {
                    self.entries.insert(expr.id, entries);
                }
            }
        }
        self.locals.truncate(depth);
        cost.plus(result).plus(turns.times(turn))
    }

    fn call(&mut self, expr: &Expr, function: &str, target: Option<&Expr>, args: &[Expr]) -> Range {
        let costs: Vec<Range> = args.iter().map(|arg| self.cost(arg)).collect();
        let all = costs.iter().fold(Range::NONE, |sum, cost| sum.plus(*cost));
        if function == "dyn" {
            if let Some(size) = args.first().and_then(|arg| self.size(arg)) {
                self.sizes.insert(expr.id, size);
            }
            return all.plus(Range::exactly(1));
        }
        let own = target.map_or(Range::NONE, |target| self.cost(target));
        let types = self.types;
        let fallback = [function];
        let overloads: &[&str] = match types.overloads.get(&expr.id) {
            Some(overloads) => overloads,
            None => &fallback,
        };
        let (mut cost, mut size) = (None::<Range>, None::<Range>);
        for overload in overloads {
            let estimate = self.overload(expr, function, overload, target, args, &costs);
            let its = if estimate.whole { estimate.cost } else { estimate.cost.plus(all) };
            cost = Some(cost.map_or(its, |cost| Range { min: cost.min.min(its.min), max: cost.max.max(its.max) }));
            size = match (size, estimate.size) {
                (Some(size), Some(other)) => Some(size.or(other)),
                (size, other) => size.or(other),
            };
            let part = match *overload {
                "index_list" => "@items",
                "index_map" => "@values",
                _ => continue,
            };
            size = self.entries_of(&args[0]).map(|(_, values)| values);
            if let Some(mut path) = self.path_of(&args[0]) {
                path.push(part.to_owned());
                self.paths.insert(expr.id, path);
            }
        }
        if let Some(size) = size.or_else(|| self.size(expr)) {
            self.sizes.insert(expr.id, size);
        }
        own.plus(cost.unwrap_or(Range::NONE))
    }

    fn overload(
        &mut self,
        expr: &Expr,
        function: &str,
        overload: &str,
        target: Option<&Expr>,
        args: &[Expr],
        costs: &[Range],
    ) -> Estimate {
        if let Some(estimate) = self.library(function, overload, target, args) {
            return estimate;
        }
        let size = |this: &mut Self, index: usize| this.size_or_unknown(&args[index]);
        let one = Range::exactly(1);
        match (overload, target) {
            ("string_to_bytes", _) => {
                let size = size(self, 0);
                Estimate::sized(size.scaled(TRAVERSAL), Range { min: size.min, max: size.max.saturating_mul(4) })
            }
            ("bytes_to_string", _) => {
                let size = size(self, 0);
                Estimate::sized(size.scaled(TRAVERSAL), Range { min: size.min / 4, max: size.max })
            }
            ("strings_quote", _) => {
                let size = size(self, 0);
                let quoted =
                    Range { min: size.min.saturating_add(2), max: size.max.saturating_mul(2).saturating_add(2) };
                Estimate::sized(size.scaled(TRAVERSAL), quoted)
            }
            ("string_format", Some(target)) => Estimate::of(self.size_or_unknown(target).scaled(TRAVERSAL)),
            ("starts_with_string" | "ends_with_string", _) => Estimate::of(size(self, 0).scaled(TRAVERSAL)),
            ("in_list", _) => Estimate::of(size(self, 1)),
            ("matches_string", Some(target)) => {
                let text = self.size_or_unknown(target).plus(one).scaled(TRAVERSAL);
                Estimate::of(text.times(size(self, 0).scaled(REGEX)))
            }
            ("contains_string", Some(target)) => {
                let text = self.size_or_unknown(target).scaled(TRAVERSAL);
                Estimate::of(text.times(size(self, 0).scaled(TRAVERSAL)))
            }
            ("logical_and" | "logical_or", _) => {
                Estimate::whole(Range { min: costs[0].min, max: costs[0].plus(costs[1]).max }, None)
            }
            ("conditional", _) => {
                let size = size(self, 1).or(size(self, 2));
                if let (Some(a), Some(b)) = (self.entries_of(&args[1]), self.entries_of(&args[2])) {
                    self.entries.insert(expr.id, (a.0.or(b.0), a.1.or(b.1)));
                }
                Estimate::whole(costs[0].plus(costs[1].or(costs[2])), Some(size))
            }
            ("add_string" | "add_bytes" | "add_list", _) => {
                let size = size(self, 0).plus(size(self, 1));
                if let (Some(a), Some(b)) = (self.entries_of(&args[0]), self.entries_of(&args[1])) {
                    self.entries.insert(expr.id, (a.0.or(b.0), a.1.or(b.1)));
                }
                let cost = if overload == "add_list" { one } else { size.scaled(TRAVERSAL) };
                Estimate::sized(cost, size)
            }
            (
                "equals"
                | "not_equals"
                | "less_string"
                | "greater_string"
                | "less_equals_string"
                | "greater_equals_string"
                | "less_bytes"
                | "greater_bytes"
                | "less_equals_bytes"
                | "greater_equals_bytes",
                _,
            ) => {
                let most = size(self, 0).max.min(size(self, 1).max);
                Estimate::of(Range { min: u64::from(most > 0), max: most }.scaled(TRAVERSAL))
            }
            _ => Estimate::of(one),
        }
    }

    /// What the functions of Kubernetes' libraries cost.
    fn library(&mut self, function: &str, overload: &str, target: Option<&Expr>, args: &[Expr]) -> Option<Estimate> {
        let one = Range::exactly(1);
        let first = args.first().map(|arg| self.size_or_unknown(arg));
        Some(match function {
            "check" => Estimate::of(Range::exactly(AUTHORIZATION)),
            "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => self.through_list(target?),
            "slice" => {
                let most = self.size_or_unknown(target?).max;
                let (from, to) = (literal(args.first(), 0), literal(args.get(1), most));
                Estimate::list(1.0, Range::exactly(to.saturating_sub(from)))
            }
            "lists.range" => Estimate::list(1.0, Range::exactly(literal(args.first(), u64::MAX))),
            "reverse" => Estimate::list(1.0, self.size_or_unknown(target?)),
            "flatten" => {
                let depth = args.first().map_or(1, |depth| literal(Some(depth), u64::MAX));
                let size = self.size_or_unknown(target?);
                Estimate::sized(size.times(Range::exactly(depth)).plus(Range::exactly(NEW_LIST)), size)
            }
            "distinct" => {
                let size = self.size_or_unknown(target?);
                Estimate::list(COMPARISON, size.times(size))
            }
            "sort" | "@sortByAssociatedKeys" => {
                let size = self.size_or_unknown(if function == "sort" { target? } else { args.first()? });
                let texts = overload.starts_with("list_string_") || overload.starts_with("list_bytes_");
                Estimate::list(if texts { COMPARISON + TRAVERSAL } else { COMPARISON }, size.times(size))
            }
            "url" | "cidr" | "isIP" | "isCIDR" | "quantity" | "isQuantity" | "semver" | "isSemver" => {
                Estimate::of(first?.scaled(TRAVERSAL))
            }
            "lowerAscii" | "upperAscii" | "substring" | "trim" => {
                let size = self.size_or_unknown(target?);
                Estimate::sized(size.scaled(TRAVERSAL), size)
            }
            "replace" => self.replace(target?, args),
            "split" => {
                let size = self.size_or_unknown(target?);
                let most = match args.get(1).map(|count| &count.kind) {
                    Some(Kind::Literal(Literal::Int(count))) => u64::try_from(*count).unwrap_or(size.max),
                    _ => size.max,
                };
                Estimate::sized(size.scaled(2.0 * TRAVERSAL), Range { min: 0, max: most })
            }
            "join" => self.join(target?, first),
            "find" | "findAll" => {
                let size = self.size_or_unknown(target?);
                let cost = size.plus(one).scaled(TRAVERSAL).times(first?.scaled(REGEX));
                Estimate::sized(cost, Range { min: 0, max: size.max })
            }
            "ip" if overload == "string_to_ip" => Estimate::of(first?.scaled(TRAVERSAL)),
            "ip.isCanonical" => Estimate::of(first?.scaled(2.0 * TRAVERSAL)),
            "validate" => Estimate::of(first?.scaled(TRAVERSAL)),
            "containsIP" | "containsCIDR" => {
                let size = Range { min: 4, max: 16 };
                let mut cost = size.plus(size).scaled(TRAVERSAL);
                if function == "containsCIDR" {
                    cost = cost.plus(size.scaled(TRAVERSAL)).plus(one);
                }
                if overload.ends_with("_string") {
                    cost = cost.plus(first?.scaled(TRAVERSAL));
                }
                Estimate::of(cost)
            }
            "sets.contains" | "sets.intersects" | "sets.equivalent" => {
                let product = first?.times(self.size_or_unknown(&args[1]));
                let product = if function == "sets.equivalent" { product.times(Range::exactly(2)) } else { product };
                Estimate::of(product.plus(one))
            }
            _ => return None,
        })
    }

    fn through_list(&mut self, target: &Expr) -> Estimate {
        let size = self.size_or_unknown(target);
        let Type::List(items) = self.type_of(target) else { return Estimate::of(size.scaled(TRAVERSAL)) };
        let mut each = Range::exactly(1);
        if matches!(*items, Type::String | Type::Bytes) {
            each = each.plus(self.items_size(target).scaled(TRAVERSAL));
        }
        Estimate::of(size.times(each))
    }

    fn items_size(&self, list: &Expr) -> Range {
        let path = self.path_of(list).map(|mut path| {
            path.push("@items".to_owned());
            path
        });
        path.and_then(|path| self.declared_size(&path)).unwrap_or(Range::UNKNOWN)
    }

    fn join(&mut self, target: &Expr, separator: Option<Range>) -> Estimate {
        let count = self.size_or_unknown(target);
        let mut size = count.times(self.items_size(target));
        if let Some(separator) = separator {
            let between = Range { min: count.min.saturating_sub(1), max: count.max.saturating_sub(1) };
            size = size.plus(separator.times(between));
        }
        Estimate::sized(size.scaled(TRAVERSAL), size)
    }

    fn replace(&mut self, target: &Expr, args: &[Expr]) -> Estimate {
        let size = self.size_or_unknown(target);
        let (what, with) = (self.size_or_unknown(&args[0]), self.size_or_unknown(&args[1]));
        // How often at most, and how much of the text stays beside.
        let (most, kept) = match what.min {
            0 => (size.max.saturating_add(1), size.max),
            least if with.max <= least => (0, size.max),
            least => (size.max.div_ceil(least), 0),
        };
        let (fewest, least) = match what.max {
            0 => (size.min.saturating_add(1), size.min),
            longest if longest <= with.min => (0, size.min),
            longest => (size.min.div_ceil(longest), 0),
        };
        let result = Range { min: fewest, max: most }.times(with).plus(Range { min: least, max: kept });
        Estimate::sized(size.scaled(2.0 * TRAVERSAL), result)
    }

    fn size_or_unknown(&mut self, expr: &Expr) -> Range {
        self.size(expr).unwrap_or(Range::UNKNOWN)
    }

    fn size(&mut self, expr: &Expr) -> Option<Range> {
        if let Some(size) = self.sizes.get(&expr.id) {
            return Some(*size);
        }
        let plain = match &expr.kind {
            Kind::Literal(Literal::String(text)) => Some(text.chars().count()),
            Kind::Literal(Literal::Bytes(bytes)) => Some(bytes.len()),
            Kind::Literal(_) => Some(1),
            Kind::List(items) => Some(items.len()),
            Kind::Map(entries) => Some(entries.len()),
            _ => None,
        };
        if let Some(plain) = plain {
            return Some(Range::exactly(plain as u64));
        }
        if let Some(size) = self.path_of(expr).and_then(|path| self.declared_size(&path)) {
            return Some(size);
        }
        if matches!(
            self.type_of(expr),
            Type::Bool | Type::Int | Type::Uint | Type::Double | Type::Null | Type::Duration | Type::Timestamp
        ) {
            return Some(Range::exactly(1));
        }
        match &expr.kind {
            Kind::Ident(name) => self.locals.iter().rev().find(|local| local.name == *name)?.size,
            _ => None,
        }
    }

    fn entries_of(&self, expr: &Expr) -> Option<Entries> {
        if let Some(entries) = self.entries.get(&expr.id) {
            return Some(*entries);
        }
        match &expr.kind {
            Kind::Ident(name) => self.locals.iter().rev().find(|local| local.name == *name)?.entries,
            _ => None,
        }
    }

    /// What the schema says of the size of that which stands at `path`.
    fn declared_size(&self, path: &[String]) -> Option<Range> {
        let (variable, steps) = path.split_first()?;
        let mut at: &Declared = self.env.declared(variable)?;
        for step in steps {
            at = match (&at.shape, step.as_str()) {
                (Shape::List(items), "@items") => items,
                (Shape::Map(values), "@values") => values,
                (Shape::Map(_), "@keys") => return Some(Range { min: 0, max: u64::MAX >> 1 }),
                (Shape::Object(fields), name) => fields.fields.get(name)?,
                // The attributes of a device are as large as any, whatever they are called.
                (Shape::Map(values), _) if matches!(values.shape, Shape::Scalar(Type::Dyn)) => values,
                _ => return None,
            };
        }
        Some(Range { min: 0, max: at.most })
    }
}

/// The whole number that an argument is, where the source says it.
fn literal(arg: Option<&Expr>, otherwise: u64) -> u64 {
    match arg.map(|arg| &arg.kind) {
        Some(Kind::Literal(Literal::Int(number))) => u64::try_from(*number).unwrap_or(otherwise),
        _ => otherwise,
    }
}

struct Estimate {
    cost: Range,
    size: Option<Range>,
    /// Whether the cost has those of the arguments in it.
    whole: bool,
}

impl Estimate {
    fn of(cost: Range) -> Self {
        Self { cost, size: None, whole: false }
    }

    fn sized(cost: Range, size: Range) -> Self {
        Self { cost, size: Some(size), whole: false }
    }

    /// Of a call that makes a list of about that size.
    fn list(factor: f64, size: Range) -> Self {
        Self::sized(size.scaled(factor).plus(Range::exactly(NEW_LIST)), size)
    }

    fn whole(cost: Range, size: Option<Range>) -> Self {
        Self { cost, size, whole: true }
    }
}
