//! Bindings of a pod to a node.

use crate::strategy::Strategy;

/// Bindings of a pod to a node.
#[derive(Clone, Copy, Debug, Default)]
pub struct Binding;

impl Strategy for Binding {}
