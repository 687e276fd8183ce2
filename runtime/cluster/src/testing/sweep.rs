//! Runs that meet each fault there can be, one at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ending::{Ending, once};
use super::plan::{Fault, Outage, Plan, Trouble, WatchFault};
use super::{Builder, TestCluster};

/// What every write meets in turn.
const FAULTS: [Fault; 4] = [Fault::CrashBefore, Fault::CrashAfter, Fault::ReplyLost, Fault::Refused(409)];
/// And one write this, the next that: who makes it is to try again after either.
const FAILURES: [Fault; 2] = [Fault::Refused(429), Fault::Refused(500)];
/// And when another leads afterwards: the write arrives before that one's first, after it, or when all is done.
const FAULTS_OF_LEADERS: [Fault; 3] = [Fault::LeaderLost(0), Fault::LeaderLost(1), Fault::LeaderLost(u32::MAX)];
/// With what a read and a watch are refused.
const FAILED: u16 = 500;
/// How late everything is that a watch tells, and how long it is silent.
const LATE: Duration = Duration::from_secs(7);
/// Right after something was written.
const MOMENT: Duration = Duration::from_millis(1);
/// How long a node is away: its pods are not replaced yet.
const AWAY: Duration = Duration::from_secs(30);
/// By how many seconds the clock is set.
const CLOCK: [i64; 2] = [600, -600];

/// Runs `scenario` without a fault; then again for each of these that the program called `program` can meet since the
/// cluster was started, one run each:
///
/// - at each of its writes: it dies before it, dies after it, loses the answer, is refused with 409, and with 429 or 500
///   in turn; and if it is elected, another leads before the write arrives, or after its first write, or until all is
///   done;
/// - of each kind of which it was told something: everything comes late, or in the middle the watch expires;
/// - of all kinds at once: no watch begins at the first try, or in the middle all break off, or are silent for a while;
/// - everything that it reads otherwise is refused once.
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
/// ready, and right after, each node loses its containers, or loses them and is away for half a minute, and the clock is set ten minutes
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
    plans: impl FnOnce(&Ending) -> Vec<Plan>,
) -> usize {
    let seed = builder().seed();
    let expected = once(builder(), program, &scenario).unwrap_or_else(|failure| {
        panic!("without a fault: {}\nwith seed {seed}; how it came:\n{}", failure.text, failure.trace)
    });
    let plans = plans(&expected);
    for plan in &plans {
        let found = once(builder().with_plan(plan.clone()), program, &scenario);
        if let Err(failure) = found.and_then(|ending| ending.check(&expected)) {
            let met: Vec<String> = failure.met.iter().map(ToString::to_string).collect();
            let met = met.join("; ");
            panic!("{met}: {}\nwith seed {seed}; how it came:\n{}", failure.text, failure.trace);
        }
    }
    1 + plans.len()
}

fn of_program(program: &str, expected: &Ending) -> Vec<Plan> {
    let (before, after) = &expected.work;
    let name = || program.to_owned();
    let of_leaders = FAULTS_OF_LEADERS.into_iter().filter(|_| after.is_elected);
    let faults: Vec<_> = FAULTS.into_iter().chain(of_leaders).collect();
    let of_write = |number| {
        let failure = FAILURES[usize::from(number % 2 == 1)];
        let faults = faults.iter().copied().chain([failure]);
        faults.map(move |fault| vec![Trouble::Write { program: name(), number, fault }])
    };
    // The middle of what each watch told.
    let told = after.news.iter().filter_map(|(path, told)| {
        let known = before.news.get(path).copied().unwrap_or_default();
        (*told > known).then(|| (path, known + (told - known) / 2))
    });
    let told: Vec<_> = told.collect();
    let of = |path: &String, fault| Trouble::Watch { program: name(), path: path.clone(), number: 0, fault };
    let alone = told.iter().flat_map(|(path, middle)| {
        [WatchFault::Late(LATE), WatchFault::Expired(*middle)].map(|fault| vec![of(path, fault)])
    });
    let of_all = |fault: fn(u32) -> WatchFault| told.iter().map(|(path, middle)| of(path, fault(*middle))).collect();
    let together = [
        of_all(|_| WatchFault::Refused(FAILED)),
        of_all(WatchFault::Dropped),
        of_all(|at| WatchFault::Stalled(at, LATE)),
    ];
    let reads = (0..after.reads).map(|number| Trouble::Read { program: name(), number, code: FAILED }).collect();
    let plans = (0..after.writes).flat_map(of_write).chain(alone).chain(together).chain([reads]);
    plans.filter(|plan: &Plan| !plan.is_empty()).collect()
}

fn of_cluster(nodes: &[String], expected: &Ending) -> Vec<Plan> {
    let of_node = |name: &String| [Outage::Containers(name.clone()), Outage::Node(name.clone(), AWAY)];
    let outages: Vec<_> = nodes.iter().flat_map(of_node).chain(CLOCK.map(Outage::Clock)).collect();
    let at = |after| outages.iter().map(move |outage| vec![Trouble::Outage { after, outage: outage.clone() }]);
    // What follows from one write without waiting for anything is of the same point in time.
    let moments: BTreeSet<_> = expected.wrote_at.iter().flat_map(|after| [*after, *after + MOMENT]).collect();
    moments.into_iter().flat_map(at).collect()
}
