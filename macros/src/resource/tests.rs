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
            ("\"website\"", "expected letters and digits, the first in upper case, as `Website`"),
            ("\"Websites\"", "expected lower-case letters, digits and dashes, as `websites`"),
            ("\"W\"", "expected lower-case letters, digits and dashes, as `websites`"),
            ("\"1\"", "expected a version, as `v1` or `v1beta2`"),
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
                       namespaced, cluster, status, scale, column, selectable, object_rule, deprecated, unserved, \
                       storage, versions, converts, derive, crate, rule, atomic, preserve_unknown_fields";
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
fn fields_take_what_their_types_have_a_place_for() {
    const ALL: &str = "unknown attribute of a field; expected one of default, rule, list_type, map_keys, map_type, \
                       int_or_string, embedded_resource, preserve_unknown_fields";
    check(
        GOOD,
        "#[resource(min = 1)] a: i32, #[resource(default)] b: i32, #[resource(default = 1, default = 2)] c: i32",
        &[("min", ALL), ("default", "expected `default = 1`"), ("default = 2", "`default` is given twice; remove one")],
    );
    check(
        GOOD,
        "#[resource(list_type = \"sets\")] a: Vec<A>, #[resource(list_type = \"map\")] b: Vec<A>, \
         #[resource(map_type = \"atomic\")] c: Option<String>, #[resource(int_or_string, embedded_resource)] d: Value, \
         #[serde(flatten)] #[resource(default = 1)] e: E, #[serde(skip)] #[resource(rule = \"true\")] f: F",
        &[
            ("\"sets\"", "expected one of atomic, set, map"),
            ("\"map\"", "a list of type `map` needs the fields that tell its items apart: add `map_keys = \"name\"`"),
            ("\"atomic\"", "only a map or struct has a map type; `Option<String>` is a string"),
            ("embedded_resource", "a number or string has no fields; remove this or `int_or_string`"),
            ("default", "a flattened field has no schema of its own: put this on the fields within"),
            ("f", "a field that is skipped is not in the schema; remove `rule`"),
        ],
    );
}

#[test]
fn rules_say_how_they_are_written() {
    const EXPECTED: &str = "expected `rule(\"self.min <= self.max\")`, and if need be `message = \"…\"`, \
                            `message_expression = \"…\"`, `reason = \"FieldValueInvalid\"`, `field_path = \".min\"`, \
                            `optional_old_self`";
    let one =
        |rule: &str, at: &str, message: &str| check(GOOD, &format!("#[resource({rule})] a: i32"), &[(at, message)]);
    one("rule", "rule", EXPECTED);
    one("rule(self < 3)", "rule(self < 3)", EXPECTED);
    one("rule = 3", "3", "expected a string in quotes");
    one("rule(\"self < 3\", why = \"x\")", "why", EXPECTED);
    one("rule(\"self < 3\", message = 3)", "3", "expected a string in quotes");
    one("rule = \" \"", "\" \"", "expected an expression in CEL, as `self <= 100`");
    one(
        "rule = \"self <\"",
        "\"self <\"",
        "this is no expression in CEL:\nERROR: <input>:1:7: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n | self <\n | ......^",
    );
    one("rule(\"self < 3\", message = \"\")", "\"\"", "expected a message of one line");
    one("rule = \"self <\\n 3\"", "\"self <\\n 3\"", "a rule of several lines needs a message: add `message = \"…\"`");
    one(
        "rule(\"self < 3\", reason = \"No\")",
        "\"No\"",
        "expected one of FieldValueDuplicate, FieldValueForbidden, FieldValueInvalid, FieldValueRequired",
    );
    one("rule(\"self < 3\", field_path = \"a\")", "\"a\"", "expected a path below `self`, as `.a`");
    one(
        "rule(\"self < 3\", optional_old_self)",
        "optional_old_self",
        "the rule does not look at `oldSelf`; remove this",
    );
}

#[test]
fn another_version_says_only_what_is_its_own() {
    let message = |name: &str| format!("`{name}` is the same in all versions: it is said where this one `converts` to");
    check(
        r#"version = "v1beta1", converts = WebsiteSpec, group = "demo.io", short = "w", versions(A)"#,
        "",
        &[("group", &message("group")), ("short", &message("short")), ("versions", &message("versions"))],
    );
    check_errors(
        expand,
        r#"#[resource(version = "v1beta1", converts = WebsiteSpec)] struct Old {}"#,
        &[("Old", "its objects are called as the spec is without `Spec`: call the struct `OldV1Beta1Spec`")],
    );
    check(
        &format!("{GOOD}, versions, derive()"),
        "",
        &[("versions", "expected `versions(WebsiteV1Beta1Spec)`"), ("derive()", "expected `derive(PartialEq)`")],
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
                   column("Ready", ".status.ready"), column("Image", ".spec.image", type = "string", priority = 1),
                   selectable = ".spec.image", deprecated = "use v2", derive(PartialEq), versions(WebsiteV1Alpha1Spec),
                   rule("self.image != ''", message = "an image is needed", reason = "FieldValueRequired", field_path = ".image"),
                   object_rule = "self.metadata.name.size() < 50")]
        #[serde(rename_all = "camelCase")]
        pub struct WebsiteSpec {
            pub image: String,
            #[resource(default = 1, rule = "self <= 100")]
            pub replica_count: i32,
            #[resource(map_keys = "name")]
            pub ports: Vec<Port>,
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

#[test]
fn another_version() {
    check_output(
        expand,
        r#"#[resource(version = "v1beta1", converts = WebsiteSpec, storage, unserved, status = WebsiteStatus)] struct WebsiteV1Beta1Spec {}"#,
        "resource_version",
    );
}
