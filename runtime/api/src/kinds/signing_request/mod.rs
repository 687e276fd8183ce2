//! CertificateSigningRequests (`pkg/registry/certificates/certificates`,
//! `pkg/apis/certificates/validation`).

mod request;
mod signer;

use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest as Typed, CertificateSigningRequestCondition, CertificateSigningRequestStatus,
};
use serde_json::{Value, json};

use crate::cells;
use crate::check::Checks;
use crate::field::{Error, Path};
use crate::kinds::{typed, typed_status};
use crate::names;
use crate::object::Object;
use crate::pem::only_certificates;
use crate::strategy::{Admission, Operation, Strategy};

pub use request::Request;
pub use signer::{API_CLIENT, KUBELET_CLIENT, KUBELET_SERVING, check as check_signer};

/// What a certificate may be for.
const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];
/// The shortest that a certificate may be asked for, in seconds.
const MIN_SECONDS: i32 = 600;
/// Once they are there, they stay.
const VERDICTS: [&str; 2] = ["Approved", "Denied"];

/// Requests for certificates.
#[derive(Clone, Copy, Debug, Default)]
pub struct CertificateSigningRequest;

impl Strategy for CertificateSigningRequest {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        match operation {
            Operation::Create => {
                object.set(&["status"], json!({}));
                typed(object, check_new)
            }
            Operation::Update { old } => {
                // What is asked for is what is approved.
                object.set(&["spec"], old.0.get("spec").cloned().unwrap_or_default());
                Admission::default()
            }
            Operation::UpdateStatus { old } => typed_status(object, |status, checks| check_status(status, old, checks)),
        }
    }

    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        cells::signing_request(name, object, now)
    }
}

fn check_new(request: &mut Typed, checks: &mut Checks) {
    let (path, spec) = (Path::new("spec"), &request.spec);
    if let Err(why) = Request::parse(&spec.request.0) {
        checks.invalid(&path.child("request"), &spec.request, &why);
    }
    let usages = spec.usages.as_deref().unwrap_or_default();
    if usages.is_empty() {
        checks.required(&path.child("usages"));
    }
    for (index, usage) in usages.iter().enumerate() {
        let path = path.child("usages").index(index);
        if !USAGES.contains(&usage.as_str()) {
            checks.push(Error::not_supported(&path, usage, &USAGES));
        } else if usages[..index].contains(usage) {
            checks.push(Error::duplicate(&path, usage));
        }
    }
    check_signer_name(&path.child("signerName"), &spec.signer_name, checks);
    if spec.expiration_seconds.is_some_and(|seconds| seconds < MIN_SECONDS) {
        let detail = "may not specify a duration less than 600 seconds (10 minutes)";
        checks.invalid(&path.child("expirationSeconds"), spec.expiration_seconds, detail);
    }
}

/// A domain and a path: `example.com/signer`.
fn check_signer_name(path: &Path, name: &str, checks: &mut Checks) {
    if name.is_empty() {
        return checks.required(path);
    }
    if name == "kubernetes.io/legacy-unknown" {
        return checks.invalid(path, name, "the legacy signerName is not allowed via this API version");
    }
    let Some((domain, rest)) = name.split_once('/') else {
        let detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        return checks.invalid(path, name, detail);
    };
    for problem in [domain, rest].into_iter().flat_map(names::dns1123_subdomain) {
        checks.invalid(path, name, &problem);
    }
    if !domain.contains('.') {
        checks.invalid(path, domain, "should be a domain with at least two segments separated by dots");
    }
}

fn check_status(status: &mut CertificateSigningRequestStatus, old: &Object, checks: &mut Checks) {
    let path = Path::new("status").child("conditions");
    let conditions = status.conditions.as_deref().unwrap_or_default();
    for (index, condition) in conditions.iter().enumerate() {
        check_condition(&path.index(index), condition, checks);
        if conditions[..index].iter().any(|earlier| earlier.type_ == condition.type_) {
            checks.push(Error::duplicate(&path.index(index).child("type"), &condition.type_));
        }
    }
    let has = |type_: &str| conditions.iter().any(|condition| condition.type_ == type_);
    if has("Approved") && has("Denied") {
        checks.invalid(&path, "Denied", "Approved and Denied conditions are mutually exclusive");
    }
    let before = old.at(&["status", "conditions"]).and_then(Value::as_array);
    for verdict in VERDICTS {
        if before.into_iter().flatten().any(|condition| condition["type"] == verdict) && !has(verdict) {
            checks.forbidden(&path, &format!("updates may not remove a condition of type {verdict:?}"));
        }
    }
    check_certificate(status.certificate.as_ref(), old.str_at(&["status", "certificate"]), checks);
}

