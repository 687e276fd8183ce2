//! A program that meets each fault at each of its writes and in each of its watches, one at a time.

use std::time::Duration;

use super::ending::{Ending, once};
use super::plan::{Fault, Trouble, WatchFault};
use super::{Builder, TestCluster};

/// What every write meets in turn.
const FAULTS: [Fault; 3] = [Fault::CrashBefore, Fault::CrashAfter, Fault::ReplyLost];
/// And when another leads afterwards: the write arrives before that one's first, after it, or when all is done.
const FAULTS_OF_LEADERS: [Fault; 3] = [Fault::LeaderLost(0), Fault::LeaderLost(1), Fault::LeaderLost(u32::MAX)];
/// How late everything is that a watch tells.
const LATE: Duration = Duration::from_secs(7);

/// Runs `scenario` without a fault; then, for each write that the program called `program` made since the cluster
/// was started, three times more: the program dies before it, dies after it, or loses the answer; and three times
/// more if the program is elected: another leads before the write arrives. And for each kind of
/// which it was told something, twice more: it is told everything late, and its watch expires in the middle. A
/// program that died is started again. Each time the cluster must end as it did without a fault, no object be left
/// whose owner is gone, none be made again and again, and everything stay at rest when all programs start anew.
///
/// Answers how many runs there were.
///
/// # Panics
/// If one ends otherwise; the fault is told, and how it came.
pub fn sweep(program: &str, builder: impl Fn() -> Builder, scenario: impl AsyncFn(&TestCluster)) -> usize {
    let seed = builder().seed();
    let expected = once(builder(), program, &scenario).unwrap_or_else(|failure| {
        panic!("without a fault: {}\nwith seed {seed}; how it came:\n{}", failure.text, failure.trace)
    });
    let troubles = troubles(program, &expected);
    for trouble in &troubles {
        let found = once(builder().with_plan(vec![trouble.clone()]), program, &scenario);
        if let Err(failure) = found.and_then(|ending| ending.check(&expected)) {
            panic!("{trouble}: {}\nwith seed {seed}; how it came:\n{}", failure.text, failure.trace);
        }
    }
    1 + troubles.len()
}

fn troubles(program: &str, expected: &Ending) -> Vec<Trouble> {
    let (before, after) = &expected.work;
    let name = || program.to_owned();
    let faults: Vec<_> = FAULTS.into_iter().chain(FAULTS_OF_LEADERS.into_iter().filter(|_| after.is_elected)).collect();
    let of_write = |number| faults.iter().map(move |&fault| Trouble::Write { program: name(), number, fault });
    let mut all: Vec<_> = (0..after.writes).flat_map(of_write).collect();
    for (path, told) in &after.news {
        let known = before.news.get(path).copied().unwrap_or_default();
        if *told > known {
            // In the middle of what it was told.
            let faults = [WatchFault::Late(LATE), WatchFault::Expired(known + (told - known) / 2)];
            let of = |fault| Trouble::Watch { program: name(), path: path.clone(), number: 0, fault };
            all.extend(faults.map(of));
        }
    }
    all
}
