//! Whether an object holds to the rules of its schema, in upstream's words.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use super::{Rule, Rules};
use crate::cel::{self, EvalError, MAX_MESSAGE, PER_CALL_LIMIT, Program};
use crate::field::{Error, Path};

/// What validating finds.
#[derive(Debug, Default)]
pub struct Found {
    /// The rules that do not hold.
    pub errors: Vec<Error>,
    /// Those that do not hold of what has not changed: it is let be.
    pub warnings: Vec<String>,
}

/// What a value was.
#[derive(Clone, Copy, Default)]
struct Before<'a> {
    /// What stood at the same place, where places can be told.
    old: Option<&'a Value>,
    /// The nearest value around it, now and then, where that can be told and this cannot.
    around: Option<(&'a Value, &'a Value)>,
}

impl<'a> Before<'a> {
    fn within(self, now: &'a Value, old: Option<&'a Value>) -> Self {
        match self.old {
            None => self,
            Some(own) => Self { old, around: Some((now, own)) },
        }
    }

    fn is_same(self, now: &Value) -> bool {
        match (self.old, self.around) {
            (Some(old), _) => old == now,
            (None, Some((now, old))) => now == old,
            (None, None) => false,
        }
    }
}

/// One validation: what it may still cost, and what it found.
struct Run {
    budget: i64,
    found: Found,
}

/// No further rule is looked at.
struct Over;

impl Rules {
    /// Which rules `object` breaks, which was `old`. All rules together may cost `budget`.
    pub fn validate(&self, object: &Value, old: Option<&Value>, budget: i64) -> Found {
        let mut run = Run { budget, found: Found::default() };
        let before = Before { old, around: None };
        let _ = run.visit(self, object, old, before, &Path::default(), true);
        run.found
    }
}

