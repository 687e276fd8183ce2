//! The registry's code.

use std::path::PathBuf;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, LitStr, Path, Result, parse_str};

use super::model::{KindFile, Scope};

pub(crate) fn registry(kinds: &[(PathBuf, KindFile)], folder: &LitStr) -> Result<TokenStream> {
    let mut entries = Vec::new();
    for (path, file) in kinds {
        let entry = entry(file);
        entries.push(entry.map_err(|e| Error::new(folder.span(), format!("{}: {e}", path.display())))?);
    }
    // Naming the files makes an edit of one of them rebuild the crate.
    let tracked = kinds.iter().map(|(path, _)| path.to_str().unwrap_or_default());
    let types = kinds.iter().map(|(_, file)| type_of(file)).collect::<Result<Vec<_>>>()?;
    Ok(quote! {
        /// The definitions of all built-in types, from the types themselves: what `definitions.json` is to hold.
        #[cfg(test)]
        pub(crate) fn generated_definitions() -> serde_json::Map<String, serde_json::Value> {
            use k8s_openapi::api::{authentication, autoscaling, policy};
            use k8s_openapi::apimachinery::pkg::apis::meta;
            // No kinds of their own, but sent to kinds, or answered.
            let others = [
                crate::schema::generate::<authentication::v1::TokenRequest>(),
                crate::schema::generate::<autoscaling::v1::Scale>(),
                crate::schema::generate::<policy::v1::Eviction>(),
                crate::schema::generate::<meta::v1::DeleteOptions>(),
                crate::schema::generate::<meta::v1::ListMeta>(),
                crate::schema::generate::<meta::v1::Status>(),
            ];
            [#(crate::schema::generate::<#types>()),*].into_iter().chain(others).flatten().collect()
        }

        /// Reads each built-in kind. Where crates share generic code (`opt-level = "s"`, so in the
        /// release build), those above this one have no copies of their own.
        #[doc(hidden)]
        pub static READERS: (#(fn(&[u8]) -> Result<#types, serde_json::Error>),*) = (#(crate::from_json::<#types>),*);

        /// The registry of the built-in kinds.
        pub fn builtin() -> crate::Kinds {
            const _: &[&[u8]] = &[#(include_bytes!(#tracked)),*];
            crate::Kinds::default().with([#(#entries),*])
        }
    })
}

fn entry(file: &KindFile) -> Result<TokenStream> {
    let (names, version) = (&file.spec.names, file.spec.version());
    let (group, version_name) = (&file.spec.group, &version.name);
    let (kind, plural, singular) = (&names.kind, &names.plural, &names.singular);
    let list_kind = names.list_kind.clone().unwrap_or_else(|| format!("{kind}List"));
    let (short_names, categories) = (&names.short_names, &names.categories);
    let scope = match file.spec.scope {
        Scope::Namespaced => quote!(crate::Scope::Namespaced),
        Scope::Cluster => quote!(crate::Scope::Cluster),
    };
    let (verbs, inert, orphans) = (&file.binding.verbs, file.binding.inert, file.binding.orphans);
    let (status_metadata, created_by_update) = (file.binding.status_metadata, file.binding.created_by_update);
    let (answers_deleted, unconditional_update) = (file.binding.answers_deleted, file.binding.unconditional_update);
    let status = version.subresources.status.is_some();
    let deprecation = match version.deprecation_warning.as_ref().filter(|_| version.deprecated) {
        Some(text) => quote!(Some(#text.into())),
        None => quote!(None),
    };
    let generations = file.binding.generations.unwrap_or(status);
    let scale = version.subresources.scale.as_ref().map_or_else(
        || quote!(None),
        |scale| {
            let (spec, status, selector) =
                (&scale.spec_replicas_path, &scale.status_replicas_path, &scale.label_selector_path);
            quote!(Some(crate::ScalePaths {
                spec_replicas: #spec.into(), status_replicas: #status.into(), label_selector: #selector.into(),
            }))
        },
    );
    let subresources = file.binding.subresources.iter().map(|sub| {
        let (name, kind, verbs) = (&sub.name, &sub.kind, &sub.verbs);
        quote!(crate::Subresource { name: #name.into(), kind: #kind.into(), verbs: vec![#(#verbs.into()),*] })
    });
    let columns = columns(file);
    let selectable = version.selectable_fields.iter().map(|field| &field.json_path);
    let type_ = type_of(file)?;
    let definition = definition_of(file);
    let strategy: Path = match &file.binding.strategy {
        Some(strategy) => parse_str(&format!("crate::kinds::{strategy}"))?,
        None => parse_str("crate::Plain")?,
    };
    let view = file.binding.view.as_ref().map(|view| parse_str::<Path>(&format!("crate::view::{view}"))).transpose()?;
    let (strategy, view) = match view {
        Some(view) => (quote!(crate::view::Viewed(#strategy, &#view)), quote!(Some(&#view))),
        None => (quote!(#strategy), quote!(None)),
    };
    Ok(quote! {
        crate::Kind {
            group: #group.into(),
            version: #version_name.into(),
            kind: #kind.into(),
            list_kind: #list_kind.into(),
            plural: #plural.into(),
            singular: #singular.into(),
            short_names: vec![#(#short_names.into()),*],
            categories: vec![#(#categories.into()),*],
            scope: #scope,
            verbs: vec![#(#verbs.into()),*],
            status: #status,
            scale: #scale,
            subresources: vec![#(#subresources),*],
            columns: vec![#(#columns),*],
            selectable_fields: vec![#(#selectable.into()),*],
            schema: ::std::sync::Arc::new(crate::schema::Lazy::new(|| {
                let _: ::std::marker::PhantomData<#type_>;
                crate::schema::of(#definition)
            })),
            definitions: ::std::boxed::Box::new(|| crate::schema::definitions(#definition)),
            strategy: ::std::boxed::Box::new(#strategy),
            built_in: true,
            inert: #inert,
            deprecation: #deprecation,
            generations: #generations,
            orphans: #orphans,
            created_by_update: #created_by_update,
            unconditional_update: #unconditional_update,
            answers_deleted: #answers_deleted,
            status_metadata: #status_metadata,
            view: #view,
            defined: None,
        }
    })
}

// Most types are of the module `api`; those of another API server stand beside it.
fn type_of(file: &KindFile) -> Result<Path> {
    let type_ = &file.binding.type_;
    parse_str(&if is_elsewhere(type_) { format!("k8s_openapi::{type_}") } else { format!("k8s_openapi::api::{type_}") })
}

fn definition_of(file: &KindFile) -> String {
    let type_ = &file.binding.type_;
    let path = type_.replace("::", ".").replace('_', "-");
    if is_elsewhere(type_) { format!("io.k8s.{path}") } else { format!("io.k8s.api.{path}") }
}

fn is_elsewhere(type_: &str) -> bool {
    type_.contains("::pkg::")
}

// `Name` stands first unless the file places it.
fn columns(file: &KindFile) -> Vec<TokenStream> {
    let declared = &file.spec.version().additional_printer_columns;
    let name = quote!(crate::Column {
        name: "Name".into(),
        type_: "string".into(),
        format: "name".into(),
        priority: 0,
        json_path: ".metadata.name".into(),
        description: "Name must be unique within a namespace.".into(),
    });
    let lead = declared.iter().all(|column| column.name != "Name").then_some(name);
    let rest = declared.iter().map(|column| {
        let (name, type_, format, description) = (&column.name, &column.type_, &column.format, &column.description);
        let (priority, json_path) = (column.priority, &column.json_path);
        quote!(crate::Column {
            name: #name.into(), type_: #type_.into(), format: #format.into(), description: #description.into(),
            priority: #priority, json_path: #json_path.into(),
        })
    });
    lead.into_iter().chain(rest).collect()
}
