//! What stands in the parentheses.

use proc_macro2::TokenStream;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, LitInt, LitStr, Path, Result, Token, Type};

use crate::errors::Errors;

const EXPECTED: &str = "expected one of for, owns, watches, finalizer, name, concurrency, crate";

#[derive(Default)]
pub(crate) struct Arguments {
    pub kind: Option<Type>,
    pub owns: Vec<Type>,
    pub watches: Vec<Watch>,
    pub finalizer: Option<LitStr>,
    pub name: Option<LitStr>,
    pub concurrency: Option<LitInt>,
    pub root: Option<Path>,
}

/// A kind whose changes concern other objects, and the function that says which.
pub(crate) struct Watch {
    pub kind: Type,
    pub map: Expr,
}

struct Argument {
    name: proc_macro2::Ident,
    value: Value,
}

enum Value {
    Kind(Box<Type>),
    Owns(Vec<Type>),
    Watches(Vec<Watch>),
    Text(LitStr),
    Number(LitInt),
    Wrong(Error),
}

pub(crate) fn arguments(tokens: TokenStream) -> Result<Arguments> {
    let parsed = Punctuated::<Argument, Token![,]>::parse_terminated.parse2(tokens)?;
    let mut errors = Errors::default();
    let mut found = Arguments::default();
    let mut given = Vec::new();
    for Argument { name, value } in parsed {
        let repeats = matches!(value, Value::Owns(_) | Value::Watches(_));
        if given.contains(&name) && !repeats {
            errors.at(&name, format!("`{name}` is given twice; remove one"));
        }
        match (name.to_string().as_str(), value) {
            (_, Value::Wrong(error)) => errors.push(error),
            ("for", Value::Kind(kind)) => found.kind = Some(*kind),
            (_, Value::Owns(kinds)) => found.owns.extend(kinds),
            (_, Value::Watches(watches)) => found.watches.extend(watches),
            ("finalizer", Value::Text(text)) => found.finalizer = Some(finalizer(text, &mut errors)),
            ("name", Value::Text(text)) => found.name = Some(text),
            ("crate", Value::Text(text)) => found.root = errors.ok(text.parse()),
            (_, Value::Number(number)) => found.concurrency = Some(number),
            _ => errors.at(&name, EXPECTED),
        }
        given.push(name);
    }
    errors.finish(found)
}

fn finalizer(text: LitStr, errors: &mut Errors) -> LitStr {
    let value = text.value();
    if !value.split_once('/').is_some_and(|(domain, name)| domain.contains('.') && !name.is_empty()) {
        errors.at(&text, "expected a qualified name, as `demo.io/dns`");
    }
    text
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name: proc_macro2::Ident = syn::ext::IdentExt::parse_any(input)?;
        let example = match name.to_string().as_str() {
            "for" => "for = Website",
            "owns" => "owns(Pod, Service)",
            "watches" => "watches(Node => websites_on)",
            "finalizer" => "finalizer = \"demo.io/dns\"",
            "name" => "name = \"website\"",
            "concurrency" => "concurrency = 4",
            "crate" => "crate = \"trimtab_reconcile\"",
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
    if name == "owns" || name == "watches" {
        let content;
        syn::parenthesized!(content in input);
        return Ok(if name == "owns" {
            Value::Owns(content.parse_terminated(Type::parse, Token![,])?.into_iter().collect())
        } else {
            Value::Watches(content.parse_terminated(Watch::parse, Token![,])?.into_iter().collect())
        });
    }
    input.parse::<Token![=]>()?;
    let value = match name.to_string().as_str() {
        "for" => Value::Kind(Box::new(input.parse()?)),
        "concurrency" => Value::Number(input.parse()?),
        _ => Value::Text(input.parse()?),
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

impl Parse for Watch {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let kind = input.parse()?;
        input.parse::<Token![=>]>()?;
        Ok(Self { kind, map: input.parse()? })
    }
}
