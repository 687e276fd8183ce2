//! What a definition must be, in upstream's words
//! (`k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation`).
//!
//! What all versions have in common upstream tells of the definition as a whole, from the time when
//! a definition had one schema: `spec.validation` rather than `spec.versions[0].schema`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{conversion, is_true, schema, text, texts, versions};
use crate::check::Checks;
use crate::field::{Error, Path};
use crate::names;
use crate::object::Object;

const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: [&str; 8] = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
const MAX_SELECTABLE: usize = 8;
const APPROVAL: &str = "api-approved.kubernetes.io";

/// What is wrong with a new definition.
pub(super) fn created(definition: &Object) -> Vec<Error> {
    let mut checks = Checks::default();
    name(definition, &mut checks);
    spec(definition, &mut checks);
    stored_versions(definition, &mut checks);
    approval(definition, None, &mut checks);
    checks.errors
}

/// What is wrong with the change of a definition.
pub(super) fn updated(definition: &Object, old: &Object) -> Vec<Error> {
    let mut checks = Checks::default();
    spec(definition, &mut checks);
    let at = |object: &Object, path: &[&str]| object.at(path).cloned().unwrap_or_default();
    let mut fixed: Vec<&[&str]> = vec![&["spec", "group"], &["spec", "names", "plural"]];
    if is_true(old, "Established") {
        fixed.extend([&["spec", "scope"][..], &["spec", "names", "kind"]]);
    }
    for path in fixed {
        checks.immutable(&Path::new(path.join(".")), &at(definition, path), &at(old, path));
    }
    stored_versions(definition, &mut checks);
    conversion::check_authority(definition, old, &mut checks);
    approval(definition, Some(old), &mut checks);
    checks.errors
}

/// What is wrong with a definition's status.
pub(super) fn status(definition: &Object) -> Vec<Error> {
    let mut checks = Checks::default();
    let accepted = definition.at(&["status", "acceptedNames"]).unwrap_or(&Value::Null);
    names_fit(accepted, &Path::new("status.acceptedNames"), &mut checks);
    checks.errors
}

fn name(definition: &Object, checks: &mut Checks) {
    let (plural, group) = (definition.str_at(&["spec", "names", "plural"]), definition.str_at(&["spec", "group"]));
    if definition.name() != format!("{plural}.{group}") {
        checks.invalid(&Path::new("metadata.name"), definition.name(), "must be spec.names.plural+\".\"+spec.group");
    }
}

fn joined(checks: &mut Checks, path: &Path, value: &str, prefix: &str, problems: &[String]) {
    if !problems.is_empty() {
        checks.invalid(path, value, &format!("{prefix}{}", problems.join(",")));
    }
}

fn spec(definition: &Object, checks: &mut Checks) {
    let (path, empty) = (Path::new("spec"), Value::Null);
    let spec = definition.0.get("spec").unwrap_or(&empty);
    let group = text(&spec["group"]);
    let group_path = path.child("group");
    if group.is_empty() {
        checks.required(&group_path);
    } else if !names::dns1123_subdomain(group).is_empty() {
        joined(checks, &group_path, group, "", &names::dns1123_subdomain(group));
    } else if !group.contains('.') {
        checks.invalid(&group_path, group, "should be a domain with at least one dot");
    }
    checks.one_of(&path.child("scope"), text(&spec["scope"]), &["Cluster", "Namespaced"]);
    if spec["preserveUnknownFields"] == true {
        let detail =
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        checks.invalid(&path.child("preserveUnknownFields"), true, detail);
    }
    all_versions(definition, &path, checks);
    for name in ["plural", "singular", "kind", "listKind"] {
        if text(&spec["names"][name]).is_empty() {
            checks.required(&path.child("names").child(name));
        }
    }
    names_fit(&spec["names"], &path.child("names"), checks);
    conversion::check(&spec["conversion"], &path.child("conversion"), checks);
}

