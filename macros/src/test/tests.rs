//! Each mistake is named on its token; the code of a whole test is reviewed as code is.

use proc_macro2::TokenStream;
use syn::Result;

use crate::testing::{check_errors, check_output};

// `arguments # item`, so that a test is one string.
fn expand(source: TokenStream) -> Result<TokenStream> {
    let starts = |token: &proc_macro2::TokenTree| ["#", "async", "fn", "struct"].contains(&token.to_string().as_str());
    let at = source.clone().into_iter().position(|token| starts(&token)).unwrap_or(0);
    super::expand(source.clone().into_iter().take(at).collect(), source.into_iter().skip(at).collect())
}

#[test]
fn arguments_are_refused_with_what_to_write() {
    let check = |arguments: &str, expected: &[(&str, &str)]| {
        check_errors(expand, &format!("{arguments} async fn converges(cluster: TestCluster) {{}}"), expected);
    };
    const ALL: &str = "unknown argument; expected one of seeds, nodes, kinds, faults, crate";
    check("seed = 7, threads(2)", &[("seed", ALL), ("threads", ALL)]);
    check(
        "seeds, nodes(3), kinds = Website, faults(all), crate = here",
        &[
            ("seeds", "expected `seeds = 64`"),
            ("nodes", "expected `nodes = 3`"),
            ("kinds", "expected `kinds(Website)`"),
            ("faults", "expected `faults`, or `faults = Faults::none().writes(0.1)`"),
            ("crate", "expected `crate = \"trimtab_cluster::testing\"`"),
        ],
    );
    check("nodes = 1, nodes = 2", &[("nodes", "`nodes` is given twice; remove one")]);
    check("seeds = 0", &[("0", "a test that never runs finds nothing: write `seeds = 1` or more")]);
}

#[test]
fn functions_are_refused_with_what_to_write() {
    let check = |function: &str, expected: &[(&str, &str)]| check_errors(expand, function, expected);
    const ONE: &str = "a test takes one cluster: write `async fn converges(cluster: TestCluster)`";
    check(
        "fn converges(cluster: TestCluster) {}",
        &[("fn", "a test with a cluster waits for it: write `async fn converges`")],
    );
    check("async fn converges() {}", &[("converges", ONE)]);
    check("async fn converges(a: TestCluster, b: TestCluster) {}", &[("b: TestCluster", ONE)]);
    check("async fn converges(client: &mut Client) {}", &[("&mut Client", "expected `TestCluster` or `&TestCluster`")]);
    check(
        "async fn converges<T>(cluster: &TestCluster) {}",
        &[("<T>", "nobody says what these are in a test; remove them")],
    );
    check(
        "#[test] async fn converges(cluster: &TestCluster) {}",
        &[("#[test]", "`#[trimtab::test]` makes a test of it already; remove this one")],
    );
}

#[test]
fn a_test_is_as_reviewed() {
    check_output(expand, "async fn converges(cluster: TestCluster) { web(&cluster).await }", "test");
    let all = "seeds = 64, nodes = 3, kinds(Website, demo::Page), faults, crate = \"trimtab_cluster::testing\"
        #[should_panic(expected = \"never\")]
        async fn converges(cluster: &testing::TestCluster) -> Result<()> { web(cluster).await }";
    check_output(expand, all, "test_with_everything");
}
