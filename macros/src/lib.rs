//! Procedural macros. Each parses its input, builds a model, and expands the model; this file
//! holds the entry points alone.

use proc_macro::TokenStream;

mod controller;
mod errors;
mod kinds;
mod resource;
#[cfg(test)]
mod testing;

/// Turns a folder of kind descriptions into `pub fn builtin() -> Kinds`.
///
/// `kinds!("manifests/kinds")`, relative to the crate's manifest. A file is in the shape of a
/// CustomResourceDefinition, with an `x-trimtab` section that binds it:
///
/// - `type`: the type under `k8s_openapi::api`, such as `core::v1::Pod`;
/// - `strategy`: the type under `crate::kinds` with the kind's behaviour, if it has any;
/// - `verbs`: the verbs served, all when absent;
/// - `subresources`: those besides `status` and `scale`, each with `name`, `kind` and `verbs`.
///
/// All mistakes are reported at once, each with its file and, where there is one, its line.
#[proc_macro]
pub fn kinds(input: TokenStream) -> TokenStream {
    kinds::expand(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a kind of a spec's struct: the resource `Website { metadata, spec, status }` beside
/// `WebsiteSpec`, with its traits (`k8s_openapi`'s `Resource` and `Metadata`, serde's), and
/// `Website::new`, `Website::kind`, `Website::crd` and `Website::crd_yaml`.
///
/// The struct derives `JsonSchema`, `Serialize`, `Deserialize`, `Clone` and `Debug` too.
///
/// In `#[resource(…)]` on the struct:
///
/// - `group`, `version`, `kind`: needed;
/// - `plural`, `singular`: from the kind when absent;
/// - `short`, `categories`: a name or a list of names;
/// - `namespaced` (when absent, too) or `cluster`;
/// - `status = WebsiteStatus`: the type of the status, which becomes a subresource;
/// - `scale(replicas = ".spec.replicas", status = ".status.replicas", selector = ".status.selector")`;
/// - `column("Ready", ".status.ready")`, any number: a printer column, of the field's own type
///   unless `type = "…"` says otherwise; `priority = 1` for `-o wide` alone; `description = "…"`.
///   Name and Age are there without being named;
/// - `crate = "trimtab_api"`: where the runtime is, `::trimtab` when absent.
///
/// On a field: `default = …`, which the API server puts where the field is absent.
#[proc_macro_derive(Resource, attributes(resource))]
pub fn derive_resource(input: TokenStream) -> TokenStream {
    resource::expand(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a controller of an impl block with `reconcile` and, if need be, `setup`, `cleanup` and
/// `absent`.
///
/// `impl Replication { … }` implements `Controller` for `Replication`, whose methods take the
/// object; `impl Reconcile for Website { … }` has the object reconcile itself.
///
/// In `#[controller(…)]`:
///
/// - `for = ReplicationController`: the kind; not with `impl Reconcile for`, which says it;
/// - `owns(Pod, Service)`: kinds of which this controller makes objects: a change of one wakes its
///   owner;
/// - `watches(Node => f)`: a change of a Node wakes the objects that `f(&node)` names;
/// - `finalizer = "demo.io/dns"`: `cleanup` runs before an object goes;
/// - `name = "replication"`: in events, logs and field managers; the type's name when absent;
/// - `concurrency = 4`: how many objects at once;
/// - `crate = "trimtab_reconcile"`: where the runtime is, `::trimtab::reconcile` when absent.
#[proc_macro_attribute]
pub fn controller(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let tokens = proc_macro2::TokenStream::from(item.clone());
    controller::expand(arguments.into(), tokens).map_or_else(
        |error| {
            // The block is kept, so that what it declares is not missed as well; but not one that
            // implements `Reconcile`, whose methods are the macro's to complete.
            let block = syn::parse::<syn::ItemImpl>(item).ok().filter(|block| block.trait_.is_none());
            let error = error.into_compile_error();
            quote::quote!(#block #error).into()
        },
        Into::into,
    )
}
