//! A declared kind, with every name settled.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident};
use syn::{DeriveInput, LitStr, Path, Result, Type, Visibility, parse_quote};

use super::keywords::Keywords;
use super::meta::{doc, serde_text};
use super::names;
use super::parse::{Attributes, Column, Deprecated, Scale};
use super::rule::Rule;
use crate::errors::Errors;

pub(crate) struct Model {
    pub visibility: Visibility,
    /// The fields of an object besides its metadata.
    pub parts: Vec<Part>,
    /// The name of the field for what the schema does not know, if that is kept.
    pub rest: Option<Ident>,
    pub resource: Ident,
    pub doc: String,
    pub version: LitStr,
    pub of: Of,
    pub served: bool,
    pub storage: bool,
    pub deprecated: Option<Deprecated>,
    pub status: Option<Type>,
    /// Whether the status is a subresource.
    pub status_subresource: bool,
    pub scale: Option<Scale>,
    pub columns: Vec<Column>,
    pub selectable: Vec<LitStr>,
    pub object_rules: Vec<Rule>,
    pub keywords: Keywords,
    /// The keywords of the fields, by the fields' names in JSON.
    pub fields: Vec<(String, Keywords)>,
    pub derives: Vec<Path>,
    pub root: Path,
}

/// A field of an object: its spec, its status, or what else a file has there.
pub(crate) struct Part {
    /// The name in JSON.
    pub name: String,
    pub ident: Ident,
    pub type_: TokenStream,
    /// Whether an object may be without it.
    pub optional: bool,
    pub doc: String,
}

impl Part {
    /// What is wanted.
    pub(crate) fn spec(type_: TokenStream) -> Self {
        let doc = "What is wanted.".to_owned();
        Self { name: "spec".to_owned(), ident: format_ident!("spec"), type_, optional: false, doc }
    }

    /// What was last seen.
    pub(crate) fn status(type_: TokenStream) -> Self {
        let doc = "What was last seen of it.".to_owned();
        Self { name: "status".to_owned(), ident: format_ident!("status"), type_, optional: true, doc }
    }

    /// Whether whoever makes an object has to say it.
    pub(crate) fn is_asked_for(&self) -> bool {
        !self.optional || self.name == "spec"
    }
}

/// What the version is of.
pub(crate) enum Of {
    /// A kind that is declared here by its spec, and its other versions.
    Kind(Ident, Box<Names>, Vec<Path>),
    /// The kind that another spec declares, and the spec of this version.
    Other(Ident, Box<Type>),
    /// A kind that a file declares.
    File(Box<File>),
}

/// What a file says of a version.
pub(crate) struct File {
    pub names: Names,
    /// The resource of the version that objects are stored in, if that is another.
    pub stored: Option<TokenStream>,
    /// The resources of the other versions, if this is the one that objects are stored in.
    pub others: Vec<TokenStream>,
    /// The definition without its versions, in JSON.
    pub definition: String,
    /// The version without the schemas of its parts, in JSON.
    pub version: String,
    /// Of each part, its name, the type that has its schema, and what that has besides, in JSON.
    pub schemas: Vec<(String, TokenStream, String)>,
}

pub(crate) struct Names {
    pub group: String,
    pub kind: String,
    pub list_kind: String,
    pub plural: String,
    pub singular: String,
    pub short: Vec<LitStr>,
    pub categories: Vec<LitStr>,
    pub namespaced: bool,
}

/// What all versions have in common, and is said once.
const COMMON: [&str; 9] =
    ["group", "kind", "plural", "singular", "short", "categories", "namespaced", "cluster", "versions"];

impl Model {
    pub(crate) fn new(input: &DeriveInput, mut attributes: Attributes) -> Result<Self> {
        let mut errors = Errors::default();
        if let Some(parameter) = input.generics.params.first() {
            errors.at(parameter, "a resource cannot be generic: its kind has one schema");
        }
        let converts = attributes.converts.take();
        let (of, resource) = match converts {
            Some(hub) => (Of::Other(input.ident.clone(), Box::new(hub)), of_other(input, &attributes, &mut errors)),
            None => of_kind(input, &mut attributes, &mut errors),
        };
        let version = required(input, &attributes.version, "version = \"v1\"", &mut errors);
        rule(&version, names::is_version, "a version, as `v1` or `v1beta2`", &mut errors);
        if let (Some(scale), None) = (&attributes.scale, &attributes.status) {
            errors.at(
                &scale.replicas,
                "a kind that scales needs a status to show its replicas: add `status = WebsiteStatus`",
            );
        }
        let fields = fields(input, std::mem::take(&mut attributes.fields), &mut errors);
        let status = attributes.status.as_ref().map(|status| Part::status(status.to_token_stream()));
        errors.finish(Self {
            visibility: input.vis.clone(),
            parts: [Part::spec(input.ident.to_token_stream())].into_iter().chain(status).collect(),
            rest: None,
            resource,
            doc: doc(&input.attrs),
            version,
            of,
            served: attributes.unserved.is_none(),
            storage: attributes.storage.is_some(),
            deprecated: attributes.deprecated,
            status_subresource: attributes.status.is_some(),
            status: attributes.status,
            scale: attributes.scale,
            columns: attributes.columns,
            selectable: attributes.selectable,
            object_rules: attributes.object_rules,
            keywords: attributes.keywords,
            fields,
            derives: attributes.derives,
            root: attributes.root.unwrap_or_else(|| parse_quote!(::trimtab)),
        })
    }
}