/// What is issued stays as it is.
fn check_certificate(certificate: Option<&ByteString>, issued: &str, checks: &mut Checks) {
    let path = Path::new("status").child("certificate");
    if !issued.is_empty() {
        let certificate = certificate.and_then(|bytes| serde_json::to_value(bytes).ok());
        if certificate.as_ref().and_then(Value::as_str) != Some(issued) {
            checks.forbidden(&path, "updates may not modify existing certificate content");
        }
    } else if let Some(bytes) = certificate.filter(|bytes| !bytes.0.is_empty())
        && let Err(why) = only_certificates(&bytes.0)
    {
        checks.invalid(&path, "<certificate data>", &why);
    }
}

fn check_condition(path: &Path, condition: &CertificateSigningRequestCondition, checks: &mut Checks) {
    if condition.type_.is_empty() {
        checks.required(&path.child("type"));
    }
    let final_ = matches!(condition.type_.as_str(), "Approved" | "Denied" | "Failed");
    let allowed: &[&str] = if final_ { &["True"] } else { &["False", "True", "Unknown"] };
    checks.one_of(&path.child("status"), &condition.status, allowed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::create_errors;

    #[test]
    fn what_is_wrong_with_a_request() {
        let all = create_errors(
            &CertificateSigningRequest,
            "{metadata: {name: a}, spec: {request: AAAA, signerName: x/y, usages: [client auth, client auth, fun], expirationSeconds: 599}}",
        );
        let usages: Vec<String> = USAGES.iter().map(|usage| format!("{usage:?}")).collect();
        assert_eq!(
            all,
            [
                "spec.request: Invalid value: \"AAAA\": PEM block type must be CERTIFICATE REQUEST".to_owned(),
                "spec.usages[1]: Duplicate value: \"client auth\"".to_owned(),
                format!("spec.usages[2]: Unsupported value: \"fun\": supported values: {}", usages.join(", ")),
                "spec.signerName: Invalid value: \"x\": should be a domain with at least two segments separated by dots".to_owned(),
                "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)".to_owned(),
            ]
        );
        let none =
            create_errors(&CertificateSigningRequest, "{metadata: {name: a}, spec: {request: AAAA, signerName: ''}}");
        assert_eq!(none[1..], ["spec.usages: Required value", "spec.signerName: Required value"]);
    }

    #[test]
    fn a_verdict_stays_and_is_one() {
        let check = |old: &str, new: &str, expected: &[&str]| {
            let object = |status: &str| -> Object {
                serde_yaml::from_str(&format!("{{metadata: {{name: a}}, spec: {{}}, status: {status}}}")).unwrap()
            };
            let (old, mut new) = (object(old), object(new));
            let found = CertificateSigningRequest.admit(Operation::UpdateStatus { old: &old }, &mut new).errors;
            assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
        };
        let approved = "{conditions: [{type: Approved, status: 'True'}]}";
        check("{}", approved, &[]);
        check(
            approved,
            "{}",
            &["status.conditions: Forbidden: updates may not remove a condition of type \"Approved\""],
        );
        check(
            "{}",
            "{conditions: [{type: Approved, status: 'True'}, {type: Denied, status: 'True'}]}",
            &["status.conditions: Invalid value: \"Denied\": Approved and Denied conditions are mutually exclusive"],
        );
        check(
            "{}",
            "{conditions: [{type: Denied, status: 'False'}]}",
            &["status.conditions[0].status: Unsupported value: \"False\": supported values: \"True\""],
        );
        check(
            "{certificate: AAAA}",
            "{certificate: AAAB}",
            &["status.certificate: Forbidden: updates may not modify existing certificate content"],
        );
        // What was issued before anybody looked at it stays.
        check("{certificate: AAAA}", "{certificate: AAAA}", &[]);
        check(
            "{}",
            "{certificate: AAAA}",
            &[
                "status.certificate: Invalid value: \"<certificate data>\": must contain one or more CERTIFICATE PEM blocks",
            ],
        );
        let certificate = ByteString(crate::pem::tests::CERTIFICATE.as_bytes().to_vec());
        check("{}", &json!({"certificate": certificate}).to_string(), &[]);
    }
}
