//! The value of an expression, and what it costs (`cel-go`, `interpreter`).

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use regex::Regex;

use super::ast::{Expr, Fold, Kind, Literal, RESULT};
use super::error::EvalError;
use super::library::{self, Call};
use super::runtime_cost;
use super::types::Identity;
use super::value::{Key, List, Map, Text, Value};

/// The variables that an evaluation looks at.
pub trait Variables<'a> {
    /// The variable `name`; `None` when there is none.
    fn get(&self, name: &str) -> Option<Result<Value<'a>, EvalError>>;
}

impl<'a> Variables<'a> for BTreeMap<&str, Value<'a>> {
    fn get(&self, name: &str) -> Option<Result<Value<'a>, EvalError>> {
        Self::get(self, name).cloned().map(Ok)
    }
}

type Evaluated<'a> = Result<Value<'a>, EvalError>;

pub(super) struct Evaluator<'a, 'p> {
    pub variables: &'p dyn Variables<'a>,
    pub regexes: &'p HashMap<usize, Regex>,
    pub cost: u64,
    pub limit: u64,
    pub scopes: Vec<(&'p str, Value<'a>)>,
}

impl<'a, 'p> Evaluator<'a, 'p> {
    fn charge(&mut self, cost: u64) -> Result<(), EvalError> {
        self.cost = self.cost.saturating_add(cost);
        if self.cost > self.limit { Err(EvalError::CostLimit) } else { Ok(()) }
    }

    pub(super) fn value(&mut self, expr: &'p Expr) -> Evaluated<'a> {
        match &expr.kind {
            Kind::Literal(literal) => Ok(of_literal(literal)),
            Kind::Ident(name) => {
                self.charge(1)?;
                if let Some((_, value)) = self.scopes.iter().rev().find(|(scoped, _)| scoped == name) {
                    return match value {
                        Value::Failed(error) => Err(EvalError::clone(error)),
                        value => Ok(value.clone()),
                    };
                }
                if let Some(value) = self.variables.get(name) {
                    return value;
                }
                let type_ = super::check::type_named(name).map(Value::Type);
                type_.ok_or_else(|| EvalError::new(format!("no such attribute(s): {name}")))
            }
            Kind::Select { operand, field, presence } => {
                let of = match self.library_type(operand, field) {
                    Some(type_) => return Ok(type_),
                    None => self.value(operand)?,
                };
                if *presence {
                    return Ok(Value::Bool(present(&of, field)?));
                }
                self.charge(1)?;
                select(&of, field)
            }
            Kind::Call { function, target, args } => self.call(expr.id, function, target.as_deref(), args),
            Kind::List(items) => {
                let mut made = Vec::with_capacity(items.len());
                for item in items {
                    match (self.value(&item.value)?, item.optional) {
                        (Value::Optional(value), true) => made.extend(value.map(|value| Value::clone(&value))),
                        (value, _) => made.push(value),
                    }
                }
                self.charge(10)?;
                Ok(Value::list(made))
            }
            Kind::Map(entries) => {
                let mut made = BTreeMap::new();
                for entry in entries {
                    let key = self.value(&entry.key)?;
                    let key = Key::of(&key).ok_or_else(|| EvalError::new("unsupported key type"))?;
                    let value = match (self.value(&entry.value)?, entry.optional) {
                        (Value::Optional(None), true) => continue,
                        (Value::Optional(Some(value)), true) => Value::clone(&value),
                        (value, _) => value,
                    };
                    if made.insert(key.clone(), value).is_some() {
                        return Err(EvalError::new(format!("Failed with repeated key: {key}")));
                    }
                }
                self.charge(30)?;
                Ok(Value::Map(Map::Made(Rc::new(made))))
            }
            Kind::Struct { name, fields } => {
                let mut made = BTreeMap::new();
                for field in fields {
                    match (self.value(&field.value)?, field.optional) {
                        (Value::Optional(None), true) => {}
                        (Value::Optional(Some(value)), true) => {
                            drop(made.insert(field.name.clone(), Value::clone(&value)))
                        }
                        (value, _) => drop(made.insert(field.name.clone(), value)),
                    }
                }
                self.charge(40)?;
                if name == "JSONPatch" {
                    return Ok(Value::Patch(Rc::new(made)));
                }
                let entries = made.into_iter().map(|(name, value)| (Key::String(Text::Made(name.into())), value));
                Ok(Value::Map(Map::Made(Rc::new(entries.collect()))))
            }
            Kind::Fold(fold) if fold.is_bind() => {
                let init = self.value(&fold.init)?;
                self.scopes.push((&fold.accumulator, init));
                let result = self.value(&fold.result);
                self.scopes.pop();
                result
            }
            Kind::Fold(fold) => self.fold(fold),
        }
    }

    fn library_type(&self, operand: &Expr, field: &str) -> Option<Value<'a>> {
        let Kind::Ident(prefix) = &operand.kind else {
            let Kind::Select { operand, field: middle, .. } = &operand.kind else { return None };
            let Kind::Ident(first) = &operand.kind else { return None };
            return library::type_named(&format!("{first}.{middle}.{field}")).map(Value::Type);
        };
        library::type_named(&format!("{prefix}.{field}")).map(Value::Type)
    }

