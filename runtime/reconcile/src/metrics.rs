//! What a manager's controllers are doing, for people and for Prometheus, under controller-runtime's names
//! (<https://book.kubebuilder.io/reference/metrics-reference>).

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use serde::Serialize;
use trimtab_api::ObjectRef;
use trimtab_env::lock;

/// The upper bounds of a duration's buckets, in seconds.
const BOUNDS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0];

/// How long things took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durations {
    /// How many.
    pub count: u64,
    /// All together, in seconds.
    pub seconds: f64,
    within: [u64; BOUNDS.len() + 1],
}

impl Durations {
    pub(crate) fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.count += 1;
        self.seconds += seconds;
        self.within[BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len())] += 1;
    }

    fn buckets(&self) -> Vec<(f64, u64)> {
        BOUNDS.into_iter().chain([f64::MAX]).zip(self.within).collect()
    }
}

/// How a queue stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueState {
    /// How many names wait to be looked at.
    pub depth: usize,
    /// How many are being looked at.
    pub active: usize,
    /// How many were added.
    pub adds: u64,
    /// How many were added again after a failure.
    pub retries: u64,
    /// How long names waited.
    pub waited: Durations,
}

/// An object whose last reconcile failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failing {
    /// Which.
    pub object: String,
    /// Why.
    pub error: String,
    /// How often in a row.
    pub attempts: u32,
    /// Whether it is left alone until it changes.
    pub terminal: bool,
    /// When it failed last.
    pub since: Timestamp,
}

/// How a controller stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ControllerState {
    /// Its name.
    pub name: &'static str,
    /// What waits for it.
    pub queue: QueueState,
    /// Reconciles by how they ended: `success`, `requeue_after`, `error` or `terminal_error`.
    pub reconciles: BTreeMap<&'static str, u64>,
    /// How long they took.
    pub took: Durations,
    /// The objects of which the last one failed, by name.
    pub failing: Vec<Failing>,
    /// How often a reconcile panicked.
    pub panics: u64,
}

/// What a controller keeps count of.
#[derive(Default)]
pub(crate) struct Record(Mutex<Recorded>);

#[derive(Default)]
struct Recorded {
    reconciles: BTreeMap<&'static str, u64>,
    took: Durations,
    failing: BTreeMap<ObjectRef, Failing>,
    panics: u64,
    panicked: Option<String>,
}

impl Record {
    pub(crate) fn ended(&self, result: &'static str, took: Duration) {
        let mut record = lock(&self.0);
        *record.reconciles.entry(result).or_default() += 1;
        record.took.add(took);
    }

    pub(crate) fn succeeded(&self, object: &ObjectRef) {
        lock(&self.0).failing.remove(object);
    }

    pub(crate) fn failed(&self, object: &ObjectRef, error: String, terminal: bool, since: Timestamp) {
        let failing = &mut lock(&self.0).failing;
        let attempts = failing.get(object).map_or(1, |before| before.attempts.saturating_add(1));
        failing.insert(object.clone(), Failing { object: object.to_string(), error, attempts, terminal, since });
    }

    pub(crate) fn panicked(&self, object: &ObjectRef, text: &str) {
        let mut record = lock(&self.0);
        record.panics += 1;
        record.panicked = Some(format!("{object}: {text}"));
    }

    /// Of which object the last reconcile was that panicked, and what it said.
    pub(crate) fn last_panic(&self) -> Option<String> {
        lock(&self.0).panicked.clone()
    }

    pub(crate) fn state(&self, name: &'static str, queue: QueueState) -> ControllerState {
        let record = lock(&self.0);
        let (reconciles, took) = (record.reconciles.clone(), record.took.clone());
        let failing = record.failing.values().cloned().collect();
        ControllerState { name, queue, reconciles, took, failing, panics: record.panics }
    }
}

/// All in the format that Prometheus reads (OpenMetrics, `application/openmetrics-text; version=1.0.0`).
pub(crate) fn text(controllers: Vec<ControllerState>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Controllers(controllers)));
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = text::encode(&mut text, &registry);
    text
}

/// Which objects fail, and why, a line for each.
pub(crate) fn failing(controllers: &[ControllerState]) -> String {
    let mut text = String::new();
    for controller in controllers {
        for Failing { object, error, attempts, since, .. } in &controller.failing {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{} {object} failed {attempts} times, last at {since}: {error}", controller.name);
        }
    }
    text
}

#[derive(Debug)]
struct Controllers(Vec<ControllerState>);

