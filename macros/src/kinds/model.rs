//! What a kind's file says.

use std::path::Path;

use serde::Deserialize;

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct KindFile {
    pub api_version: String,
    pub kind: String,
    #[expect(dead_code, reason = "part of the shape; the names below say the same")]
    pub metadata: Metadata,
    pub spec: Spec,
    #[serde(rename = "x-trimtab")]
    pub binding: Binding,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    #[expect(dead_code, reason = "part of the shape")]
    pub name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    pub group: String,
    pub scope: Scope,
    pub names: Names,
    pub versions: Vec<Version>,
}

#[derive(Clone, Copy, Deserialize)]
pub(crate) enum Scope {
    Namespaced,
    Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Names {
    pub kind: String,
    pub plural: String,
    pub singular: String,
    pub list_kind: Option<String>,
    #[serde(default)]
    pub short_names: Vec<String>,
    #[serde(default)]
    pub categories: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Version {
    pub name: String,
    #[expect(dead_code, reason = "part of the shape; a built-in kind is served and stored")]
    pub served: bool,
    #[expect(dead_code, reason = "part of the shape")]
    pub storage: bool,
    #[serde(default)]
    pub deprecated: bool,
    /// What whoever uses a deprecated version is warned with.
    pub deprecation_warning: Option<String>,
    #[serde(default)]
    pub subresources: Subresources,
    #[serde(default)]
    pub selectable_fields: Vec<Selectable>,
    #[serde(default)]
    pub additional_printer_columns: Vec<Column>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subresources {
    pub status: Option<Empty>,
    pub scale: Option<Scale>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Empty {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Scale {
    pub spec_replicas_path: String,
    pub status_replicas_path: String,
    #[serde(default)]
    pub label_selector_path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Selectable {
    pub json_path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub type_: String,
    #[serde(default)]
    pub format: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub priority: i32,
    /// Absent when the strategy computes the cell.
    #[serde(default)]
    pub json_path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Binding {
    #[serde(rename = "type")]
    pub type_: String,
    pub strategy: Option<String>,
    #[serde(default = "all_verbs")]
    pub verbs: Vec<String>,
    #[serde(default)]
    pub subresources: Vec<Subresource>,
    /// The view that the kind is of another, stored one.
    pub view: Option<String>,
    /// Kept and served, but nothing acts on it yet; writers are warned.
    #[serde(default)]
    pub inert: bool,
    /// Whether changes of the specification are counted; by default, if there is a status to report what was seen.
    pub generations: Option<bool>,
    /// Whether what an object owns stays when nobody says otherwise.
    #[serde(default)]
    pub orphans: bool,
    /// Whether a PUT makes what is not there.
    #[serde(default, rename = "createdByUpdate")]
    pub created_by_update: bool,
    /// Whether a PUT may leave out which version it replaces.
    #[serde(default = "yes", rename = "unconditionalUpdate")]
    pub unconditional_update: bool,
    /// Whether a delete is answered with the object also when it is gone.
    #[serde(default, rename = "answersDeleted")]
    pub answers_deleted: bool,
    /// Whether a write of the status may change the rest of the metadata.
    #[serde(default = "yes", rename = "statusMetadata")]
    pub status_metadata: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subresource {
    pub name: String,
    pub kind: String,
    pub verbs: Vec<String>,
}

fn yes() -> bool {
    true
}

fn all_verbs() -> Vec<String> {
    VERBS.map(str::to_owned).to_vec()
}

impl Spec {
    pub(crate) fn version(&self) -> &Version {
        &self.versions[0]
    }
}

/// Reads a file; an error names the file, the line and what to write instead.
pub(crate) fn read(path: &Path) -> Result<KindFile, String> {
    let at = |line: Option<usize>| match line {
        Some(line) => format!("{}:{line}", path.display()),
        None => path.display().to_string(),
    };
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", at(None)))?;
    let file: KindFile =
        serde_yaml::from_str(&text).map_err(|error| format!("{}: {error}", at(error.location().map(|l| l.line()))))?;
    let line_of = |needle: &str| text.lines().position(|line| line.contains(needle)).map(|n| n + 1);
    if file.kind != "CustomResourceDefinition" || file.api_version != "apiextensions.k8s.io/v1" {
        return Err(format!(
            "{}: expected apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition",
            at(Some(1))
        ));
    }
    if file.spec.versions.len() != 1 {
        return Err(format!("{}: expected exactly one version", at(line_of("versions:"))));
    }
    let subresources = file.binding.subresources.iter().flat_map(|s| &s.verbs);
    if let Some(verb) = file.binding.verbs.iter().chain(subresources).find(|verb| !VERBS.contains(&verb.as_str())) {
        return Err(format!("{}: {verb:?} is no verb; expected one of {}", at(line_of(verb)), VERBS.join(", ")));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_named_with_its_file_and_line() {
        let check = |from: &str, to: &str, expected: &str| {
            let good = include_str!("../../../manifests/kinds/lease.yaml");
            assert!(good.contains(from), "{from}");
            let path = std::env::temp_dir().join(format!("kinds-{}-{}.yaml", std::process::id(), expected.len()));
            std::fs::write(&path, good.replace(from, to)).unwrap();
            let error = read(&path).err().unwrap();
            std::fs::remove_file(&path).unwrap();
            assert!(error.contains(path.to_str().unwrap()) && error.contains(expected), "{error}");
        };
        check("scope: Namespaced", "scope: Everywhere", ":7: spec.scope: unknown variant `Everywhere`");
        check("plural: leases", "plurals: leases", "unknown field `plurals`");
        check("kind: CustomResourceDefinition", "kind: Pod", ":1: expected apiVersion");
        check(
            "  type: coordination",
            "  verbs: [fetch]\n  type: coordination",
            "\"fetch\" is no verb; expected one of create",
        );
    }
}
