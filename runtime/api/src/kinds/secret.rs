//! Secrets.

use crate::strategy::Strategy;

/// Secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Secret;

impl Strategy for Secret {}