    fn call(&mut self, id: usize, function: &'p str, target: Option<&'p Expr>, args: &'p [Expr]) -> Evaluated<'a> {
        match (function, args) {
            ("_&&_", [left, right]) => return self.logical(left, right, false),
            ("_||_", [left, right]) => return self.logical(left, right, true),
            ("_?:_" | "_?_:_", [condition, truthy, falsy]) => {
                return match self.value(condition)? {
                    Value::Bool(true) => self.value(truthy),
                    Value::Bool(false) => self.value(falsy),
                    _ => Err(EvalError::no_overload()),
                };
            }
            ("@not_strictly_false", [arg]) => {
                let value = self.value(arg);
                self.charge(1)?;
                return match value {
                    Err(EvalError::CostLimit) => Err(EvalError::CostLimit),
                    value => Ok(Value::Bool(!matches!(value, Ok(Value::Bool(false))))),
                };
            }
            ("or" | "orValue", [alternative]) if target.is_some() => {
                let of = target.map(|target| self.value(target)).transpose()?;
                self.charge(1)?;
                return match (of, function) {
                    (Some(Value::Optional(None)), _) => self.value(alternative),
                    (Some(Value::Optional(Some(value))), "orValue") => Ok(Value::clone(&value)),
                    (Some(some @ Value::Optional(_)), _) => Ok(some),
                    _ => Err(EvalError::no_overload()),
                };
            }
            _ => {}
        }
        let mut values = Vec::with_capacity(args.len() + 1);
        for arg in target.into_iter().chain(args) {
            values.push(self.value(arg)?);
        }
        // Before it is done where that says how long it takes, for it might be long.
        if let Some(cost) = runtime_cost::before(function, &values) {
            self.charge(cost)?;
        }
        let call = Call { function, member: target.is_some(), regex: self.regexes.get(&id) };
        let result = library::call(&call, &values)?;
        if let Some(cost) = runtime_cost::after(function, &result) {
            self.charge(cost)?;
        }
        Ok(result)
    }

    /// `||` when `decisive`, else `&&`: what either side decides stands, though the other fail.
    fn logical(&mut self, left: &'p Expr, right: &'p Expr, decisive: bool) -> Evaluated<'a> {
        let left = match self.value(left) {
            Ok(Value::Bool(value)) if value == decisive => return Ok(Value::Bool(decisive)),
            Err(EvalError::CostLimit) => return Err(EvalError::CostLimit),
            left => left,
        };
        let right = match self.value(right) {
            Ok(Value::Bool(value)) if value == decisive => return Ok(Value::Bool(decisive)),
            Err(EvalError::CostLimit) => return Err(EvalError::CostLimit),
            right => right,
        };
        match (left?, right?) {
            (Value::Bool(_), Value::Bool(_)) => Ok(Value::Bool(!decisive)),
            _ => Err(EvalError::no_overload()),
        }
    }

