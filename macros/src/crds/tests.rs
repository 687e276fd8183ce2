//! Mistakes are told with their file, line and column; the code of a whole file is reviewed as code is.

use proc_macro2::TokenStream;
use syn::Result;

use super::expand;
use crate::testing::{check_errors, check_output};

fn check(input: &str, at: &str, expected: &[&str]) {
    let expected: Vec<_> = expected.iter().map(|message| (at, *message)).collect();
    check_errors(expand, input, &expected);
}

#[test]
fn mistakes_are_told_where_they_are_in_the_file() {
    let of_schema = "additionalProperties, allOf, anyOf, default, description, enum, example, exclusiveMaximum, \
                     exclusiveMinimum, externalDocs, format, items, maxItems, maxLength, maxProperties, maximum, minItems, \
                     minLength, minProperties, minimum, multipleOf, not, nullable, oneOf, pattern, properties, required, \
                     type, uniqueItems, x-kubernetes-embedded-resource, x-kubernetes-int-or-string, \
                     x-kubernetes-list-map-keys, x-kubernetes-list-type, x-kubernetes-map-type, \
                     x-kubernetes-preserve-unknown-fields, x-kubernetes-validations";
    let file = "tests/crds/wrong.yaml";
    check(
        "\"tests/crds/wrong.yaml\"",
        "\"tests/crds/wrong.yaml\"",
        &[
            &format!(
                "{file}:7:40: unknown field short; expected one of kind, listKind, plural, singular, shortNames, categories"
            ),
            &format!("{file}:5:3: expected a DNS name with a dot, as demo.io"),
            &format!("{file}:7:11: expected letters and digits, the first in upper case, as Website"),
            &format!("{file}:6:3: expected Namespaced or Cluster"),
            &format!("{file}:19:29: missing is required, and there is no such field"),
            &format!(
                "{file}:21:21: unknown type text; expected one of array, boolean, integer, number, object, string"
            ),
            &format!("{file}:22:21: unknown field $ref; expected one of {of_schema}"),
            &format!("{file}:22:17: a schema needs a type, or x-kubernetes-preserve-unknown-fields: true"),
            &format!("{file}:23:17: a list needs items"),
            &format!("{file}:27:19: an object either names its fields or says what all of them are; remove one"),
            &format!("{file}:32:40: an alternative only constrains what is declared outside of it; move type there"),
            &format!("{file}:34:1: expected apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition"),
            &format!("{file}:44:7: expected schema.openAPIV3Schema: without it there are no types"),
            &format!("{file}:45:8: expected a version, as v1 or v1beta2"),
            &format!("{file}:43:3: expected exactly one version with storage: true"),
        ],
    );
}

#[test]
fn a_file_that_is_no_yaml_says_where() {
    let error = expand("\"tests/crds/broken.yaml\"".parse().unwrap()).unwrap_err().to_string();
    assert!(error.starts_with("tests/crds/broken.yaml:3:"), "{error}");
}

#[test]
fn files_are_named_relative_to_the_crate() {
    let error = expand("\"tests/crds/none*.yaml\"".parse().unwrap()).unwrap_err().to_string();
    assert!(error.starts_with("no file is called ") && error.ends_with("/tests/crds/none*.yaml"), "{error}");
    let message = "tests/*/a.yaml: only the file's name may have a star, not the folder's";
    check("\"tests/*/a.yaml\"", "\"tests/*/a.yaml\"", &[message]);
    let message = "expected the files, relative to Cargo.toml: `resources_from!(\"crds/*.yaml\")`";
    check("crds", "crds", &[message]);
}

// The files' paths are of this machine.
fn anywhere(input: TokenStream) -> Result<TokenStream> {
    let code = expand(input)?.to_string();
    Ok(code.replace(env!("CARGO_MANIFEST_DIR"), "").parse().unwrap())
}

#[test]
fn a_whole_file() {
    check_output(anywhere, "\"tests/crds/gallery.yaml\"", "gallery");
}

#[test]
fn an_edit_of_any_file_builds_anew() {
    let code = expand("\"tests/crds/pair/*.yaml\"".parse().unwrap()).unwrap().to_string();
    let named: Vec<_> = code.split("include_bytes ! (\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crds/pair").canonicalize().unwrap();
    let expected = ["left.yaml", "right.yaml"].map(|name| folder.join(name));
    assert_eq!(named.iter().map(std::path::PathBuf::from).collect::<Vec<_>>(), expected);
}
