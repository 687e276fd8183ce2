//! Replication controllers.

use crate::strategy::Strategy;

/// Replication controllers.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplicationController;

impl Strategy for ReplicationController {}
