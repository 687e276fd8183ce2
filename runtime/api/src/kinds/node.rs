//! Nodes.

use crate::strategy::Strategy;

/// Nodes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Node;

impl Strategy for Node {}
