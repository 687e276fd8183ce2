//! Events.

use crate::strategy::Strategy;

/// Events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Event;

impl Strategy for Event {}
