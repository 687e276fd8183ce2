//! An object whose kind is known only at run time, and references to objects.

use std::fmt;

use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An object of any kind, as its JSON. What the generic machinery works on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Object(pub Map<String, Value>);

/// Reads an object of a known kind from its JSON.
///
/// Every reader of JSON text goes through here, rather than through one of `serde_json`'s other
/// ways: the code to read a Pod in one of them is 100 KiB, and [`READERS`](crate::READERS) has it
/// already.
///
/// # Errors
/// If it is no JSON, or a field is missing or of the wrong type.
pub fn from_json<K: DeserializeOwned>(json: &[u8]) -> Result<K, serde_json::Error> {
    serde_json::from_slice(json)
}

/// Reads an object of a known kind from what is in memory, by way of its text: see [`from_json`].
///
/// # Errors
/// If a field is missing or of the wrong type.
pub fn from_value<K: DeserializeOwned>(value: &Value) -> Result<K, serde_json::Error> {
    let mut json = Vec::with_capacity(ROOM);
    write_json(&mut json, value);
    from_json(&json)
}

/// Room for most objects: for text to grow costs as much as to write it.
const ROOM: usize = 4096;

/// Appends the text of `value` to `json`.
///
/// Not generic, so that there is one of it, in a crate that is built for speed.
pub fn write_json(json: &mut Vec<u8>, value: &Value) {
    // Only a map whose keys are no strings, or a writer, can fail.
    serde_json::to_writer(json, value).expect("a value is written to memory");
}

/// Reads any JSON. As [`write_json`], there is one of it.
///
/// # Errors
/// If it is none.
pub fn read_json(json: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(json)
}

/// Objects nested deeper than this are refused: nothing that is declared comes near it, and what goes through an object
/// goes through it level by level. What is stored is read by readers of JSON, which go 127 levels deep, and has besides
/// a few levels more in its `managedFields` than it has itself.
pub const MAX_DEPTH: usize = 100;

/// How many lists and maps are in one another, where most are.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

impl Object {
    /// Turns a typed object into its JSON.
    ///
    /// # Errors
    /// If `typed` does not serialise to a JSON object.
    pub fn from_typed(typed: &impl Serialize) -> Result<Self, serde_json::Error> {
        match serde_json::to_value(typed)? {
            Value::Object(map) => Ok(Self(map)),
            other => Err(serde::de::Error::custom(format_args!("{other} is no JSON object"))),
        }
    }

    /// Turns the JSON into a typed object.
    ///
    /// # Errors
    /// If a field is missing or of the wrong type.
    pub fn to_typed<K: DeserializeOwned>(&self) -> Result<K, serde_json::Error> {
        from_json(&self.to_json())
    }

    /// Its text.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = Vec::with_capacity(ROOM);
        // Only a map whose keys are no strings, or a writer, can fail.
        serde_json::to_writer(&mut json, &self.0).expect("a map is written to memory");
        json
    }

    /// The value at `path`, a list of field names.
    pub fn at(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.0.get(*first)?, |value, name| value.get(name))
    }

    /// The string at `path`; `""` when there is none.
    pub fn str_at(&self, path: &[&str]) -> &str {
        self.at(path).and_then(Value::as_str).unwrap_or_default()
    }

    /// Sets the value at `path`, making the maps on the way.
    ///
    /// # Panics
    /// If `path` is empty.
    pub fn set(&mut self, path: &[&str], value: impl Into<Value>) {
        let (last, parents) = path.split_last().expect("a path names at least one field");
        let mut map = &mut self.0;
        for name in parents {
            let next = map.entry(*name).or_insert_with(|| Value::Object(Map::new()));
            if !next.is_object() {
                *next = Value::Object(Map::new());
            }
            map = next.as_object_mut().expect("made an object just above");
        }
        map.insert((*last).to_owned(), value.into());
    }

    /// Removes and returns the value at `path`.
    pub fn remove(&mut self, path: &[&str]) -> Option<Value> {
        let (last, parents) = path.split_last()?;
        let mut map = &mut self.0;
        for name in parents {
            map = map.get_mut(*name)?.as_object_mut()?;
        }
        map.remove(*last)
    }

    /// `apiVersion`, such as `v1` or `apps/v1`.
    pub fn api_version(&self) -> &str {
        self.str_at(&["apiVersion"])
    }

    /// `kind`.
    pub fn kind(&self) -> &str {
        self.str_at(&["kind"])
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.str_at(&["metadata", "name"])
    }

    /// `metadata.namespace`; `""` for a cluster-scoped object.
    pub fn namespace(&self) -> &str {
        self.str_at(&["metadata", "namespace"])
    }

    /// `metadata.uid`.
    pub fn uid(&self) -> &str {
        self.str_at(&["metadata", "uid"])
    }

    /// `metadata.resourceVersion`.
    pub fn resource_version(&self) -> &str {
        self.str_at(&["metadata", "resourceVersion"])
    }

    /// `metadata.deletionTimestamp`, when the object is being deleted.
    pub fn deletion_timestamp(&self) -> Option<&str> {
        self.at(&["metadata", "deletionTimestamp"])?.as_str()
    }

    /// The pairs of `metadata.labels`.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.at(&["metadata", "labels"]).and_then(Value::as_object).into_iter().flatten().filter_map(pair)
    }

    /// The pairs of `metadata.annotations`.
    pub fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        self.at(&["metadata", "annotations"]).and_then(Value::as_object).into_iter().flatten().filter_map(pair)
    }

    /// The typed metadata.
    ///
    /// # Errors
    /// If a field of it is of the wrong type.
    pub fn metadata(&self) -> Result<ObjectMeta, serde_json::Error> {
        self.0.get("metadata").map_or_else(|| Ok(ObjectMeta::default()), ObjectMeta::deserialize)
    }
}

fn pair<'a>((key, value): (&'a String, &'a Value)) -> Option<(&'a str, &'a str)> {
    Some((key, value.as_str()?))
}

/// The name of an object of a known kind: what a reconcile request carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    /// `""` for a cluster-scoped object.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectRef {
    /// The object `name` in `namespace` (`""` for a cluster-scoped one).
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// What `object` is called.
    pub fn of(object: &impl Metadata<Ty = ObjectMeta>) -> Self {
        let metadata = object.metadata();
        Self::new(metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}
