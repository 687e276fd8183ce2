//! `/debug/api_priority_and_fairness/`: how the levels and their queues stand, and which requests are there, in
//! upstream's columns
//! (<https://kubernetes.io/docs/reference/debug-cluster/flow-control/>).

use http::{StatusCode, Uri};
use jiff::{SignedDuration, Timestamp};
use trimtab_api::rbac::Attributes;

use super::seats::{Listed, Standing};
use crate::auth::Asked;
use crate::body;
use crate::handler::Answer;
use crate::path::{self, Query};
use crate::server::ApiServer;

const PATH: &str = "/debug/api_priority_and_fairness/";
const LEVELS: [&str; 10] = [
    "PriorityLevelName",
    "ActiveQueues",
    "IsIdle",
    "IsQuiescing",
    "WaitingRequests",
    "ExecutingRequests",
    "DispatchedRequests",
    "RejectedRequests",
    "TimedoutRequests",
    "CancelledRequests",
];
const QUEUES: [&str; 9] = [
    "PriorityLevelName",
    "Index",
    "PendingRequests",
    "ExecutingRequests",
    "SeatsInUse",
    "NextDispatchR",
    "InitialSeatsSum",
    "MaxSeatsSum",
    "TotalWorkSum",
];

const REQUESTS: [&str; 10] = [
    "PriorityLevelName",
    "FlowSchemaName",
    "QueueIndex",
    "RequestIndexInQueue",
    // As upstream writes it.
    "FlowDistingsher",
    "ArriveTime",
    "InitialSeats",
    "FinalSeats",
    "AdditionalLatency",
    "StartTime",
];
const DETAILS: [&str; 8] =
    ["UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource"];
/// When a request starts that has not started yet.
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(crate) fn answer(server: &ApiServer, path: &str, uri: &Uri) -> Option<Answer> {
    let seats = &server.inner.flows.seats;
    let standings = || {
        let mut standings = seats.standings();
        standings.sort_by(|a, b| a.name.cmp(&b.name));
        standings
    };
    let text = match path.strip_prefix(PATH)? {
        "dump_priority_levels" => levels(&standings()),
        "dump_queues" => queues(&standings()),
        "dump_requests" => {
            let mut listed = seats.requests();
            listed.sort_by(|a, b| a.level.cmp(&b.level));
            requests(&listed, server.inner.env.now(), Query::of(uri).flag("includeRequestDetails"))
        }
        _ => return None,
    };
    Some(Ok(body::bytes(StatusCode::OK, "text/plain; charset=utf-8", text)))
}

fn levels(standings: &[Standing]) -> String {
    let rows = standings.iter().map(|level| {
        let Standing { name, is_there, waiting, executing, ended, queues } = level;
        let active = queues.iter().filter(|queue| queue.waiting + queue.executing > 0).count();
        vec![
            name.to_string(),
            active.to_string(),
            (waiting + executing == 0).to_string(),
            (!is_there).to_string(),
            waiting.to_string(),
            executing.to_string(),
            ended.dispatched.to_string(),
            ended.rejected.to_string(),
            ended.timed_out.to_string(),
            ended.cancelled.to_string(),
        ]
    });
    table(&LEVELS, rows)
}

/// Each request takes one seat, and has no final stage.
fn queues(standings: &[Standing]) -> String {
    let rows = standings.iter().flat_map(|level| {
        level.queues.iter().enumerate().map(|(index, queue)| {
            let (waiting, executing) = (queue.waiting.to_string(), queue.executing.to_string());
            let seconds = |duration: std::time::Duration| format!("{:.8}ss", duration.as_secs_f64());
            vec![
                level.name.to_string(),
                index.to_string(),
                waiting.clone(),
                executing.clone(),
                executing,
                seconds(queue.served),
                waiting.clone(),
                waiting,
                seconds(queue.work),
            ]
        })
    });
    table(&QUEUES, rows)
}

fn requests(listed: &[Listed], now: Timestamp, details: bool) -> String {
    let rows = listed.iter().map(|listed| {
        let path = listed.request.uri.path();
        let (resource, query) = (path::resource(path), Query::of(&listed.request.uri));
        let asked = Asked::of(&listed.request.method, path, resource.as_ref(), &query);
        let (user, attributes) = (&listed.request.user, asked.attributes());
        let index = |index: Option<usize>| index.map_or_else(|| "-1".to_owned(), |index| index.to_string());
        let before = |age| SignedDuration::try_from(age).ok().and_then(|age| now.checked_sub(age).ok()).unwrap_or(now);
        let mut row = vec![
            listed.level.to_string(),
            listed.schema.to_string(),
            index(listed.queue),
            index(listed.place),
            listed.request.by.of(user, &attributes).to_owned(),
            before(listed.age).to_string(),
            "1".to_owned(),
            "0".to_owned(),
            "0s".to_owned(),
            listed.served.map_or_else(|| NEVER.to_owned(), |served| before(served).to_string()),
        ];
        if details {
            let told = match attributes {
                Attributes::Resource { verb, namespace, version, resource, subresource, name, .. } => {
                    [user, verb, path, namespace, name, version, resource, subresource]
                }
                Attributes::Path { verb, path } => [user, verb, path, "", "", "", "", ""],
            };
            row.extend(told.map(str::to_owned));
        }
        row
    });
    let details: &[&str] = if details { &DETAILS } else { &[] };
    table(&[&REQUESTS, details].concat(), rows)
}

/// Columns as wide as need be, with commas between them.
fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let head = head.iter().map(|name| (*name).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width = |at: usize| rows.iter().map(|row| row[at].len()).max().unwrap_or(0) + 2;
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let last = row.len() - 1;
        for (at, cell) in row.into_iter().enumerate() {
            if at == last {
                text += &cell;
            } else {
                text += &format!("{:width$}", cell + ",", width = widths[at]);
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_need_be() {
        let row = |a: &str, b: &str, c: &str| [a, b, c].map(str::to_owned).to_vec();
        let text = table(&["Name", "B", "C"], [row("catch-all", "10", "1"), row("x", "2", "333")].into_iter());
        assert_eq!(text, "Name,      B,  C\ncatch-all, 10, 1\nx,         2,  333\n");
    }
}
