//! What has become of the requests of each flow schema, as upstream's metrics tell it.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use super::seats::{Limits, Refusal};

/// The upper bounds of the durations' buckets, in seconds: upstream's.
const BUCKETS: [f64; 13] = [0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0];
const REFUSALS: [(Refusal, &str); 3] = [
    (Refusal::ConcurrencyLimit, "concurrency-limit"),
    (Refusal::QueueFull, "queue-full"),
    (Refusal::TimeOut, "time-out"),
];

/// What has become of the requests of a level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    pub dispatched: u64,
    /// Sent away at once.
    pub rejected: u64,
    pub timed_out: u64,
    /// Gone before they were served.
    pub cancelled: u64,
}

/// The counts of all schemas, each with its level; what was counted stays.
#[derive(Default)]
pub(super) struct Stats(Vec<Flow>);

struct Flow {
    level: Arc<str>,
    schema: Arc<str>,
    dispatched: u64,
    /// By [`Refusal`].
    refused: [u64; REFUSALS.len()],
    /// Those that have left their queue without a seat: sent away, or gone by themselves.
    gave_up: u64,
    waiting: u64,
    executing: u64,
    waits: [Durations; 2],
    executions: Durations,
}

#[derive(Clone, Copy, Default)]
struct Durations {
    count: u64,
    seconds: f64,
    /// How many are between each bound and the one before.
    within: [u64; BUCKETS.len()],
}

impl Durations {
    fn take(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        (self.count, self.seconds) = (self.count + 1, self.seconds + seconds);
        if let Some(within) = self.within.get_mut(BUCKETS.partition_point(|bound| *bound < seconds)) {
            *within += 1;
        }
    }
}

impl Stats {
    /// Where the counts of `schema` are, of what is of `level`.
    pub(super) fn of(&mut self, level: &Arc<str>, schema: &str) -> usize {
        let known = self.0.iter().position(|flow| flow.level == *level && &*flow.schema == schema);
        known.unwrap_or_else(|| {
            self.0.push(Flow {
                level: Arc::clone(level),
                schema: schema.into(),
                dispatched: 0,
                refused: Default::default(),
                gave_up: 0,
                waiting: 0,
                executing: 0,
                waits: Default::default(),
                executions: Durations::default(),
            });
            self.0.len() - 1
        })
    }

    /// The name of a schema whose counts are here.
    pub(super) fn schema(&self, schema: usize) -> &Arc<str> {
        &self.0[schema].schema
    }

    pub(super) fn waits(&mut self, schema: usize) {
        self.0[schema].waiting += 1;
    }

    pub(super) fn waits_no_more(&mut self, schema: usize) {
        self.0[schema].waiting -= 1;
    }

    pub(super) fn gave_up(&mut self, schema: usize) {
        self.waits_no_more(schema);
        self.0[schema].gave_up += 1;
    }

    /// What has become of those of a level.
    pub(super) fn ended(&self, level: &Arc<str>) -> Ended {
        let mut ended = Ended::default();
        for flow in self.0.iter().filter(|flow| flow.level == *level) {
            let refused = |why| flow.refused[why as usize];
            let timed_out = refused(Refusal::TimeOut);
            ended.dispatched += flow.dispatched;
            ended.rejected += refused(Refusal::ConcurrencyLimit) + refused(Refusal::QueueFull);
            ended.timed_out += timed_out;
            ended.cancelled += flow.gave_up.saturating_sub(timed_out);
        }
        ended
    }

    /// It has a seat, after it has `waited` if it had to.
    pub(super) fn dispatched(&mut self, schema: usize, waited: Option<Duration>) {
        let flow = &mut self.0[schema];
        flow.dispatched += 1;
        flow.executing += 1;
        waited.into_iter().for_each(|waited| flow.waits[1].take(waited));
    }

    pub(super) fn refused(&mut self, schema: usize, why: Refusal, waited: Duration) {
        let flow = &mut self.0[schema];
        flow.refused[why as usize] += 1;
        if why == Refusal::TimeOut {
            flow.waits[0].take(waited);
        }
    }

    pub(super) fn finished(&mut self, schema: usize, took: Duration) {
        let flow = &mut self.0[schema];
        flow.executing -= 1;
        flow.executions.take(took);
    }

