//! What a whole cluster costs, measured from outside through the release binary.
//!
//! ```console
//! $ cargo bench -p trimtab-cli --bench load                  # everything
//! $ cargo bench -p trimtab-cli --bench load -- requests rc   # some of it
//! ```
//!
//! Processor time and memory are the server process's own, read from `/proc`; the load comes from
//! this process over HTTPS. Parts that need Docker are left out, in one line, where none answers.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, and measures other processes in real time"
)]
#![expect(dead_code, reason = "the end-to-end tests use the rest of their harness")]

mod common;
mod controllers;
#[path = "../e2e/docker.rs"]
mod docker;
#[path = "../e2e/harness.rs"]
mod harness;
mod many;
mod process;
mod quickstart;
mod requests;
mod simulated;
#[path = "../three_ways/mod.rs"]
mod three_ways;
mod watches;

use tokio::runtime::Runtime;

/// A part: its name, what it does, and whether that needs Docker.
type Part = (&'static str, fn(&Runtime), bool);

const PARTS: [Part; 11] = [
    ("size", |_| simulated::size(), false),
    ("start", simulated::start, false),
    ("inside", |_| simulated::inside(), false),
    ("requests", requests::requests, false),
    ("lists", requests::lists, false),
    ("watches", watches::watches, false),
    ("many", many::many, false),
    ("controllers", controllers::controllers, false),
    ("rc", simulated::replication, false),
    ("rest", quickstart::rest, true),
    ("pods", quickstart::pods, true),
];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if controllers::worked(&runtime) {
        return;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if let Some(unknown) = wanted.iter().find(|name| PARTS.iter().all(|(part, ..)| part != name)) {
        let parts: Vec<_> = PARTS.iter().map(|(part, ..)| *part).collect();
        println!("there is no part {unknown:?}; there are {}", parts.join(", "));
        std::process::exit(2);
    }
    for (part, measure, with_docker) in PARTS {
        let wants = wanted.is_empty() || wanted.iter().any(|name| name == part);
        if wants && (!with_docker || docker::answers(part)) {
            measure(&runtime);
        }
    }
}
