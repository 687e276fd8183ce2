//! The agent against a real API server in process: pretended containers, and Docker's where it answers.

mod docker;
mod sim;
mod world;
