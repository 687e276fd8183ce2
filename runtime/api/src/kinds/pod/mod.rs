//! Pods.

use crate::strategy::Strategy;

/// Pods.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pod;

impl Strategy for Pod {}
