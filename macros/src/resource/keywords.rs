//! What `#[resource(…)]` adds to the schema of a type, or of one of its fields.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, Field, LitStr, Meta, Path, Result, Type};

use super::meta::{Metas, flag, name_of, resource_attributes, serde_has, text, texts, value};
use super::rule::Rule;
use super::shape::{Shape, is_option};
use crate::errors::Errors;

/// The keywords of one schema.
#[derive(Default)]
pub(crate) struct Keywords {
    pub default: Option<Expr>,
    pub rules: Vec<Rule>,
    list_type: Option<LitStr>,
    map_keys: Vec<LitStr>,
    map_type: Option<LitStr>,
    atomic: Option<Path>,
    pub int_or_string: Option<Path>,
    pub embedded_resource: Option<Path>,
    preserve_unknown_fields: Option<Path>,
    /// Whether the field is an `Option` of what these keywords say, rather than its type.
    nullable: bool,
}

const OF_FIELD: &str = "default, rule, list_type, map_keys, map_type, int_or_string, embedded_resource, \
                        preserve_unknown_fields";
pub(crate) const OF_TYPE: &str = "rule, atomic, preserve_unknown_fields";

impl Keywords {
    /// Those of a field.
    pub(crate) fn of_field(field: &Field, errors: &mut Errors) -> Self {
        let mut found = Self::default();
        let (mut given, mut first) = (Vec::new(), None);
        for attribute in resource_attributes(&field.attrs) {
            for meta in errors.ok(attribute.parse_args_with(Metas::parse_terminated)).into_iter().flatten() {
                let name = name_of(&meta);
                first.get_or_insert_with(|| meta.path().clone());
                if given.contains(&name) && name != "rule" {
                    errors.at(&meta, format!("`{name}` is given twice; remove one"));
                    continue;
                }
                given.push(name.clone());
                match name.as_str() {
                    "default" => found.default = errors.ok(value(&meta, "1")),
                    "list_type" => found.list_type = errors.ok(one_of(&meta, &["atomic", "set", "map"])),
                    "map_keys" => found.map_keys = errors.ok(texts(&meta)).unwrap_or_default(),
                    "map_type" => found.map_type = errors.ok(one_of(&meta, &["atomic", "granular"])),
                    "int_or_string" => found.int_or_string = errors.ok(flag(&meta)),
                    "embedded_resource" => found.embedded_resource = errors.ok(flag(&meta)),
                    "atomic" => errors.at(meta.path(), "of a field, this is written `map_type = \"atomic\"`"),
                    _ => match found.of_type(&name, &meta) {
                        Some(result) => drop(errors.ok(result)),
                        None => {
                            errors.at(meta.path(), format!("unknown attribute of a field; expected one of {OF_FIELD}"))
                        }
                    },
                }
            }
        }
        found.agree(errors);
        found.fit(&field.ty, errors);
        let says_type = found.int_or_string.is_some() || found.embedded_resource.is_some();
        found.nullable = says_type && is_option(&field.ty);
        if let Some(first) = first.filter(|_| serde_has(&field.attrs, "flatten")) {
            errors.at(first, "a flattened field has no schema of its own: put this on the fields within");
        } else if let Some(skip) = given.first().filter(|_| serde_has(&field.attrs, "skip")) {
            errors.at(&field.ident, format!("a field that is skipped is not in the schema; remove `{skip}`"));
        }
        found
    }

    /// Reads one that a type may have as well; `None` when it is none of these.
    pub(crate) fn of_type(&mut self, name: &str, meta: &Meta) -> Option<Result<()>> {
        Some(match name {
            "rule" => Rule::read(meta).map(|rule| self.rules.push(rule)),
            "preserve_unknown_fields" => flag(meta).map(|path| self.preserve_unknown_fields = Some(path)),
            "atomic" => flag(meta).map(|path| self.atomic = Some(path)),
            _ => return None,
        })
    }

    // What contradicts itself.
    fn agree(&self, errors: &mut Errors) {
        let is_map = self.list_type.as_ref().is_none_or(|type_| type_.value() == "map");
        match (&self.list_type, self.map_keys.first()) {
            (Some(type_), None) if is_map => errors.at(
                type_,
                "a list of type `map` needs the fields that tell its items apart: add `map_keys = \"name\"`",
            ),
            (Some(_), Some(key)) if !is_map => {
                errors.at(key, "only a list of type `map` has keys; remove `map_keys`, or write `list_type = \"map\"`");
            }
            _ => {}
        }
        for other in [&self.embedded_resource, &self.preserve_unknown_fields].into_iter().flatten() {
            if self.int_or_string.is_some() {
                errors.at(other, "a number or string has no fields; remove this or `int_or_string`");
            }
        }
    }

    // What the field's type, where it can be seen, has no place for.
    fn fit(&self, type_: &Type, errors: &mut Errors) {
        let Some(shape) = Shape::of(type_) else { return };
        let is = |what: &str| format!("{what}; `{}` is {shape}", quote!(#type_).to_string().replace(' ', ""));
        let keys = self.map_keys.first();
        if let Some(list) = self.list_type.as_ref().or(keys).filter(|_| shape != Shape::List) {
            errors.at(list, is("only a list has a list type"));
        }
        if let Some(map) = self.map_type.as_ref().filter(|_| shape != Shape::Map) {
            errors.at(map, is("only a map or struct has a map type"));
        }
        for flag in [&self.embedded_resource, &self.preserve_unknown_fields].into_iter().flatten() {
            if shape != Shape::Map {
                errors.at(flag, is("only an object has fields to be known"));
            }
        }
    }

    /// Whether nothing is added.
    pub(crate) fn is_empty(&self) -> bool {
        self.members().is_empty()
    }

    /// As the members of a JSON object, each with a comma behind it.
    pub(crate) fn members(&self) -> TokenStream {
        let default = self.default.iter().map(|default| quote!("default": #default,));
        let rules = (!self.rules.is_empty()).then(|| {
            let rules = &self.rules;
            quote!("x-kubernetes-validations": [#(#rules),*],)
        });
        let list_type = match (&self.list_type, &self.map_keys[..]) {
            (Some(type_), _) => Some(quote!("x-kubernetes-list-type": #type_,)),
            (None, []) => None,
            (None, _) => Some(quote!("x-kubernetes-list-type": "map",)),
        };
        let keys = &self.map_keys;
        let keys = (!keys.is_empty()).then(|| quote!("x-kubernetes-list-map-keys": [#(#keys),*],));
        let atomic = self.atomic.as_ref().map(|_| quote!("x-kubernetes-map-type": "atomic",));
        let map_type = self.map_type.as_ref().map(|type_| quote!("x-kubernetes-map-type": #type_,));
        let flags = [
            (&self.int_or_string, "x-kubernetes-int-or-string"),
            (&self.embedded_resource, "x-kubernetes-embedded-resource"),
            (&self.preserve_unknown_fields, "x-kubernetes-preserve-unknown-fields"),
        ];
        let flags = flags.into_iter().filter(|(flag, _)| flag.is_some()).map(|(_, name)| name);
        let flags = flags.chain(self.nullable.then_some("nullable")).map(|name| quote!(#name: true,));
        quote!(#(#default)* #rules #list_type #keys #atomic #map_type #(#flags)*)
    }
}

fn one_of(meta: &Meta, known: &[&str]) -> Result<LitStr> {
    let text = text(meta)?;
    if known.contains(&text.value().as_str()) {
        return Ok(text);
    }
    Err(Error::new(text.span(), format!("expected one of {}", known.join(", "))))
}
