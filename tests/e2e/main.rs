//! The whole system, driven through its binary as a user drives it.
//!
//! Each file is one promise of the README. Tests that need Docker, `kubectl` or Python say so in
//! one line and pass when it is not there.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests say what they leave out, and drive other processes in real time"
)]

mod docker;
mod harness;

mod connecting;
mod crash;
mod directory;
mod kubectl;
mod operator;
mod outage;
mod processes;
mod quickstart;
mod rolling;
mod services;
mod sim;
mod streams;
