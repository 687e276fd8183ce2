//! What is to be done, case by case.

use serde_json::json;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn pod(policy: &str, init: &[&str], main: &[&str]) -> Pod {
    let list = |names: &[&str]| names.iter().map(|n| json!({"name": n, "image": "i"})).collect::<Vec<_>>();
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "u"},
        "spec": {"restartPolicy": policy, "initContainers": list(init), "containers": list(main)},
    }))
    .unwrap()
}

fn sandbox(id: &str, attempt: u32, state: State) -> Sandbox {
    let (namespace, pod, uid) = ("shop".to_owned(), "web".to_owned(), "u".to_owned());
    Sandbox { id: id.to_owned(), namespace, pod, uid, attempt, state, ip: None, created_at: at(0) }
}

fn container(name: &str, attempt: u32, sandbox_id: &str, state: State) -> Container {
    Container {
        id: format!("{name}-{attempt}"),
        uid: "u".to_owned(),
        sandbox_id: sandbox_id.to_owned(),
        name: name.to_owned(),
        attempt,
        hash: String::new(),
        image: "i".to_owned(),
        image_id: "sha256:1".to_owned(),
        created_at: at(0),
        state,
    }
}

fn running() -> State {
    State::Running { started_at: at(0) }
}

fn exited(exit_code: i32) -> State {
    State::Exited { started_at: at(0), finished_at: at(5), exit_code, oom_killed: false, error: String::new() }
}

fn plan(pod: &Pod, observed: Observed) -> Actions {
    plan_with(pod, observed, &HashMap::default(), &BackOff::default())
}

fn plan_with(pod: &Pod, observed: Observed, condemned: &HashMap<String, Condemned>, backoff: &BackOff) -> Actions {
    compute(pod, &observed, &Context { condemned, backoff, now: at(6) })
}

fn starts(actions: &Actions) -> Vec<(&str, u32)> {
    actions.start.iter().map(|start| (start.name.as_str(), start.attempt)).collect()
}

fn world(containers: Vec<Container>) -> Observed {
    Observed { sandboxes: vec![sandbox("s0", 0, running())], containers }
}

#[test]
fn a_new_pod_gets_a_sandbox_and_all_containers_at_once() {
    let actions = plan(&pod("Always", &[], &["a", "b"]), Observed::default());
    assert_eq!(actions.create_sandbox, Some(0));
    assert_eq!(starts(&actions), [("a", 0), ("b", 0)]);
}

#[test]
fn a_pod_at_rest_needs_nothing() {
    let actions = plan(&pod("Always", &[], &["a"]), world(vec![container("a", 0, "s0", running())]));
    assert_eq!(actions, Actions::default());
}

#[test]
fn init_containers_run_one_after_the_other() {
    let pod = pod("Always", &["i1", "i2"], &["a"]);
    assert_eq!(starts(&plan(&pod, Observed::default())), [("i1", 0)]);
    assert_eq!(starts(&plan(&pod, world(vec![container("i1", 0, "s0", running())]))), []);
    let first_done = vec![container("i1", 0, "s0", exited(0))];
    assert_eq!(starts(&plan(&pod, world(first_done.clone()))), [("i2", 0)]);
    let both_done = [first_done, vec![container("i2", 0, "s0", exited(0))]].concat();
    assert_eq!(starts(&plan(&pod, world(both_done))), [("a", 0)]);
}

#[test]
fn a_failed_init_container_is_tried_again_unless_never() {
    let failed = || world(vec![container("i1", 0, "s0", exited(1))]);
    assert_eq!(starts(&plan(&pod("OnFailure", &["i1"], &["a"]), failed())), [("i1", 1)]);
    let actions = plan(&pod("Never", &["i1"], &["a"]), failed());
    assert_eq!((starts(&actions), actions.stop_sandboxes.clone()), (vec![], vec!["s0".to_owned()]));
}

