//! How the macros are tested: mistakes by their tokens, output by files under `tests/output/`.

use std::path::Path;
use std::str::FromStr;

use proc_macro2::TokenStream;
use syn::Result;

type Expand = fn(TokenStream) -> Result<TokenStream>;

/// Checks that `source` gives exactly these mistakes, each as the text at fault and the message.
pub(crate) fn check_errors(expand: Expand, source: &str, expected: &[(&str, &str)]) {
    let tokens = TokenStream::from_str(source).unwrap();
    let Err(errors) = expand(tokens) else { panic!("{source} is taken") };
    let found: Vec<_> = errors.into_iter().map(|error| (source_of(&error, source), error.to_string())).collect();
    let expected: Vec<_> = expected.iter().map(|(text, message)| ((*text).to_owned(), (*message).to_owned())).collect();
    assert_eq!(found, expected, "{source}");
}

fn source_of(error: &syn::Error, source: &str) -> String {
    let (start, end) = (error.span().start(), error.span().end());
    source.chars().skip(start.column).take(end.column - start.column).collect()
}

/// Compares what `source` expands to, formatted, with `tests/output/<name>.rs`. With `UPDATE=1` in
/// the environment the file is written, to be reviewed.
pub(crate) fn check_output(expand: Expand, source: &str, name: &str) {
    let output = expand(TokenStream::from_str(source).unwrap()).unwrap();
    let formatted = prettyplease::unparse(&syn::parse2(output).unwrap());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/output").join(format!("{name}.rs"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &formatted).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(formatted == expected, "{} differs; run with UPDATE=1 and review it:\n{formatted}", path.display());
}
