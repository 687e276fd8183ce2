//! What stands in the parentheses of an attribute: named arguments in any order.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Error, Result, Token};

use crate::errors::Errors;

/// The arguments of one attribute.
pub(crate) trait Arguments: Default {
    /// Each name, and how its argument is written.
    const EXAMPLES: &'static [(&'static str, &'static str)];
    /// The names that may be given more than once.
    const REPEATED: &'static [&'static str] = &[];

    /// Takes in what follows the name. An error is replaced by one that shows the example.
    fn take(&mut self, name: &str, input: ParseStream<'_>, errors: &mut Errors) -> Result<()>;
}

/// Reads all arguments.
///
/// # Errors
/// All mistakes, each where it is.
pub(crate) fn read<A: Arguments>(tokens: TokenStream) -> Result<A> {
    let all = |input: ParseStream<'_>| {
        let (mut errors, mut found, mut given) = (Errors::default(), A::default(), Vec::new());
        while !input.is_empty() {
            let name = Ident::parse_any(input)?;
            if given.contains(&name) && !A::REPEATED.iter().any(|repeated| name == repeated) {
                errors.at(&name, format!("`{name}` is given twice; remove one"));
            }
            if let Err(error) = one(&mut found, &name, input, &mut errors) {
                errors.push(error);
                skip(input)?;
            }
            input.parse::<Option<Token![,]>>()?;
            given.push(name);
        }
        errors.finish(found)
    };
    all.parse2(tokens)
}

fn one<A: Arguments>(found: &mut A, name: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> Result<()> {
    let text = name.to_string();
    let Some((_, example)) = A::EXAMPLES.iter().find(|(known, _)| text == *known) else {
        let names: Vec<_> = A::EXAMPLES.iter().map(|(name, _)| *name).collect();
        return Err(Error::new_spanned(name, format!("unknown argument; expected one of {}", names.join(", "))));
    };
    match found.take(&text, input, errors) {
        Ok(()) if ends(input) => Ok(()),
        _ => Err(Error::new_spanned(name, format!("expected `{example}`"))),
    }
}

/// What follows `=`.
pub(crate) fn assigned<T: Parse>(input: ParseStream<'_>) -> Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

/// What stands in parentheses, separated by commas.
pub(crate) fn listed<T: Parse>(input: ParseStream<'_>) -> Result<Vec<T>> {
    let content;
    syn::parenthesized!(content in input);
    Ok(content.parse_terminated(T::parse, Token![,])?.into_iter().collect())
}

/// Whether nothing follows before the next argument.
pub(crate) fn ends(input: ParseStream<'_>) -> bool {
    input.is_empty() || input.peek(Token![,])
}

// To the next comma outside of brackets.
fn skip(input: ParseStream<'_>) -> Result<()> {
    while !ends(input) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}