#[test]
fn init_containers_are_not_repeated_while_their_sandbox_lives() {
    // The init container was pruned, but the main container proves that it succeeded.
    let actions = plan(&pod("Always", &["i1"], &["a"]), world(vec![container("a", 0, "s0", running())]));
    assert_eq!(actions, Actions::default());
}

#[test]
fn ended_containers_restart_by_policy() {
    for (policy, code, expected) in [
        ("Always", 0, vec![("a", 1)]),
        ("Always", 1, vec![("a", 1)]),
        ("OnFailure", 0, vec![]),
        ("OnFailure", 1, vec![("a", 1)]),
        ("Never", 1, vec![]),
    ] {
        let actions = plan(&pod(policy, &[], &["a"]), world(vec![container("a", 0, "s0", exited(code))]));
        assert_eq!(starts(&actions), expected, "{policy} {code}");
        assert_eq!(actions.stop_sandboxes.is_empty(), !expected.is_empty(), "{policy} {code}");
    }
}

#[test]
fn a_crashing_container_waits() {
    let mut backoff = BackOff::default();
    backoff.next("a", at(0), at(0));
    let pod = pod("Always", &[], &["a", "b"]);
    let observed = world(vec![container("a", 0, "s0", exited(1)), container("b", 0, "s0", running())]);
    let actions = plan_with(&pod, observed, &HashMap::default(), &backoff);
    assert_eq!(
        (starts(&actions), actions.backing_off.clone()),
        (vec![], vec![("a".to_owned(), Duration::from_secs(9))])
    );
    assert!(actions.stop_sandboxes.is_empty());
}

#[test]
fn what_a_container_was_before_its_image_changed_is_not_held_against_it() {
    let mut backoff = BackOff::default();
    backoff.next("a", at(0), at(0));
    let before = Container { hash: "of another image".to_owned(), ..container("a", 0, "s0", exited(1)) };
    let actions = plan_with(&pod("Always", &[], &["a"]), world(vec![before]), &HashMap::default(), &backoff);
    assert_eq!((starts(&actions), actions.start[0].changed), (vec![("a", 1)], true));
}

#[test]
fn a_lost_sandbox_takes_the_containers_with_it() {
    let mut observed = world(vec![container("a", 0, "s0", running())]);
    observed.sandboxes[0].state = exited(137);
    let actions = plan(&pod("Always", &[], &["a"]), observed);
    assert_eq!(actions.create_sandbox, Some(1));
    assert_eq!(actions.stop[0].id, "a-0");
    assert_eq!((starts(&actions), actions.remove.clone()), (vec![("a", 1)], vec!["s0".to_owned()]));
}

#[test]
fn a_new_sandbox_begins_with_the_init_containers() {
    let observed = Observed {
        sandboxes: vec![],
        containers: vec![container("i1", 0, "s0", exited(0)), container("a", 0, "s0", exited(137))],
    };
    let actions = plan(&pod("Always", &["i1"], &["a"]), observed);
    assert_eq!((actions.create_sandbox, starts(&actions)), (Some(0), vec![("i1", 1)]));
}

#[test]
fn a_finished_pod_gets_no_new_sandbox() {
    let observed = Observed { sandboxes: vec![], containers: vec![container("a", 0, "s0", exited(0))] };
    assert_eq!(plan(&pod("Never", &[], &["a"]), observed.clone()), Actions::default());
    assert_eq!(plan(&pod("OnFailure", &["i1"], &["a"]), observed), Actions::default());
}

#[test]
fn a_condemned_container_ends_and_says_why() {
    let condemned =
        HashMap::from_iter([("a-0".to_owned(), Condemned { by: "liveness probe".to_owned(), grace: Some(3) })]);
    let observed = world(vec![container("a", 0, "s0", running())]);
    let actions = plan_with(&pod("Always", &[], &["a"]), observed, &condemned, &BackOff::default());
    let stop = &actions.stop[0];
    assert_eq!((stop.why.as_str(), stop.grace), ("Container a failed liveness probe, will be restarted", Some(3)));
    assert!(actions.start.is_empty(), "it is started once it has ended");
}

