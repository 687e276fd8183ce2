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
fn a_variant_without_a_tag_stands_where_the_others_do() {
    let advice = "tag it as the others are, or take anything, with `#[resource(preserve_unknown_fields)]` on the enum";
    check(
        "enum E { A { a: u8 }, #[serde(untagged)] B(String) }",
        &[(
            "#[serde(untagged)] B(String)",
            &format!("`B` is a string where `A` is a map, and a field has one type: {advice}"),
        )],
    );
    check(
        "#[serde(tag = \"type\")] enum E { A { a: u8 }, #[serde(untagged)] B { a: String }, #[serde(untagged)] C { a: bool } }",
        &[(
            "bool",
            "`a` is a boolean in `C` and a whole number in `A`, and a field has one type: give one of them another name",
        )],
    );
    assert!(expand("enum E { A, B, #[serde(untagged)] Other(String) }".parse().unwrap()).is_ok());
}

#[test]
fn fields_are_told_apart_by_their_names_in_json() {
    let message =
        "`inIt` is a list in `B` and a boolean in `A`, and a field has one type: give one of them another name";
    check(
        "#[serde(untagged, rename_all_fields = \"camelCase\")] enum E { A { in_it: bool }, B { #[serde(rename = \"inIt\")] other: Vec<u8> } }",
        &[("Vec<u8>", message)],
    );
    let other = "#[serde(tag = \"t\", content = \"c\")] enum E { A { x: bool }, #[serde(rename_all = \"UPPERCASE\")] B { x: String } }";
    assert!(expand(other.parse().unwrap()).is_ok());
    check(
        &other.replace("UPPERCASE", "lowercase"),
        &[(
            "String",
            "`x` is a string in `B` and a boolean in `A`, and a field has one type: give one of them another name",
        )],
    );
}

#[test]
fn a_tag_does_not_stand_in_a_map_of_something_else() {
    check(
        "#[serde(tag = \"type\")] enum E { A(BTreeMap<String, u8>), B(BTreeMap<String, Value>) }",
        &[(
            "BTreeMap<String, u8>",
            "a tagged variant is an object, and `BTreeMap<String,u8>` is a map, in which the tag is no value: name it, as \
             `A { value: BTreeMap<String,u8> }`",
        )],
    );
}

#[test]
fn what_only_the_compiler_sees_it_compares() {
    let claims = |source: &str| {
        let code = expand(source.parse().unwrap()).unwrap().to_string();
        let claims = code.split("const _ : () = :: core :: assert ! (").skip(1);
        claims.map(|claim| claim.split(')').next().unwrap().replace(' ', "")).collect::<Vec<_>>()
    };
    assert_eq!(
        claims("#[serde(untagged)] enum E { A(Own), B(String), C(Option<Box<Other>>), D }"),
        [
            "__custom::Shape::String.agrees(<__custom::ShapeOf<Own>>::SHAPE",
            "__custom::Shape::String.agrees(<__custom::ShapeOf<Other>>::SHAPE",
        ]
    );
    assert_eq!(
        claims(
            "#[serde(tag = \"type\")] enum E { A(Own), B { x: One }, C { x: Two }, D { #[serde(with = \"m\")] x: Three } }"
        ),
        [
            "__custom::Shape::Map.agrees(<__custom::ShapeOf<Own>>::SHAPE",
            "<__custom::ShapeOf<One>>::SHAPE.agrees(<__custom::ShapeOf<Two>>::SHAPE",
        ]
    );
    assert_eq!(claims("#[serde(untagged)] enum E<T> { A(Own), B(T) }"), [""; 0], "what is generic is no type yet");
}

#[test]
fn what_both_derives_read_is_told_once() {
    let source = "#[resource(group = \"demo.io\", version = \"v1\", kind = \"A\", nonsense)] \
                  struct ASpec { #[resource(list_type = \"set\")] a: u8, #[resource(map_keys)] b: Vec<B> }";
    assert_eq!(crate::resource::expand(source.parse().unwrap()).unwrap_err().into_iter().count(), 3);
    assert!(expand(source.parse().unwrap()).is_ok(), "derive(Resource) tells it");
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
