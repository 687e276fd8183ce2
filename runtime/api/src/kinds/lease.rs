//! Leases.

use crate::strategy::Strategy;

/// Leases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lease;

impl Strategy for Lease {}
