//! Each mistake is named on its token; the code of a whole declaration is reviewed as code is.

use super::expand;
use crate::testing::{check_errors, check_output};

const GOOD: &str = r#"group = "demo.io", version = "v1", kind = "Website""#;

// The mistakes of `#[resource(attributes)] struct WebsiteSpec { fields }`, each with its token.
fn check(attributes: &str, fields: &str, expected: &[(&str, &str)]) {
    let source = format!("#[resource({attributes})] struct WebsiteSpec {{ {fields} }}");
    check_errors(expand, &source, expected);
}

#[test]
fn what_is_missing_is_spelled_out() {
    check(
        "version = \"v1\"",
        "",
        &[
            ("WebsiteSpec", "`group = \"demo.io\"` is missing: write `#[resource(group = \"demo.io\")]`"),
            ("WebsiteSpec", "`kind = \"Website\"` is missing: write `#[resource(kind = \"Website\")]`"),
        ],
    );
}

#[test]
fn names_that_the_api_refuses_are_refused() {
    check(
        r#"group = "demo", version = "1", kind = "website", plural = "Websites", short = ["w", "W"]"#,
        "",
        &[
            ("\"demo\"", "expected a DNS name with a dot, as `demo.io`"),
            ("\"1\"", "expected a version, as `v1` or `v1beta2`"),
            ("\"website\"", "expected letters and digits, the first in upper case, as `Website`"),
            ("\"Websites\"", "expected lower-case letters, digits and dashes, as `websites`"),
            ("\"W\"", "expected lower-case letters, digits and dashes, as `websites`"),
        ],
    );
    check(
        r#"group = "demo.io", version = "v1", kind = "WebsiteSpec""#,
        "",
        &[("WebsiteSpec", "the struct of the spec cannot be called as the kind is; call it `WebsiteSpecSpec`")],
    );
}

#[test]
fn unknown_and_repeated_attributes_are_refused_at_once() {
    const ALL: &str = "unknown attribute; expected one of group, version, kind, plural, singular, short, categories, \
                       namespaced, cluster, status, scale, column, crate";
    check(
        r#"group = "demo.io", grup = "x", version = "v1", version = "v2", kind = Website, cluster = true"#,
        "",
        &[
            ("grup", ALL),
            ("version", "`version` is given twice; remove one"),
            ("Website", "expected a string in quotes"),
            ("cluster = true", "`cluster` takes no value"),
        ],
    );
    check(
        &format!("{GOOD}, namespaced, cluster"),
        "",
        &[("cluster", "a kind is either `namespaced` or `cluster`; remove one")],
    );
}

#[test]
fn columns_and_scale_say_how_they_are_written() {
    check(
        &format!(
            r#"{GOOD}, status = S, column("Ready"), column("A", "spec.a"), column("B", ".b", type = "int"), scale()"#
        ),
        "",
        &[
            (
                r#"column("Ready")"#,
                "expected `column(\"Ready\", \".status.ready\")`, and if need be `type = \"integer\"`, `priority = 1`, \
                 `description = \"…\"`",
            ),
            ("\"spec.a\"", "expected a path from the object's root, as `.spec.a`"),
            ("\"int\"", "expected string, integer, number, boolean or date"),
            (
                "scale()",
                "expected `scale(replicas = \".spec.replicas\")`, and if need be `status = \".status.replicas\"`, \
                 `selector = \".status.selector\"`",
            ),
        ],
    );
    check(
        &format!(r#"{GOOD}, scale(replicas = ".spec.replicas")"#),
        "",
        &[(
            "\".spec.replicas\"",
            "a kind that scales needs a status to show its replicas: add `status = WebsiteStatus`",
        )],
    );
}

#[test]
fn a_field_takes_a_default_and_nothing_else_yet() {
    check(
        GOOD,
        "#[resource(default = 1, rule = \"self < 3\")] a: i32, #[resource(min = 1)] b: i32, #[resource(default)] c: i32",
        &[
            ("rule", "`rule` is not supported yet; expected `default = …`"),
            ("min", "unknown attribute of a field; expected `default = …`"),
            ("default", "expected `default = 1`"),
        ],
    );
}

#[test]
fn only_a_plain_struct_is_a_spec() {
    let message = "derive(Resource) goes on the struct of a spec, with named fields: `struct WebsiteSpec { … }`";
    check_errors(expand, &format!("#[resource({GOOD})] enum WebsiteSpec {{}}"), &[("WebsiteSpec", message)]);
    check_errors(expand, &format!("#[resource({GOOD})] struct WebsiteSpec(u8);"), &[("WebsiteSpec", message)]);
    check_errors(
        expand,
        &format!("#[resource({GOOD})] struct WebsiteSpec<T> {{ t: T }}"),
        &[("T", "a resource cannot be generic: its kind has one schema")],
    );
}

#[test]
fn a_whole_declaration() {
    check_output(
        expand,
        r#"
        /// A website.
        #[resource(group = "demo.io", version = "v1", kind = "Website", short = "web", categories = ["all"],
                   status = WebsiteStatus, scale(replicas = ".spec.replicas"),
                   column("Ready", ".status.ready"), column("Image", ".spec.image", type = "string", priority = 1))]
        #[serde(rename_all = "camelCase")]
        pub struct WebsiteSpec {
            pub image: String,
            #[resource(default = 1)]
            pub replica_count: i32,
        }
        "#,
        "resource",
    );
}

#[test]
fn the_least_declaration() {
    check_output(
        expand,
        r#"#[resource(group = "demo.io", version = "v1", kind = "Policy", cluster, crate = "trimtab_api")] struct PolicySpec {}"#,
        "resource_least",
    );
}