impl Run {
    fn visit<'a>(
        &mut self,
        rules: &'a Rules,
        value: &'a Value,
        old: Option<&'a Value>,
        before: Before<'a>,
        path: &Path,
        root: bool,
    ) -> Result<(), Over> {
        if value.is_null() {
            return Ok(());
        }
        self.own(rules, value, old, before, path)?;
        match value {
            Value::Array(items) => {
                let Some(below) = &rules.items else { return Ok(()) };
                for (index, item) in items.iter().enumerate() {
                    let counterpart = |old: Option<&'a Value>| rules.counterpart(item, old);
                    let before = before.within(value, counterpart(before.old));
                    self.visit(below, item, counterpart(old), before, &path.index(index), false)?;
                }
            }
            Value::Object(map) => {
                for (name, value_of) in map {
                    let (below, path) = match (&rules.additional, rules.properties.get(name)) {
                        (Some(below), _) => (&**below, path.key(name)),
                        (None, Some(below)) => (below, path.child(name)),
                        (None, None) => continue,
                    };
                    let of = |old: Option<&'a Value>| old?.get(name).filter(|_| rules.correlatable);
                    let before = match name.as_str() {
                        // They are of the version that is asked for, old and new.
                        "apiVersion" | "kind" if root => Before::default(),
                        _ => before.within(value, of(before.old)),
                    };
                    self.visit(below, value_of, of(old), before, &path, false)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn own(
        &mut self,
        rules: &Rules,
        value: &Value,
        old: Option<&Value>,
        before: Before<'_>,
        path: &Path,
    ) -> Result<(), Over> {
        if rules.own.is_empty() {
            return Ok(());
        }
        if self.budget <= 0 {
            return Err(self.out_of_budget(rules, path));
        }
        let declared = Some(&*rules.declared);
        let of = |value| cel::Value::of(value, declared);
        for rule in &rules.own {
            if rule.uses_old && old.is_none() && !rule.optional_old {
                continue;
            }
            let old_value = old.filter(|_| rule.uses_old).map(of).transpose();
            let values = of(value).and_then(|value| Ok((value, old_value?)));
            let (value_of, old_value) = match values {
                Ok(values) => values,
                Err(error) => {
                    self.refuse(rules, path, &format!("{error} evaluating rule: {}", rule.name));
                    continue;
                }
            };
            let mut variables = BTreeMap::from([("self", value_of)]);
            if rule.optional_old {
                variables.insert("oldSelf", cel::Value::Optional(old_value.map(Rc::new)));
            } else if let Some(old_value) = old_value {
                variables.insert("oldSelf", old_value);
            }
            let (answer, cost) = rule.program.evaluate(&variables, PER_CALL_LIMIT);
            let answer = match answer {
                Err(EvalError::CostLimit) => Err(EvalError::CostLimit),
                answer => {
                    self.budget -= i64::try_from(cost).unwrap_or(i64::MAX);
                    if self.budget < 0 {
                        return Err(self.out_of_budget(rules, path));
                    }
                    answer
                }
            };
            match answer {
                Ok(cel::Value::Bool(true)) => {}
                Ok(_) => {
                    let unchanged = !rule.uses_old && before.is_same(value);
                    self.broken(rules, rule, &variables, unchanged, path)?;
                }
                Err(error @ EvalError::CostLimit) => {
                    let detail = format!(
                        "'{error}': no further validation rules will be run due to call cost exceeds limit for rule: {}",
                        rule.name
                    );
                    self.refuse(rules, path, &detail);
                    return Err(Over);
                }
                Err(error) if error.to_string().starts_with("no such overload") => {
                    let detail = format!(
                        "'{error}': call arguments did not match a supported operator, function or macro signature for rule: {}",
                        rule.name
                    );
                    self.refuse(rules, path, &detail);
                }
                Err(error) => self.refuse(rules, path, &format!("{error} evaluating rule: {}", rule.name)),
            }
        }
        Ok(())
    }

    fn refuse(&mut self, rules: &Rules, path: &Path, detail: &str) {
        self.found.errors.push(Error::invalid(path, &rules.type_, detail));
    }

    fn out_of_budget(&mut self, rules: &Rules, path: &Path) -> Over {
        let detail = "validation failed due to running out of cost budget, no further validation rules will be run";
        self.refuse(rules, path, detail);
        Over
    }

    fn broken(
        &mut self,
        rules: &Rules,
        rule: &Rule,
        variables: &BTreeMap<&str, cel::Value<'_>>,
        unchanged: bool,
        path: &Path,
    ) -> Result<(), Over> {
        let path = if rule.field_path.is_empty() { path.clone() } else { path.child(&rule.field_path) };
        let own = || rule.message.clone().unwrap_or_else(|| format!("failed rule: {}", rule.name));
        let mut over = Ok(());
        let error = |detail: String| match rule.reason.as_str() {
            "FieldValueForbidden" => Error::forbidden(&path, detail),
            "FieldValueRequired" => Error::required(&path, detail),
            "FieldValueDuplicate" => Error::duplicate(&path, &rules.type_),
            _ => Error::invalid(&path, &rules.type_, detail),
        };
        let error = match &rule.message_expression {
            None => error(own()),
            Some((program, source)) => match self.message(program, source, variables) {
                Ok(Some(message)) => error(message),
                Ok(None) => error(own()),
                Err(why) => {
                    over = Err(Over);
                    Error::invalid(&path, &rules.type_, why)
                }
            },
        };
        match unchanged {
            true => self.found.warnings.push(error.to_string()),
            false => self.found.errors.push(error),
        }
        over
    }

    /// The message that an expression gives; `None` when it fails to, for then there is another.
    fn message(
        &mut self,
        program: &Program,
        source: &str,
        variables: &BTreeMap<&str, cel::Value<'_>>,
    ) -> Result<Option<String>, String> {
        let (answer, cost) = program.evaluate(variables, PER_CALL_LIMIT);
        if matches!(answer, Err(EvalError::CostLimit)) {
            return Err(format!(
                "no further validation rules will be run due to call cost exceeds limit for messageExpression: {source:?}"
            ));
        }
        self.budget -= i64::try_from(cost).unwrap_or(i64::MAX);
        if self.budget < 0 {
            let why = "messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run";
            return Err(why.to_owned());
        }
        let Ok(cel::Value::String(text)) = answer else { return Ok(None) };
        let text = text.trim();
        let fits = !text.is_empty() && text.len() <= MAX_MESSAGE && !text.contains('\n');
        Ok(fits.then(|| text.to_owned()))
    }
}

impl Rules {
    /// What `item` was in the list `old`, where its items are told apart by keys.
    fn counterpart<'a>(&self, item: &Value, old: Option<&'a Value>) -> Option<&'a Value> {
        let (keys, old) = (self.keys.as_ref()?, old?.as_array()?);
        old.iter().find(|other| keys.iter().all(|key| other.get(key) == item.get(key)))
    }
}
