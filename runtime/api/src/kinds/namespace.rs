//! Namespaces.

use crate::strategy::Strategy;

/// Namespaces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Namespace;

impl Strategy for Namespace {}
