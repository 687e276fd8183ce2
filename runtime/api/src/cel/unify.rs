//! Whether a value of one type may stand where another is asked for, and what type parameters are
//! then (`cel-go`, `checker/types.go`).

use std::collections::HashMap;
use std::sync::Arc;

use super::types::Type;

/// What type parameters stand for.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    known: HashMap<(char, u32), Type>,
    /// What was known before each change, so that it can be taken back.
    before: Vec<((char, u32), Option<Type>)>,
}

impl Bindings {
    /// A point to go back to.
    pub(super) fn mark(&self) -> usize {
        self.before.len()
    }

    /// Forgets what was learned since `mark`.
    pub(super) fn forget(&mut self, mark: usize) {
        for (parameter, type_) in self.before.drain(mark..).rev() {
            match type_ {
                Some(type_) => drop(self.known.insert(parameter, type_)),
                None => drop(self.known.remove(&parameter)),
            }
        }
    }

    fn learn(&mut self, parameter: (char, u32), type_: Type) {
        let before = self.known.insert(parameter, type_);
        self.before.push((parameter, before));
    }

    /// Whether `given` may stand where `asked` is; what is learned of parameters is kept, even when
    /// it may not.
    pub(super) fn assignable(&mut self, given: &Type, asked: &Type) -> bool {
        if let Type::Param(name, number) = asked
            && let Some(answer) = self.bind((*name, *number), given)
        {
            return answer;
        }
        if let Type::Param(name, number) = given
            && let Some(answer) = self.bind((*name, *number), asked)
        {
            return answer;
        }
        match (given, asked) {
            (Type::Dyn | Type::Error, _) | (_, Type::Dyn | Type::Error) => true,
            (Type::Null, Type::Object(_) | Type::Opaque(..) | Type::Duration | Type::Timestamp) => true,
            (Type::List(a), Type::List(b)) => self.assignable(a, b),
            (Type::Map(a, x), Type::Map(b, y)) => self.assignable(a, b) && self.assignable(x, y),
            (Type::Opaque(a, Some(x)), Type::Opaque(b, Some(y))) => a == b && self.assignable(x, y),
            (Type::Type(_), Type::Type(_)) => true,
            _ => given == asked,
        }
    }

    /// Whether the parameter may be `other`; `None` where they are the same.
    fn bind(&mut self, parameter: (char, u32), other: &Type) -> Option<bool> {
        if *other == Type::Param(parameter.0, parameter.1) {
            return Some(true);
        }
        if let Some(known) = self.known.get(&parameter).cloned() {
            if !self.assignable(other, &known) {
                return Some(false);
            }
            self.learn(parameter, general(&known, other));
            return Some(true);
        }
        if self.mentions(other, parameter) {
            return Some(false);
        }
        self.learn(parameter, other.clone());
        Some(true)
    }

    fn mentions(&self, type_: &Type, parameter: (char, u32)) -> bool {
        match type_ {
            Type::Param(name, number) if (*name, *number) == parameter => true,
            Type::Param(name, number) => {
                self.known.get(&(*name, *number)).is_some_and(|of| self.mentions(of, parameter))
            }
            Type::List(of) | Type::Opaque(_, Some(of)) | Type::Type(of) => self.mentions(of, parameter),
            Type::Map(keys, values) => self.mentions(keys, parameter) || self.mentions(values, parameter),
            _ => false,
        }
    }

    /// The type with what is known of its parameters; with `last` those of which nothing is known
    /// are any type.
    pub(super) fn resolved(&self, type_: &Type, last: bool) -> Type {
        let inner = |of: &Arc<Type>| Arc::new(self.resolved(of, last));
        match type_ {
            Type::Param(name, number) => match self.known.get(&(*name, *number)) {
                Some(known) => self.resolved(known, last),
                None if last => Type::Dyn,
                None => type_.clone(),
            },
            Type::List(of) => Type::List(inner(of)),
            Type::Opaque(name, of) => Type::Opaque(name, of.as_ref().map(inner)),
            Type::Type(of) => Type::Type(inner(of)),
            Type::Map(keys, values) => Type::Map(inner(keys), inner(values)),
            _ => type_.clone(),
        }
    }
}

/// That of two types which says less.
pub(super) fn general(left: &Type, right: &Type) -> Type {
    if says_less(left, right) { left.clone() } else { right.clone() }
}

fn says_less(left: &Type, right: &Type) -> bool {
    match (left, right) {
        (Type::Dyn | Type::Param(..), _) => true,
        (_, Type::Dyn | Type::Param(..)) => false,
        (Type::Null, _) => false,
        (_, Type::Null) => true,
        (Type::List(a), Type::List(b)) | (Type::Opaque(_, Some(a)), Type::Opaque(_, Some(b))) => says_less(a, b),
        (Type::Map(a, x), Type::Map(b, y)) => says_less(a, b) && says_less(x, y),
        _ => left == right,
    }
}

/// The type with its parameters numbered `number`, so that two uses of a function do not mix.
pub(super) fn numbered(type_: &Type, number: u32) -> Type {
    let inner = |of: &Arc<Type>| Arc::new(numbered(of, number));
    match type_ {
        Type::Param(name, _) => Type::Param(*name, number),
        Type::List(of) => Type::List(inner(of)),
        Type::Opaque(name, of) => Type::Opaque(name, of.as_ref().map(inner)),
        Type::Type(of) => Type::Type(inner(of)),
        Type::Map(keys, values) => Type::Map(inner(keys), inner(values)),
        _ => type_.clone(),
    }
}