#[test]
fn a_container_may_have_a_restart_policy_and_rules_of_its_own() {
    let mut pod = pod("Never", &[], &["a"]);
    let restarted =
        |pod: &Pod, code| !starts(&plan(pod, world(vec![container("a", 0, "s0", exited(code))]))).is_empty();
    assert!(!restarted(&pod, 42));
    let rules = json!([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]);
    pod.spec.as_mut().unwrap().containers[0].restart_policy_rules = serde_json::from_value(rules).unwrap();
    assert_eq!([0, 1, 42].map(|code| restarted(&pod, code)), [false, false, true]);
    pod.spec.as_mut().unwrap().containers[0].restart_policy = Some("OnFailure".to_owned());
    assert_eq!([0, 1, 42].map(|code| restarted(&pod, code)), [false, true, true]);
}

#[test]
fn a_changed_image_restarts_the_container() {
    let mut changed = container("a", 0, "s0", running());
    changed.hash = "00000000".to_owned();
    let actions = plan(&pod("Always", &[], &["a"]), world(vec![changed]));
    assert_eq!(actions.stop[0].why, "Container a definition changed, will be restarted");
}

#[test]
fn only_the_last_ended_instance_is_kept() {
    let observed = world(vec![
        container("a", 0, "s0", exited(1)),
        container("a", 1, "s0", exited(1)),
        container("a", 2, "s0", running()),
    ]);
    assert_eq!(plan(&pod("Always", &[], &["a"]), observed).remove, ["a-0"]);
}

#[test]
fn a_container_that_was_made_but_not_started_is_made_again() {
    let actions = plan(&pod("Always", &[], &["a"]), world(vec![container("a", 0, "s0", State::Created)]));
    assert_eq!((actions.remove.clone(), starts(&actions)), (vec!["a-0".to_owned()], vec![("a", 0)]));
}

#[test]
fn a_container_removed_behind_our_back_counts_as_a_restart() {
    let mut pod = pod("Always", &[], &["a"]);
    pod.status = serde_json::from_value(json!({"containerStatuses": [{
        "name": "a", "ready": true, "restartCount": 3, "image": "i", "imageID": "", "containerID": "docker://x",
    }]}))
    .unwrap();
    assert_eq!(starts(&plan(&pod, world(vec![]))), [("a", 4)]);
}

#[test]
fn ending_a_pod_ends_what_runs() {
    let observed = world(vec![container("a", 0, "s0", running()), container("b", 0, "s0", exited(0))]);
    let actions = end_all(&observed, "Stopping container");
    assert_eq!((actions.stop.len(), actions.stop_sandboxes), (1, vec!["s0".to_owned()]));
}

#[test]
fn an_ephemeral_container_runs_once_in_the_sandbox_that_is_there() {
    let mut pod = pod("Always", &[], &["a"]);
    let debugger = serde_json::from_value(json!([{"name": "debugger", "image": "i"}])).unwrap();
    pod.spec.as_mut().unwrap().ephemeral_containers = debugger;
    let a = || container("a", 0, "s0", running());
    assert_eq!(starts(&plan(&pod, world(vec![a()]))), [("debugger", 0)]);
    for state in [running(), exited(1)] {
        assert_eq!(plan(&pod, world(vec![a(), container("debugger", 0, "s0", state)])), Actions::default());
    }
    // Not without the others, and not again when the runtime has forgotten it.
    assert_eq!(starts(&plan(&pod, Observed::default())), [("a", 0)]);
    let ended = json!([{"name": "debugger", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": 0}}}]);
    pod.status.get_or_insert_default().ephemeral_container_statuses = serde_json::from_value(ended).unwrap();
    assert_eq!(plan(&pod, world(vec![a()])), Actions::default());
}
