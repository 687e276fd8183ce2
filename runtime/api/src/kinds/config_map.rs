//! Config maps.

use crate::strategy::Strategy;

/// Config maps.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConfigMap;

impl Strategy for ConfigMap {}
