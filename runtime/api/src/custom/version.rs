//! Several versions of a kind that is declared in Rust, and how objects come from one to another.
//!
//! ```text
//! v1alpha1 ⇄ v1 ⇄ v1beta1      each version converts to and from one of them, the hub
//! ```

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::WebhookClientConfig;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Declaration, Names};

/// A struct that `derive(Resource)` made a version of a kind of.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the spec of a kind",
    note = "name a struct with `#[derive(Resource)]`, such as `WebsiteSpec`"
)]
pub trait Spec: Sized {
    /// The objects.
    type Resource: Parts<Spec = Self>;
    /// What the kind is called.
    const NAMES: Names;
    /// The version.
    const VERSION: &'static str;
    /// The other versions that this one knows of.
    const VERSIONS: &'static [&'static str];

    /// What is declared of the version.
    fn declaration() -> &'static Declaration;
}

/// A spec that another one declares the kind of, to which it converts.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not declared as a version of the kind of `{Hub}`",
    note = "write `#[resource(version = \"…\", converts = {Hub})]` on it"
)]
pub trait VersionOf<Hub>: Spec {}

/// An object in parts.
pub trait Parts: k8s_openapi::Resource + Serialize + DeserializeOwned {
    /// What is wanted.
    type Spec;
    /// What was last seen.
    type Status;

    /// Takes it apart.
    fn into_parts(self) -> (ObjectMeta, Self::Spec, Option<Self::Status>);

    /// Puts it together.
    fn from_parts(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self;
}

/// A kind that a program declares, as `derive(Resource)` and `resources_from!` make them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not declared here",
    note = "a kind of one's own is made by `derive(Resource)` or `resources_from!`"
)]
pub trait Declared: k8s_openapi::Resource {
    /// What is declared of the version of it that knows all others, of which the definition is made.
    fn declared() -> &'static Declaration;
}

/// A kind with a status, as `derive(Resource)` and `resources_from!` make them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no status",
    note = "name its type, as in `#[resource(status = WebsiteStatus)]`; that of a built-in kind is written by `cx.replace_status`"
)]
pub trait HasStatus {
    /// What is told.
    type Status;

    /// What was told last.
    fn status(&self) -> Option<&Self::Status>;
}

/// The status of a kind that has none.
#[derive(Clone, Copy, Debug)]
pub enum NoStatus {}

/// Another version of a kind.
#[derive(Clone, Copy)]
pub struct Version {
    /// What is declared of it.
    pub declaration: fn() -> &'static Declaration,
    to_hub: fn(Value) -> Result<Value, String>,
    from_hub: fn(Value) -> Result<Value, String>,
}

impl Version {
    /// The version of `V`, which converts to `Hub`.
    pub const fn of<V, Hub>() -> Self
    where
        V: VersionOf<Hub>,
        Hub: Spec<Resource: From<V::Resource>>,
        V::Resource: From<Hub::Resource>,
    {
        Self {
            declaration: V::declaration,
            to_hub: through::<V::Resource, Hub::Resource>,
            from_hub: through::<Hub::Resource, V::Resource>,
        }
    }

    /// A version of which nobody said how it converts.
    pub const fn unconverted(declaration: fn() -> &'static Declaration) -> Self {
        Self { declaration, to_hub: unknown, from_hub: unknown }
    }
}

fn unknown(_: Value) -> Result<Value, String> {
    Err("nothing is known of how its versions convert".to_owned())
}

fn through<From: Parts, To: Parts + std::convert::From<From>>(object: Value) -> Result<Value, String> {
    let typed: From = serde_json::from_value(object).map_err(|error| error.to_string())?;
    serde_json::to_value(To::from(typed)).map_err(|error| error.to_string())
}

/// The same object in another version.
pub fn converted<From: Parts, To>(object: From) -> To
where
    To: Parts<Spec: std::convert::From<From::Spec>, Status: std::convert::From<From::Status>>,
{
    let (metadata, spec, status) = object.into_parts();
    To::from_parts(metadata, spec.into(), status.map(Into::into))
}

impl Declaration {
    /// The definition with the webhook that answers by [`Declaration::convert`].
    pub fn converted_by(&self, webhook: &WebhookClientConfig) -> Value {
        let mut definition = self.definition();
        definition["spec"]["conversion"] =
            json!({"strategy": "Webhook", "webhook": {"clientConfig": webhook, "conversionReviewVersions": ["v1"]}});
        definition
    }

    /// Whether there are versions that [`Declaration::convert`] converts between.
    pub fn converts(&self) -> bool {
        self.exact.is_none() && !self.versions.is_empty()
    }

    /// Answers a `ConversionReview` (`apiextensions.k8s.io/v1`): all its objects in the version that is
    /// asked for, or why there is one that cannot be.
    pub fn convert(&self, review: &Value) -> Value {
        let request = &review["request"];
        let wanted = request["desiredAPIVersion"].as_str().unwrap_or_default();
        let objects = request["objects"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut response = json!({"uid": request["uid"], "convertedObjects": [], "result": {"status": "Success"}});
        match objects.iter().map(|object| self.in_version(object, wanted)).collect::<Result<Vec<_>, _>>() {
            Ok(converted) => response["convertedObjects"] = converted.into(),
            Err(message) => response["result"] = json!({"status": "Failure", "message": message}),
        }
        let api_version = review["apiVersion"].as_str().unwrap_or("apiextensions.k8s.io/v1");
        json!({"apiVersion": api_version, "kind": "ConversionReview", "response": response})
    }

    fn in_version(&self, object: &Value, wanted: &str) -> Result<Value, String> {
        let about = |why: String| format!("{} {}: {why}", self.names.kind, object["metadata"]["name"]);
        let has = object["apiVersion"].as_str().unwrap_or_default();
        let known = |api_version: &str| {
            let version = api_version.strip_prefix(self.names.group).and_then(|rest| rest.strip_prefix('/'));
            match version {
                Some(version) if version == self.version => Ok(None),
                Some(version) => {
                    self.versions.iter().find(|known| (known.declaration)().version == version).map(Some).ok_or(())
                }
                None => Err(()),
            }
            .map_err(|()| about(format!("there is no version {api_version:?}")))
        };
        let (from, to) = (known(has)?, known(wanted)?);
        if has == wanted {
            return Ok(object.clone());
        }
        let hub = match from {
            Some(from) => (from.to_hub)(object.clone()).map_err(about)?,
            None => object.clone(),
        };
        match to {
            Some(to) => (to.from_hub)(hub).map_err(about),
            None => Ok(hub),
        }
    }
}

/// Whether `all` has `one`, at compile time.
pub const fn contains(all: &[&str], one: &str) -> bool {
    let mut index = 0;
    while index < all.len() {
        if is_same(all[index].as_bytes(), one.as_bytes()) {
            return true;
        }
        index += 1;
    }
    false
}

const fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// Three texts as one of `N` bytes, at compile time.
pub const fn joined<const N: usize>(a: &str, b: &str, c: &str) -> [u8; N] {
    let (mut bytes, mut at) = ([0; N], 0);
    let parts = [a.as_bytes(), b.as_bytes(), c.as_bytes()];
    let mut part = 0;
    while part < parts.len() {
        let mut index = 0;
        while index < parts[part].len() {
            bytes[at] = parts[part][index];
            index += 1;
            at += 1;
        }
        part += 1;
    }
    bytes
}

/// What [`joined`] put together, as text.
pub const fn text(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("it is made of texts"),
    }
}
