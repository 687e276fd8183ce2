//! The kind `ManifestFile`: one object for each file of a watched directory. Its status is also
//! the directory's memory: what a file has applied is pruned when the file is gone, even if it went
//! while nobody was looking.

use std::path::Path;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trimtab_api::Resource;

/// A file of a watched directory.
#[derive(Resource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[resource(
    group = "trimtab.dev",
    version = "v1",
    kind = "ManifestFile",
    short = "mf",
    cluster,
    status = ManifestFileStatus,
    column("Ready", ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether all of it is applied."),
    column("Objects", ".status.objectCount", description = "How many objects the file has applied."),
    column("Error", ".status.lastError", description = "What is wrong."),
    column("Age", ".metadata.creationTimestamp", type = "date", description = "Since when the file is known."),
    column("Path", ".spec.path", priority = 1, description = "Where the file is."),
    crate = "trimtab_api"
)]
#[serde(rename_all = "camelCase", default)]
pub struct ManifestFileSpec {
    /// The file's absolute path: its identity.
    pub path: String,
}

/// What became of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ManifestFileStatus {
    /// What the file has applied, and what it is about to.
    pub objects: Vec<AppliedObject>,
    /// How many objects there are.
    pub object_count: i32,
    /// `Ready`: everything in the file is applied. `Parsed`: it could be read.
    pub conditions: Vec<Condition>,
    /// What is wrong now; absent when nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub last_error: Option<String>,
}

/// An object that a file has applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AppliedObject {
    /// `v1`, or `apps/v1`.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// The namespace; absent for a cluster-scoped object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name.
    pub name: String,
    /// Whether the file made the object, rather than changed one that was there: only then is it
    /// deleted with the file.
    pub created: bool,
}

impl ManifestFile {
    /// The object of the file at `path`, named after the file and, so that no two files share a
    /// name, a hash of the whole path.
    pub fn of(path: &Path) -> Self {
        let text = path.to_string_lossy();
        let file = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let letters = file.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
        let stem: String = letters.take(200).collect();
        let name = format!("{}-{:08x}", stem.trim_matches('-'), hash(text.as_bytes()));
        Self::new(name.trim_start_matches('-'), ManifestFileSpec { path: text.into_owned() })
    }
}

/// 32 bits of FNV-1a (<http://www.isthe.com/chongo/tech/comp/fnv/>), folded from 64.
fn hash(bytes: &[u8]) -> u32 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    u32::try_from((hash >> 32) ^ (hash & 0xffff_ffff)).expect("32 bits")
}

#[cfg(test)]
mod tests {
    use trimtab_api::Object;
    use trimtab_api::names::dns1123_subdomain;

    use super::*;

    #[test]
    fn a_file_has_a_name_of_its_own() {
        let long = format!("/m/{}.yaml", "x".repeat(250));
        let paths = ["/m/web.yaml", "/m/a/web.yaml", "/m/Größe (1).YML", "/m/日本.json", "/m/---.yaml", &long];
        let mut names: Vec<_> =
            paths.iter().map(|path| ManifestFile::of(Path::new(path)).metadata.name.unwrap()).collect();
        assert!(names[0].starts_with("web-yaml-"), "{names:?}");
        for name in &names {
            assert!(dns1123_subdomain(name).is_empty(), "{name}");
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), paths.len());
    }

    #[test]
    fn the_schema_describes_the_type() {
        let kind = ManifestFile::kind();
        let schema = kind.schema.get();
        let mut file = ManifestFile::of(Path::new("/m/a.yaml"));
        let objects = vec![AppliedObject { name: "a".to_owned(), ..AppliedObject::default() }];
        file.status = Some(ManifestFileStatus { objects, last_error: Some("x".to_owned()), ..Default::default() });
        let mut object = Object::from_typed(&file).unwrap();
        let checked = schema.check(&mut object.0).unwrap();
        assert!(checked.unknown.is_empty(), "{:?}", checked.unknown);
        assert!(schema.properties["status"].properties.contains_key("objects"));
    }
}
