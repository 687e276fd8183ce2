//! Runs that meet each fault there can be, one at a time.

use std::time::Duration;

use super::ending::{Ending, once};
use super::faults::CODES;
use super::plan::{Fault, Outage, Trouble, WatchFault};
use super::{Builder, TestCluster};

/// What every write meets in turn, beside each refusal.
const FAULTS: [Fault; 3] = [Fault::CrashBefore, Fault::CrashAfter, Fault::ReplyLost];
/// And when another leads afterwards: the write arrives before that one's first, after it, or when all is done.
const FAULTS_OF_LEADERS: [Fault; 3] = [Fault::LeaderLost(0), Fault::LeaderLost(1), Fault::LeaderLost(u32::MAX)];
/// With what a read and a watch are refused.
const FAILED: u16 = 500;
/// How late everything is that a watch tells, and how long it is silent.
const LATE: Duration = Duration::from_secs(7);
/// How long a node is away: its pods are not replaced yet.
const AWAY: Duration = Duration::from_secs(30);
/// By how many seconds the clock is set.
const CLOCK: [i64; 2] = [600, -600];

/// Runs `scenario` without a fault; then again for each of these, alone, that the program called `program` can meet
/// since the cluster was started:
///
/// - each of its writes: it dies before it, dies after it, loses the answer, or is refused with 409, 429 or 500; and
///   if it is elected, another leads before the write arrives, or after its first write, or until all is done;
/// - each of its reads: it is refused with 500;
/// - each kind of which it was told something: the watch is refused, everything comes late, or in the middle the
///   watch breaks off, falls silent or expires.
///
/// A program that died is started again. Each time the cluster must end as it did without a fault, no object be left
/// whose owner is gone, none be made again and again, and everything stay at rest when all programs start anew.
///
/// Answers how many runs there were.
///
/// # Panics
/// If one ends otherwise; the fault is told, and how it came.
pub fn sweep(program: &str, builder: impl Fn() -> Builder, scenario: impl AsyncFn(&TestCluster)) -> usize {
    each(program, builder, scenario, |expected| of_program(program, expected))
}

/// As [`sweep`], with what can happen to the cluster: at each point in time at which anything was written since it was
/// ready, each node loses its containers, or loses them and is away for half a minute, and the clock is set ten minutes
/// forward or back.
///
/// How often containers died may differ then, and nothing else; a scenario in which pods are to stay where they are, or
/// in which something is to happen at a time that is given, is not one for this.
///
/// # Panics
/// As [`sweep`].
pub fn sweep_outages(builder: impl Fn() -> Builder, scenario: impl AsyncFn(&TestCluster)) -> usize {
    let nodes = builder().node_names();
    each("", builder, scenario, |expected| of_cluster(&nodes, expected))
}

fn each(
    program: &str,
    builder: impl Fn() -> Builder,
    scenario: impl AsyncFn(&TestCluster),
    troubles: impl FnOnce(&Ending) -> Vec<Trouble>,
) -> usize {
    let seed = builder().seed();
    let expected = once(builder(), program, &scenario).unwrap_or_else(|failure| {
        panic!("without a fault: {}\nwith seed {seed}; how it came:\n{}", failure.text, failure.trace)
    });
    let troubles = troubles(&expected);
    for trouble in &troubles {
        let found = once(builder().with_plan(vec![trouble.clone()]), program, &scenario);
        if let Err(failure) = found.and_then(|ending| ending.check(&expected)) {
            panic!("{trouble}: {}\nwith seed {seed}; how it came:\n{}", failure.text, failure.trace);
        }
    }
    1 + troubles.len()
}

fn of_program(program: &str, expected: &Ending) -> Vec<Trouble> {
    let (before, after) = &expected.work;
    let name = || program.to_owned();
    let of_leaders = FAULTS_OF_LEADERS.into_iter().filter(|_| after.is_elected);
    let faults: Vec<_> = FAULTS.into_iter().chain(CODES.map(Fault::Refused)).chain(of_leaders).collect();
    let of_write = |number| faults.iter().map(move |&fault| Trouble::Write { program: name(), number, fault });
    let of_read = |number| Trouble::Read { program: name(), number, code: FAILED };
    let mut all: Vec<_> = (0..after.writes).flat_map(of_write).chain((0..after.reads).map(of_read)).collect();
    for (path, told) in &after.news {
        let known = before.news.get(path).copied().unwrap_or_default();
        if *told > known {
            let middle = known + (told - known) / 2;
            let faults = [
                WatchFault::Refused(FAILED),
                WatchFault::Late(LATE),
                WatchFault::Dropped(middle),
                WatchFault::Stalled(middle, LATE),
                WatchFault::Expired(middle),
            ];
            let of = |fault| Trouble::Watch { program: name(), path: path.clone(), number: 0, fault };
            all.extend(faults.map(of));
        }
    }
    all
}

fn of_cluster(nodes: &[String], expected: &Ending) -> Vec<Trouble> {
    let of_node = |name: &String| [Outage::Containers(name.clone()), Outage::Node(name.clone(), AWAY)];
    let outages: Vec<_> = nodes.iter().flat_map(of_node).chain(CLOCK.map(Outage::Clock)).collect();
    let at = |after: &Duration| {
        let after = *after;
        outages.iter().map(move |outage| Trouble::Outage { after, outage: outage.clone() })
    };
    expected.wrote_at.iter().flat_map(at).collect()
}
