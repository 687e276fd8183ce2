//! The object model: what a kind is, what an object is, and everything that can be computed about
//! them. Pure: no I/O, no async, no clock, no randomness.
//!
//! Start at [`Kinds`], the registry from which REST, watch, tables, discovery, patching and the
//! command line are driven.

pub mod field;
mod kind;
pub mod kinds;
pub mod names;
mod object;
pub mod quantity;
pub mod schema;
pub mod status;
mod strategy;

pub use kind::{Column, Kind, KindName, Kinds, ScalePaths, Scope, Subresource};
pub use object::{Object, ObjectRef};
pub use quantity::Quantity;
pub use status::ApiError;
pub use strategy::{Admission, Operation, Plain, Strategy};
