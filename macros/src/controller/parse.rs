//! What stands in the parentheses.

use proc_macro2::{Ident, TokenStream};
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, LitInt, LitStr, Path, Result, Token, Type};

use crate::errors::Errors;

const EXPECTED: &str = "expected one of for, owns, watches, references, reads, uses, when, labels, fields, finalizer, \
                        name, concurrency, crate";
/// What may be given more than once.
const REPEATED: [&str; 5] = ["owns", "watches", "references", "reads", "uses"];

#[derive(Default)]
pub(crate) struct Arguments {
    pub kind: Option<Type>,
    pub owns: Vec<Owned>,
    pub watches: Vec<Watch>,
    pub references: Vec<Watch>,
    pub reads: Vec<Type>,
    pub uses: Vec<Use>,
    pub when: Option<Expr>,
    pub labels: Option<LitStr>,
    pub fields: Option<LitStr>,
    pub finalizer: Option<LitStr>,
    pub name: Option<LitStr>,
    pub concurrency: Option<LitInt>,
    pub root: Option<Path>,
}

/// A kind of children, and what of one has to change to wake its owner.
pub(crate) struct Owned {
    pub kind: Type,
    pub when: Option<Expr>,
}

/// A kind whose changes concern other objects, and the function that says which.
pub(crate) struct Watch {
    pub kind: Type,
    pub when: Option<Expr>,
    pub map: Expr,
}

/// What is done with a kind by way of the client.
pub(crate) struct Use {
    pub kind: Type,
    pub subresource: Option<Ident>,
    pub verbs: Vec<Ident>,
}

struct Argument {
    name: Ident,
    value: Value,
}

enum Value {
    Kind(Box<Type>),
    Owns(Vec<Owned>),
    Watches(Vec<Watch>),
    References(Vec<Watch>),
    Reads(Vec<Type>),
    Uses(Vec<Use>),
    Expression(Box<Expr>),
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
        let repeats = REPEATED.iter().any(|repeated| name == repeated);
        if given.contains(&name) && !repeats {
            errors.at(&name, format!("`{name}` is given twice; remove one"));
        }
        match (name.to_string().as_str(), value) {
            (_, Value::Wrong(error)) => errors.push(error),
            ("for", Value::Kind(kind)) => found.kind = Some(*kind),
            (_, Value::Owns(kinds)) => found.owns.extend(kinds),
            (_, Value::Watches(watches)) => found.watches.extend(watches),
            (_, Value::References(references)) => found.references.extend(references),
            (_, Value::Reads(kinds)) => found.reads.extend(kinds),
            (_, Value::Uses(uses)) => found.uses.extend(uses),
            (_, Value::Expression(when)) => found.when = Some(*when),
            ("labels", Value::Text(text)) => found.labels = Some(text),
            ("fields", Value::Text(text)) => found.fields = Some(text),
            ("finalizer", Value::Text(text)) => found.finalizer = Some(finalizer(text, &mut errors)),
            ("name", Value::Text(text)) => found.name = Some(text),
            ("crate", Value::Text(text)) => found.root = errors.ok(text.parse()),
            (_, Value::Number(number)) => found.concurrency = Some(number),
            _ => errors.at(&name, EXPECTED),
        }
        given.push(name);
    }
    for watch in found.references.iter().filter_map(|watch| watch.when.as_ref()) {
        errors.at(watch, "a reference wakes whenever what it refers to changes; remove the condition");
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
        let name: Ident = syn::ext::IdentExt::parse_any(input)?;
        let example = match name.to_string().as_str() {
            "for" => "for = Website",
            "owns" => "owns(Pod, Service if labels)",
            "watches" => "watches(Node => websites_on)",
            "references" => "references(Secret => Website::secrets)",
            "reads" => "reads(ConfigMap)",
            "uses" => "uses(Pod/eviction: create, Secret: get | create)",
            "when" => "when = generation",
            "labels" => "labels = \"tier=front\"",
            "fields" => "fields = \"metadata.namespace!=kube-system\"",
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
fn value(name: &Ident, input: ParseStream<'_>) -> Result<Value> {
    let value = match name.to_string().as_str() {
        "owns" => Value::Owns(listed(input)?),
        "watches" => Value::Watches(listed(input)?),
        "references" => Value::References(listed(input)?),
        "reads" => Value::Reads(listed(input)?),
        "uses" => Value::Uses(listed(input)?),
        name => {
            input.parse::<Token![=]>()?;
            match name {
                "for" => Value::Kind(Box::new(input.parse()?)),
                "concurrency" => Value::Number(input.parse()?),
                "when" => Value::Expression(Box::new(input.parse()?)),
                _ => Value::Text(input.parse()?),
            }
        }
    };
    if input.is_empty() || input.peek(Token![,]) { Ok(value) } else { Err(input.error("expected ,")) }
}

fn listed<T: Parse>(input: ParseStream<'_>) -> Result<Vec<T>> {
    let content;
    syn::parenthesized!(content in input);
    Ok(content.parse_terminated(T::parse, Token![,])?.into_iter().collect())
}

// To the next comma outside of brackets.
fn skip(input: ParseStream<'_>) -> Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<proc_macro2::TokenTree>()?;
    }
    Ok(())
}

fn condition(input: ParseStream<'_>) -> Result<Option<Expr>> {
    if input.parse::<Option<Token![if]>>()?.is_some() { input.parse().map(Some) } else { Ok(None) }
}

impl Parse for Owned {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        Ok(Self { kind: input.parse()?, when: condition(input)? })
    }
}

impl Parse for Watch {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (kind, when) = (input.parse()?, condition(input)?);
        input.parse::<Token![=>]>()?;
        Ok(Self { kind, when, map: input.parse()? })
    }
}

impl Parse for Use {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let kind = input.parse()?;
        let subresource = input.parse::<Option<Token![/]>>()?.map(|_| input.parse()).transpose()?;
        input.parse::<Token![:]>()?;
        let verbs = Punctuated::<Ident, Token![|]>::parse_separated_nonempty(input)?.into_iter().collect();
        Ok(Self { kind, subresource, verbs })
    }
}
