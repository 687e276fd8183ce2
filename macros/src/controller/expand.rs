//! The implementation of `Controller`, or of `Reconcile` where the object reconciles itself.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ImplItemFn;
use syn::spanned::Spanned;

use super::model::{Model, parameter};

pub(crate) fn controller(model: &Model) -> TokenStream {
    let Model { attributes, target, root, name, kind, reconcile, cleanup, absent, .. } = model;
    let (generics, _, bounds) = model.generics.split_for_impl();
    let (implemented, kind, receiver) = if model.of_object {
        (quote!(Reconcile), None, quote!())
    } else {
        (quote!(Controller), Some(quote!(type Kind = #kind;)), quote!(&self,))
    };
    let finalizer = model.finalizer.as_ref().map(|finalizer| {
        quote!(const FINALIZER: ::core::option::Option<&'static str> = ::core::option::Option::Some(#finalizer);)
    });
    let concurrency = model.concurrency.as_ref().map(|count| quote!(const CONCURRENCY: usize = #count;));
    let setup = setup(model, &receiver);
    // A type that cannot be a controller is named where the user wrote it.
    let path = quote_spanned!(target.span()=> #root::#implemented);
    quote! {
        #(#attributes)*
        impl #generics #path for #target #bounds {
            #kind
            const NAME: &'static str = #name;
            #finalizer
            #concurrency
            #setup
            #reconcile
            #cleanup
            #absent
        }
    }
}

// What the attribute names comes first, then what the user's own `setup` does.
fn setup(model: &Model, receiver: &TokenStream) -> Option<TokenStream> {
    let root = &model.root;
    let own = model.setup.as_ref();
    let setup = own.and_then(parameter).cloned().unwrap_or_else(|| Ident::new("setup", Span::mixed_site()));
    let owns = model.owns.iter().map(|kind| quote_spanned!(kind.span()=> #setup.owns::<#kind>();));
    let watches = model.watches.iter().map(|watch| {
        let (kind, map) = (&watch.kind, &watch.map);
        quote_spanned!(kind.span()=> #setup.watches::<#kind>(#map);)
    });
    let calls: Vec<_> = owns.chain(watches).collect();
    if let Some(ImplItemFn { attrs, sig, block, .. }) = own {
        let statements = &block.stmts;
        return Some(quote!(#(#attrs)* #sig { #(#calls)* #(#statements)* }));
    }
    let taken = if model.of_object { quote!(#root::Of<Self>) } else { quote!(Self) };
    (!calls.is_empty()).then(|| quote!(fn setup(#receiver #setup: &mut #root::Setup<'_, #taken>) { #(#calls)* }))
}
