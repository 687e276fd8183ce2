//! The implementation of `Controller`; or of `Controlled`, and of `Reconcile` or `Compose`, where the object reconciles
//! itself.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ImplItemFn, LitStr, Path, Type};

use super::model::{Form, Model, parameter};
use super::parse::{Arguments, Selected};

/// The predicates that are known by their bare names.
const PREDICATES: [&str; 5] = ["anything", "generation", "labels", "annotations", "finalizers"];

pub(crate) fn controller(model: &Model) -> TokenStream {
    let Model { attributes, target, root, name, kind, methods, .. } = model;
    let (generics, _, bounds) = model.generics.split_for_impl();
    // A type that cannot be a controller is named where the user wrote it.
    let path = |implemented| quote_spanned!(target.span()=> #root::#implemented);
    let (says, own_kind, does) = match model.form {
        Form::Controller => (path(quote!(Controller)), Some(quote!(type Kind = #kind;)), None),
        Form::Reconcile => (path(quote!(Controlled)), None, Some(path(quote!(Reconcile)))),
        Form::Compose => (path(quote!(Controlled)), None, Some(path(quote!(Compose)))),
    };
    let (own, does) = match does {
        None => (quote!(#(#methods)*), None),
        Some(does) => {
            (quote!(), Some(quote!(#(#attributes)* impl #generics #does for #target #bounds { #(#methods)* })))
        }
    };
    let finalizer = model.arguments.finalizer.as_ref().map(|finalizer| {
        quote!(const FINALIZER: ::core::option::Option<&'static str> = ::core::option::Option::Some(#finalizer);)
    });
    let concurrency = model.arguments.concurrency.as_ref().map(|count| quote!(const CONCURRENCY: usize = #count;));
    let (selection, matters, setup) = (selection(model), matters(model), setup(model));
    quote! {
        #(#attributes)*
        impl #generics #says for #target #bounds {
            #own_kind
            const NAME: &'static str = #name;
            const STATUS: bool = {
                #[allow(unused_imports)]
                use #root::__private::WithoutStatus as _;
                #root::__private::Probe::<#kind>::STATUS
            };
            #finalizer
            #concurrency
            #selection
            #matters
            #setup
            #own
        }
        #does
    }
}

fn selection(model: &Model) -> Option<TokenStream> {
    let (root, Arguments { labels, fields, .. }) = (&model.root, &model.arguments);
    let params = params(root, labels.as_ref(), fields.as_ref())?;
    Some(quote!(fn selection() -> #root::ListParams { #params }))
}

/// What selects objects, if anything does.
fn params(root: &Path, labels: Option<&LitStr>, fields: Option<&LitStr>) -> Option<TokenStream> {
    let is_said = labels.is_some() || fields.is_some();
    let (labels, fields) =
        (labels.map(|labels| quote!(.labels(#labels))), fields.map(|fields| quote!(.fields(#fields))));
    is_said.then(|| quote!(<#root::ListParams as ::core::default::Default>::default() #labels #fields))
}

fn matters(model: &Model) -> Option<TokenStream> {
    let object = Ident::new("object", Span::mixed_site());
    let kind = &model.kind;
    model.arguments.when.as_ref().map(|when| match model.form {
        Form::Controller => {
            let digest = digest(when, &model.root, &quote!(#object));
            quote!(fn matters(#object: &#kind) -> u64 { #digest })
        }
        Form::Reconcile | Form::Compose => {
            let digest = digest(when, &model.root, &quote!(self));
            quote!(fn matters(&self) -> u64 { #digest })
        }
    })
}

// A function of the object, or several in parentheses.
fn digest(when: &Expr, root: &Path, object: &TokenStream) -> TokenStream {
    let one = |function: &Expr| {
        let name = match function {
            Expr::Path(path) => path.path.get_ident().filter(|name| PREDICATES.iter().any(|known| name == known)),
            _ => None,
        };
        match name {
            Some(name) => quote_spanned!(function.span()=> #root::predicates::#name(#object)),
            None => quote_spanned!(function.span()=> (#function)(#object)),
        }
    };
    let all = match when {
        Expr::Tuple(tuple) => tuple.elems.iter().map(one).collect(),
        one_alone => vec![one(one_alone)],
    };
    quote!(#root::predicates::digest(&(#(#all,)*)))
}

fn anything(root: &Path) -> TokenStream {
    quote!(#root::predicates::anything)
}

fn closure(when: &Expr, root: &Path, kind: &Type) -> TokenStream {
    let object = Ident::new("object", Span::mixed_site());
    let digest = digest(when, root, &quote!(#object));
    quote!(|#object: &#kind| #digest)
}

// What the attribute names comes first, then what the user's own `setup` does.
fn setup(model: &Model) -> Option<TokenStream> {
    let root = &model.root;
    let own = model.setup.as_ref();
    let setup = own.and_then(parameter).cloned().unwrap_or_else(|| Ident::new("setup", Span::mixed_site()));
    let params = |of: &Selected| params(root, of.labels.as_ref(), of.fields.as_ref());
    let all = || quote!(::core::default::Default::default());
    let owns = model.arguments.owns.iter().map(|owned| {
        let kind = &owned.of.kind;
        match (params(&owned.of), owned.when.as_ref().map(|when| closure(when, root, kind))) {
            (None, None) => quote_spanned!(kind.span()=> #setup.owns::<#kind>();),
            (params, when) => {
                let (params, when) = (params.unwrap_or_else(all), when.unwrap_or_else(|| anything(root)));
                quote_spanned!(kind.span()=> #setup.owns_when::<#kind>(#params, #when);)
            }
        }
    });
    let watches = model.arguments.watches.iter().map(|watch| {
        let (kind, map) = (&watch.of.kind, &watch.map);
        match (params(&watch.of), watch.when.as_ref().map(|when| closure(when, root, kind))) {
            (None, None) => quote_spanned!(kind.span()=> #setup.watches::<#kind>(#map);),
            (params, when) => {
                let (params, when) = (params.unwrap_or_else(all), when.unwrap_or_else(|| anything(root)));
                quote_spanned!(kind.span()=> #setup.watches_when::<#kind>(#params, #when, #map);)
            }
        }
    });
    let references = model.arguments.references.iter().map(|reference| {
        let (kind, map) = (&reference.of.kind, &reference.map);
        match params(&reference.of) {
            None => quote_spanned!(kind.span()=> #setup.references::<#kind>(#map);),
            Some(params) => quote_spanned!(kind.span()=> #setup.references_of::<#kind>(#params, #map);),
        }
    });
    let reads = model.arguments.reads.iter().map(|read| {
        let kind = &read.kind;
        match params(read) {
            None => quote_spanned!(kind.span()=> #setup.reads::<#kind>();),
            Some(params) => quote_spanned!(kind.span()=> #setup.reads_of::<#kind>(#params);),
        }
    });
    let uses = model.arguments.uses.iter().map(|used| {
        let (kind, subresource) = (&used.kind, used.subresource.as_ref().map(ToString::to_string).unwrap_or_default());
        let verbs = used.verbs.iter().map(ToString::to_string);
        quote_spanned!(kind.span()=> #setup.uses::<#kind>(#subresource, &[#(#verbs),*]);)
    });
    let calls: Vec<_> = owns.chain(watches).chain(references).chain(reads).chain(uses).collect();
    if let Some(ImplItemFn { attrs, sig, block, .. }) = own {
        let statements = &block.stmts;
        return Some(quote!(#(#attrs)* #sig { #(#calls)* #(#statements)* }));
    }
    let (receiver, taken) = match model.form {
        Form::Controller => (quote!(&self,), quote!(Self)),
        Form::Reconcile | Form::Compose => (quote!(), quote!(#root::Of<Self>)),
    };
    (!calls.is_empty()).then(|| quote!(fn setup(#receiver #setup: &mut #root::Setup<'_, #taken>) { #(#calls)* }))
}
