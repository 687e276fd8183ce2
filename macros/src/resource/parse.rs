//! What `#[resource(…)]` says of a struct and its fields.

use syn::{Data, DeriveInput, Error, Field, Fields, LitInt, LitStr, Meta, Path, Result, Token, Type};

use super::keywords::{Keywords, OF_TYPE};
use super::meta::{Metas, flag, name_of, path, resource_attributes, string, text, texts, type_of};
use super::rule::Rule;
use crate::errors::Errors;

const EXPECTED: &str = "group, version, kind, plural, singular, short, categories, namespaced, cluster, status, scale, \
                        column, selectable, object_rule, deprecated, unserved, storage, versions, converts, derive, crate";

#[derive(Default)]
pub(crate) struct Attributes {
    pub group: Option<LitStr>,
    pub version: Option<LitStr>,
    pub kind: Option<LitStr>,
    pub plural: Option<LitStr>,
    pub singular: Option<LitStr>,
    pub short: Vec<LitStr>,
    pub categories: Vec<LitStr>,
    pub namespaced: Option<Path>,
    pub cluster: Option<Path>,
    pub status: Option<Type>,
    pub scale: Option<Scale>,
    pub columns: Vec<Column>,
    pub selectable: Vec<LitStr>,
    pub object_rules: Vec<Rule>,
    pub deprecated: Option<Deprecated>,
    pub unserved: Option<Path>,
    pub storage: Option<Path>,
    pub versions: Vec<Path>,
    pub converts: Option<Type>,
    pub derives: Vec<Path>,
    pub root: Option<Path>,
    pub keywords: Keywords,
    pub fields: Vec<(Field, Keywords)>,
    /// Each attribute that was given, where it stands.
    pub given: Vec<(String, Path)>,
}

/// With the warning that whoever uses the version is shown, if it is not the usual one.
pub(crate) struct Deprecated(pub Option<LitStr>);

pub(crate) struct Scale {
    pub replicas: LitStr,
    pub status: Option<LitStr>,
    pub selector: Option<LitStr>,
}

pub(crate) struct Column {
    pub name: LitStr,
    pub path: LitStr,
    pub type_: Option<LitStr>,
    pub priority: Option<LitInt>,
    pub description: Option<LitStr>,
}

pub(crate) fn attributes(input: &DeriveInput) -> Result<Attributes> {
    let mut errors = Errors::default();
    let mut found = Attributes::default();
    for attribute in resource_attributes(&input.attrs) {
        let Some(metas) = errors.ok(attribute.parse_args_with(Metas::parse_terminated)) else { continue };
        for meta in metas {
            let name = name_of(&meta);
            let repeats = matches!(name.as_str(), "column" | "rule" | "object_rule");
            if !repeats && found.given.iter().any(|(given, _)| *given == name) {
                errors.at(meta.path(), format!("`{name}` is given twice; remove one"));
                continue;
            }
            found.given.push((name.clone(), meta.path().clone()));
            let result = found.read(&name, &meta);
            errors.ok(result);
        }
    }
    match &input.data {
        Data::Struct(data) if matches!(data.fields, Fields::Named(_)) => {
            for field in &data.fields {
                found.fields.push((field.clone(), Keywords::of_field(field, &mut errors)));
            }
        }
        _ => errors.at(
            &input.ident,
            "derive(Resource) goes on the struct of a spec, with named fields: `struct WebsiteSpec { … }`",
        ),
    }
    errors.finish(found)
}

impl Attributes {
    fn read(&mut self, name: &str, meta: &Meta) -> Result<()> {
        match name {
            "group" => self.group = Some(text(meta)?),
            "version" => self.version = Some(text(meta)?),
            "kind" => self.kind = Some(text(meta)?),
            "plural" => self.plural = Some(text(meta)?),
            "singular" => self.singular = Some(text(meta)?),
            "short" => self.short = texts(meta)?,
            "categories" => self.categories = texts(meta)?,
            "namespaced" => self.namespaced = Some(flag(meta)?),
            "cluster" => self.cluster = Some(flag(meta)?),
            "status" => self.status = Some(type_of(meta, "WebsiteStatus")?),
            "crate" => self.root = Some(text(meta)?.parse()?),
            "scale" => self.scale = Some(scale(meta)?),
            "column" => self.columns.push(column(meta)?),
            "selectable" => self.selectable = texts(meta)?.into_iter().map(path).collect::<Result<_>>()?,
            "object_rule" => self.object_rules.push(Rule::read(meta)?),
            "deprecated" => self.deprecated = Some(deprecated(meta)?),
            "unserved" => self.unserved = Some(flag(meta)?),
            "storage" => self.storage = Some(flag(meta)?),
            "converts" => self.converts = Some(type_of(meta, "WebsiteSpec")?),
            "versions" => self.versions = paths(meta, "versions(WebsiteV1Beta1Spec)")?,
            "derive" => self.derives = paths(meta, "derive(PartialEq)")?,
            _ => match self.keywords.of_type(name, meta) {
                Some(result) => result?,
                None => {
                    let message = format!("unknown attribute; expected one of {EXPECTED}, {OF_TYPE}");
                    return Err(Error::new_spanned(meta.path(), message));
                }
            },
        }
        Ok(())
    }
}