fn all_versions(definition: &Object, path: &Path, checks: &mut Checks) {
    let all = versions(definition);
    let list = path.child("versions");
    // Of what is the same in every version, upstream speaks once.
    let common = |field: &str| {
        let first = all.first().map(|version| &version[field]).filter(|first| !first.is_null());
        first.is_some_and(|first| all.iter().all(|version| version[field] == *first))
    };
    let at = |index: usize, field: &str, whole: &str| match (common(field), index) {
        (true, 0) => Some(path.child(whole)),
        (true, _) => None,
        (false, _) => Some(list.index(index).child(field)),
    };
    let mut seen = BTreeSet::new();
    let mut is_unique = true;
    for (index, version) in all.iter().enumerate() {
        let name = text(&version["name"]);
        is_unique &= seen.insert(name);
        joined(checks, &list.index(index).child("name"), name, "", &names::dns1035_label(name));
        deprecation(version, &list.index(index).child("deprecationWarning"), checks);
        let openapi = &version["schema"]["openAPIV3Schema"];
        if openapi.is_null() {
            let path = list.index(index).child("schema").child("openAPIV3Schema");
            checks.push(Error::required(&path, "schemas are required"));
        } else if let Some(path) = at(index, "schema", "validation") {
            let has_status = !version["subresources"]["status"].is_null();
            schema::check(openapi, has_status, &path.child("openAPIV3Schema"), checks);
        }
        if let Some(path) = at(index, "subresources", "subresources") {
            scale(&version["subresources"]["scale"], &path, checks);
        }
        if let Some(path) = at(index, "additionalPrinterColumns", "additionalPrinterColumns") {
            for (index, column) in list_of(&version["additionalPrinterColumns"]).enumerate() {
                printer_column(column, &path.index(index), checks);
            }
        }
        if let Some(path) = at(index, "selectableFields", "selectableFields") {
            selectable(&version["selectableFields"], openapi, &path, checks);
        }
    }
    if !is_unique {
        checks.invalid(&list, all, "must contain unique version names");
    }
    if all.iter().filter(|version| version["storage"] == true).count() != 1 {
        checks.invalid(&list, all, "must have exactly one version marked as storage version");
    }
}

fn deprecation(version: &Value, path: &Path, checks: &mut Checks) {
    let Some(warning) = version["deprecationWarning"].as_str() else { return };
    if version["deprecated"] != true {
        checks.invalid(path, warning, "can only be set for deprecated versions");
        return;
    }
    if warning.len() > 256 {
        checks.invalid(path, warning, "must be <= 256 characters long");
    }
    if warning.is_empty() {
        checks.invalid(path, warning, "must not be an empty string");
    }
    if let Some(at) = warning.find(char::is_control) {
        let detail = "must only contain printable UTF-8 characters; non-printable character found at index";
        checks.invalid(path, warning, &format!("{detail} {at}"));
    }
}

fn names_fit(names: &Value, path: &Path, checks: &mut Checks) {
    for field in ["plural", "singular"] {
        let name = text(&names[field]);
        if !name.is_empty() {
            joined(checks, &path.child(field), name, "", &names::dns1035_label(name));
        }
    }
    for field in ["kind", "listKind"] {
        let name = text(&names[field]);
        if !name.is_empty() {
            let prefix = "may have mixed case, but should otherwise match: ";
            joined(checks, &path.child(field), name, prefix, &names::dns1035_label(&name.to_lowercase()));
        }
    }
    for field in ["shortNames", "categories"] {
        for (index, name) in texts(&names[field]).enumerate() {
            joined(checks, &path.child(field).index(index), name, "", &names::dns1035_label(name));
        }
    }
    let kind = text(&names["kind"]);
    if !kind.is_empty() && kind == text(&names["listKind"]) {
        checks.invalid(&path.child("listKind"), kind, "kind and listKind may not be the same");
    }
}

fn scale(scale: &Value, path: &Path, checks: &mut Checks) {
    if !scale.is_object() {
        return;
    }
    for (field, below, detail) in [
        ("specReplicasPath", &[".spec."][..], "should be a json path under .spec"),
        ("statusReplicasPath", &[".status."], "should be a json path under .status"),
        ("labelSelectorPath", &[".spec.", ".status."], "should be a json path under either .spec or .status"),
    ] {
        let (path, value) = (path.child("scale").child(field), text(&scale[field]));
        if value.is_empty() {
            if field != "labelSelectorPath" {
                checks.required(&path);
            }
        } else if !value.starts_with('.') {
            checks.invalid(&path, value, "must be a simple json path starting with .");
        } else if !below.iter().any(|prefix| value.starts_with(prefix)) {
            checks.invalid(&path, value, detail);
        }
    }
}

