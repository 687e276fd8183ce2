//! What stands in the parentheses.

use syn::parse::ParseStream;
use syn::{Expr, LitInt, LitStr, Path, Result, Type};

use crate::arguments::{self, assigned, ends, listed};
use crate::errors::Errors;

#[derive(Default)]
pub(crate) struct Arguments {
    pub seeds: Option<LitInt>,
    pub nodes: Option<LitInt>,
    pub kinds: Vec<Type>,
    pub faults: Option<Faults>,
    pub root: Option<Path>,
}

/// `faults`, or `faults = …` with which ones.
pub(crate) struct Faults(pub Option<Box<Expr>>);

impl arguments::Arguments for Arguments {
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("seeds", "seeds = 64"),
        ("nodes", "nodes = 3"),
        ("kinds", "kinds(Website)"),
        ("faults", "faults`, or `faults = Faults::none().writes(0.1)"),
        ("crate", "crate = \"trimtab_cluster::testing\""),
    ];

    fn take(&mut self, name: &str, input: ParseStream<'_>, errors: &mut Errors) -> Result<()> {
        match name {
            "seeds" => self.seeds = Some(positive(assigned(input)?, errors)),
            "nodes" => {
                let count: LitInt = assigned(input)?;
                self.nodes = errors.ok(count.base10_parse::<u32>()).map(|_| count);
            }
            "kinds" => self.kinds = listed(input)?,
            "faults" if ends(input) => self.faults = Some(Faults(None)),
            "faults" => self.faults = Some(Faults(Some(Box::new(assigned(input)?)))),
            _ => self.root = errors.ok(assigned::<LitStr>(input)?.parse()),
        }
        Ok(())
    }
}

fn positive(number: LitInt, errors: &mut Errors) -> LitInt {
    if errors.ok(number.base10_parse::<u64>()) == Some(0) {
        errors.at(&number, "a test that never runs finds nothing: write `seeds = 1` or more");
    }
    number
}
