//! Requests for certificates (PKCS #10), and schedules of CronJobs: texts in objects that have a format of their own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use trimtab_api::kinds::signing_request::Request;
use trimtab_api::{Object, Operation};

const SCHEDULE: &str = "spec.schedule";

/// What is asked is read or refused, as PEM and as what stands in it.
pub fn signing_request(bytes: &[u8]) {
    let _ = Request::parse(bytes);
    let pem =
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n", STANDARD.encode(bytes));
    if let Ok(request) = Request::parse(pem.as_bytes()) {
        assert!(!request.public_key.is_empty());
    }
}

/// A schedule is taken or refused with its field; the first line is the time zone.
pub fn schedule(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (zone, schedule) = text.split_once('\n').unwrap_or(("Etc/UTC", text));
    let pod = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}});
    let spec = json!({"schedule": schedule, "timeZone": zone, "jobTemplate": {"spec": {"template": pod}}});
    let mut object = Object::default();
    object.set(&["metadata", "name"], "name");
    object.set(&["spec"], spec);
    let kinds = trimtab_api::builtin();
    let Some(kind) = kinds.by_resource("batch", "v1", "cronjobs") else { return };
    let admission = kind.strategy.admit(Operation::Create, &mut object);
    for error in &admission.errors {
        assert!([SCHEDULE, "spec.timeZone"].contains(&error.path.to_string().as_str()), "{error}");
    }
}
