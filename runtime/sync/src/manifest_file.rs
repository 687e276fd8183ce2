//! The kind `ManifestFile`: one object for each file of a watched directory. Its status is also
//! the directory's memory: what a file has applied is pruned when the file is gone, even if it went
//! while nobody was looking.

use std::borrow::Cow;
use std::path::Path;

use k8s_openapi::ClusterResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trimtab_api::{Column, Kind, Plain, Scope, schema};

const GROUP: &str = "trimtab.dev";
const VERSION: &str = "v1";
const KIND: &str = "ManifestFile";
const PLURAL: &str = "manifestfiles";

/// A file of a watched directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ManifestFile {
    /// `trimtab.dev/v1`.
    pub api_version: String,
    /// `ManifestFile`.
    pub kind: String,
    /// Standard object metadata.
    pub metadata: ObjectMeta,
    /// Which file it is.
    pub spec: ManifestFileSpec,
    /// What became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ManifestFileStatus")]
    pub status: Option<ManifestFileStatus>,
}

/// Which file it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

impl Default for ManifestFile {
    fn default() -> Self {
        let (api_version, kind) = (format!("{GROUP}/{VERSION}"), KIND.to_owned());
        Self { api_version, kind, metadata: ObjectMeta::default(), spec: ManifestFileSpec::default(), status: None }
    }
}

impl ManifestFile {
    /// The object of the file at `path`, named after the file and, so that no two files share a
    /// name, a hash of the whole path.
    pub fn new(path: &Path) -> Self {
        let text = path.to_string_lossy();
        let file = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let letters = file.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
        let stem: String = letters.take(200).collect();
        let name = format!("{}-{:08x}", stem.trim_matches('-'), hash(text.as_bytes()));
        let metadata = ObjectMeta { name: Some(name.trim_start_matches('-').to_owned()), ..ObjectMeta::default() };
        Self { metadata, spec: ManifestFileSpec { path: text.into_owned() }, ..Self::default() }
    }

    /// How the API server serves the kind.
    pub fn kind() -> Kind {
        let names = |names: &[&'static str]| names.iter().map(|name| Cow::Borrowed(*name)).collect();
        Kind {
            group: GROUP.into(),
            version: VERSION.into(),
            kind: KIND.into(),
            list_kind: "ManifestFileList".into(),
            plural: PLURAL.into(),
            singular: "manifestfile".into(),
            short_names: names(&["mf"]),
            categories: Vec::new(),
            scope: Scope::Cluster,
            verbs: names(&["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]),
            status: true,
            scale: None,
            subresources: Vec::new(),
            columns: columns(),
            selectable_fields: Vec::new(),
            schema: schema::Lazy::new(schema::of::<Self>),
            definitions: schema::definitions::<Self>,
            strategy: &Plain,
            built_in: false,
        }
    }
}

fn columns() -> Vec<Column> {
    let column =
        |name: &'static str, type_: &'static str, priority, json_path: &'static str, description: &'static str| {
            Column {
                name: name.into(),
                type_: type_.into(),
                format: if name == "Name" { "name".into() } else { "".into() },
                description: description.into(),
                priority,
                json_path: json_path.into(),
            }
        };
    vec![
        column("Name", "string", 0, ".metadata.name", "The name of this object."),
        column(
            "Ready",
            "string",
            0,
            ".status.conditions[?(@.type==\"Ready\")].status",
            "Whether all of it is applied.",
        ),
        column("Objects", "integer", 0, ".status.objectCount", "How many objects the file has applied."),
        column("Error", "string", 0, ".status.lastError", "What is wrong."),
        column("Age", "date", 0, ".metadata.creationTimestamp", "Since when the file is known."),
        column("Path", "string", 1, ".spec.path", "Where the file is."),
    ]
}

/// 32 bits of FNV-1a (<http://www.isthe.com/chongo/tech/comp/fnv/>), folded from 64.
fn hash(bytes: &[u8]) -> u32 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    u32::try_from((hash >> 32) ^ (hash & 0xffff_ffff)).expect("32 bits")
}

impl k8s_openapi::Resource for ManifestFile {
    const API_VERSION: &'static str = "trimtab.dev/v1";
    const GROUP: &'static str = GROUP;
    const KIND: &'static str = KIND;
    const VERSION: &'static str = VERSION;
    const URL_PATH_SEGMENT: &'static str = PLURAL;
    type Scope = ClusterResourceScope;
}

impl k8s_openapi::Metadata for ManifestFile {
    type Ty = ObjectMeta;

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
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
            paths.iter().map(|path| ManifestFile::new(Path::new(path)).metadata.name.unwrap()).collect();
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
        let schema = schema::of::<ManifestFile>();
        let mut file = ManifestFile::new(Path::new("/m/a.yaml"));
        let objects = vec![AppliedObject { name: "a".to_owned(), ..AppliedObject::default() }];
        file.status = Some(ManifestFileStatus { objects, last_error: Some("x".to_owned()), ..Default::default() });
        let mut object = Object::from_typed(&file).unwrap();
        let checked = schema.check(&mut object.0).unwrap();
        assert!(checked.unknown.is_empty(), "{:?}", checked.unknown);
        assert!(schema.properties["status"].properties.contains_key("objects"));
    }
}
