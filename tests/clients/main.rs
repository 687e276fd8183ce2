//! Other people's clients, unmodified, against a whole cluster: the crate `kube`, `kubectl` and
//! Python's `kubernetes`.
//!
//! The cluster runs in this process, on simulated nodes. What a client is promised is asked of it
//! in the client's own words, so each file reads as a program that uses it. Tests of a client that
//! is not there say so in one line and pass.

mod harness;

mod kube_rs;
mod kubectl;
mod one_behaviour;
mod python;
