//! APIServices: who serves a group and version (`k8s.io/kube-aggregator/pkg/apis/apiregistration/validation`).

use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceSpec};
use serde_json::Value;

use crate::check::{Checks, text};
use crate::crd::set_condition;
use crate::field::{Error, Path};
use crate::kinds::typed;
use crate::names;
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

/// Says whether a group and version is served.
pub const AVAILABLE: &str = "Available";

/// APIServices.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApiService;

impl Strategy for ApiService {
    // What else it must be depends on the spec.
    fn check_name(&self, name: &str) -> Vec<String> {
        names::path_segment(name)
    }

    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        if let Operation::UpdateStatus { .. } = operation {
            return Admission::default();
        }
        if matches!(operation, Operation::Create) {
            object.remove(&["status"]);
        }
        let admission = typed(object, |service: &mut APIService, checks| {
            let name = service.metadata.name.clone().unwrap_or_default();
            let spec = service.spec.get_or_insert_default();
            if let Some(reference) = &mut spec.service {
                reference.port.get_or_insert(443);
            }
            check(&name, spec, checks);
        });
        if matches!(operation, Operation::Create) && is_local(object) {
            let now = object.str_at(&["metadata", "creationTimestamp"]).to_owned();
            set_local(object, &now);
        }
        admission
    }

    fn cell(&self, name: &str, object: &Object, _: i64) -> Value {
        match name {
            "Service" if is_local(object) => "Local".into(),
            "Service" => {
                let part = |name| object.str_at(&["spec", "service", name]);
                format!("{}/{}", part("namespace"), part("name")).into()
            }
            "Available" => {
                let conditions = object.at(&["status", "conditions"]).and_then(Value::as_array);
                let known = conditions.into_iter().flatten().find(|condition| condition["type"] == AVAILABLE);
                match known.map(|known| (known["status"].as_str().unwrap_or_default(), &known["reason"])) {
                    None => "Unknown".into(),
                    Some(("True", _)) => "True".into(),
                    Some((status, reason)) => format!("{status} ({})", reason.as_str().unwrap_or_default()).into(),
                }
            }
            _ => Value::Null,
        }
    }
}

/// Whether the server itself serves the group and version.
pub fn is_local(object: &Object) -> bool {
    object.at(&["spec", "service"]).is_none_or(Value::is_null)
}

/// Says that a local one is available, as it always is.
pub fn set_local(object: &mut Object, now: &str) {
    set_condition(object, (AVAILABLE, true), "Local", "Local APIServices are always available", now);
}

fn check(name: &str, spec: &APIServiceSpec, checks: &mut Checks) {
    let (group, version) = (text(&spec.group), text(&spec.version));
    let required = format!("{version}.{group}");
    if name != required {
        let detail = format!("must be `spec.version+\".\"+spec.group`: {required:?}");
        checks.invalid(&Path::new("metadata").child("name"), name, &detail);
    }
    let path = Path::new("spec");
    if group.is_empty() && version != "v1" {
        let detail = "only v1 may have an empty group and it better be legacy kube";
        checks.push(Error::required(&path.child("group"), detail));
    }
    if !group.is_empty() {
        checks.follows(&path.child("group"), group, names::dns1123_subdomain);
    }
    checks.follows(&path.child("version"), version, names::dns1035_label);
    for (field, value, most) in [
        ("groupPriorityMinimum", spec.group_priority_minimum, 20_000),
        ("versionPriority", spec.version_priority, 1_000),
    ] {
        if value <= 0 || value > most {
            checks.invalid(&path.child(field), value, &format!("must be positive and less than {most}"));
        }
    }
    let bundle = spec.ca_bundle.as_ref().map_or(0, |bundle| bundle.0.len());
    let insecure = spec.insecure_skip_tls_verify.unwrap_or_default();
    let Some(service) = &spec.service else {
        if bundle > 0 {
            let detail = "local APIServices may not have a caBundle";
            checks.invalid(&path.child("caBundle"), format!("{bundle} bytes"), detail);
        }
        if insecure {
            let detail = "local APIServices may not have insecureSkipTLSVerify";
            checks.invalid(&path.child("insecureSkipTLSVerify"), insecure, detail);
        }
        return;
    };
    for (field, value) in [("namespace", &service.namespace), ("name", &service.name)] {
        if text(value).is_empty() {
            checks.required(&path.child("service").child(field));
        }
    }
    let port = service.port.unwrap_or_default();
    if !(1..=65_535).contains(&port) {
        let detail = "port is not valid: must be between 1 and 65535, inclusive";
        checks.invalid(&path.child("service").child("port"), port, detail);
    }
    if insecure && bundle > 0 {
        let detail = "may not be true if caBundle is present";
        checks.invalid(&path.child("insecureSkipTLSVerify"), insecure, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, created};

    const REMOTE: &str = "service: {name: s, namespace: n}, groupPriorityMinimum: 100, versionPriority: 10";

    #[test]
    fn what_is_wrong_with_one() {
        for (name, spec, expected) in [
            ("v1.a.io", format!("group: a.io, version: v1, {REMOTE}"), vec![]),
            ("v1.", "version: v1, groupPriorityMinimum: 1, versionPriority: 1".to_owned(), vec![]),
            (
                "v2.a.io",
                format!("group: a.io, version: v1, {REMOTE}"),
                vec!["metadata.name: Invalid value: \"v2.a.io\": must be `spec.version+\".\"+spec.group`: \"v1.a.io\""],
            ),
            (
                "v2.",
                "version: v2, groupPriorityMinimum: 0, versionPriority: 1001, caBundle: eA==, insecureSkipTLSVerify: true".to_owned(),
                vec![
                    "spec.group: Required value: only v1 may have an empty group and it better be legacy kube",
                    "spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000",
                    "spec.versionPriority: Invalid value: 1001: must be positive and less than 1000",
                    "spec.caBundle: Invalid value: \"1 bytes\": local APIServices may not have a caBundle",
                    "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify",
                ],
            ),
            (
                "v1.a.io",
                "group: a.io, version: v1, groupPriorityMinimum: 1, versionPriority: 1, caBundle: eA==, insecureSkipTLSVerify: true, service: {port: 0}".to_owned(),
                vec![
                    "spec.service.namespace: Required value",
                    "spec.service.name: Required value",
                    "spec.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive",
                    "spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present",
                ],
            ),
        ] {
            let yaml = format!("{{metadata: {{name: {name}}}, spec: {{{spec}}}}}");
            assert_eq!(create_errors(&ApiService, &yaml), expected, "{yaml}");
        }
    }

    #[test]
    fn a_local_one_is_available_at_once_and_another_is_not_known_to_be() {
        let cells = |yaml: &str| {
            let object = created(&ApiService, yaml);
            ["Service", "Available"].map(|column| ApiService.cell(column, &object, 0))
        };
        let local = "{metadata: {name: v1., creationTimestamp: '2026-01-01T00:00:00Z'}, spec: {version: v1, groupPriorityMinimum: 1, versionPriority: 1}}";
        assert_eq!(cells(local), ["Local", "True"]);
        let remote = format!(
            "{{metadata: {{name: v1.a.io}}, spec: {{group: a.io, version: v1, {REMOTE}}}, status: {{conditions: [{{type: Available, status: 'True'}}]}}}}"
        );
        assert_eq!(cells(&remote), ["n/s", "Unknown"]);
        assert_eq!(created(&ApiService, &remote).at(&["spec", "service", "port"]), Some(&443.into()));
    }
}
