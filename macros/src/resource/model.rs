//! A declared kind, with every name settled.

use proc_macro2::{Ident, Span};
use syn::{DeriveInput, Expr, LitStr, Path, Result, Type, Visibility, parse_quote};

use super::names;
use super::parse::{Attributes, Column, FieldDefault, Scale, doc, serde_text};
use crate::errors::Errors;

pub(crate) struct Model {
    pub visibility: Visibility,
    pub spec: Ident,
    pub resource: Ident,
    pub doc: String,
    pub group: String,
    pub version: String,
    pub kind: String,
    pub plural: String,
    pub singular: String,
    pub short: Vec<LitStr>,
    pub categories: Vec<LitStr>,
    pub namespaced: bool,
    pub status: Option<Type>,
    pub scale: Option<Scale>,
    pub columns: Vec<Column>,
    pub defaults: Vec<(String, Expr)>,
    pub root: Path,
}

impl Model {
    pub(crate) fn new(input: &DeriveInput, attributes: Attributes) -> Result<Self> {
        let mut errors = Errors::default();
        if let Some(parameter) = input.generics.params.first() {
            errors.at(parameter, "a resource cannot be generic: its kind has one schema");
        }
        let mut required = |value: &Option<LitStr>, example: &str| match value {
            Some(value) => value.clone(),
            None => {
                errors.at(&input.ident, format!("`{example}` is missing: write `#[resource({example})]`"));
                LitStr::new("", Span::call_site())
            }
        };
        let group = required(&attributes.group, "group = \"demo.io\"");
        let version = required(&attributes.version, "version = \"v1\"");
        let kind = required(&attributes.kind, "kind = \"Website\"");
        let mut rule = |value: &LitStr, holds: fn(&str) -> bool, expected: &str| {
            if !value.value().is_empty() && !holds(&value.value()) {
                errors.at(value, format!("expected {expected}"));
            }
        };
        rule(&group, names::is_group, "a DNS name with a dot, as `demo.io`");
        rule(&version, names::is_version, "a version, as `v1` or `v1beta2`");
        rule(&kind, names::is_kind, "letters and digits, the first in upper case, as `Website`");
        let labels = [&attributes.plural, &attributes.singular].into_iter().flatten();
        for name in labels.chain(&attributes.short).chain(&attributes.categories) {
            rule(name, names::is_label, "lower-case letters, digits and dashes, as `websites`");
        }
        if input.ident == kind.value() {
            let message =
                format!("the struct of the spec cannot be called as the kind is; call it `{}Spec`", kind.value());
            errors.at(&input.ident, message);
        }
        if let (Some(_), Some(cluster)) = (&attributes.namespaced, &attributes.cluster) {
            errors.at(cluster, "a kind is either `namespaced` or `cluster`; remove one");
        }
        if let (Some(scale), None) = (&attributes.scale, &attributes.status) {
            errors.at(
                &scale.replicas,
                "a kind that scales needs a status to show its replicas: add `status = WebsiteStatus`",
            );
        }
        let defaults = defaults(input, &attributes.fields, &mut errors);
        let singular = attributes.singular.map_or_else(|| kind.value().to_lowercase(), |name| name.value());
        let resource = if kind.value().is_empty() || !names::is_kind(&kind.value()) {
            input.ident.clone()
        } else {
            Ident::new(&kind.value(), kind.span())
        };
        errors.finish(Self {
            visibility: input.vis.clone(),
            spec: input.ident.clone(),
            resource,
            doc: doc(&input.attrs),
            group: group.value(),
            version: version.value(),
            kind: kind.value(),
            plural: attributes.plural.map_or_else(|| names::plural(&singular), |name| name.value()),
            singular,
            short: attributes.short,
            categories: attributes.categories,
            namespaced: attributes.cluster.is_none(),
            status: attributes.status,
            scale: attributes.scale,
            columns: attributes.columns,
            defaults,
            root: attributes.root.unwrap_or_else(|| parse_quote!(::trimtab)),
        })
    }
}

// The defaults under the fields' names in JSON.
fn defaults(input: &DeriveInput, fields: &[FieldDefault], errors: &mut Errors) -> Vec<(String, Expr)> {
    let rule = serde_text(&input.attrs, "rename_all");
    let mut named = Vec::new();
    for FieldDefault { field, default } in fields {
        let own = field.ident.as_ref().map(|ident| syn::ext::IdentExt::unraw(ident).to_string()).unwrap_or_default();
        let name = match (serde_text(&field.attrs, "rename"), &rule) {
            (Some(renamed), _) => Some(renamed.value()),
            (None, Some(rule)) => names::renamed(&own, &rule.value()),
            (None, None) => Some(own),
        };
        match (name, &rule) {
            (Some(name), _) => named.push((name, default.clone())),
            (None, rule) => errors.at(rule, "unknown rule; expected one of serde's, as `camelCase`"),
        }
    }
    named
}
