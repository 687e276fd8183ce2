//! What `#[resource(…)]` says, on the struct and on its fields.

use syn::punctuated::Punctuated;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, Field, Fields, Lit, LitInt, LitStr, Meta, Path, Result, Token,
    Type,
};

use crate::errors::Errors;

const EXPECTED: &str = "expected one of group, version, kind, plural, singular, short, categories, namespaced, cluster, \
                        status, scale, column, crate";

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
    pub root: Option<Path>,
    pub fields: Vec<FieldDefault>,
}

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

pub(crate) struct FieldDefault {
    pub field: Field,
    pub default: Expr,
}

type Metas = Punctuated<Meta, Token![,]>;

pub(crate) fn attributes(input: &DeriveInput) -> Result<Attributes> {
    let mut errors = Errors::default();
    let mut found = Attributes::default();
    let mut given = Vec::new();
    for attribute in resource_attributes(&input.attrs) {
        let Some(metas) = errors.ok(attribute.parse_args_with(Metas::parse_terminated)) else { continue };
        for meta in metas {
            let name = name_of(&meta);
            if given.contains(&name) && name != "column" {
                errors.at(meta.path(), format!("`{name}` is given twice; remove one"));
                continue;
            }
            given.push(name.clone());
            let result = found.read(&name, &meta);
            errors.ok(result);
        }
    }
    match &input.data {
        Data::Struct(data) if matches!(data.fields, Fields::Named(_)) => {
            for field in &data.fields {
                found.fields.extend(field_default(field, &mut errors));
            }
        }
        _ => errors.at(
            &input.ident,
            "derive(Resource) goes on the struct of a spec, with named fields: `struct WebsiteSpec { … }`",
        ),
    }
    errors.finish(found)
}

fn resource_attributes(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("resource"))
}

fn name_of(meta: &Meta) -> String {
    meta.path().get_ident().map(ToString::to_string).unwrap_or_default()
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
            "status" => self.status = Some(type_of(meta)?),
            "crate" => self.root = Some(text(meta)?.parse()?),
            "scale" => self.scale = Some(scale(meta)?),
            "column" => self.columns.push(column(meta)?),
            "rule" | "versions" | "validation" | "schema" => {
                return Err(Error::new_spanned(meta.path(), format!("`{name}` is not supported yet; {EXPECTED}")));
            }
            _ => return Err(Error::new_spanned(meta.path(), format!("unknown attribute; {EXPECTED}"))),
        }
        Ok(())
    }
}

fn value(meta: &Meta, example: &str) -> Result<Expr> {
    match meta {
        Meta::NameValue(pair) => Ok(pair.value.clone()),
        _ => Err(Error::new_spanned(meta, format!("expected `{} = {example}`", name_of(meta)))),
    }
}

fn text(meta: &Meta) -> Result<LitStr> {
    string(&value(meta, "\"…\"")?)
}

fn string(expr: &Expr) -> Result<LitStr> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text.clone()),
        _ => Err(Error::new_spanned(expr, "expected a string in quotes")),
    }
}

// One name, or a list of them.
fn texts(meta: &Meta) -> Result<Vec<LitStr>> {
    match value(meta, "\"…\"` or `[\"…\", \"…\"]")? {
        Expr::Array(array) => array.elems.iter().map(string).collect(),
        one => Ok(vec![string(&one)?]),
    }
}

fn flag(meta: &Meta) -> Result<Path> {
    match meta {
        Meta::Path(path) => Ok(path.clone()),
        _ => Err(Error::new_spanned(meta, format!("`{}` takes no value", name_of(meta)))),
    }
}

fn type_of(meta: &Meta) -> Result<Type> {
    let expr = value(meta, "WebsiteStatus")?;
    match &expr {
        Expr::Path(path) if path.attrs.is_empty() => {
            Ok(Type::Path(syn::TypePath { qself: path.qself.clone(), path: path.path.clone() }))
        }
        _ => Err(Error::new_spanned(expr, "expected a type, without quotes: `status = WebsiteStatus`")),
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

fn path(path: LitStr) -> Result<LitStr> {
    if path.value().starts_with('.') {
        return Ok(path);
    }
    Err(Error::new(path.span(), format!("expected a path from the object's root, as `.{}`", path.value())))
}

fn field_default(field: &Field, errors: &mut Errors) -> Option<FieldDefault> {
    let mut default = None;
    for attribute in resource_attributes(&field.attrs) {
        for meta in errors.ok(attribute.parse_args_with(Metas::parse_terminated))? {
            match (name_of(&meta).as_str(), &default) {
                ("default", None) => default = errors.ok(value(&meta, "1")),
                ("default", Some(_)) => errors.at(&meta, "`default` is given twice; remove one"),
                ("rule", _) => errors.at(meta.path(), "`rule` is not supported yet; expected `default = …`"),
                _ => errors.at(meta.path(), "unknown attribute of a field; expected `default = …`"),
            }
        }
    }
    default.map(|default| FieldDefault { field: field.clone(), default })
}

/// The pairs of a `#[serde(…)]` attribute whose value is a string.
pub(crate) fn serde_text(attributes: &[Attribute], wanted: &str) -> Option<LitStr> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("serde")).find_map(|attribute| {
        let metas = attribute.parse_args_with(Metas::parse_terminated).ok()?;
        metas.iter().find(|meta| meta.path().is_ident(wanted)).and_then(|meta| text(meta).ok())
    })
}

/// The text of the `///` comment.
pub(crate) fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => string(&pair.value).ok(),
        _ => None,
    });
    lines.map(|line| line.value().trim().to_owned()).collect::<Vec<_>>().join("\n").trim().to_owned()
}
