//! What stands in the parentheses.

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, LitInt, LitStr, Path, Result, Token, Type};

use crate::errors::Errors;

const EXPECTED: &str = "expected one of seeds, nodes, kinds, faults, crate";

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

struct Argument {
    name: proc_macro2::Ident,
    value: Value,
}

enum Value {
    Number(LitInt),
    Kinds(Vec<Type>),
    Faults(Option<Box<Expr>>),
    Text(LitStr),
    Wrong(Error),
}

pub(crate) fn arguments(tokens: TokenStream) -> Result<Arguments> {
    let parsed = Punctuated::<Argument, Token![,]>::parse_terminated.parse2(tokens)?;
    let (mut errors, mut found, mut given) = (Errors::default(), Arguments::default(), Vec::new());
    for Argument { name, value } in parsed {
        if given.contains(&name) {
            errors.at(&name, format!("`{name}` is given twice; remove one"));
        }
        match value {
            Value::Wrong(error) => errors.push(error),
            Value::Number(number) if name == "seeds" => found.seeds = Some(positive(number, &mut errors)),
            Value::Number(number) => found.nodes = errors.ok(number.base10_parse::<u32>()).map(|_| number),
            Value::Kinds(kinds) => found.kinds = kinds,
            Value::Faults(expression) => found.faults = Some(Faults(expression)),
            Value::Text(text) => found.root = errors.ok(text.parse()),
        }
        given.push(name);
    }
    errors.finish(found)
}

fn positive(number: LitInt, errors: &mut Errors) -> LitInt {
    if errors.ok(number.base10_parse::<u64>()) == Some(0) {
        errors.at(&number, "a test that never runs finds nothing: write `seeds = 1` or more");
    }
    number
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = proc_macro2::Ident::parse_any(input)?;
        let example = match name.to_string().as_str() {
            "seeds" => "seeds = 64",
            "nodes" => "nodes = 3",
            "kinds" => "kinds(Website)",
            "faults" => "faults`, or `faults = Faults::writes(0.1)",
            "crate" => "crate = \"trimtab_cluster::testing\"",
            _ => {
                skip(input)?;
                let error = Error::new_spanned(&name, format!("unknown argument; {EXPECTED}"));
                return Ok(Self { name, value: Value::Wrong(error) });
            }
        };
        let value = match value(&name, input) {
            Ok(value) => value,
            Err(_) => {
                skip(input)?;
                Value::Wrong(Error::new_spanned(&name, format!("expected `{example}`")))
            }
        };
        Ok(Self { name, value })
    }
}

// The errors are replaced by one that shows the whole argument.
fn value(name: &proc_macro2::Ident, input: ParseStream<'_>) -> Result<Value> {
    if name == "kinds" {
        let content;
        syn::parenthesized!(content in input);
        return Ok(Value::Kinds(content.parse_terminated(Type::parse, Token![,])?.into_iter().collect()));
    }
    if name == "faults" && (input.is_empty() || input.peek(Token![,])) {
        return Ok(Value::Faults(None));
    }
    input.parse::<Token![=]>()?;
    let value = match name.to_string().as_str() {
        "faults" => Value::Faults(Some(Box::new(input.parse()?))),
        "crate" => Value::Text(input.parse()?),
        _ => Value::Number(input.parse()?),
    };
    if input.is_empty() || input.peek(Token![,]) { Ok(value) } else { Err(input.error("expected ,")) }
}

// To the next comma outside of brackets.
fn skip(input: ParseStream<'_>) -> Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<proc_macro2::TokenTree>()?;
    }
    Ok(())
}
