//! Which faults a run meets: those that are planned, and those that are drawn from its seed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use trimtab_env::lock;

use super::plan::{Fault, Outage, Plan, Trouble, WatchFault};

/// What the server answers when somebody else has written, when it is asked too much, and when something failed.
const CODES: [u16; 3] = [409, 429, 500];
/// What it may answer to who only reads.
const CODES_OF_READS: [u16; 2] = [429, 500];
/// How late news is at most, and how long a watch is silent.
const LATE: Duration = Duration::from_secs(8);
/// Within this time after the start outages begin.
const OUTAGES_WITHIN: Duration = Duration::from_secs(120);
/// How long a node is away at most: not so long that its pods are replaced.
const AWAY: Duration = Duration::from_secs(90);
/// By how much the clock is set at most.
const CLOCK: i64 = 600;

/// How much goes wrong, at random by a seed. Whether a write or a watch meets a fault follows from the seed, the
/// program and the number of the write alone, so that one fault more or less leaves the others as they are.
#[derive(Clone, Debug)]
pub struct Faults {
    writes: f64,
    reads: f64,
    watches: f64,
    outages: u32,
    clock: bool,
    most: usize,
    programs: Vec<String>,
}

impl Default for Faults {
    /// One of ten writes, one of ten reads and one of five watches meets a fault, a dozen in all, and the clock is set once. No node
    /// and no container dies: what they do after that, restarts counted, is for each test to say.
    fn default() -> Self {
        Self { writes: 0.1, reads: 0.1, watches: 0.2, outages: 0, clock: true, most: 12, programs: Vec::new() }
    }
}

impl Faults {
    /// None, to begin with.
    pub fn none() -> Self {
        Self { writes: 0.0, reads: 0.0, watches: 0.0, clock: false, ..Self::default() }
    }

    /// Of all writes this part meets a fault: the program dies before it or after it, its answer is lost, the server
    /// refuses it, or the program loses its leadership in the middle of it.
    #[must_use]
    pub fn writes(mut self, part: f64) -> Self {
        self.writes = part;
        self
    }

    /// Of all that is read otherwise than by watching, the server refuses this part.
    #[must_use]
    pub fn reads(mut self, part: f64) -> Self {
        self.reads = part;
        self
    }

    /// Of all watches this part meets a fault: it is refused, breaks off, is silent for a while, expires, or tells
    /// everything late.
    #[must_use]
    pub fn watches(mut self, part: f64) -> Self {
        self.watches = part;
        self
    }

    /// So often a node dies for a while, or its containers end.
    #[must_use]
    pub fn outages(mut self, count: u32) -> Self {
        self.outages = count;
        self
    }

    /// Whether the clock is set, once, by up to ten minutes.
    #[must_use]
    pub fn clock(mut self, is_set: bool) -> Self {
        self.clock = is_set;
        self
    }

    /// Writes, reads and watches meet at most so many faults; then there is peace, so that all can end well.
    #[must_use]
    pub fn at_most(mut self, count: usize) -> Self {
        self.most = count;
        self
    }

    /// Only writes, reads and watches of this program meet faults, or of those that are named by further calls.
    #[must_use]
    pub fn of(mut self, program: &str) -> Self {
        self.programs.push(program.to_owned());
        self
    }
}

/// Randomness that is a function of what it is for.
struct Draw(DefaultHasher);

impl Draw {
    fn new(seed: u64, what: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        (seed, what).hash(&mut hasher);
        Self(hasher)
    }

