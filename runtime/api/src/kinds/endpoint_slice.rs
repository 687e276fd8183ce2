//! Endpoint slices.

use crate::strategy::Strategy;

/// Endpoint slices.
#[derive(Clone, Copy, Debug, Default)]
pub struct EndpointSlice;

impl Strategy for EndpointSlice {}
