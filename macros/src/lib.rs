//! Procedural macros. Each parses its input, builds a model, and expands the model; this file
//! holds the entry points alone.

use proc_macro::TokenStream;

mod kinds;

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
