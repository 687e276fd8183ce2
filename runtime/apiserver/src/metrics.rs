//! `/metrics`, in Prometheus' text format
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>), under upstream's names.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::time::Duration;

use http::{Method, StatusCode};
use trimtab_env::lock;

use crate::body;
use crate::handler::{Answer, Call};
use crate::server::ApiServer;

/// The upper bounds of the duration's buckets, in seconds.
const BUCKETS: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0];

type Str = Cow<'static, str>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Labels {
    verb: &'static str,
    group: Str,
    resource: Str,
    code: u16,
}

#[derive(Clone, Copy, Default)]
struct Series {
    count: u64,
    seconds: f64,
    /// How many took at most as long as each bound.
    within: [u64; BUCKETS.len()],
}

/// What has been asked of this server.
#[derive(Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<Labels, Series>>,
}

impl Metrics {
    /// Counts one request. A watch counts when it has begun.
    pub(crate) fn observe(&self, call: &Call<'_>, code: u16, took: Duration) {
        let labels =
            Labels { verb: verb(call), group: call.kind.group.clone(), resource: call.kind.plural.clone(), code };
        let mut requests = lock(&self.requests);
        let series = requests.entry(labels).or_default();
        series.count += 1;
        series.seconds += took.as_secs_f64();
        for (within, bound) in series.within.iter_mut().zip(BUCKETS) {
            *within += u64::from(took.as_secs_f64() <= bound);
        }
    }

    fn text(&self, revision: u64) -> String {
        let requests = lock(&self.requests).clone();
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = counts(&mut text, &requests).and_then(|()| durations(&mut text, &requests));
        let _ = writeln!(text, "# HELP trimtab_store_revision The store's newest revision.");
        let _ = writeln!(text, "# TYPE trimtab_store_revision gauge\ntrimtab_store_revision {revision}");
        text
    }
}

fn counts(text: &mut String, requests: &BTreeMap<Labels, Series>) -> std::fmt::Result {
    writeln!(text, "# HELP apiserver_request_total Requests by verb, resource and HTTP code.")?;
    writeln!(text, "# TYPE apiserver_request_total counter")?;
    for (Labels { verb, group, resource, code }, series) in requests {
        let labels = format!(r#"verb="{verb}",group="{group}",resource="{resource}",code="{code}""#);
        writeln!(text, "apiserver_request_total{{{labels}}} {}", series.count)?;
    }
    Ok(())
}

fn durations(text: &mut String, requests: &BTreeMap<Labels, Series>) -> std::fmt::Result {
    const NAME: &str = "apiserver_request_duration_seconds";
    writeln!(text, "# HELP {NAME} Time to answer, by verb; of a watch, to begin.\n# TYPE {NAME} histogram")?;
    let mut by_verb: BTreeMap<&str, Series> = BTreeMap::new();
    for (labels, series) in requests {
        let sum = by_verb.entry(labels.verb).or_default();
        sum.count += series.count;
        sum.seconds += series.seconds;
        sum.within.iter_mut().zip(series.within).for_each(|(sum, within)| *sum += within);
    }
    for (verb, series) in by_verb {
        for (within, bound) in series.within.iter().zip(BUCKETS) {
            writeln!(text, r#"{NAME}_bucket{{verb="{verb}",le="{bound}"}} {within}"#)?;
        }
        writeln!(text, r#"{NAME}_bucket{{verb="{verb}",le="+Inf"}} {}"#, series.count)?;
        writeln!(text, r#"{NAME}_sum{{verb="{verb}"}} {}"#, series.seconds)?;
        writeln!(text, r#"{NAME}_count{{verb="{verb}"}} {}"#, series.count)?;
    }
    Ok(())
}

fn verb(call: &Call<'_>) -> &'static str {
    let one = !call.path.name.is_empty();
    match *call.method {
        Method::GET if call.query.flag("watch") => "WATCH",
        Method::GET if one => "GET",
        Method::GET => "LIST",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH if call.is_apply() => "APPLY",
        Method::PATCH => "PATCH",
        Method::DELETE if one => "DELETE",
        Method::DELETE => "DELETECOLLECTION",
        _ => "OTHER",
    }
}

pub(crate) fn answer(server: &ApiServer, path: &str) -> Option<Answer> {
    let text = || server.inner.metrics.text(server.inner.store.revision()) + &server.inner.flows.metrics();
    (path == "/metrics").then(|| Ok(body::bytes(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text())))
}
