//! Endpoints and EndpointSlices: how they are printed.

use serde_json::Value;

use crate::cells;
use crate::object::Object;
use crate::strategy::Strategy;

/// Behaviour of Endpoints.
pub struct Endpoints;

impl Strategy for Endpoints {
    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        cells::endpoints(name, object, now)
    }
}

/// Behaviour of EndpointSlices.
pub struct EndpointSlice;

impl Strategy for EndpointSlice {
    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        cells::endpoint_slice(name, object, now)
    }
}
