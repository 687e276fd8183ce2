//! Priority and fairness: who waits, and who is sent away. Who is served in what order is tested beside the seats.

use serde_json::json;

use crate::harness::{Answer, Server};

const LEVELS: &str = "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations";
const SCHEMAS: &str = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas";

/// A server where what anna asks of `/version` is of a level that has no seats.
async fn server(response: serde_json::Value) -> (Server, Server) {
    let server = Server::new().await;
    let limited = json!({"nominalConcurrencyShares": 0, "borrowingLimitPercent": 0, "limitResponse": response});
    server
        .post(LEVELS, json!({"metadata": {"name": "none"}, "spec": {"type": "Limited", "limited": limited}}))
        .await
        .ok();
    let rules = json!([{"subjects": [{"kind": "User", "user": {"name": "anna"}}],
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/version"]}]}]);
    let spec = json!({"matchingPrecedence": 3, "priorityLevelConfiguration": {"name": "none"}, "rules": rules});
    server.post(SCHEMAS, json!({"metadata": {"name": "annas"}, "spec": spec})).await.ok();
    let anna = server.by("anna", &["system:authenticated"]);
    (server, anna)
}

fn sent_away(answer: &Answer) {
    answer.refused(429, "TooManyRequests", "Too many requests, please try again later.");
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(answer.headers.contains_key("x-kubernetes-pf-prioritylevel-uid"));
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_seat_a_request_is_refused() {
    let (server, anna) = server(json!({"type": "Reject"})).await;
    sent_away(&anna.get("/version").await);
    let metrics = server.get("/metrics").await.body;
    let counted = "apiserver_flowcontrol_rejected_requests_total{flow_schema=\"annas\",priority_level=\"none\",reason=\"concurrency-limit\"} 1";
    assert!(metrics.as_str().unwrap().contains(counted), "{metrics}");
    // Others are served, and so is she as soon as there is a seat.
    server.get("/version").await.ok();
    let more = json!({"spec": {"limited": {"nominalConcurrencyShares": 1}}});
    server.patch(&format!("{LEVELS}/none"), "merge", more).await.ok();
    anna.get("/version").await.ok();
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_sent_away() {
    let queuing = json!({"queues": 2, "handSize": 1, "queueLengthLimit": 1});
    let (server, anna) = server(json!({"type": "Queue", "queuing": queuing})).await;
    let begun = tokio::time::Instant::now();
    let (first, second) = tokio::join!(anna.get("/version"), anna.get("/version"));
    sent_away(&first);
    sent_away(&second);
    assert_eq!(begun.elapsed().as_secs(), 15);
    let metrics = server.get("/metrics").await.body;
    for (reason, count) in [("queue-full", 1), ("time-out", 1)] {
        let counted = format!("priority_level=\"none\",reason=\"{reason}\"}} {count}");
        assert!(metrics.as_str().unwrap().contains(&counted), "{metrics}");
    }
    // One that waits is served when the level gets a seat.
    let more = async {
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        let more = json!({"spec": {"limited": {"nominalConcurrencyShares": 1}}});
        server.patch(&format!("{LEVELS}/none"), "merge", more).await.ok();
        // What the levels are now is looked at with the next request.
        server.get("/version").await.ok();
    };
    let (waited, ()) = tokio::join!(anna.get("/version"), more);
    waited.ok();
}

#[tokio::test(start_paused = true)]
async fn how_levels_and_queues_stand_is_told_to_who_may_know() {
    const DEBUG: &str = "/debug/api_priority_and_fairness";
    let queuing = json!({"queues": 2, "handSize": 1, "queueLengthLimit": 1});
    let (server, anna) = server(json!({"type": "Queue", "queuing": queuing})).await;
    let told = async |what: &str| {
        let text = server.get(&format!("{DEBUG}/{what}")).await.ok().as_str().unwrap().to_owned();
        text.lines().map(|line| line.split(", ").map(|cell| cell.trim().to_owned()).collect()).collect::<Vec<Vec<_>>>()
    };
    let of_none = |table: Vec<Vec<String>>| {
        let rows = table.into_iter().filter(|row| row[0] == "none");
        rows.map(|row| row[1..].join(" ")).collect::<Vec<_>>()
    };
    // One waits and is sent away after a while, one is sent away at once, and one goes by himself.
    let (_, _, standing) = tokio::join!(anna.get("/version"), anna.get("/version"), told("dump_priority_levels"));
    assert_eq!(standing[0][..3], ["PriorityLevelName", "ActiveQueues", "IsIdle"]);
    assert_eq!(standing[1][..4], ["catch-all", "0", "true", "false"]);
    assert_eq!(of_none(standing), ["1 false false 1 0 0 1 0 0"]);
    tokio::select! {
        biased;
        _ = anna.get("/version") => unreachable!("there is no seat"),
        queues = told("dump_queues") => {
            assert_eq!(queues[0].last().unwrap(), "TotalWorkSum");
            let mut queues = of_none(queues);
            queues.iter_mut().for_each(|queue| *queue = queue.split_off(2));
            queues.sort();
            let [idle, busy] = [0, 1].map(|count| {
                format!("{count} 0 0 0.00000000ss {count} {count} 0.00{}00000ss", count * 3)
            });
            assert_eq!(queues, [idle, busy]);
        }
    }
    assert_eq!(of_none(told("dump_priority_levels").await), ["0 true false 0 0 0 1 1 1"]);
    let short = told("dump_requests").await;
    assert_eq!((short.len(), short[0].last().unwrap().as_str()), (2, "StartTime"), "who asks is there himself");
    let (_, requests) = tokio::join!(anna.get("/version"), told("dump_requests?includeRequestDetails=1"));
    let [head, mine, hers] = &requests[..] else { panic!("{requests:?}") };
    let column = |name: &str| head.iter().position(|column| column == name).unwrap();
    let of = |row: &[String], names: &[&str]| names.iter().map(|name| row[column(name)].clone()).collect::<Vec<_>>();
    let what = ["PriorityLevelName", "FlowSchemaName", "RequestIndexInQueue", "Verb", "APIPath"];
    assert_eq!(of(mine, &what), ["exempt", "exempt", "-1", "get", &format!("{DEBUG}/dump_requests")]);
    assert_eq!(of(hers, &what), ["none", "annas", "0", "get", "/version"]);
    assert_eq!(of(mine, &["QueueIndex", "StartTime"]), ["-1", &mine[column("ArriveTime")]]);
    assert_eq!(of(hers, &["UserName", "StartTime"]), ["anna", "0001-01-01T00:00:00Z"]);
    server.get(&format!("{DEBUG}/dump_nothing")).await.refused(404, "NotFound", "");
    anna.get(&format!("{DEBUG}/dump_queues")).await.refused(403, "Forbidden", "anna");
}

/// What is there of `path` once it `is` so: the server is not waited for by whoever has changed it.
async fn comes_to(server: &Server, path: &str, is: impl Fn(&Answer) -> bool) {
    while !is(&server.get(path).await) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_mandatory_comes_back() {
    let server = Server::new().await;
    for path in ["exempt", "catch-all"].iter().flat_map(|name| [LEVELS, SCHEMAS].map(|all| format!("{all}/{name}"))) {
        let before = server.get(&path).await.ok();
        server.delete(&path, json!({})).await.ok();
        comes_to(&server, &path, |answer| answer.code == 200 && answer.body["spec"] == before["spec"]).await;
        let after = server.get(&path).await.ok();
        assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
        assert_eq!(after["metadata"]["annotations"], before["metadata"]["annotations"]);
    }
    let path = format!("{LEVELS}/catch-all");
    let before = server.get(&path).await.ok();
    let off = json!({"metadata": {"annotations": {"apf.kubernetes.io/autoupdate-spec": "false"}}});
    server.patch(&path, "merge", off).await.ok();
    comes_to(&server, &path, |answer| answer.body["metadata"]["annotations"] == before["metadata"]["annotations"])
        .await;
    let less = json!({"spec": {"limited": {"nominalConcurrencyShares": 6}}});
    let fixed = "spec of 'catch-all' must equal the fixed value";
    server.patch(&path, "merge", less).await.refused(422, "Invalid", fixed);
    let later = json!({"spec": {"matchingPrecedence": 9999}});
    server.patch(&format!("{SCHEMAS}/catch-all"), "merge", later).await.refused(422, "Invalid", fixed);
    // How much of the seats the exempt requests are taken to need, anybody may say.
    let more = json!({"spec": {"exempt": {"nominalConcurrencyShares": 9}}});
    server.patch(&format!("{LEVELS}/exempt"), "merge", more).await.ok();
    server.delete(&format!("{LEVELS}/catch-all"), json!({})).await.ok();
    comes_to(&server, &path, |answer| answer.code == 200).await;
    let exempt = server.get(&format!("{LEVELS}/exempt")).await.ok();
    assert_eq!(exempt["spec"]["exempt"]["nominalConcurrencyShares"], 9);
}

#[tokio::test(start_paused = true)]
async fn what_is_suggested_is_the_servers_until_somebody_says_otherwise() {
    let server = Server::new().await;
    let path = format!("{LEVELS}/workload-low");
    let (before, more) = (server.get(&path).await.ok(), json!({"spec": {"limited": {"nominalConcurrencyShares": 7}}}));
    server.patch(&path, "merge", more.clone()).await.ok();
    comes_to(&server, &path, |answer| answer.body["spec"] == before["spec"]).await;

    let theirs = json!({"metadata": {"annotations": {"apf.kubernetes.io/autoupdate-spec": "false"}}});
    server.patch(&path, "merge", theirs).await.ok();
    let left = server.patch(&path, "merge", more).await.ok();
    // It is looked at together with the others.
    server.delete(&format!("{SCHEMAS}/probes"), json!({})).await.ok();
    comes_to(&server, &format!("{SCHEMAS}/probes"), |answer| answer.code == 200).await;
    assert_eq!(server.get(&path).await.ok(), left);
    // To do without one is to leave it there, with little effect.
    server.delete(&path, json!({})).await.ok();
    comes_to(&server, &path, |answer| answer.code == 200 && answer.body["spec"] == before["spec"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_the_servers_and_no_default_goes() {
    let server = Server::new().await;
    let level = |name: &str, annotations: serde_json::Value| {
        json!({"metadata": {"name": name, "annotations": annotations},
            "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}})
    };
    let mine = server.post(LEVELS, level("mine", json!({}))).await.ok();
    server.post(LEVELS, level("old", json!({"apf.kubernetes.io/autoupdate-spec": "true"}))).await.ok();
    comes_to(&server, &format!("{LEVELS}/old"), |answer| answer.code == 404).await;
    assert_eq!(server.get(&format!("{LEVELS}/mine")).await.ok(), mine);
}
