//! What stands in the parentheses.

use proc_macro2::Ident;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, LitInt, LitStr, Path, Result, Token, Type, bracketed, token};

use crate::arguments::{self, assigned, listed};
use crate::errors::Errors;

#[derive(Default)]
pub(crate) struct Arguments {
    pub kind: Option<Type>,
    pub owns: Vec<Owned>,
    pub watches: Vec<Watch>,
    pub references: Vec<Watch>,
    pub reads: Vec<Selected>,
    pub uses: Vec<Use>,
    pub when: Option<Expr>,
    pub labels: Option<LitStr>,
    pub fields: Option<LitStr>,
    pub finalizer: Option<LitStr>,
    pub name: Option<LitStr>,
    pub concurrency: Option<LitInt>,
    pub root: Option<Path>,
}

/// A kind, and which objects of it: `Pod`, or `Pod[labels = "tier=front", fields = "spec.nodeName!="]`.
pub(crate) struct Selected {
    pub kind: Type,
    pub labels: Option<LitStr>,
    pub fields: Option<LitStr>,
    /// What is wrong in the brackets.
    pub wrong: Vec<Error>,
}

/// A kind of children, and what of one has to change to wake its owner.
pub(crate) struct Owned {
    pub of: Selected,
    pub when: Option<Expr>,
}

/// A kind whose changes concern other objects, and the function that says which.
pub(crate) struct Watch {
    pub of: Selected,
    pub when: Option<Expr>,
    pub map: Expr,
}

/// What is done with a kind by way of the client.
pub(crate) struct Use {
    pub kind: Type,
    pub subresource: Option<Ident>,
    pub verbs: Vec<Ident>,
}

impl Arguments {
    /// All that is wrong in brackets.
    pub(crate) fn wrong_selections(&self) -> impl Iterator<Item = &Error> {
        let watched = self.watches.iter().chain(&self.references).map(|watch| &watch.of);
        let all = self.owns.iter().map(|owned| &owned.of).chain(watched).chain(&self.reads);
        all.flat_map(|selected| &selected.wrong)
    }
}

impl arguments::Arguments for Arguments {
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("for", "for = Website"),
        ("owns", "owns(Pod, Service if labels)"),
        ("watches", "watches(Node => websites_on)"),
        ("references", "references(Secret => Website::secrets)"),
        ("reads", "reads(ConfigMap)"),
        ("uses", "uses(Pod/eviction: create, Secret: get | create)"),
        ("when", "when = generation"),
        ("labels", "labels = \"tier=front\""),
        ("fields", "fields = \"metadata.namespace!=kube-system\""),
        ("finalizer", "finalizer = \"demo.io/dns\""),
        ("name", "name = \"website\""),
        ("concurrency", "concurrency = 4"),
        ("crate", "crate = \"trimtab_reconcile\""),
    ];
    const REPEATED: &'static [&'static str] = &["owns", "watches", "references", "reads", "uses"];

    fn take(&mut self, name: &str, input: ParseStream<'_>, errors: &mut Errors) -> Result<()> {
        match name {
            "for" => self.kind = Some(assigned(input)?),
            "owns" => self.owns.extend(listed(input)?),
            "watches" => self.watches.extend(listed(input)?),
            "references" => {
                let references: Vec<Watch> = listed(input)?;
                for when in references.iter().filter_map(|reference| reference.when.as_ref()) {
                    errors.at(when, "a reference wakes whenever what it refers to changes; remove the condition");
                }
                self.references.extend(references);
            }
            "reads" => self.reads.extend(listed(input)?),
            "uses" => self.uses.extend(listed(input)?),
            "when" => self.when = Some(assigned(input)?),
            "labels" => self.labels = Some(assigned(input)?),
            "fields" => self.fields = Some(assigned(input)?),
            "finalizer" => self.finalizer = Some(finalizer(assigned(input)?, errors)),
            "name" => self.name = Some(assigned(input)?),
            "concurrency" => self.concurrency = Some(assigned(input)?),
            _ => self.root = errors.ok(assigned::<LitStr>(input)?.parse()),
        }
        Ok(())
    }
}

fn finalizer(text: LitStr, errors: &mut Errors) -> LitStr {
    let value = text.value();
    if !value.split_once('/').is_some_and(|(domain, name)| domain.contains('.') && !name.is_empty()) {
        errors.at(&text, "expected a qualified name, as `demo.io/dns`");
    }
    text
}

fn condition(input: ParseStream<'_>) -> Result<Option<Expr>> {
    if input.parse::<Option<Token![if]>>()?.is_some() { input.parse().map(Some) } else { Ok(None) }
}

impl Parse for Selected {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut selected = Self { kind: input.parse()?, labels: None, fields: None, wrong: Vec::new() };
        if !input.peek(token::Bracket) {
            return Ok(selected);
        }
        let inner;
        bracketed!(inner in input);
        while !inner.is_empty() {
            let (name, text): (Ident, LitStr) = (inner.parse()?, assigned(&inner)?);
            let selector = match &*name.to_string() {
                "labels" => &mut selected.labels,
                "fields" => &mut selected.fields,
                _ => {
                    let expected = "expected `labels = \"tier=front\"` or `fields = \"…\"`";
                    selected.wrong.push(Error::new(name.span(), expected));
                    &mut None
                }
            };
            if selector.replace(text).is_some() {
                let twice = format!("`{name}` is said twice; separate requirements by commas");
                selected.wrong.push(Error::new(name.span(), twice));
            }
            if !inner.is_empty() {
                inner.parse::<Token![,]>()?;
            }
        }
        Ok(selected)
    }
}

impl Parse for Owned {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        Ok(Self { of: input.parse()?, when: condition(input)? })
    }
}

impl Parse for Watch {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (of, when) = (input.parse()?, condition(input)?);
        input.parse::<Token![=>]>()?;
        Ok(Self { of, when, map: input.parse()? })
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
