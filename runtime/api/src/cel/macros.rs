//! Macros: calls that stand for loops, bindings and tests of presence
//! (<https://github.com/google/cel-spec/blob/master/doc/langdef.md#macros>, and the two-variable
//! comprehensions and optional values of `cel-go`).

use super::ast::{Entry, Expr, Fold, Item, Kind, Literal, RESULT};
use super::parse::Maker;
use super::problem::Problem;

type Made = Result<Expr, Problem>;

/// A call of `name`, or what it stands for.
pub(super) fn global(maker: &mut Maker, at: usize, name: &str, mut args: Vec<Expr>) -> Made {
    if name == "has" && args.len() == 1 {
        let arg = args.remove(0);
        let Kind::Select { operand, field, .. } = arg.kind else {
            return Err(Problem::new(arg.at, "invalid argument to has() macro"));
        };
        return Ok(maker.make(at, Kind::Select { operand, field, presence: true }));
    }
    Ok(maker.call(at, name, args))
}

/// A call of `name` on `target`, or what it stands for.
pub(super) fn member(maker: &mut Maker, at: usize, target: Expr, name: &str, args: Vec<Expr>) -> Made {
    let is_cel = matches!(&target.kind, Kind::Ident(name) if name == "cel");
    match (name, args.len()) {
        ("bind", 3) if is_cel => bind(maker, at, args),
        ("all" | "exists" | "exists_one" | "existsOne" | "filter" | "map", 2) | ("map", 3) => {
            Loop { maker, at }.expand(target, name, args, false)
        }
        ("all" | "exists" | "exists_one" | "existsOne", 3)
        | ("transformList" | "transformMap" | "transformMapEntry", 3 | 4) => {
            Loop { maker, at }.expand(target, name, args, true)
        }
        ("sortBy", 2) => sort_by(maker, at, target, args),
        ("optMap" | "optFlatMap", 2) => optional(maker, at, target, name, args),
        _ => Ok(maker.member(at, target, name, args)),
    }
}

fn variable(expr: &Expr) -> Result<String, Problem> {
    match &expr.kind {
        Kind::Ident(name) => Ok(name.clone()),
        _ => Err(Problem::new(expr.at, "argument must be a simple name")),
    }
}

fn bound(maker: &mut Maker, at: usize, name: String, init: Expr, result: Expr) -> Expr {
    let fold = Fold {
        range: maker.make(at, Kind::List(Vec::new())),
        variable: "#unused".to_owned(),
        second: None,
        init,
        condition: maker.literal(at, Literal::Bool(false)),
        step: maker.ident(at, &name),
        accumulator: name,
        result,
    };
    maker.make(at, Kind::Fold(Box::new(fold)))
}

fn bind(maker: &mut Maker, at: usize, args: Vec<Expr>) -> Made {
    let [name, init, result] = <[Expr; 3]>::try_from(args).expect("the caller counted them");
    let Kind::Ident(name) = name.kind else {
        return Err(Problem::new(name.at, "cel.bind() variable names must be simple identifiers"));
    };
    Ok(bound(maker, at, name, init, result))
}

/// What is sorted, while its keys are reckoned.
const SORTED: &str = "@__sortBy_input__";

fn sort_by(maker: &mut Maker, at: usize, target: Expr, args: Vec<Expr>) -> Made {
    let input = maker.ident(at, SORTED);
    let keys = Loop { maker, at }.expand(input, "map", args, false)?;
    let input = maker.ident(at, SORTED);
    let sorted = maker.member(at, input, "@sortByAssociatedKeys", vec![keys]);
    Ok(bound(maker, at, SORTED.to_owned(), target, sorted))
}

fn optional(maker: &mut Maker, at: usize, target: Expr, macro_: &str, args: Vec<Expr>) -> Made {
    let [name, mapped] = <[Expr; 2]>::try_from(args).expect("the caller counted them");
    let Kind::Ident(name) = name.kind else {
        return Err(Problem::new(name.at, format!("{macro_}() variable name must be a simple identifier")));
    };
    let test = maker.member(at, target.clone(), "hasValue", Vec::new());
    let value = maker.member(at, target, "value", Vec::new());
    let some = bound(maker, at, name, value, mapped);
    let some = if macro_ == "optMap" { maker.call(at, "optional.of", vec![some]) } else { some };
    let none = maker.call(at, "optional.none", Vec::new());
    Ok(maker.call(at, "_?_:_", vec![test, some, none]))
}

