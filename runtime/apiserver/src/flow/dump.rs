//! `/debug/api_priority_and_fairness/`: how the levels and their queues stand, in upstream's columns
//! (<https://kubernetes.io/docs/reference/debug-cluster/flow-control/>).

use http::StatusCode;

use super::seats::Standing;
use crate::body;
use crate::handler::Answer;
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

pub(crate) fn answer(server: &ApiServer, path: &str) -> Option<Answer> {
    let dump = match path.strip_prefix(PATH)? {
        "dump_priority_levels" => levels,
        "dump_queues" => queues,
        _ => return None,
    };
    let mut standings = server.inner.flows.seats.standings();
    standings.sort_by(|a, b| a.name.cmp(&b.name));
    Some(Ok(body::bytes(StatusCode::OK, "text/plain; charset=utf-8", dump(&standings))))
}

fn levels(standings: &[Standing]) -> String {
    let rows = standings.iter().map(|level| {
        let Standing { name, is_there, waiting, executing, ended, queues } = level;
        let active = queues.iter().filter(|queue| queue.waiting + queue.executing > 0).count();
        [
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
    table(LEVELS, rows)
}

/// Each request takes one seat, and has no final stage.
fn queues(standings: &[Standing]) -> String {
    let rows = standings.iter().flat_map(|level| {
        level.queues.iter().enumerate().map(|(index, queue)| {
            let (waiting, executing) = (queue.waiting.to_string(), queue.executing.to_string());
            let seconds = |duration: std::time::Duration| format!("{:.8}ss", duration.as_secs_f64());
            [
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
    table(QUEUES, rows)
}

/// Columns as wide as need be, with commas between them.
fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; N] = std::array::from_fn(|at| rows.iter().map(|row| row[at].len()).max().unwrap_or(0) + 2);
    let mut text = String::new();
    for row in rows {
        for (at, cell) in row.into_iter().enumerate() {
            if at + 1 == N {
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
        let row = |a: &str, b: &str, c: &str| [a, b, c].map(str::to_owned);
        let text = table(["Name", "B", "C"], [row("catch-all", "10", "1"), row("x", "2", "333")].into_iter());
        assert_eq!(text, "Name,      B,  C\ncatch-all, 10, 1\nx,         2,  333\n");
    }
}
