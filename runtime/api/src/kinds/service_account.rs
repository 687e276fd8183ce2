//! Service accounts.

use crate::strategy::Strategy;

/// Service accounts.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServiceAccount;

impl Strategy for ServiceAccount {}