fn paths(meta: &Meta, example: &str) -> Result<Vec<Path>> {
    let expected = || format!("expected `{example}`");
    let Meta::List(list) = meta else { return Err(Error::new_spanned(meta, expected())) };
    let paths = list
        .parse_args_with(syn::punctuated::Punctuated::<Path, Token![,]>::parse_terminated)
        .map_err(|_| Error::new_spanned(list, expected()))?;
    if paths.is_empty() { Err(Error::new_spanned(list, expected())) } else { Ok(paths.into_iter().collect()) }
}

fn deprecated(meta: &Meta) -> Result<Deprecated> {
    match meta {
        Meta::Path(_) => Ok(Deprecated(None)),
        Meta::NameValue(pair) => Ok(Deprecated(Some(string(&pair.value)?))),
        Meta::List(list) => Err(Error::new_spanned(list, "expected `deprecated` or `deprecated = \"use v1\"`")),
    }
}

const SCALE: &str = "expected `scale(replicas = \".spec.replicas\")`, and if need be `status = \".status.replicas\"`, \
                     `selector = \".status.selector\"`";

fn scale(meta: &Meta) -> Result<Scale> {
    let Meta::List(list) = meta else { return Err(Error::new_spanned(meta, SCALE)) };
    let (mut replicas, mut status, mut selector) = (None, None, None);
    for pair in list.parse_args_with(Metas::parse_terminated)? {
        match name_of(&pair).as_str() {
            "replicas" => replicas = Some(path(text(&pair)?)?),
            "status" => status = Some(path(text(&pair)?)?),
            "selector" => selector = Some(path(text(&pair)?)?),
            _ => return Err(Error::new_spanned(pair.path(), SCALE)),
        }
    }
    let replicas = replicas.ok_or_else(|| Error::new_spanned(list, SCALE))?;
    Ok(Scale { replicas, status, selector })
}

const COLUMN: &str = "expected `column(\"Ready\", \".status.ready\")`, and if need be `type = \"integer\"`, `priority = 1`, \
                      `description = \"…\"`";

fn column(meta: &Meta) -> Result<Column> {
    let Meta::List(list) = meta else { return Err(Error::new_spanned(meta, COLUMN)) };
    // `type` is a keyword, so the pairs are no expressions; the first two are no metas.
    list.parse_args_with(|input: syn::parse::ParseStream<'_>| {
        let wrong = |_| Error::new_spanned(list, COLUMN);
        let name: LitStr = input.parse().map_err(wrong)?;
        input.parse::<Token![,]>().map_err(wrong)?;
        let mut column =
            Column { name, path: path(input.parse().map_err(wrong)?)?, type_: None, priority: None, description: None };
        while input.parse::<Option<Token![,]>>()?.is_some() && !input.is_empty() {
            let word: syn::Ident = syn::ext::IdentExt::parse_any(input)?;
            input.parse::<Token![=]>()?;
            match word.to_string().as_str() {
                "type" => column.type_ = Some(column_type(input.parse()?)?),
                "priority" => column.priority = Some(input.parse()?),
                "description" => column.description = Some(input.parse()?),
                _ => return Err(Error::new_spanned(word, COLUMN)),
            }
        }
        if input.is_empty() { Ok(column) } else { Err(input.error(COLUMN)) }
    })
}

fn column_type(type_: LitStr) -> Result<LitStr> {
    match type_.value().as_str() {
        "string" | "integer" | "number" | "boolean" | "date" => Ok(type_),
        _ => Err(Error::new(type_.span(), "expected string, integer, number, boolean or date")),
    }
}