    fn next(&mut self) -> u64 {
        self.0.write_u8(1);
        self.0.finish()
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_of<T: Copy, const N: usize>(&mut self, all: [T; N]) -> T {
        all[usize::try_from(self.below(N as u64)).unwrap_or(0)]
    }

    #[expect(clippy::cast_precision_loss, reason = "a part of all needs no more than the upper bits")]
    fn is(&mut self, part: f64) -> bool {
        ((self.next() >> 11) as f64) < part * (1_u64 << 53) as f64
    }

    /// A whole number of milliseconds, at least one.
    fn time(&mut self, most: Duration) -> Duration {
        Duration::from_millis(1 + self.below(u64::try_from(most.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// The faults of one run.
pub(super) struct Weather {
    seed: u64,
    drawn: Option<Faults>,
    plan: Plan,
    met: Mutex<Plan>,
    /// Whether all outages are over.
    over: watch::Sender<bool>,
    /// Whether the cluster is up: before, nothing goes wrong unless it is planned.
    fair: AtomicBool,
}

impl Weather {
    pub(super) fn new(seed: u64, plan: Plan, drawn: Option<Faults>) -> Self {
        Self { seed, drawn, plan, met: Mutex::default(), over: watch::Sender::new(true), fair: AtomicBool::new(true) }
    }

    /// From now on, or no more, faults are drawn.
    pub(super) fn set_fair(&self, fair: bool) {
        self.fair.store(fair, Ordering::Relaxed);
    }

    /// All that has gone wrong so far.
    pub(super) fn met(&self) -> Plan {
        lock(&self.met).clone()
    }

    /// What a program's write meets.
    pub(super) fn of_write(&self, program: &str, is_elected: bool, number: u64) -> Option<Fault> {
        let planned = self.plan.iter().find_map(|trouble| match trouble {
            Trouble::Write { program: whose, number: at, fault } if whose == program && *at == number => Some(*fault),
            _ => None,
        });
        let fault = planned.or_else(|| {
            let faults = self.drawn_for(program)?;
            let mut draw = Draw::new(self.seed, ("write", program, number));
            draw.is(faults.writes).then(|| match draw.below(if is_elected { 8 } else { 6 }) {
                0 => Fault::CrashBefore,
                1 => Fault::CrashAfter,
                2 | 3 => Fault::ReplyLost,
                4 | 5 => Fault::Refused(draw.one_of(CODES)),
                _ => Fault::LeaderLost(u32::try_from(draw.below(4)).unwrap_or(0)),
            })
        })?;
        self.meet(Trouble::Write { program: program.to_owned(), number, fault });
        Some(fault)
    }

    /// With which code what a program reads is refused, if it is.
    pub(super) fn of_read(&self, program: &str, number: u64) -> Option<u16> {
        let planned = self.plan.iter().find_map(|trouble| match trouble {
            Trouble::Read { program: whose, number: at, code } if whose == program && *at == number => Some(*code),
            _ => None,
        });
        let code = planned.or_else(|| {
            let faults = self.drawn_for(program)?;
            let mut draw = Draw::new(self.seed, ("read", program, number));
            draw.is(faults.reads).then(|| draw.one_of(CODES_OF_READS))
        })?;
        self.meet(Trouble::Read { program: program.to_owned(), number, code });
        Some(code)
    }

    /// What a program's watch meets.
    pub(super) fn of_watch(&self, program: &str, path: &str, number: u64) -> Option<WatchFault> {
        let planned = self.plan.iter().find_map(|trouble| match trouble {
            Trouble::Watch { program: whose, path: of, number: at, fault }
                if whose == program && of == path && *at == number =>
            {
                Some(*fault)
            }
            _ => None,
        });
        let fault = planned.or_else(|| {
            let faults = self.drawn_for(program)?;
            let mut draw = Draw::new(self.seed, ("watch", program, path, number));
            draw.is(faults.watches).then(|| {
                let after = u32::try_from(draw.below(6)).unwrap_or(0);
                match draw.below(7) {
                    0 => WatchFault::Dropped(after),
                    1 => WatchFault::Stalled(after, draw.time(LATE)),
                    2 => WatchFault::Expired(after),
                    3 => WatchFault::Refused(draw.one_of(CODES_OF_READS)),
                    _ => WatchFault::Late(draw.time(LATE)),
                }
            })
        })?;
        self.meet(Trouble::Watch { program: program.to_owned(), path: path.to_owned(), number, fault });
        Some(fault)
    }

    /// What happens to the cluster with these nodes, and when.
    pub(super) fn outages(&self, nodes: &[String]) -> Vec<(Duration, Outage)> {
        let mut all: Vec<_> = self
            .plan
            .iter()
            .filter_map(|trouble| match trouble {
                Trouble::Outage { after, outage } => Some((*after, outage.clone())),
                _ => None,
            })
            .collect();
        if let Some(faults) = &self.drawn {
            let mut draw = Draw::new(self.seed, "outages");
            for _ in 0..if nodes.is_empty() { 0 } else { faults.outages } {
                let name = nodes[usize::try_from(draw.below(nodes.len() as u64)).unwrap_or(0)].clone();
                let outage = match draw.below(2) {
                    0 => Outage::Node(name, draw.time(AWAY)),
                    _ => Outage::Containers(name),
                };
                all.push((draw.time(OUTAGES_WITHIN), outage));
            }
            if faults.clock {
                let seconds = i64::try_from(draw.below(2 * CLOCK.unsigned_abs())).unwrap_or(0) - CLOCK;
                all.push((draw.time(OUTAGES_WITHIN), Outage::Clock(seconds)));
            }
        }
        all.sort_by_key(|(after, _)| *after);
        all
    }

    /// Outages begin; who is told `true` knows that they are over.
    pub(super) fn begin_outages(&self) -> watch::Sender<bool> {
        self.over.send_replace(false);
        self.over.clone()
    }

    pub(super) async fn outages_over(&self) {
        // The sender is at hand.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    pub(super) fn meet(&self, trouble: Trouble) {
        lock(&self.met).push(trouble);
    }

    fn drawn_for(&self, program: &str) -> Option<&Faults> {
        let faults = self.drawn.as_ref().filter(|_| !self.fair.load(Ordering::Relaxed))?;
        let of_these = faults.programs.is_empty() || faults.programs.iter().any(|named| named == program);
        let met = lock(&self.met).iter().filter(|trouble| !matches!(trouble, Trouble::Outage { .. })).count();
        (of_these && met < faults.most).then_some(faults)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Debug;

    use super::*;

    /// A fault without what differs from one to the next, but for the code of a refusal.
    fn kind(fault: impl Debug) -> String {
        let text = format!("{fault:?}");
        let kind = text.split('(').next().unwrap_or_default();
        if kind == "Refused" { text } else { kind.to_owned() }
    }

    #[test]
    fn every_kind_of_fault_is_drawn() {
        let faults = Faults::none().writes(0.5).reads(0.25).watches(0.5).outages(40).clock(true).at_most(usize::MAX);
        let weather = Weather::new(7, Plan::new(), Some(faults));
        assert_eq!(weather.of_write("a", true, 0), None, "the cluster is not up yet");
        weather.set_fair(false);
        let numbers = || 0..1_000;
        let of_writes: Vec<_> = numbers().filter_map(|number| weather.of_write("a", true, number)).collect();
        let of_others = numbers().filter_map(|number| weather.of_write("b", false, number)).map(kind);
        let of_reads: Vec<_> = numbers().filter_map(|number| weather.of_read("a", number)).collect();
        let of_watches = numbers().filter_map(|number| weather.of_watch("a", "/api/v1/pods", number));
        let outages = weather.outages(&["node-0".to_owned()]).into_iter().map(|(_, outage)| kind(outage));

        assert!((400..600).contains(&of_writes.len()), "{}", of_writes.len());
        assert!((200..300).contains(&of_reads.len()), "{}", of_reads.len());
        let of_each = ["CrashAfter", "CrashBefore", "Refused(409)", "Refused(429)", "Refused(500)", "ReplyLost"];
        assert_eq!(kinds(of_others), of_each, "it does not lead");
        assert_eq!(kinds(of_writes.into_iter().map(kind)), [&of_each[..2], &["LeaderLost"], &of_each[2..]].concat());
        assert_eq!(of_reads.into_iter().collect::<BTreeSet<_>>(), CODES_OF_READS.into());
        let of_each = ["Dropped", "Expired", "Late", "Refused(429)", "Refused(500)", "Stalled"];
        assert_eq!(kinds(of_watches.map(kind)), of_each);
        assert_eq!(kinds(outages), ["Clock", "Containers", "Node"]);
    }

    fn kinds(all: impl Iterator<Item = String>) -> Vec<String> {
        all.collect::<BTreeSet<_>>().into_iter().collect()
    }

    #[test]
    fn there_is_peace_in_the_end() {
        let weather = Weather::new(7, Plan::new(), Some(Faults::default().of("a").at_most(3)));
        weather.set_fair(false);
        let met =
            |program: &str| (0..1_000).filter(|number| weather.of_write(program, false, *number).is_some()).count();
        assert_eq!([met("b"), met("a"), met("a")], [0, 3, 0]);
    }
}