struct Loop<'a> {
    maker: &'a mut Maker,
    at: usize,
}

impl Loop<'_> {
    fn result(&mut self) -> Expr {
        self.maker.ident(self.at, RESULT)
    }

    fn bool(&mut self, value: bool) -> Expr {
        self.maker.literal(self.at, Literal::Bool(value))
    }

    fn number(&mut self, value: i64) -> Expr {
        self.maker.literal(self.at, Literal::Int(value))
    }

    fn call(&mut self, function: &str, args: Vec<Expr>) -> Expr {
        self.maker.call(self.at, function, args)
    }

    /// `step` where `filter` holds, else what there is.
    fn when(&mut self, filter: Option<Expr>, step: Expr) -> Expr {
        match filter {
            None => step,
            Some(filter) => {
                let kept = self.result();
                self.call("_?_:_", vec![filter, step, kept])
            }
        }
    }

    fn appended(&mut self, value: Expr) -> Expr {
        let list = self.maker.make(self.at, Kind::List(vec![Item { value, optional: false }]));
        let result = self.result();
        self.call("_+_", vec![result, list])
    }

    fn expand(&mut self, range: Expr, name: &str, args: Vec<Expr>, two: bool) -> Made {
        let mut args = args.into_iter();
        let mut next = || args.next().expect("the caller counted them");
        let first = next();
        let variable_name = variable(&first)?;
        let second = if two { Some(variable(&next())?) } else { None };
        if variable_name == RESULT || second.as_ref() == Some(&variable_name) {
            return Err(Problem::new(first.at, "iteration variable overwrites accumulator variable"));
        }
        let rest: Vec<Expr> = args.collect();
        let [init, condition, step, result] = self.parts(name, &variable_name, rest);
        let fold = Fold {
            range,
            variable: variable_name,
            second,
            accumulator: RESULT.to_owned(),
            init,
            condition,
            step,
            result,
        };
        Ok(self.maker.make(self.at, Kind::Fold(Box::new(fold))))
    }

    /// What the accumulator is at first, how long the loop goes on, its step and its result.
    fn parts(&mut self, name: &str, variable: &str, mut args: Vec<Expr>) -> [Expr; 4] {
        let last = args.pop().expect("the caller counted them");
        let filter = args.pop();
        let plain = self.result();
        match name {
            "all" => {
                let (so_far, init, sum) = (self.result(), self.bool(true), self.result());
                [init, self.call("@not_strictly_false", vec![so_far]), self.call("_&&_", vec![sum, last]), plain]
            }
            "exists" => {
                let (so_far, init, sum) = (self.result(), self.bool(false), self.result());
                let not = self.call("!_", vec![so_far]);
                [init, self.call("@not_strictly_false", vec![not]), self.call("_||_", vec![sum, last]), plain]
            }
            "exists_one" | "existsOne" => {
                let (init, one, so_far) = (self.number(0), self.number(1), self.result());
                let counted = self.call("_+_", vec![so_far, one]);
                let (step, one) = (self.when(Some(last), counted), self.number(1));
                [init, self.bool(true), step, self.call("_==_", vec![plain, one])]
            }
            "transformMap" => {
                let (key, so_far) = (self.maker.ident(self.at, variable), self.result());
                let inserted = self.call("cel.@mapInsert", vec![so_far, key, last]);
                let (init, step) =
                    (self.maker.make(self.at, Kind::Map(Vec::<Entry>::new())), self.when(filter, inserted));
                [init, self.bool(true), step, plain]
            }
            "transformMapEntry" => {
                let so_far = self.result();
                let inserted = self.call("cel.@mapInsert", vec![so_far, last]);
                let (init, step) =
                    (self.maker.make(self.at, Kind::Map(Vec::<Entry>::new())), self.when(filter, inserted));
                [init, self.bool(true), step, plain]
            }
            name => {
                let (filter, mapped) = match name {
                    "filter" => (Some(last), self.maker.ident(self.at, variable)),
                    _ => (filter, last),
                };
                let appended = self.appended(mapped);
                let (init, step) = (self.maker.make(self.at, Kind::List(Vec::new())), self.when(filter, appended));
                [init, self.bool(true), step, plain]
            }
        }
    }
}
