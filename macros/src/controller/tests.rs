//! Each mistake is named on its token; the code of a whole controller is reviewed as code is.

use proc_macro2::TokenStream;
use syn::Result;

use crate::testing::{check_errors, check_output};

// `arguments # item`, so that a test is one string.
fn expand(source: TokenStream) -> Result<TokenStream> {
    let item: TokenStream = source.clone().into_iter().skip_while(|token| token.to_string() != "impl").collect();
    let arguments: TokenStream = source.into_iter().take_while(|token| token.to_string() != "impl").collect();
    super::expand(arguments, item)
}

const GOOD: &str =
    "impl Web { async fn reconcile(&self, w: &Website, cx: &Context<Website>) -> Result<Next> { done() } }";

#[test]
fn arguments_are_refused_with_what_to_write() {
    let check =
        |arguments: &str, expected: &[(&str, &str)]| check_errors(expand, &format!("{arguments} {GOOD}"), expected);
    const ALL: &str = "unknown argument; expected one of for, owns, watches, references, reads, uses, when, labels, fields, \
                       finalizer, name, concurrency, crate";
    check("kind = Website, own(Pod)", &[("kind", ALL), ("own", ALL)]);
    check(
        "for = 3, owns = Pod, watches(Node), finalizer(x), concurrency = many",
        &[
            ("for", "expected `for = Website`"),
            ("owns", "expected `owns(Pod, Service if labels)`"),
            ("watches", "expected `watches(Node => websites_on)`"),
            ("finalizer", "expected `finalizer = \"demo.io/dns\"`"),
            ("concurrency", "expected `concurrency = 4`"),
        ],
    );
    check(
        "for = A, when, references(Secret), reads = A, uses(Pod), labels(a), uses(Pod: )",
        &[
            ("when", "expected `when = generation`"),
            ("references", "expected `references(Secret => Website::secrets)`"),
            ("reads", "expected `reads(ConfigMap)`"),
            ("uses", "expected `uses(Pod/eviction: create, Secret: get | create)`"),
            ("labels", "expected `labels = \"tier=front\"`"),
            ("uses", "expected `uses(Pod/eviction: create, Secret: get | create)`"),
        ],
    );
    check(
        "for = A, references(Secret if labels => secrets)",
        &[("labels", "a reference wakes whenever what it refers to changes; remove the condition")],
    );
    check(
        "for = A, for = B, finalizer = \"dns\"",
        &[("for", "`for` is given twice; remove one"), ("\"dns\"", "expected a qualified name, as `demo.io/dns`")],
    );
    check("owns(Pod)", &[("Web", "the kind is missing: write `#[controller(for = Website)]`")]);
    check(
        "for = A, finalizer = \"a.b/c\"",
        &[(
            "\"a.b/c\"",
            "a finalizer without `cleanup` only holds objects up: write `async fn cleanup(…)`, or remove it",
        )],
    );
}

#[test]
fn methods_are_refused_with_what_to_write() {
    let check = |body: &str, expected: &[(&str, &str)]| {
        check_errors(expand, &format!("for = Website impl Web {{ {body} }}"), expected);
    };
    check(
        "",
        &[(
            "Web",
            "`reconcile` is missing: write `async fn reconcile(&self, website: &Website, cx: &Context<Website>) -> Result<Next>`",
        )],
    );
    check(
        "fn reconcile(&self, cx: &Context<Website>) {} fn other() {}",
        &[
            (
                "other",
                "expected reconcile, setup, cleanup or absent; put other methods into an impl block of their own",
            ),
            ("fn", "`reconcile` is asynchronous: write `async fn reconcile`"),
            ("&self, cx: &Context<Website>", "expected `reconcile(&self, object: &Website, cx: &Context<Website>)`"),
        ],
    );
    check(
        "fn setup(&self) {} async fn reconcile(&self, w: &W, cx: &C) {}",
        &[("fn setup(&self)", "expected `fn setup(&self, setup: &mut Setup<'_, Self>)`")],
    );
    check(
        "async fn reconcile(&self, w: &W, cx: &C) {} async fn cleanup(&self, w: &W, cx: &C) {}",
        &[("cleanup", "`cleanup` is never called without a finalizer: add `finalizer = \"demo.io/website\"`")],
    );
}