fn required(input: &DeriveInput, value: &Option<LitStr>, example: &str, errors: &mut Errors) -> LitStr {
    value.clone().unwrap_or_else(|| {
        errors.at(&input.ident, format!("`{example}` is missing: write `#[resource({example})]`"));
        LitStr::new("", Span::call_site())
    })
}

fn rule(value: &LitStr, holds: fn(&str) -> bool, expected: &str, errors: &mut Errors) {
    if !value.value().is_empty() && !holds(&value.value()) {
        errors.at(value, format!("expected {expected}"));
    }
}

fn of_kind(input: &DeriveInput, attributes: &mut Attributes, errors: &mut Errors) -> (Of, Ident) {
    let group = required(input, &attributes.group, "group = \"demo.io\"", errors);
    let kind = required(input, &attributes.kind, "kind = \"Website\"", errors);
    rule(&group, names::is_group, "a DNS name with a dot, as `demo.io`", errors);
    rule(&kind, names::is_kind, "letters and digits, the first in upper case, as `Website`", errors);
    let labels = [&attributes.plural, &attributes.singular].into_iter().flatten();
    for name in labels.chain(&attributes.short).chain(&attributes.categories) {
        rule(name, names::is_label, "lower-case letters, digits and dashes, as `websites`", errors);
    }
    if input.ident == kind.value() {
        let message = format!("the struct of the spec cannot be called as the kind is; call it `{}Spec`", kind.value());
        errors.at(&input.ident, message);
    }
    if let (Some(_), Some(cluster)) = (&attributes.namespaced, &attributes.cluster) {
        errors.at(cluster, "a kind is either `namespaced` or `cluster`; remove one");
    }
    let is_named = !kind.value().is_empty() && names::is_kind(&kind.value());
    let resource = if is_named { Ident::new(&kind.value(), kind.span()) } else { input.ident.clone() };
    let singular = attributes.singular.as_ref().map_or_else(|| kind.value().to_lowercase(), LitStr::value);
    let names = Names {
        group: group.value(),
        list_kind: format!("{}List", kind.value()),
        kind: kind.value(),
        plural: attributes.plural.as_ref().map_or_else(|| names::plural(&singular), LitStr::value),
        singular,
        short: std::mem::take(&mut attributes.short),
        categories: std::mem::take(&mut attributes.categories),
        namespaced: attributes.cluster.is_none(),
    };
    (Of::Kind(input.ident.clone(), Box::new(names), std::mem::take(&mut attributes.versions)), resource)
}

// Its objects are called as the spec is, for the kind's own name is that of the other version's.
fn of_other(input: &DeriveInput, attributes: &Attributes, errors: &mut Errors) -> Ident {
    for (name, path) in attributes.given.iter().filter(|(name, _)| COMMON.contains(&name.as_str())) {
        errors.at(path, format!("`{name}` is the same in all versions: it is said where this one `converts` to"));
    }
    let spec = input.ident.to_string();
    match spec.strip_suffix("Spec").filter(|name| !name.is_empty()) {
        Some(name) => format_ident!("{name}", span = input.ident.span()),
        None => {
            let message =
                format!("its objects are called as the spec is without `Spec`: call the struct `{spec}V1Beta1Spec`");
            errors.at(&input.ident, message);
            input.ident.clone()
        }
    }
}

// The keywords under the fields' names in JSON.
fn fields(input: &DeriveInput, fields: Vec<(syn::Field, Keywords)>, errors: &mut Errors) -> Vec<(String, Keywords)> {
    let rule = serde_text(&input.attrs, "rename_all");
    let mut named = Vec::new();
    for (field, keywords) in fields.into_iter().filter(|(_, keywords)| !keywords.is_empty()) {
        let own = field.ident.as_ref().map(|ident| syn::ext::IdentExt::unraw(ident).to_string()).unwrap_or_default();
        let name = match (serde_text(&field.attrs, "rename"), &rule) {
            (Some(renamed), _) => Some(renamed.value()),
            (None, Some(rule)) => names::renamed(&own, &rule.value()),
            (None, None) => Some(own),
        };
        match name {
            Some(name) => named.push((name, keywords)),
            None => errors.at(&rule, "unknown rule; expected one of serde's, as `camelCase`"),
        }
    }
    named
}
