//! Services.

use crate::strategy::Strategy;

/// Services.
#[derive(Clone, Copy, Debug, Default)]
pub struct Service;

impl Strategy for Service {}
