//! Which types have no schema, and the code of those that have one.

use super::expand;
use crate::testing::{check_errors, check_output};

fn check(source: &str, expected: &[(&str, &str)]) {
    check_errors(expand, source, expected);
}

#[test]
fn a_unit_variant_is_no_object() {
    let message = |name: &str| {
        format!(
            "`{name}` is a string where other variants are objects, and a field has one type: write `{name} {{}}`, or tag \
             the enum with `#[serde(tag = \"type\")]`"
        )
    };
    check("enum E { A, B(String), C }", &[("A", &message("A")), ("C", &message("C"))]);
    assert!(expand("enum E { A, B }".parse().unwrap()).is_ok());
    assert!(expand("enum E { A {}, B(String) }".parse().unwrap()).is_ok());
    assert!(expand("#[serde(tag = \"type\")] enum E { A, B { b: String } }".parse().unwrap()).is_ok());
    assert!(expand("enum E { #[serde(skip)] A, B(String) }".parse().unwrap()).is_ok());
}

#[test]
fn a_tagged_variant_is_an_object() {
    check(
        "#[serde(tag = \"type\")] enum E { A(Vec<u8>), B(Other), C { x: String }, D { x: bool }, E { x: u8 } }",
        &[
            ("Vec<u8>", "a tagged variant is an object, and `Vec<u8>` is a list: name it, as `A { value: Vec<u8> }`"),
            (
                "bool",
                "`x` is a boolean in `D` and a string in `C`, and a field has one type: give one of them another name",
            ),
        ],
    );
}

#[test]
fn what_variants_hold_is_of_one_type() {
    check(
        "#[serde(untagged)] enum E { A(String), B(u16), C(bool), D { d: u8 } }",
        &[
            (
                "C(bool)",
                "`C` is a boolean where `A` is a string, and a field has one type: tag the enum, with `#[serde(tag = \
                 \"type\", content = \"value\")]`, or take anything, with `#[resource(preserve_unknown_fields)]`",
            ),
            (
                "D { d: u8 }",
                "`D` is a map where `A` is a string, and a field has one type: tag the enum, with `#[serde(tag = \
                 \"type\", content = \"value\")]`, or take anything, with `#[resource(preserve_unknown_fields)]`",
            ),
        ],
    );
    check(
        "#[serde(tag = \"t\", content = \"c\")] enum E { A(String), B(Vec<u8>), C }",
        &[(
            "B(Vec<u8>)",
            "`B` is a list where `A` is a string, and a field has one type: leave out `tag` and `content`, so that each \
             variant is a field of its own",
        )],
    );
    let anything = "#[resource(preserve_unknown_fields)] #[serde(untagged)] enum E { A(String), B(bool) }";
    assert!(expand(anything.parse().unwrap()).is_ok());
}

#[test]
fn the_items_of_a_list_are_of_one_type() {
    let message =
        "the items of a list have one type, and `bool` is a boolean where `String` is a string: give the fields names";
    check("struct Pair(String, bool);", &[("bool", message)]);
    check("enum E { A(String, bool), B(u8, u8) }", &[("bool", message)]);
}

#[test]
fn what_has_no_values_has_no_schema() {
    check("enum E {}", &[("E", "an enum without variants has no values: add one, or use `()`")]);
    check("union U { a: u8 }", &[("union", "a union has no schema: make it an enum or a struct")]);
}

#[test]
fn attributes_are_those_of_types_and_fields() {
    check(
        "#[resource(rules = \"x\", atomic = true)] struct S { #[resource(map_keys = \"a\", list_type = \"set\")] a: u8, #[resource(atomic)] b: M }",
        &[
            (
                "rules",
                "unknown attribute of a type; expected one of rule, atomic, int_or_string, embedded_resource, \
                 preserve_unknown_fields, crate",
            ),
            ("atomic = true", "`atomic` takes no value"),
            ("\"a\"", "only a list of type `map` has keys; remove `map_keys`, or write `list_type = \"map\"`"),
            ("\"set\"", "only a list has a list type; `u8` is a whole number"),
            ("atomic", "of a field, this is written `map_type = \"atomic\"`"),
        ],
    );
    check(
        "enum E { #[resource(rule = \"x\")] A { a: u8 } }",
        &[(
            "#[resource(rule = \"x\")]",
            "a variant takes no attribute of its own: put a rule on the struct that it holds",
        )],
    );
}

#[test]
fn a_type_with_rules() {
    check_output(
        expand,
        r#"
        /// Where it listens.
        #[resource(rule("self.least <= self.most", message = "least is at most most", field_path = ".least"), atomic)]
        #[serde(rename_all = "camelCase", default)]
        pub struct Ports {
            #[resource(default = 1, rule = "self > 0")]
            pub least: u16,
            pub most: u16,
            #[resource(map_keys = ["name", "port"])]
            pub named: Vec<Named>,
        }
        "#,
        "schema",
    );
}
