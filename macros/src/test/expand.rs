//! The test as the standard harness takes it.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::model::Model;

pub(crate) fn test(model: &Model) -> TokenStream {
    let Model { attributes, function, borrows, root, .. } = model;
    let name = &function.sig.ident;
    let seeds = model.seeds.as_ref().map_or_else(|| quote!(1), |seeds| quote!(#seeds));
    let nodes = model.nodes.as_ref().map(|nodes| quote!(.nodes(#nodes)));
    let kinds = (!model.kinds.is_empty()).then(|| {
        let kinds = model.kinds.iter().map(|kind| quote_spanned!(kind.span()=> <#kind>::kind()));
        quote!(.kinds([#(#kinds),*]))
    });
    let faults = model.faults.as_ref().map(|faults| match faults {
        Some(faults) => quote!(.faults(#faults)),
        None => quote!(.faults(#root::Faults::default())),
    });
    let cluster = if *borrows { quote!(cluster) } else { quote!(::core::clone::Clone::clone(cluster)) };
    let output = &function.sig.output;
    // What a test cannot answer is named where the user wrote it.
    let call = quote_spanned!(output.span()=> #name(#cluster).await);
    quote! {
        #(#attributes)*
        #[::core::prelude::v1::test]
        fn #name() {
            #function
            #root::run(
                #root::Seeds(#seeds),
                |seed| #root::TestCluster::builder(seed) #nodes #kinds #faults,
                async |cluster: &#root::TestCluster| #call,
            );
        }
    }
}
