//! Structural schemas: the shape of an object, for built-in and custom kinds alike.
//!
//! From it come strict field validation, pruning, defaulting, strategic merge, server-side apply
//! and OpenAPI. The extensions are those of a CustomResourceDefinition
//! (<https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/>).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

type Str = Cow<'static, str>;

/// The type of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Type {
    /// Anything goes.
    #[default]
    Any,
    /// A map: of `properties`, or of any names to `additional`.
    Object,
    /// A list of `items`.
    Array,
    /// A string.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A boolean.
    Boolean,
    /// A whole number or a string (`x-kubernetes-int-or-string`).
    IntOrString,
}

impl Type {
    /// The type that a JSON schema names.
    pub(crate) fn of(json: &Value) -> Self {
        if json["x-kubernetes-int-or-string"] == true {
            return Self::IntOrString;
        }
        match json["type"].as_str() {
            Some("object") => Self::Object,
            Some("array") => Self::Array,
            Some("string") => Self::String,
            Some("integer") => Self::Integer,
            Some("number") => Self::Number,
            Some("boolean") => Self::Boolean,
            _ => Self::Any,
        }
    }
}

/// How the items of a list are told apart (`x-kubernetes-list-type`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// The list is one value.
    #[default]
    Atomic,
    /// Each item is its own identity.
    Set,
    /// These fields of an item are its identity (`x-kubernetes-list-map-keys`).
    Map(Vec<Str>),
}

/// How strategic merge treats a list or map (`x-kubernetes-patch-strategy`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchStrategy {
    /// Lists merge rather than replace.
    pub merge: bool,
    /// The field that tells items of a merged list apart; `None` for a list of scalars.
    pub merge_key: Option<Str>,
    /// A patch may list the keys that are kept (`$retainKeys`): clients that make one do so here.
    pub retain_keys: bool,
    /// One takes the place of the other, rather than that maps merge.
    pub replace: bool,
}

/// The shape of one value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// The type.
    pub type_: Type,
    /// An OpenAPI format, such as `int32` or `date-time`.
    pub format: Option<Str>,
    /// The name of the definition this came from, such as `io.k8s.api.core.v1.PodSpec`.
    pub definition: Option<Str>,
    /// The fields of an object.
    pub properties: BTreeMap<Str, Arc<Schema>>,
    /// What each value of a map is.
    pub additional: Option<Arc<Schema>>,
    /// What each item of a list is.
    pub items: Option<Arc<Schema>>,
    /// The fields that must be there.
    pub required: Vec<Str>,
    /// The fields that are there, and empty, also where nobody has set them: what is no pointer in upstream's types.
    pub always: Vec<Str>,
    /// The fields whose zero is as if they were absent: what is optional, and no pointer in upstream's types.
    pub omitted: Vec<Str>,
    /// Whether `null` is kept.
    pub nullable: bool,
    /// Whether fields that are not listed are kept.
    pub preserve_unknown: bool,
    /// What an absent field becomes.
    pub default: Option<Value>,
    /// The values allowed; empty for any.
    pub allowed: Vec<Value>,
    /// How a list's items are told apart.
    pub list_type: ListType,
    /// Whether a map is one value (`x-kubernetes-map-type: atomic`).
    pub atomic_map: bool,
    /// How strategic merge treats the value.
    pub patch: PatchStrategy,
    /// Whether the value is an object of some kind, with `metadata` (`x-kubernetes-embedded-resource`).
    pub embedded: bool,
    /// Whether this stands for the definition of its name, within that definition itself.
    pub recursive: bool,
    /// What the value must hold to besides.
    pub limits: Option<Box<Limits>>,
    /// Of a whole object: the rules of it and of all in it.
    pub rules: Option<Arc<Rules>>,
}

/// A schema that is made when first asked for.
pub struct Lazy {
    made: OnceLock<Arc<Schema>>,
    make: Make,
}

enum Make {
    Plain(fn() -> Schema),
    With(Box<dyn Fn() -> Schema + Send + Sync>),
}

impl Lazy {
    /// The schema that `make` gives.
    pub const fn new(make: fn() -> Schema) -> Self {
        Self { made: OnceLock::new(), make: Make::Plain(make) }
    }

    /// The schema that `make` gives from what it holds.
    pub fn with(make: impl Fn() -> Schema + Send + Sync + 'static) -> Self {
        Self { made: OnceLock::new(), make: Make::With(Box::new(make)) }
    }

    /// A schema that is there already.
    pub fn ready(schema: Arc<Schema>) -> Self {
        Self { made: OnceLock::from(schema), make: Make::Plain(Schema::default) }
    }

    /// The schema.
    pub fn get(&self) -> &Arc<Schema> {
        self.made.get_or_init(|| {
            Arc::new(match &self.make {
                Make::Plain(make) => make(),
                Make::With(make) => make(),
            })
        })
    }
}

mod built_in;
mod check;
mod default;
mod expanded;
mod format;
mod limits;
mod openapi;
mod prune;
mod rules;
mod structural;
mod validate;

#[cfg(test)]
pub(crate) use built_in::generate;
pub use built_in::{definitions, is_defined, object_meta, of};
pub use check::{Checked, TypeError};
pub use expanded::{expanded, own_definition};
pub(crate) use format::fits as fits_format;
pub use format::knows_format;
pub use limits::{Bound, Limits, Range};
pub use rules::{CompiledRule, Found, Rules, Wrong, compile, field_path};
pub(crate) use structural::all_unsaid;
pub use structural::{annotate, annotated, structural};
