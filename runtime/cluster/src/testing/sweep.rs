//! A program that meets each fault at each of its writes, one at a time.

use super::{Builder, Fault, TestCluster, state};

/// What every write meets in turn.
const FAULTS: [Fault; 3] = [Fault::CrashBefore, Fault::CrashAfter, Fault::ReplyLost];

/// Runs `scenario` without a fault; then, for each write that the program called `program` made, three times
/// more: the program dies before it, dies after it, or loses the answer. A program that died is started again.
/// Each time the cluster must end as it did without a fault, and come to rest.
///
/// Answers how many runs there were.
///
/// # Panics
/// If one ends otherwise; the fault is told.
pub fn sweep(program: &str, builder: impl Fn() -> Builder, scenario: impl AsyncFn(&TestCluster)) -> usize {
    let once = |fault: Option<(u64, Fault)>| {
        super::seeds::in_virtual_time(async {
            let builder = builder();
            let cluster = match fault {
                Some((write, fault)) => builder.fault(program, write, fault),
                None => builder,
            };
            let cluster = cluster.start().await;
            scenario(&cluster).await;
            cluster.settle().await;
            let (state, writes) = (state::of(&cluster).await, cluster.writes_of(program));
            cluster.stop().await;
            (state, writes)
        })
    };
    let (expected, writes) = once(None);
    for write in 0..writes {
        for fault in FAULTS {
            let (found, _) = once(Some((write, fault)));
            assert!(
                found == expected,
                "{program} met {fault:?} at its write {write}, and the cluster ended otherwise\n{}",
                state::difference(&expected, &found)
            );
        }
    }
    1 + writes as usize * FAULTS.len()
}
