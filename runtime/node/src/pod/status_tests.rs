//! Statuses, case by case.

use serde_json::{Value, json};

use super::*;
use crate::runtime::Sandbox;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn pod(policy: &str, init: &[&str], main: &[&str], status: Value) -> Pod {
    let list = |names: &[&str]| names.iter().map(|n| json!({"name": n, "image": "i"})).collect::<Vec<_>>();
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 3},
        "spec": {"restartPolicy": policy, "initContainers": list(init), "containers": list(main)},
        "status": status,
    }))
    .unwrap()
}

fn container(name: &str, attempt: u32, state: State) -> Container {
    Container {
        id: format!("{name}-{attempt}"),
        uid: "u".to_owned(),
        sandbox_id: "s0".to_owned(),
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
    State::Running { started_at: at(1) }
}

fn exited(exit_code: i32) -> State {
    State::Exited { started_at: at(1), finished_at: at(5), exit_code, oom_killed: false, error: String::new() }
}

#[derive(Default)]
struct World {
    containers: Vec<Container>,
    waiting: HashMap<String, (String, String)>,
    ready: HashSet<String>,
    failure: Option<(&'static str, &'static str)>,
}

impl World {
    fn of(containers: Vec<Container>) -> Self {
        let ready = containers.iter().map(|c| c.id.clone()).collect();
        Self { containers, ready, ..Self::default() }
    }

    fn status(&self, pod: &Pod) -> PodStatus {
        let sandbox = Sandbox {
            id: "s0".to_owned(),
            namespace: "shop".to_owned(),
            pod: "web".to_owned(),
            uid: "u".to_owned(),
            attempt: 0,
            state: running(),
            ip: Some("10.0.0.9".parse().unwrap()),
            created_at: at(0),
        };
        let observed = Observed { sandboxes: vec![sandbox], containers: self.containers.clone() };
        let view = View {
            observed: &observed,
            runtime: "docker",
            waiting: &self.waiting,
            started: &self.ready,
            ready: &self.ready,
            messages: &HashMap::default(),
            given: &HashMap::default(),
            unresized: None,
            failure: self.failure,
            host_ip: Some("192.0.2.1".parse().unwrap()),
            now: at(9),
        };
        status(pod, &view)
    }
}

fn condition<'a>(status: &'a PodStatus, type_: &str) -> &'a k8s_openapi::api::core::v1::PodCondition {
    status.conditions.iter().flatten().find(|c| c.type_ == type_).unwrap()
}

#[test]
fn a_running_pod_is_ready() {
    let status = World::of(vec![container("a", 2, running())]).status(&pod("Always", &[], &["a"], json!({})));
    assert_eq!((status.phase.as_deref(), status.pod_ip.as_deref()), (Some("Running"), Some("10.0.0.9")));
    let a = &status.container_statuses.as_ref().unwrap()[0];
    assert_eq!((a.ready, a.restart_count, a.container_id.as_deref()), (true, 2, Some("docker://a-2")));
    for type_ in ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"] {
        assert_eq!(condition(&status, type_).status, "True", "{type_}");
    }
    assert_eq!(status.observed_generation, Some(3));
}

#[test]
fn phases_follow_upstreams_rules() {
    for (policy, init, main, expected) in [
        ("Always", vec![], vec![], "Pending"),
        ("Always", vec![running()], vec![], "Pending"),
        ("Never", vec![exited(1)], vec![], "Failed"),
        ("OnFailure", vec![exited(1)], vec![], "Pending"),
        ("Always", vec![exited(0)], vec![running()], "Running"),
        ("Always", vec![], vec![exited(1)], "Running"),
        ("OnFailure", vec![], vec![exited(0)], "Succeeded"),
        ("OnFailure", vec![], vec![exited(1)], "Running"),
        ("Never", vec![], vec![exited(1)], "Failed"),
        ("Never", vec![], vec![exited(0)], "Succeeded"),
    ] {
        let names = |states: &[State], name: &'static str| if states.is_empty() { vec![] } else { vec![name] };
        let pod = pod(policy, &names(&init, "i"), &["a"], json!({}));
        let init = init.into_iter().map(|state| container("i", 0, state));
        let main = main.into_iter().map(|state| container("a", 0, state));
        let status = World::of(init.chain(main).collect()).status(&pod);
        assert_eq!(status.phase.as_deref(), Some(expected), "{policy} {:?}", status.container_statuses);
    }
}

#[test]
fn a_pod_waits_for_its_second_container() {
    let status = World::of(vec![container("a", 0, running())]).status(&pod("Always", &[], &["a", "b"], json!({})));
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    let message = condition(&status, "Ready").message.as_deref();
    assert_eq!(message, Some("containers with unready status: [b]"));
}

#[test]
fn a_crashing_container_waits_and_shows_how_it_ended() {
    let mut world = World::of(vec![container("a", 4, exited(3))]);
    world.waiting.insert("a".to_owned(), ("CrashLoopBackOff".to_owned(), "back-off 40s".to_owned()));
    let status = world.status(&pod("Always", &[], &["a"], json!({})));
    let a = &status.container_statuses.as_ref().unwrap()[0];
    let waiting = a.state.as_ref().unwrap().waiting.as_ref().unwrap();
    let last = a.last_state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!(
        (waiting.reason.as_deref(), last.exit_code, last.reason.as_deref()),
        (Some("CrashLoopBackOff"), 3, Some("Error"))
    );
    assert_eq!((status.phase.as_deref(), a.ready), (Some("Running"), false));
}

#[test]
fn the_instance_before_is_the_last_state() {
    let status = World::of(vec![container("a", 0, exited(7)), container("a", 1, running())]).status(&pod(
        "Always",
        &[],
        &["a"],
        json!({}),
    ));
    let a = &status.container_statuses.as_ref().unwrap()[0];
    assert_eq!(a.last_state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code, 7);
}

#[test]
fn transition_times_change_only_with_the_status_and_others_conditions_stay() {
    let old = json!({"conditions": [
        {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        {"type": "ContainersReady", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        {"type": "example.com/gate", "status": "False"},
    ]});
    let status = World::of(vec![container("a", 0, running())]).status(&pod("Always", &[], &["a"], old));
    let time = |type_| condition(&status, type_).last_transition_time.clone().unwrap().0;
    assert_eq!(time("Ready"), "2026-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(time("ContainersReady"), at(9));
    assert_eq!(condition(&status, "example.com/gate").status, "False");
}

#[test]
fn a_failed_pod_stays_failed() {
    let mut world = World::of(vec![container("a", 0, running())]);
    world.failure = Some(("DeadlineExceeded", "too long"));
    let pod_ = pod("Always", &[], &["a"], json!({}));
    let status = world.status(&pod_);
    assert_eq!((status.phase.as_deref(), status.reason.as_deref()), (Some("Failed"), Some("DeadlineExceeded")));
    world.failure = None;
    let again = world.status(&Pod { status: Some(status), ..pod_ });
    assert_eq!((again.phase.as_deref(), again.reason.as_deref()), (Some("Failed"), Some("DeadlineExceeded")));
    assert_eq!(condition(&again, "Ready").reason.as_deref(), Some("PodFailed"));
}

#[test]
fn computing_twice_changes_nothing() {
    let world = World::of(vec![container("i", 0, exited(0)), container("a", 0, running())]);
    let pod = pod("Always", &["i"], &["a"], json!({"qosClass": "Burstable"}));
    let once = world.status(&pod);
    assert_eq!(world.status(&Pod { status: Some(once.clone()), ..pod }), once);
}
