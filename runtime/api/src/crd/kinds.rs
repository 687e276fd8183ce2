//! The kinds that a definition defines, one for each version that is served.
//!
//! A cluster may hold a thousand definitions of which it uses ten: a schema is read out of the
//! stored definition when it is first needed, and the stored bytes are shared.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::custom::Custom;
use super::{is_true, storage_version, text, texts, versions};
use crate::custom::{documents, name_column, schema};
use crate::kind::{Column, Defined, Kind, ScalePaths, Scope};
use crate::object::Object;
use crate::schema::Lazy;

const VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
const AGE: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// The kinds of a definition; none until it is established. `stored` is the definition's JSON, from
/// which schemas are read later, and `revision` that of its last write.
pub fn kinds<B>(definition: &Object, stored: &B, revision: u64) -> Vec<Kind>
where
    B: AsRef<[u8]> + Clone + Send + Sync + 'static,
{
    if !is_true(definition, "Established") {
        return Vec::new();
    }
    let served = versions(definition).iter().filter(|version| version["served"] == true);
    served.map(|version| kind(definition, version, stored, revision)).collect()
}

fn kind<B>(definition: &Object, version: &Value, stored: &B, revision: u64) -> Kind
where
    B: AsRef<[u8]> + Clone + Send + Sync + 'static,
{
    let names = definition.at(&["status", "acceptedNames"]).unwrap_or(&Value::Null);
    let group = definition.str_at(&["spec", "group"]).to_owned();
    let (name, kind) = (text(&version["name"]).to_owned(), text(&names["kind"]).to_owned());
    let api_version = format!("{group}/{name}");
    let owned = |list: &Value| texts(list).map(|text| text.to_owned().into()).collect();
    let lazy = Arc::new(Lazy::with({
        let (stored, name) = (stored.clone(), name.clone());
        move || schema(&openapi(stored.as_ref(), &name))
    }));
    let scale = &version["subresources"]["scale"];
    let path = |field: &str| text(&scale[field]).to_owned().into();
    Kind {
        list_kind: text(&names["listKind"]).to_owned().into(),
        plural: text(&names["plural"]).to_owned().into(),
        singular: text(&names["singular"]).to_owned().into(),
        short_names: owned(&names["shortNames"]),
        categories: owned(&names["categories"]),
        scope: if definition.str_at(&["spec", "scope"]) == "Cluster" { Scope::Cluster } else { Scope::Namespaced },
        verbs: VERBS.map(Into::into).to_vec(),
        status: !version["subresources"]["status"].is_null(),
        scale: scale.is_object().then(|| ScalePaths {
            spec_replicas: path("specReplicasPath"),
            status_replicas: path("statusReplicasPath"),
            label_selector: path("labelSelectorPath"),
        }),
        subresources: Vec::new(),
        columns: columns(&version["additionalPrinterColumns"]),
        selectable_fields: version["selectableFields"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|field| text(&field["jsonPath"]).to_owned().into())
            .collect(),
        schema: Arc::clone(&lazy),
        definitions: Box::new({
            let (stored, group, name, kind) = (stored.clone(), group.clone(), name.clone(), kind.clone());
            move || documents(&group, &name, &kind, openapi(stored.as_ref(), &name))
        }),
        strategy: Box::new(Custom::new(lazy)),
        built_in: false,
        inert: false,
        deprecation: deprecation(version, &api_version, &kind).map(Into::into),
        generations: true,
        orphans: false,
        created_by_update: false,
        unconditional_update: false,
        answers_deleted: false,
        status_metadata: false,
        view: None,
        defined: Some(Defined {
            storage: storage_version(definition).to_owned().into(),
            since: revision,
            terminating: is_true(definition, "Terminating"),
            conversion: super::conversion::of(definition),
        }),
        group: group.into(),
        version: name.into(),
        kind: kind.into(),
    }
}

fn deprecation(version: &Value, api_version: &str, kind: &str) -> Option<String> {
    let own = version["deprecationWarning"].as_str().map(str::to_owned);
    (version["deprecated"] == true).then(|| own.unwrap_or_else(|| format!("{api_version} {kind} is deprecated")))
}

/// The columns that a version declares, as upstream completes them.
pub(crate) fn columns(declared: &Value) -> Vec<Column> {
    let read = |column: &Value| Column {
        name: text(&column["name"]).to_owned().into(),
        type_: text(&column["type"]).to_owned().into(),
        format: text(&column["format"]).to_owned().into(),
        description: match text(&column["description"]) {
            "" => format!("Custom resource definition column (in JSONPath format): {}", text(&column["jsonPath"])),
            own => own.to_owned(),
        }
        .into(),
        priority: column["priority"].as_i64().and_then(|priority| i32::try_from(priority).ok()).unwrap_or(0),
        json_path: text(&column["jsonPath"]).to_owned().into(),
    };
    let declared: Vec<Column> = declared.as_array().into_iter().flatten().map(read).collect();
    let age = declared.is_empty().then(|| Column {
        name: "Age".into(),
        type_: "date".into(),
        format: "".into(),
        description: AGE.into(),
        priority: 0,
        json_path: ".metadata.creationTimestamp".into(),
    });
    std::iter::once(name_column()).chain(declared).chain(age).collect()
}

#[derive(Deserialize)]
struct Stored {
    spec: StoredSpec,
}

#[derive(Deserialize)]
struct StoredSpec {
    versions: Vec<StoredVersion>,
}

#[derive(Deserialize)]
struct StoredVersion {
    name: String,
    #[serde(default)]
    schema: Value,
}

// What was stored was judged before; were it unreadable, nothing would be known of the objects.
fn openapi(stored: &[u8], version: &str) -> Value {
    let read: Option<Stored> = serde_json::from_slice(stored).ok();
    let versions = read.into_iter().flat_map(|read| read.spec.versions);
    let found = versions.into_iter().find(|found| found.name == version);
    found.map(|mut found| found.schema["openAPIV3Schema"].take()).unwrap_or_default()
}
