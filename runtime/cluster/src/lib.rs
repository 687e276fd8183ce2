//! Wiring: any set of components in one process.

mod files;
pub mod pki;