    pub(super) fn text<'a>(&self, levels: impl Iterator<Item = (&'a str, Limits)>) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ =
            self.counts(&mut text).and_then(|()| self.durations(&mut text)).and_then(|()| limits(&mut text, levels));
        text
    }

    fn counts(&self, text: &mut String) -> std::fmt::Result {
        type Count = fn(&Flow) -> u64;
        let counts: [(&str, &str, &str, Count); 5] = [
            ("dispatched_requests_total", "counter", "Requests that were given a seat.", |flow| flow.dispatched),
            ("current_inqueue_requests", "gauge", "Requests that wait for a seat.", |flow| flow.waiting),
            ("current_executing_requests", "gauge", "Requests that have a seat.", |flow| flow.executing),
            ("current_executing_seats", "gauge", "Seats that are taken.", |flow| flow.executing),
            ("current_inqueue_seats", "gauge", "Seats that are waited for.", |flow| flow.waiting),
        ];
        for (name, type_, help, count) in counts {
            head(text, name, type_, help)?;
            for flow in &self.0 {
                writeln!(text, "apiserver_flowcontrol_{name}{{{}}} {}", flow.labels(), count(flow))?;
            }
        }
        head(text, "rejected_requests_total", "counter", "Requests that were sent away.")?;
        for flow in &self.0 {
            for (why, reason) in REFUSALS {
                let count = flow.refused[why as usize];
                if count > 0 {
                    let labels = flow.labels();
                    writeln!(
                        text,
                        "apiserver_flowcontrol_rejected_requests_total{{{labels},reason=\"{reason}\"}} {count}"
                    )?;
                }
            }
        }
        Ok(())
    }

    fn durations(&self, text: &mut String) -> std::fmt::Result {
        const WAITS: &str = "request_wait_duration_seconds";
        const EXECUTIONS: &str = "request_execution_seconds";
        head(text, WAITS, "histogram", "How long requests have waited in a queue.")?;
        for flow in &self.0 {
            for (durations, execute) in flow.waits.iter().zip(["false", "true"]) {
                durations.tell(text, WAITS, &format!("{},execute=\"{execute}\"", flow.labels()))?;
            }
        }
        head(text, EXECUTIONS, "histogram", "How long requests have kept their seat.")?;
        self.0.iter().try_for_each(|flow| flow.executions.tell(text, EXECUTIONS, &flow.labels()))
    }
}

impl Flow {
    fn labels(&self) -> String {
        format!("flow_schema=\"{}\",priority_level=\"{}\"", self.schema, self.level)
    }
}

impl Durations {
    /// Nothing of what has not happened yet.
    fn tell(&self, text: &mut String, name: &str, labels: &str) -> std::fmt::Result {
        let Self { count, seconds, within } = self;
        if *count == 0 {
            return Ok(());
        }
        let name = format!("apiserver_flowcontrol_{name}");
        let mut so_far = 0;
        for (within, bound) in within.iter().zip(BUCKETS) {
            so_far += within;
            writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {so_far}")?;
        }
        writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}")?;
        writeln!(text, "{name}_sum{{{labels}}} {seconds}\n{name}_count{{{labels}}} {count}")
    }
}

fn head(text: &mut String, name: &str, type_: &str, help: &str) -> std::fmt::Result {
    writeln!(text, "# HELP apiserver_flowcontrol_{name} {help}\n# TYPE apiserver_flowcontrol_{name} {type_}")
}

fn limits<'a>(text: &mut String, levels: impl Iterator<Item = (&'a str, Limits)>) -> std::fmt::Result {
    let levels: Vec<_> = levels.collect();
    type Limit = fn(&Limits) -> usize;
    let limits: [(&str, &str, Limit); 3] = [
        ("nominal_limit_seats", "The seats that are a level's share.", |limits| limits.nominal),
        ("lower_limit_seats", "The seats that a level may always use.", |limits| limits.lower),
        ("upper_limit_seats", "The seats that a level may use at most.", |limits| limits.upper),
    ];
    for (name, help, limit) in limits {
        head(text, name, "gauge", help)?;
        for (level, of_level) in &levels {
            writeln!(text, "apiserver_flowcontrol_{name}{{priority_level=\"{level}\"}} {}", limit(of_level))?;
        }
    }
    Ok(())
}
