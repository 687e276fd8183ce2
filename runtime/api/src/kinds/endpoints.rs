//! Endpoints.

use crate::strategy::Strategy;

/// Endpoints.
#[derive(Clone, Copy, Debug, Default)]
pub struct Endpoints;

impl Strategy for Endpoints {}
