use super::*;
use crate::kinds::fixture::{create_errors, created, status_errors, update_errors};

const FINE: &str = "{apiVersion: batch/v1, kind: Job, metadata: {name: j, namespace: n, uid: u-1}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}";

fn with(rest: &str) -> String {
    FINE.replace("spec: {template", &format!("spec: {{{rest}, template"))
}

#[test]
fn a_job_selects_its_own_pods() {
    let job = created(&JOB, FINE);
    let selector = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}});
    assert_eq!(job.at(&["spec", "selector"]), Some(&selector));
    let labels = json!({"job-name": "j", "controller-uid": "u-1", "batch.kubernetes.io/job-name": "j", "batch.kubernetes.io/controller-uid": "u-1"});
    assert_eq!(job.at(&["spec", "template", "metadata", "labels"]), Some(&labels));
    assert_eq!(job.at(&["metadata", "labels"]), Some(&labels));
    for (field, expected) in [
        ("completions", json!(1)),
        ("parallelism", json!(1)),
        ("backoffLimit", json!(6)),
        ("completionMode", json!("NonIndexed")),
        ("podReplacementPolicy", json!("TerminatingOrFailed")),
        ("manualSelector", json!(false)),
        ("suspend", json!(false)),
    ] {
        assert_eq!(job.at(&["spec", field]), Some(&expected), "{field}");
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let rules = |rule: &str| with(&format!("podFailurePolicy: {{rules: [{rule}]}}"));
    let labelled =
        |labels: &str| FINE.replace("template: {", &format!("template: {{metadata: {{labels: {{{labels}}}}}, "));
    for (yaml, expected) in [
        (with("parallelism: -1"), "spec.parallelism: Invalid value: -1: must be greater than or equal to 0"),
        (
            FINE.replace("restartPolicy: Never, ", ""),
            "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
        ),
        (
            with("completionMode: Sorted"),
            "spec.completionMode: Unsupported value: \"Sorted\": supported values: \"NonIndexed\", \"Indexed\"",
        ),
        (
            with("completionMode: Indexed, parallelism: 2"),
            "spec.completions: Required value: when completion mode is Indexed",
        ),
        (
            with("backoffLimitPerIndex: 1"),
            "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
        ),
        (
            with("completionMode: Indexed, completions: 2, parallelism: 100001"),
            "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed",
        ),
        (
            with("managedBy: me"),
            "spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path (such as \"acme.io/foo\")",
        ),
        (
            with("podReplacementPolicy: Never"),
            "spec.podReplacementPolicy: Unsupported value: \"Never\": supported values: \"Failed\", \"TerminatingOrFailed\"",
        ),
        (
            rules("{action: Ignore}"),
            "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
        ),
        (
            rules("{action: FailIndex, onPodConditions: [{type: A}]}"),
            "spec.podFailurePolicy.rules[0].action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set",
        ),
        (
            rules("{action: Ignore, onExitCodes: {operator: In, values: [0]}}"),
            "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator",
        ),
        (
            rules("{action: Ignore, onExitCodes: {operator: In, values: [2, 1], containerName: c}}"),
            "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [2,1]: must be ordered",
        ),
        (
            rules("{action: Ignore, onExitCodes: {operator: In, values: [1], containerName: x}}"),
            "spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: \"x\": must be one of the container or initContainer names in the pod template",
        ),
        (
            rules("{onPodConditions: [{type: A}]}"),
            "spec.podFailurePolicy.rules[0].action: Required value: valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]",
        ),
        (
            rules("{action: Count, onPodConditions: [{type: A}]}").replace("Never", "OnFailure"),
            "spec.template.spec.restartPolicy: Invalid value: \"OnFailure\": only \"Never\" is supported when podFailurePolicy is specified",
        ),
        (
            with("successPolicy: {rules: [{succeededCount: 1}]}"),
            "spec.successPolicy: Invalid value: {\"rules\":[{\"succeededCount\":1}]}: requires indexed completion mode",
        ),
        (
            with("completionMode: Indexed, completions: 3, successPolicy: {rules: [{succeededIndexes: 0-3}]}"),
            "spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"0-3\": error parsing succeededIndexes: too large index: \"3\"",
        ),
        (
            with(
                "completionMode: Indexed, completions: 3, successPolicy: {rules: [{succeededIndexes: 0-1, succeededCount: 3}]}",
            ),
            "spec.successPolicy.rules[0].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)",
        ),
        (
            labelled("job-name: other"),
            "spec.template.metadata.labels[job-name]: Invalid value: {\"batch.kubernetes.io/controller-uid\":\"u-1\",\"batch.kubernetes.io/job-name\":\"j\",\"controller-uid\":\"u-1\",\"job-name\":\"other\"}: must be 'j'",
        ),
        (
            with("selector: {matchLabels: {a: b}}").replace("template: {", "template: {metadata: {labels: {a: b}}, "),
            "spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\",\"batch.kubernetes.io/controller-uid\":\"u-1\"}}: `selector` not auto-generated",
        ),
        (
            with("completionMode: Indexed, completions: 10").replace("name: j,", &format!("name: {},", "j".repeat(62))),
            &format!(
                "metadata.name: Invalid value: \"{0}\": will not able to create pod with invalid DNS label: {0}-9",
                "j".repeat(62)
            ),
        ),
    ] {
        assert_eq!(create_errors(&JOB, &yaml), [expected], "{yaml}");
    }
    let manual = create_errors(&JOB, &with("manualSelector: true"));
    assert_eq!(manual[0], "spec.selector: Required value");
}

