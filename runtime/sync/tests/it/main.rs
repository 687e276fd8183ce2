//! A watched directory before a real API server, in one process.

mod files;
mod harm;
mod harness;
