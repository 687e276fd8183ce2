//! CertificateSigningRequests: the server says who asks, and who approves or signs needs to be
//! allowed to, signer by signer (`plugin/pkg/admission/certificates`, `pkg/registry/certificates`).

use serde_json::{Value, json};
use trimtab_api::apply::Given;
use trimtab_api::kinds::signing_request::{API_CLIENT, Request};
use trimtab_api::rbac::{Attributes, MASTERS};
use trimtab_api::{ApiError, Object, Operation};

use crate::handler::Call;
use crate::server::ApiServer;

const GROUP: &str = "certificates.k8s.io";
const PLURAL: &str = "certificatesigningrequests";
const CONDITIONS: [&str; 2] = ["status", "conditions"];
const CERTIFICATE: [&str; 2] = ["status", "certificate"];

fn concerns(call: &Call<'_>) -> bool {
    call.kind.group == GROUP && call.kind.plural == PLURAL
}

/// Puts right what the writer may not say: who asks; and beside the subresource that is written,
/// the rest of the status. Answers what it has put in.
pub(crate) fn prepare(server: &ApiServer, call: &Call<'_>, operation: Operation<'_>, object: &mut Object) -> Given {
    let mut given = Given::default();
    if !concerns(call) {
        return given;
    }
    match operation {
        Operation::Create => {
            let before = object.clone();
            let identity = call.identity;
            object.set(&["spec", "username"], identity.user.as_str());
            object.set(&["spec", "groups"], json!(identity.groups));
            for (field, value, is_known) in [
                ("uid", json!(identity.uid), !identity.uid.is_empty()),
                ("extra", json!(identity.extra), !identity.extra.is_empty()),
            ] {
                if is_known { object.set(&["spec", field], value) } else { drop(object.remove(&["spec", field])) }
            }
            given = Given::between(&before, object, call.kind.schema.get());
        }
        Operation::UpdateStatus { old } => {
            if call.path.subresource == "approval" {
                match old.at(&CERTIFICATE) {
                    Some(certificate) => object.set(&CERTIFICATE, certificate.clone()),
                    None => drop(object.remove(&CERTIFICATE)),
                }
            } else {
                keep_verdicts(old, object);
            }
            date(old, object, &server.inner.timestamp());
        }
        Operation::Update { .. } => {}
    }
    given
}

fn conditions(object: &Object) -> Vec<Value> {
    object.at(&CONDITIONS).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Whether a request is approved is not for its signer to say.
fn keep_verdicts(old: &Object, new: &mut Object) {
    let is_verdict = |condition: &Value| condition["type"] == "Approved" || condition["type"] == "Denied";
    let verdicts = conditions(old).into_iter().filter(is_verdict);
    let rest = conditions(new).into_iter().filter(|condition| !is_verdict(condition));
    let all: Vec<Value> = verdicts.chain(rest).collect();
    if !all.is_empty() || new.at(&CONDITIONS).is_some() {
        new.set(&CONDITIONS, all);
    }
}

/// Gives the conditions the times that their writer has left out.
fn date(old: &Object, new: &mut Object, now: &str) {
    let before = conditions(old);
    let mut all = conditions(new);
    for condition in all.iter_mut().filter_map(Value::as_object_mut) {
        let same = |other: &&Value| {
            condition.get("type") == other.get("type") && condition.get("status") == other.get("status")
        };
        let since = before.iter().find(same).map(|other| other["lastTransitionTime"].clone()).filter(Value::is_string);
        for (field, time) in
            [("lastTransitionTime", since.unwrap_or_else(|| now.into())), ("lastUpdateTime", now.into())]
        {
            if condition.get(field).is_none_or(Value::is_null) {
                condition.insert(field.to_owned(), time);
            }
        }
    }
    if !all.is_empty() {
        new.set(&CONDITIONS, all);
    }
}

/// Whether the writer may do this.
///
/// # Errors
/// 403 when it may not.
pub(crate) fn check(
    server: &ApiServer,
    call: &Call<'_>,
    operation: Operation<'_>,
    object: &Object,
) -> Result<(), ApiError> {
    if !concerns(call) {
        return Ok(());
    }
    let signer = object.str_at(&["spec", "signerName"]);
    let verb = match operation {
        Operation::Create => return check_subject(call, object, signer),
        Operation::UpdateStatus { .. } if call.path.subresource == "approval" => "approve",
        Operation::UpdateStatus { old } => {
            let same = |path: &[&str]| old.at(path) == object.at(path);
            if same(&CERTIFICATE) && same(&CONDITIONS) {
                return Ok(());
            }
            "sign"
        }
        Operation::Update { .. } => return Ok(()),
    };
    let any = format!("{}/*", signer.split('/').next().unwrap_or_default());
    let allowed = [signer, any.as_str()].into_iter().any(|name| {
        let asked = Attributes::Resource {
            verb,
            namespace: "",
            group: GROUP,
            version: "*",
            resource: "signers",
            subresource: "",
            name,
        };
        server.inner.authorizer.decide(call.identity.as_user(), &asked).is_ok()
    });
    if allowed {
        return Ok(());
    }
    let detail = format!("user not permitted to {verb} requests with signerName {signer:?}");
    Err(ApiError::forbidden(&call.kind, object.name(), detail))
}

/// Nobody becomes a master by a certificate that somebody approves without looking closely.
fn check_subject(call: &Call<'_>, object: &Object, signer: &str) -> Result<(), ApiError> {
    let pem = object.0.get("spec").and_then(|spec| spec.get("request")).cloned().unwrap_or_default();
    // What cannot be read was refused before.
    let Ok(pem) = serde_json::from_value::<k8s_openapi::ByteString>(pem) else { return Ok(()) };
    let Ok(request) = Request::parse(&pem.0) else { return Ok(()) };
    if signer == API_CLIENT && request.organizations.iter().any(|group| group == MASTERS) {
        let detail = format!("use of {signer} signer with {MASTERS} group is not allowed");
        return Err(ApiError::forbidden(&call.kind, object.name(), detail));
    }
    Ok(())
}