    fn fold(&mut self, fold: &'p Fold) -> Evaluated<'a> {
        let range = self.value(&fold.range)?;
        let init = self.value(&fold.init)?;
        let depth = self.scopes.len();
        self.scopes.push((RESULT, init));
        let done = match &range {
            Value::List(list) => self.over_list(fold, list),
            Value::Map(map) => self.over_map(fold, map),
            _ => Err(EvalError::no_overload()),
        };
        self.scopes.truncate(depth + 1);
        let result = done.and_then(|()| self.value(&fold.result));
        self.scopes.truncate(depth);
        result
    }

    fn over_list(&mut self, fold: &'p Fold, list: &List<'a>) -> Result<(), EvalError> {
        for (index, item) in list.iter().enumerate() {
            let goes_on = match &fold.second {
                None => self.step(fold, item?, None)?,
                Some(_) => self.step(fold, Value::Int(i64::try_from(index).unwrap_or(i64::MAX)), Some(item?))?,
            };
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    fn over_map(&mut self, fold: &'p Fold, map: &Map<'a>) -> Result<(), EvalError> {
        for key in map.keys() {
            let value = match &fold.second {
                None => None,
                // A null field of an object is not there, but its name is.
                Some(_) => Some(map.get(&key).unwrap_or(Ok(Value::Null))?),
            };
            if !self.step(fold, key.value(), value)? {
                break;
            }
        }
        Ok(())
    }

    /// One turn of the loop; whether there is another.
    fn step(&mut self, fold: &'p Fold, first: Value<'a>, second: Option<Value<'a>>) -> Result<bool, EvalError> {
        if let Value::Bool(false) = self.value(&fold.condition)? {
            return Ok(false);
        }
        let depth = self.scopes.len();
        self.scopes.push((&fold.variable, first));
        if let (Some(name), Some(value)) = (&fold.second, second) {
            self.scopes.push((name, value));
        }
        let step = self.step_value(&fold.step, depth - 1);
        self.scopes.truncate(depth);
        match step {
            Ok(Some(value)) => self.scopes[depth - 1].1 = value,
            Ok(None) => {}
            // `all` and `exists` go on: a later item may decide in spite of it.
            Err(error)
                if matches!(&fold.init.kind, Kind::Literal(Literal::Bool(_))) && error != EvalError::CostLimit =>
            {
                self.scopes[depth - 1].1 = Value::Failed(Rc::new(error));
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// The accumulator after a step; `None` when it was changed where it stands. A list is built in
    /// place, or building it would take the square of its length.
    fn step_value(&mut self, step: &'p Expr, accumulator: usize) -> Result<Option<Value<'a>>, EvalError> {
        if let Kind::Call { function, target: None, args } = &step.kind {
            match (function.as_str(), &args[..]) {
                ("_?_:_", [condition, truthy, falsy]) if is_result(falsy) => {
                    return match self.value(condition)? {
                        Value::Bool(true) => self.step_value(truthy, accumulator),
                        Value::Bool(false) => self.charge(1).map(|()| None),
                        _ => Err(EvalError::no_overload()),
                    };
                }
                ("_+_", [so_far, Expr { kind: Kind::List(items), .. }]) if is_result(so_far) && items.len() == 1 => {
                    let item = self.value(&items[0].value)?;
                    self.charge(12)?;
                    let Value::List(List::Made(list, Identity::Place)) = &mut self.scopes[accumulator].1 else {
                        return Err(EvalError::no_overload());
                    };
                    Rc::make_mut(list).push(item);
                    return Ok(None);
                }
                ("cel.@mapInsert", [so_far, rest @ ..]) if is_result(so_far) => {
                    let values: Vec<Value<'a>> = rest.iter().map(|arg| self.value(arg)).collect::<Result<_, _>>()?;
                    self.charge(2)?;
                    let Value::Map(Map::Made(map)) = &mut self.scopes[accumulator].1 else {
                        return Err(EvalError::no_overload());
                    };
                    return insert(Rc::make_mut(map), &values).map(|()| None);
                }
                _ => {}
            }
        }
        self.value(step).map(Some)
    }
}

fn is_result(expr: &Expr) -> bool {
    matches!(&expr.kind, Kind::Ident(name) if name == RESULT)
}

fn insert<'a>(map: &mut BTreeMap<Key<'a>, Value<'a>>, values: &[Value<'a>]) -> Result<(), EvalError> {
    let mut add = |key: Key<'a>, value: Value<'a>| match map.insert(key.clone(), value) {
        None => Ok(()),
        Some(_) => Err(EvalError::new(format!("insert failed: key {key} already exists"))),
    };
    match values {
        [key, value] => add(Key::of(key).ok_or_else(|| EvalError::new("unsupported key type"))?, value.clone()),
        [Value::Map(entries)] => {
            for key in entries.keys() {
                let value = entries.get(&key).unwrap_or(Ok(Value::Null))?;
                add(key, value)?;
            }
            Ok(())
        }
        _ => Err(EvalError::no_overload()),
    }
}

fn of_literal<'a>(literal: &Literal) -> Value<'a> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(bool) => Value::Bool(*bool),
        Literal::Int(int) => Value::Int(*int),
        Literal::Uint(uint) => Value::Uint(*uint),
        Literal::Double(double) => Value::Double(*double),
        Literal::String(text) => Value::text(text.as_str()),
        Literal::Bytes(bytes) => Value::Bytes(bytes.as_slice().into()),
    }
}

/// The field `name` of `of`.
pub(super) fn select<'a>(of: &Value<'a>, name: &str) -> Evaluated<'a> {
    let missing = || EvalError::no_key(name);
    match of {
        Value::Map(map) => map.get(&Key::String(Text::Made(name.into()))).ok_or_else(missing)?,
        Value::Lazy(fields) => fields.field(name).ok_or_else(missing)?,
        Value::Optional(None) => Ok(Value::Optional(None)),
        Value::Optional(Some(of)) => {
            if present(of, name)? {
                Ok(Value::Optional(Some(Rc::new(select(of, name)?))))
            } else {
                Ok(Value::Optional(None))
            }
        }
        _ => Err(EvalError::no_overload()),
    }
}

/// Whether `of` has the field `name`.
pub(super) fn present(of: &Value<'_>, name: &str) -> Result<bool, EvalError> {
    match of {
        Value::Map(map) => Ok(map.get(&Key::String(Text::Made(name.into()))).is_some()),
        Value::Lazy(fields) => Ok(fields.field(name).is_some()),
        Value::Optional(None) => Ok(false),
        Value::Optional(Some(of)) => present(of, name),
        _ => Err(EvalError::no_overload()),
    }
}
