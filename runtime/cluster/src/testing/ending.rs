//! How a run ends, and whether it ended well.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::faults::Weather;
use super::history::{History, Made};
use super::line::Counts;
use super::plan::{Fault, Outage, Plan, Trouble};
use super::seeds::{Outcome, in_virtual_time, quietly, told};
use super::state::{self, State};
use super::{Builder, TestCluster};

/// How a run ended.
pub(super) struct Ending {
    entries: Vec<(String, Value)>,
    nodes: BTreeSet<String>,
    /// What there is, with and without how often containers died.
    states: [OnceCell<State>; 2],
    /// How often each object was made and deleted.
    made: Made,
    /// What went wrong meanwhile.
    met: Plan,
    /// How long after the cluster was ready anything was written, but for heartbeats.
    pub wrote_at: BTreeSet<Duration>,
    /// Of the program that is looked at: what it had written, read and heard when the cluster was up, and in the end.
    pub work: (Work, Work),
    history: History,
}

/// What a program has done.
#[derive(Default)]
pub(super) struct Work {
    pub is_elected: bool,
    pub writes: u64,
    pub reads: u64,
    /// Pieces of news by path.
    pub news: BTreeMap<String, u32>,
}

impl Work {
    fn of(counts: Option<&Counts>) -> Self {
        let work = |counts: &Counts| Self {
            is_elected: counts.is_elected,
            writes: counts.writes(),
            reads: counts.reads(),
            news: counts.news(),
        };
        counts.map(work).unwrap_or_default()
    }
}

/// A run that failed.
pub(super) struct Failure {
    /// Why.
    pub text: String,
    /// What went wrong before.
    pub met: Plan,
    /// What led to it.
    pub trace: String,
}

/// Runs `scenario` on a cluster of its own; then everything must come to rest, stay at rest when all programs are
/// started anew and look at everything again, and nothing be left of owners that are gone.
pub(super) fn once<R: Outcome>(
    builder: Builder,
    program: &str,
    scenario: &impl AsyncFn(&TestCluster) -> R,
) -> Result<Ending, Failure> {
    let seen = RefCell::new(None);
    let run = async {
        let cluster = builder.start().await;
        seen.replace(Some((cluster.trace(), Arc::clone(&cluster.weather))));
        let work = || Work::of(cluster.programs.counts(program).as_deref());
        let (ready, before) = (cluster.history.age(), work());
        scenario(&cluster).await.check();
        cluster.weathered().await;
        cluster.settle().await;
        let (wrote_at, work) = (cluster.history.times(ready), (before, work()));
        stays_at_rest(&cluster).await;
        let entries = state::read(&cluster).await;
        let orphans = state::orphans(&entries);
        assert!(orphans.is_empty(), "their owners are gone, and they are not: {orphans:?}");
        // Where there are several nodes, it is chance which one a pod is on.
        let nodes = if cluster.nodes.len() > 1 { cluster.nodes.keys().cloned().collect() } else { BTreeSet::new() };
        let ending = Ending {
            entries,
            nodes,
            states: <[OnceCell<State>; 2]>::default(),
            made: cluster.history.made(),
            met: cluster.weather.met(),
            wrote_at,
            work,
            history: cluster.history.clone(),
        };
        cluster.stop().await;
        ending
    };
    catch_unwind(AssertUnwindSafe(|| quietly(|| in_virtual_time(run)))).map_err(|panic| {
        let text = told(&*panic);
        let (met, trace) = match seen.take() {
            Some((trace, weather)) => (Weather::met(&weather), trace.to_string()),
            None => (Plan::new(), String::new()),
        };
        // Who waited in vain has told it already.
        let trace = if text.contains(&trace) { String::new() } else { trace };
        Failure { text, met, trace }
    })
}

/// Whoever looks at everything anew finds nothing to write.
async fn stays_at_rest(cluster: &TestCluster) {
    cluster.weather.set_fair(true);
    let writes = cluster.history.writes();
    cluster.programs.restart();
    cluster.settle().await;
    let since = cluster.history.since(writes);
    assert!(
        since.is_empty(),
        "all was at rest; looked at anew by programs started again, it was written again\n{since}"
    );
}

impl Ending {
    fn state(&self, deaths: bool) -> &State {
        self.states[usize::from(deaths)].get_or_init(|| state::of(&self.entries, &self.nodes, deaths))
    }

    /// Whether it is as without faults.
    ///
    /// # Errors
    /// With what differs, and how it came.
    pub(super) fn check(self, expected: &Self) -> Result<(), Failure> {
        let is_death = |trouble: &Trouble| {
            matches!(trouble, Trouble::Outage { outage: Outage::Node(..) | Outage::Containers(_), .. })
        };
        let deaths = self.met.iter().any(is_death);
        let (wanted, found) = (expected.state(deaths), self.state(deaths));
        if wanted != found {
            let (text, keys) = state::difference(wanted, found);
            let trace = self.history.trace(&keys);
            return Err(Failure { text: format!("the cluster ended otherwise\n{text}"), met: self.met, trace });
        }
        // Each fault may cost one more of each object; each death of a node or its containers all of them, and so may
        // what is made late: nothing that is sent to make an object can tell whether it still is to be there.
        let is_late = |trouble: &Trouble| matches!(trouble, Trouble::Write { fault: Fault::LeaderLost(_), .. });
        let all = deaths || self.met.iter().any(is_late);
        let met = u32::try_from(self.met.len()).unwrap_or(u32::MAX);
        for (key, (made, deleted)) in &self.made {
            let (usual_made, usual_deleted) = expected.made.get(key).copied().unwrap_or_default();
            let more = if all { met * usual_made.max(1) } else { met };
            if *made > usual_made + more || *deleted > usual_deleted + more {
                let text = format!(
                    "{key} was made {made} times and deleted {deleted} times, without faults {usual_made} and {usual_deleted} times"
                );
                return Err(Failure { text, met: self.met, trace: self.history.to_string() });
            }
        }
        Ok(())
    }
}
