//! `admission.k8s.io/v1` AdmissionReview: what a webhook is asked, and what it answers.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use serde::Deserialize;
use serde_json::{Value, json};
use trimtab_api::{ApiError, Kind, Object};

use super::{Attributes, Verb};
use crate::outside;

/// The review that is sent.
pub(super) fn request(uid: &str, version: &str, write: &Attributes<'_>, object: Option<&Object>) -> Value {
    let mut request = attributes(write);
    request["uid"] = uid.into();
    request["object"] = json!(object);
    request["oldObject"] = json!(write.old);
    json!({"kind": "AdmissionReview", "apiVersion": format!("admission.k8s.io/{version}"), "request": request})
}

/// The request of a review but the objects.
pub(super) fn attributes(write: &Attributes<'_>) -> Value {
    let (call, path) = (write.call, &write.call.path);
    let kind = |api_version: &str, kind: &str| {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        json!({"group": group, "version": version, "kind": kind})
    };
    let resource = |of: &Kind| json!({"group": of.group, "version": of.version, "resource": of.plural});
    let asked_kind = if write.is_whole() {
        kind(&call.kind.api_version(), &call.kind.kind)
    } else {
        kind(write.kind.0, write.kind.1)
    };
    // A namespace is in itself.
    let namespace = if path.group.is_empty() && path.plural == "namespaces" { write.name } else { path.namespace };
    let mut request = json!({
        "kind": kind(write.kind.0, write.kind.1), "requestKind": asked_kind,
        "resource": resource(write.resource()), "requestResource": resource(&call.kind),
        "operation": write.verb.name(),
        "userInfo": call.identity.to_user_info(),
        "dryRun": write.dry_run,
        "options": options(write),
    });
    let texts = [
        ("name", write.name),
        ("namespace", namespace),
        ("subResource", path.subresource),
        ("requestSubResource", path.subresource),
    ];
    for (field, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        request[field] = text.into();
    }
    request
}

fn options(write: &Attributes<'_>) -> Value {
    let call = write.call;
    let kind = match write.verb {
        Verb::Create => "CreateOptions",
        Verb::Update if *call.method == Method::PATCH => "PatchOptions",
        Verb::Update => "UpdateOptions",
        Verb::Delete => "DeleteOptions",
        Verb::Connect => return Value::Null,
    };
    let mut options = write.options.and_then(|options| serde_json::to_value(options).ok()).unwrap_or_else(|| json!({}));
    (options["kind"], options["apiVersion"]) = (kind.into(), "meta.k8s.io/v1".into());
    for name in ["fieldManager", "fieldValidation"] {
        let text = call.query.get(name);
        if !text.is_empty() {
            options[name] = text.into();
        }
    }
    if write.dry_run {
        options["dryRun"] = json!(["All"]);
    }
    if call.query.flag("force") {
        options["force"] = true.into();
    }
    options
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    allowed: Option<bool>,
    status: Option<Status>,
    patch: Option<String>,
    patch_type: Option<String>,
    warnings: Option<Vec<String>>,
    audit_annotations: Option<BTreeMap<String, String>>,
}

/// What a webhook thinks of a write.
#[derive(Debug)]
pub(super) struct Verdict {
    /// Why it is refused, if it is.
    pub refused: Option<ApiError>,
    /// A JSON patch.
    pub patch: Option<Value>,
    /// For the client.
    pub warnings: Vec<String>,
    /// For the audit log, by key.
    pub notes: BTreeMap<String, String>,
}

/// Reads the answer of the webhook `name` to the review `uid`.
///
/// # Errors
/// A text, when it is not the answer to that review.
pub(super) fn verdict(name: &str, uid: &str, version: &str, body: &[u8]) -> Result<Verdict, String> {
    let review = (&*format!("admission.k8s.io/{version}"), "AdmissionReview");
    let response: Response = outside::response(body, review, uid, "webhook response was absent")?;
    let patch = match (response.patch, response.patch_type.as_deref()) {
        (None, None) => None,
        (Some(patch), Some("JSONPatch")) => {
            let bytes = STANDARD.decode(patch).map_err(|error| format!("response.patch: {error}"))?;
            Some(serde_json::from_slice(&bytes).map_err(|error| format!("response.patch: {error}"))?)
        }
        (Some(_), None) => return Err("webhook returned response.patch but not response.patchType".to_owned()),
        (None, Some(_)) => return Err("webhook returned response.patchType but not response.patch".to_owned()),
        (Some(_), Some(other)) => {
            return Err(format!("webhook returned invalid response.patchType of {other:?}: only JSONPatch is known"));
        }
    };
    let refused = (response.allowed != Some(true)).then(|| refusal(name, response.status.unwrap_or_default()));
    // An empty patch is none.
    let patch = patch.filter(|patch: &Value| patch.as_array().is_none_or(|list| !list.is_empty()));
    let (warnings, notes) = (response.warnings.unwrap_or_default(), response.audit_annotations.unwrap_or_default());
    Ok(Verdict { refused, patch, warnings, notes })
}

/// Upstream's words (`k8s.io/apiserver/pkg/admission/plugin/webhook/errors`).
fn refusal(name: &str, mut status: Status) -> ApiError {
    let denied = format!("admission webhook {name:?} denied the request");
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    status.message = Some(match text(&status.message).or_else(|| text(&status.reason)) {
        Some(why) => format!("{denied}: {why}"),
        None => format!("{denied} without explanation"),
    });
    status.code = Some(status.code.unwrap_or_default().max(400));
    status.status = Some("Failure".to_owned());
    ApiError::from_status(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(response: &Value) -> Result<Verdict, String> {
        let review =
            json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}).to_string();
        verdict("a.b.c", "u", "v1", review.as_bytes())
    }

    #[test]
    fn a_refusal_says_why() {
        let check = |status: Value, code: u16, message: &str| {
            let refused = read(&json!({"uid": "u", "allowed": false, "status": status})).unwrap().refused.unwrap();
            assert_eq!((refused.code(), refused.status().message.as_deref()), (code, Some(message)));
        };
        check(json!({"message": "no", "code": 403}), 403, "admission webhook \"a.b.c\" denied the request: no");
        check(json!({"reason": "Bad"}), 400, "admission webhook \"a.b.c\" denied the request: Bad");
        check(Value::Null, 400, "admission webhook \"a.b.c\" denied the request without explanation");
    }

    #[test]
    fn what_is_no_answer_to_the_question_is_told() {
        let check = |response: Value, why: &str| assert_eq!(read(&response).unwrap_err(), why);
        check(json!({"uid": "v", "allowed": true}), "expected response.uid=\"u\", got \"v\"");
        let patch = STANDARD.encode("[]");
        check(
            json!({"uid": "u", "allowed": true, "patch": patch}),
            "webhook returned response.patch but not response.patchType",
        );
        assert!(verdict("a.b.c", "u", "v1", b"{}").unwrap_err().starts_with("expected webhook response of"));
        assert!(verdict("a.b.c", "u", "v1", b"<html>").is_err());
        // As Go writes what it has not.
        let nothing = json!({"uid": "u", "allowed": true, "status": null, "patch": null, "patchType": null,
            "warnings": null, "auditAnnotations": null});
        assert!(read(&nothing).unwrap().refused.is_none());
        let fine = read(&json!({"uid": "u", "allowed": true, "patch": patch, "patchType": "JSONPatch"})).unwrap();
        assert!(fine.refused.is_none() && fine.patch.is_none());
    }
}
