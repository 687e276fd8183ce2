//! The object model: what a kind is, what an object is, and everything that can be computed about
//! them. Pure: no I/O, no async, no clock, no randomness.
//!
//! Start at [`Kinds`], the registry from which REST, watch, tables, discovery, patching and the
//! command line are driven.

pub mod apply;
mod at;
pub mod cel;
mod cells;
mod check;
pub mod crd;
pub mod custom;
mod difference;
pub mod field;
mod json;
pub mod jsonpath;
mod kind;
pub mod kinds;
pub mod limits;
pub mod manifest;
pub mod meta;
pub mod names;
mod object;
pub mod patch;
mod pem;
pub mod pod_security;
pub mod policy;
pub mod protobuf;
pub mod quantity;
pub mod quota;
pub mod rbac;
pub mod schema;
pub mod selector;
pub mod status;
mod strategy;
pub mod table;
mod time_zone;
pub mod view;
mod yaml;

pub use json::{in_order, read_json_noting};
pub use kind::{Column, Defined, Definitions, Kind, Kinds, ScalePaths, Scope, Subresource, Version};
pub use object::{MAX_DEPTH, Object, ObjectRef, depth, from_json, from_value, read_json, write_json};
pub use quantity::Quantity;
pub use selector::{FieldSelector, Selector, label_selector_text};
pub use status::ApiError;
pub use strategy::{Admission, Operation, Plain, Strategy};
pub use yaml::{from_yaml, from_yaml_noting, to_yaml};

pub use trimtab_macros::{Resource, Schema, resources_from};

trimtab_macros::kinds!("../../manifests/kinds");

/// What the macros' expansions name, so that a user's crate need not depend on it.
#[doc(hidden)]
pub mod __private {
    pub use {k8s_openapi, schemars, serde, serde_json};

    pub use crate::schema::Lazy;
    pub use crate::{Kind, Scope, custom};
}
