//! What a CustomResourceDefinition says besides its schemas.

use serde_json::{Value, json};

use super::maker::OF_ALL;
use super::yaml::{Document, below};
use crate::resource::names::{is_group, is_kind, is_label, is_version};

/// All that is wrong with a document, by where.
#[derive(Default)]
pub(super) struct Mistakes(Vec<(String, String)>);

impl Mistakes {
    /// Notes a mistake at `pointer`.
    pub(super) fn at(&mut self, pointer: &str, message: impl Into<String>) {
        self.0.push((pointer.to_owned(), message.into()));
    }

    /// The mistakes, each with the file, line and column.
    pub(super) fn told(self, document: &Document, file: &str) -> Vec<String> {
        let tell = |(pointer, message): (String, String)| {
            let (line, column) = document.place(&pointer);
            format!("{file}:{line}:{column}: {message}")
        };
        self.0.into_iter().map(tell).collect()
    }
}

/// A kind, as its definition declares it.
pub(super) struct Definition {
    pub group: String,
    pub kind: String,
    pub list_kind: String,
    pub plural: String,
    pub singular: String,
    pub short: Vec<String>,
    pub categories: Vec<String>,
    pub namespaced: bool,
    pub versions: Vec<Version>,
    /// The definition without its versions.
    pub rest: Value,
}

/// One version of a kind.
pub(super) struct Version {
    pub name: String,
    pub served: bool,
    pub storage: bool,
    /// Where the schema of the whole object stands.
    pub pointer: String,
    /// The schema of the whole object.
    pub schema: Value,
    /// The version without the schemas of what its objects have besides their metadata.
    pub rest: Value,
}

const OF_VERSION: [&str; 9] = [
    "name",
    "served",
    "storage",
    "deprecated",
    "deprecationWarning",
    "schema",
    "subresources",
    "selectableFields",
    "additionalPrinterColumns",
];

/// Reads a definition; `None` when it cannot be told what it declares.
pub(super) fn read(document: &Document, mistakes: &mut Mistakes) -> Option<Definition> {
    let all = &document.value;
    if all["apiVersion"] != "apiextensions.k8s.io/v1" || all["kind"] != "CustomResourceDefinition" {
        mistakes.at("", "expected apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition");
        return None;
    }
    known(all, "", &["apiVersion", "kind", "metadata", "spec", "status"], mistakes);
    let spec = &all["spec"];
    known(spec, "/spec", &["group", "names", "scope", "versions", "conversion", "preserveUnknownFields"], mistakes);
    let names = &spec["names"];
    let of_names = ["kind", "listKind", "plural", "singular", "shortNames", "categories"];
    known(names, "/spec/names", &of_names, mistakes);
    let group = text(spec, "/spec", "group", mistakes)?;
    let kind = text(names, "/spec/names", "kind", mistakes)?;
    let plural = text(names, "/spec/names", "plural", mistakes)?;
    let mut fits = |holds: bool, pointer: &str, expected: &str| {
        if !holds {
            mistakes.at(pointer, format!("expected {expected}"));
        }
    };
    fits(is_group(&group), "/spec/group", "a DNS name with a dot, as demo.io");
    fits(is_kind(&kind), "/spec/names/kind", "letters and digits, the first in upper case, as Website");
    fits(is_label(&plural), "/spec/names/plural", "lower-case letters, digits and dashes, as websites");
    let scope = text(spec, "/spec", "scope", mistakes)?;
    if !["Namespaced", "Cluster"].contains(&&*scope) {
        mistakes.at("/spec/scope", "expected Namespaced or Cluster");
    }
    let mut versions = Vec::new();
    for (index, version) in spec["versions"].as_array().into_iter().flatten().enumerate() {
        versions.extend(self::version(version, &below("/spec/versions", index), mistakes));
    }
    if versions.iter().filter(|version| version.storage).count() != 1 {
        mistakes.at("/spec/versions", "expected exactly one version with storage: true");
        return None;
    }
    let mut rest = all.clone();
    if let Some(rest) = rest.as_object_mut() {
        rest.remove("status");
    }
    rest["spec"]["versions"] = versions.iter().map(|version| json!({"name": version.name})).collect();
    let own = |name: &str, usual: String| names[name].as_str().map_or(usual, str::to_owned);
    let list = |name: &str| {
        names[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    Some(Definition {
        list_kind: own("listKind", format!("{kind}List")),
        singular: own("singular", kind.to_lowercase()),
        short: list("shortNames"),
        categories: list("categories"),
        namespaced: scope == "Namespaced",
        group,
        kind,
        plural,
        versions,
        rest,
    })
}

fn version(version: &Value, pointer: &str, mistakes: &mut Mistakes) -> Option<Version> {
    known(version, pointer, &OF_VERSION, mistakes);
    let name = text(version, pointer, "name", mistakes)?;
    if !is_version(&name) {
        mistakes.at(&below(pointer, "name"), "expected a version, as v1 or v1beta2");
        return None;
    }
    let schema = version["schema"]["openAPIV3Schema"].clone();
    if !schema.is_object() {
        mistakes.at(pointer, "expected schema.openAPIV3Schema: without it there are no types");
        return None;
    }
    let mut rest = version.clone();
    if let Some(properties) = rest["schema"]["openAPIV3Schema"]["properties"].as_object_mut() {
        properties.retain(|name, _| OF_ALL.contains(&name.as_str()));
    }
    let is = |field: &str| version[field] == true;
    let pointer = format!("{pointer}/schema/openAPIV3Schema");
    Some(Version { name, served: is("served"), storage: is("storage"), pointer, schema, rest })
}

fn text(parent: &Value, pointer: &str, name: &str, mistakes: &mut Mistakes) -> Option<String> {
    let found = parent[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    if found.is_none() {
        mistakes.at(&below(pointer, name), format!("expected a text for {name}"));
    }
    found
}

/// Notes all members that are none of `expected`.
pub(super) fn known(parent: &Value, pointer: &str, expected: &[&str], mistakes: &mut Mistakes) {
    for name in parent.as_object().into_iter().flat_map(serde_json::Map::keys) {
        if !expected.contains(&&**name) {
            mistakes
                .at(&below(pointer, name), format!("unknown field {name}; expected one of {}", expected.join(", ")));
        }
    }
}
