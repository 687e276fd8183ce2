//! Nodes.

use serde_json::Value;

use crate::cells;
use crate::object::Object;
use crate::strategy::Strategy;

/// Behaviour of Nodes.
pub struct Node;

impl Strategy for Node {
    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        cells::node(name, object, now)
    }
}