#[test]
fn an_object_may_reconcile_itself() {
    let check = |source: &str, expected: &[(&str, &str)]| check_errors(expand, source, expected);
    check(
        "for = Website impl Reconcile for Website { async fn reconcile(&self, cx: &Context<Self>) {} }",
        &[("Website", "`impl Reconcile for Website` says the kind already; remove `for`")],
    );
    check(
        " impl Reconcile for Website { async fn reconcile(&self, w: &Website, cx: &Context<Self>) {} }",
        &[("&self, w: &Website, cx: &Context<Self>", "expected `reconcile(&self, cx: &Context<Self>)`")],
    );
    check(
        "for = Website impl Display for Web { async fn reconcile(&self, w: &Website, cx: &Context<Website>) {} }",
        &[(
            "Display",
            "expected `impl Replication { … }`, `impl Reconcile for Website { … }`, or `impl Compose for Website { … }`",
        )],
    );
}

#[test]
fn what_is_selected_is_said_in_brackets() {
    let check = |selected: &str, expected: &[(&str, &str)]| {
        let block =
            "impl Reconcile for Website { async fn reconcile(&self, cx: &Context<Self>) -> Result<Next> { go() } }";
        check_errors(expand, &format!("owns(Pod[{selected}]) {block}"), expected);
    };
    check("label = \"a\"", &[("label", "expected `labels = \"tier=front\"` or `fields = \"…\"`")]);
    check("labels = \"a\", labels = \"b\"", &[("labels", "`labels` is said twice; separate requirements by commas")]);
}

#[test]
fn a_composition_waits_for_nothing() {
    let check = |source: &str, expected: &[(&str, &str)]| check_errors(expand, source, expected);
    check(
        " impl Compose for Website { async fn compose(&self, world: &World<Self>) {} }",
        &[("async", "`compose` waits for nothing: write `fn compose`, or `impl Reconcile`")],
    );
    check(
        " impl Compose for Website { fn compose(&self) {} async fn cleanup(&self) {} }",
        &[
            ("cleanup", "expected compose or setup; put other methods into an impl block of their own"),
            ("&self", "expected `compose(&self, world: &World<Self>)`"),
        ],
    );
}

#[test]
fn whole_controllers() {
    let source = "for = ReplicationController, owns(Pod), watches(Node => on_node, Secret => by_secret), concurrency = 4, \
                  finalizer = \"demo.io/x\", crate = \"trimtab_reconcile\" \
                  impl ReplicationManager { \
                  fn setup(&self, s: &mut Setup<'_, Self>) { s.manager().cache::<Pod>(); } \
                  async fn reconcile(&self, rc: &ReplicationController, cx: &Context<ReplicationController>) -> Result<Next> { go().await } \
                  async fn cleanup(&self, rc: &ReplicationController, cx: &Context<ReplicationController>) -> Result<()> { Ok(()) } \
                  async fn absent(&self, key: &ObjectRef, cx: &Context<ReplicationController>) -> Result<()> { Ok(()) } }";
    check_output(expand, source, "controller");
    let source = "owns(Service) impl Reconcile for Website { async fn reconcile(&self, cx: &Context<Self>) -> Result<Next> { go().await } }";
    check_output(expand, source, "controller_of_itself");
    let source = "owns(Service if (labels, ports), Pod if generation), watches(Node if labels => near), references(Secret => secrets), \
                  owns(ConfigMap[labels = \"part=page\"]), watches(Pod[fields = \"spec.nodeName!=\"] => near), \
                  references(Secret[labels = \"tls\"] => certificates), reads(ConfigMap, Lease[labels = \"a\", fields = \"b=c\"]), \
                  uses(Pod/eviction: create, Lease: get | update), when = generation, labels = \"tier=front\" \
                  impl Compose for Website { fn compose(&self, world: &World<Self>) -> Result<Composition<Self>> { go() } }";
    check_output(expand, source, "controller_composing");
}
