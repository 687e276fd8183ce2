//! Events: how they are printed.

use serde_json::Value;

use crate::cells;
use crate::object::Object;
use crate::strategy::Strategy;

/// Behaviour of Events.
pub struct Event;

impl Strategy for Event {
    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        cells::event(name, object, now)
    }
}
