//! What a test's cluster costs: time until it is ready, processor time, memory, and how many run at once.
//!
//! `cargo run --release -p trimtab-cluster --example start`

use std::time::Duration;

use trimtab_cluster::testing::{TestCluster, in_virtual_time};
use trimtab_env::Tasks;

/// How many clusters are started, one after the other and side by side.
const COUNT: u64 = 100;

#[expect(clippy::disallowed_methods, reason = "it is real time that is measured")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn start(seed: u64) {
    in_virtual_time(async {
        TestCluster::start(seed).await.stop().await;
    });
}

#[expect(clippy::print_stdout, reason = "figures are what it is run for")]
fn main() {
    let began = now();
    start(0);
    println!("the first cluster:  {:>8.2?}", began.elapsed());

    let mut times: Vec<Duration> = (0..COUNT)
        .map(|seed| {
            let began = now();
            start(seed);
            began.elapsed()
        })
        .collect();
    times.sort();
    println!(
        "each further one:   {:>8.2?} (median of {COUNT}), {:.2?} at most",
        times[times.len() / 2],
        times[times.len() - 1]
    );

    let before = resident();
    in_virtual_time(async {
        let mut clusters = Vec::new();
        for seed in 0..COUNT {
            clusters.push(TestCluster::start(seed).await);
        }
        println!(
            "memory of each:     {:>8} KiB (of {COUNT} in one thread)",
            (resident().saturating_sub(before)) / COUNT
        );
        for cluster in clusters {
            cluster.stop().await;
        }
    });

    let began = now();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let tasks = Tasks::new();
        for seed in 0..COUNT {
            tasks.spawn_blocking(move || start(seed));
        }
        tasks.join().await;
    });
    println!("{COUNT} in {COUNT} threads: {:>8.2?}", began.elapsed());
}