fn printer_column(column: &Value, path: &Path, checks: &mut Checks) {
    if text(&column["name"]).is_empty() {
        checks.required(&path.child("name"));
    }
    let (type_, format, json_path) = (text(&column["type"]), text(&column["format"]), text(&column["jsonPath"]));
    let types = format!("must be one of {}", COLUMN_TYPES.join(","));
    if type_.is_empty() {
        checks.push(Error::required(&path.child("type"), types));
    } else if !COLUMN_TYPES.contains(&type_) {
        checks.invalid(&path.child("type"), type_, &types);
    }
    if !format.is_empty() && !COLUMN_FORMATS.contains(&format) {
        let formats = format!("must be one of {}", COLUMN_FORMATS.join(","));
        checks.invalid(&path.child("format"), format, &formats);
    }
    let path = path.child("JSONPath");
    if json_path.is_empty() {
        checks.required(&path);
    } else if !json_path.starts_with('.') {
        checks.invalid(&path, json_path, "must be a simple json path starting with .");
    }
}

fn selectable(fields: &Value, openapi: &Value, path: &Path, checks: &mut Checks) {
    let mut seen = BTreeSet::new();
    for (index, field) in list_of(fields).enumerate() {
        let (path, json_path) = (path.index(index).child("jsonPath"), text(&field["jsonPath"]));
        if json_path.is_empty() {
            checks.required(&path);
            continue;
        }
        let Some(steps) = json_path.strip_prefix('.') else {
            checks.invalid(&path, json_path, "is an invalid path: missing leading '.'");
            continue;
        };
        let found = steps.split('.').try_fold(openapi, |schema, step| schema["properties"].get(step));
        let is_metadata = steps.split('.').next() == Some("metadata");
        if is_metadata {
            checks.invalid(&path, json_path, "must not point to fields in metadata");
        } else if found.is_none() {
            checks.invalid(&path, json_path, "is an invalid path: does not refer to a valid field");
            continue;
        }
        let allowed = found.is_some_and(|found| matches!(text(&found["type"]), "string" | "boolean" | "integer"));
        if !allowed {
            let detail = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
            checks.invalid(&path, json_path, detail);
        }
        if !seen.insert(json_path) {
            checks.push(Error::duplicate(&path, json_path));
        }
    }
    if seen.len() > MAX_SELECTABLE {
        checks.push(Error::too_many(path, seen.len(), MAX_SELECTABLE));
    }
}

fn stored_versions(definition: &Object, checks: &mut Checks) {
    let path = Path::new("status.storedVersions");
    let all = versions(definition);
    let stored = definition.at(&["status", "storedVersions"]).unwrap_or(&Value::Null);
    if list_of(stored).next().is_none() {
        checks.invalid(&path, Vec::<Value>::new(), "must have at least one stored version");
        return;
    }
    for (index, version) in texts(stored).enumerate() {
        if !all.iter().any(|known| text(&known["name"]) == version) {
            let detail = format!(
                "missing from spec.versions; {version} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {version} and removes {version} from status.storedVersions"
            );
            checks.invalid(&path.index(index), version, &detail);
        }
    }
}

// The groups of Kubernetes itself are not for everybody (`k8s.io/apiextensions-apiserver/pkg/apihelpers`).
fn approval(definition: &Object, old: Option<&Object>, checks: &mut Checks) {
    let group = definition.str_at(&["spec", "group"]);
    let of = |community: &str| group == community || group.ends_with(&format!(".{community}"));
    let annotation = |object: &Object| object.str_at(&["metadata", "annotations", APPROVAL]).to_owned();
    if !(of("k8s.io") || of("kubernetes.io")) || old.is_some_and(|old| annotation(old) == annotation(definition)) {
        return;
    }
    const SEE: &str = "see https://github.com/kubernetes/enhancements/pull/1111";
    let (path, value) = (Path::new("metadata.annotations").key(APPROVAL), annotation(definition));
    if value.is_empty() {
        let detail = format!("protected groups must have approval annotation {APPROVAL:?}, {SEE}");
        checks.push(Error::required(&path, detail));
    } else if !value.starts_with("unapproved") && !value.contains("://") {
        let either = "with either a URL or a reason starting with \"unapproved\"";
        checks.invalid(
            &path,
            &value,
            &format!("protected groups must have approval annotation {APPROVAL:?} {either}, {SEE}"),
        );
    }
}

fn list_of(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}