impl Controllers {
    fn numbers(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (label, name, help): (&str, &str, &str),
        type_: MetricType,
        value: impl Fn(&ControllerState) -> u64,
    ) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(name, help, None, type_)?;
        for controller in &self.0 {
            let labels = [(label, controller.name)];
            let mut one = metric.encode_family(&labels)?;
            match type_ {
                MetricType::Counter => one.encode_counter::<NoLabelSet, _, u64>(&value(controller), None)?,
                _ => one.encode_gauge(&value(controller))?,
            }
        }
        Ok(())
    }

    fn durations(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (label, name, help): (&str, &str, &str),
        value: impl Fn(&ControllerState) -> &Durations,
    ) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for controller in &self.0 {
            let (labels, took) = ([(label, controller.name)], value(controller));
            let mut one = metric.encode_family(&labels)?;
            one.encode_histogram::<NoLabelSet>(took.seconds, took.count, &took.buckets(), None)?;
        }
        Ok(())
    }
}

impl Collector for Controllers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        use MetricType::{Counter, Gauge};
        let of_queue = |name, help| ("name", name, help);
        let number = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        let encoder = &mut encoder;
        self.numbers(encoder, of_queue("workqueue_depth", "Names that wait"), Gauge, |c| number(c.queue.depth))?;
        self.numbers(encoder, of_queue("workqueue_adds", "Names that were added"), Counter, |c| c.queue.adds)?;
        self.numbers(encoder, of_queue("workqueue_retries", "Names that came again"), Counter, |c| c.queue.retries)?;
        let waited = of_queue("workqueue_queue_duration_seconds", "How long names waited");
        self.durations(encoder, waited, |c| &c.queue.waited)?;
        let of_controller = |name, help| ("controller", name, help);
        let active = of_controller("controller_runtime_active_workers", "Reconciles under way");
        self.numbers(encoder, active, Gauge, |c| number(c.queue.active))?;
        let failing = of_controller("trimtab_reconcile_failing_objects", "Objects whose last reconcile failed");
        self.numbers(encoder, failing, Gauge, |c| number(c.failing.len()))?;
        let panics = of_controller("controller_runtime_reconcile_panics", "Reconciles that panicked");
        self.numbers(encoder, panics, Counter, |c| c.panics)?;
        let took = of_controller("controller_runtime_reconcile_time_seconds", "How long reconciles took");
        self.durations(encoder, took, |c| &c.took)?;
        let help = "Reconciles by how they ended";
        let mut totals = encoder.encode_descriptor("controller_runtime_reconcile", help, None, Counter)?;
        for controller in &self.0 {
            for (result, count) in &controller.reconciles {
                let labels = [("controller", controller.name), ("result", *result)];
                totals.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(count, None)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_in_the_format_of_prometheus() {
        let record = Record::default();
        let (site, now) = (ObjectRef::new("default", "home"), Timestamp::UNIX_EPOCH);
        record.ended("success", Duration::from_millis(3));
        record.ended("error", Duration::from_secs(100));
        record.failed(&site, "no such image".to_owned(), false, now);
        record.failed(&site, "no such image".to_owned(), false, now);
        record.panicked(&site, "no such thing");
        let queue = QueueState { depth: 2, adds: 5, ..QueueState::default() };
        let state = record.state("website", queue.clone());
        assert_eq!(
            failing(std::slice::from_ref(&state)),
            "website default/home failed 2 times, last at 1970-01-01T00:00:00Z: no such image\n"
        );
        assert_eq!(record.last_panic().as_deref(), Some("default/home: no such thing"));
        let told = text(vec![state]);
        for line in [
            "workqueue_depth{name=\"website\"} 2",
            "workqueue_adds_total{name=\"website\"} 5",
            "controller_runtime_reconcile_total{controller=\"website\",result=\"error\"} 1",
            "controller_runtime_reconcile_time_seconds_bucket{le=\"0.005\",controller=\"website\"} 1",
            "controller_runtime_reconcile_time_seconds_bucket{le=\"60.0\",controller=\"website\"} 1",
            "controller_runtime_reconcile_time_seconds_bucket{le=\"+Inf\",controller=\"website\"} 2",
            "trimtab_reconcile_failing_objects{controller=\"website\"} 1",
            "controller_runtime_reconcile_panics_total{controller=\"website\"} 1",
        ] {
            assert!(told.lines().any(|there| there == line), "{line} is not in\n{told}");
        }
        record.succeeded(&site);
        assert_eq!(record.state("website", queue).failing, []);
    }
}
