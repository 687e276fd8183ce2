//! `derive(Schema)`: a type within a kind to its schema. What the type and serde's attributes say of
//! it `schemars` reads, from a copy of it on which ours are written as `schemars` has them.

mod agreement;
mod expand;
mod variants;

use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Data, DeriveInput, Path, Result, parse_quote};

use agreement::Claims;

use crate::errors::Errors;
use crate::resource::keywords::Keywords;
use crate::resource::meta::{Metas, flag, name_of, resource_attributes, text};

/// What only `derive(Resource)` reads, which may stand on the same struct.
const OF_RESOURCE: [&str; 3] = ["group", "version", "kind"];

pub(crate) fn expand(input: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(input)?;
    let (mut errors, is_resource) = (Errors::default(), is_resource(&input.attrs));
    // What `derive(Resource)` reads as well, it tells.
    let mut told = Errors::default();
    let read = if is_resource { &mut told } else { &mut errors };
    let container = Container::read(&input, is_resource, read);
    let fields: Vec<_> = match &input.data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data.variants.iter().flat_map(|variant| &variant.fields).collect(),
        Data::Union(data) => {
            read.at(data.union_token, "a union has no schema: make it an enum or a struct");
            Vec::new()
        }
    };
    let fields: Vec<Keywords> = fields.into_iter().map(|field| Keywords::of_field(field, read)).collect();
    let claims = if container.is_anything { Claims::default() } else { variants::check(&input, &mut errors) };
    errors.finish(())?;
    Ok(expand::schema(&input, &container, &fields, claims))
}

// Whether `derive(Resource)` stands on the same struct.
fn is_resource(attributes: &[Attribute]) -> bool {
    resource_attributes(attributes).filter_map(|attribute| attribute.meta.require_list().ok()).any(|list| {
        let is_of_it = |token| matches!(token, TokenTree::Ident(word) if OF_RESOURCE.iter().any(|own| word == own));
        list.tokens.clone().into_iter().any(is_of_it)
    })
}

/// What is said of the type as a whole.
struct Container {
    keywords: Keywords,
    root: Path,
    /// Whether its values are of more types than a schema names.
    is_anything: bool,
}

impl Container {
    fn read(input: &DeriveInput, is_resource: bool, errors: &mut Errors) -> Self {
        let mut found = Self { keywords: Keywords::default(), root: parse_quote!(::trimtab), is_anything: false };
        let metas: Vec<_> = resource_attributes(&input.attrs)
            .filter_map(|attribute| errors.ok(attribute.parse_args_with(Metas::parse_terminated)))
            .flatten()
            .collect();
        let mut given: Vec<String> = Vec::new();
        for meta in &metas {
            let name = name_of(meta);
            if name == "crate" {
                let root = text(meta).and_then(|root| root.parse());
                found.root = errors.ok(root).unwrap_or(found.root);
                continue;
            }
            if is_resource {
                continue;
            }
            if given.contains(&name) && name != "rule" {
                errors.at(meta.path(), format!("`{name}` is given twice; remove one"));
                continue;
            }
            found.is_anything |= name == "preserve_unknown_fields" || name == "int_or_string";
            let result = match name.as_str() {
                "int_or_string" => flag(meta).map(|path| found.keywords.int_or_string = Some(path)),
                "embedded_resource" => flag(meta).map(|path| found.keywords.embedded_resource = Some(path)),
                _ => found.keywords.of_type(&name, meta).unwrap_or_else(|| {
                    let expected = "expected one of rule, atomic, int_or_string, embedded_resource, \
                                    preserve_unknown_fields, crate";
                    Err(syn::Error::new_spanned(meta.path(), format!("unknown attribute of a type; {expected}")))
                }),
            };
            errors.ok(result);
            given.push(name);
        }
        if let Data::Enum(data) = &input.data {
            for variant in &data.variants {
                for attribute in resource_attributes(&variant.attrs) {
                    errors.at(
                        attribute,
                        "a variant takes no attribute of its own: put a rule on the struct that it holds",
                    );
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests;