#[test]
fn a_job_stays_but_for_its_width() {
    let set = |field: &'static str, value: Value| move |new: &mut Object| new.set(&["spec", field], value);
    assert_eq!(update_errors(&JOB, FINE, set("parallelism", json!(3))), [""; 0]);
    assert_eq!(update_errors(&JOB, FINE, set("suspend", json!(true))), [""; 0]);
    let found = update_errors(&JOB, FINE, set("completions", json!(3)));
    assert_eq!(found, ["spec.completions: Invalid value: 3: field is immutable"]);
    let indexed = with("completionMode: Indexed, completions: 2, parallelism: 2");
    let found = update_errors(&JOB, &indexed, set("completions", json!(3)));
    let tandem = "spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism";
    assert_eq!(found, [tandem]);
    let found = update_errors(&JOB, &indexed, set("completionMode", json!("NonIndexed")));
    assert_eq!(found, ["spec.completionMode: Invalid value: \"NonIndexed\": field is immutable"]);
    let image = |new: &mut Object| new.0["spec"]["template"]["spec"]["containers"][0]["image"] = json!("other");
    let found = update_errors(&JOB, FINE, image);
    assert!(found[0].starts_with("spec.template: Invalid value: {"), "{found:?}");
    assert!(found[0].ends_with(": field is immutable"), "{found:?}");
    let place = |new: &mut Object| new.set(&["spec", "template", "spec", "nodeSelector"], json!({"a": "b"}));
    let suspended = with("suspend: true");
    assert_eq!(update_errors(&JOB, &suspended, place), [""; 0]);
    assert_eq!(update_errors(&JOB, FINE, place).len(), 1);
    let smaller = |new: &mut Object| {
        new.0["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}});
    };
    assert_eq!(update_errors(&JOB, &suspended, smaller), [""; 0]);
}

#[test]
fn a_status_agrees_with_itself() {
    let condition = |type_: &str| json!({"type": type_, "status": "True"});
    for (status, expected) in [
        (
            json!({"active": 1, "ready": 2}),
            vec!["status.ready: Invalid value: 2: cannot set more ready pods than active"],
        ),
        (
            json!({"conditions": [condition("Failed")], "startTime": "2026-01-01T00:00:00Z"}),
            vec![
                "status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition",
            ],
        ),
        (
            json!({"conditions": [condition("Complete"), condition("SuccessCriteriaMet")], "active": 1}),
            vec![
                "status.completionTime: Required value: completionTime is required for Complete jobs",
                "status.active: Invalid value: 1: active>0 is invalid for finished job",
                "status.startTime: Required value: startTime is required for finished job",
            ],
        ),
        (
            json!({"completedIndexes": "0"}),
            vec![
                "status.completedIndexes: Invalid value: \"0\": cannot set non-empty completedIndexes when non-indexed completion mode",
            ],
        ),
        (
            json!({"conditions": [condition("Complete"), condition("SuccessCriteriaMet")],
                "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:05Z", "succeeded": 1}),
            vec![],
        ),
    ] {
        assert_eq!(status_errors(&JOB, FINE, status.clone()), expected, "{status}");
    }
}
