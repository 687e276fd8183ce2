//! Signs what is approved, for the signers that every cluster has.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use trimtab_api::kinds::signing_request::{API_CLIENT, KUBELET_CLIENT, KUBELET_SERVING, Request, check_signer};
use trimtab_reconcile::{Context, Controller, Error, Next, Result};

use super::{condition, is_issued, with_condition};

/// How long a certificate is good that does not say, and at most (`--cluster-signing-duration`).
const DEFAULT: SignedDuration = SignedDuration::from_hours(365 * 24);
const SHORTEST: SignedDuration = SignedDuration::from_mins(10);
/// For clients whose clock is behind.
const BACKDATED: SignedDuration = SignedDuration::from_mins(5);

/// Signs certificates with the cluster's authority.
pub trait Signer: fmt::Debug + Send + Sync + 'static {
    /// A certificate (PEM) for `request` (PKCS #10, DER), good for `usages` from `from` until `until`.
    ///
    /// # Errors
    /// What of the request cannot be signed.
    fn sign(&self, request: &Request, usages: &[String], from: Timestamp, until: Timestamp) -> Result<String, String>;
}

/// Signs approved requests.
#[derive(Debug)]
pub struct CertificateSigning {
    signer: Arc<dyn Signer>,
}

impl CertificateSigning {
    /// Signs with `signer`.
    pub fn new(signer: Arc<dyn Signer>) -> Self {
        Self { signer }
    }

    fn certificate(&self, request: &CertificateSigningRequest, now: Timestamp) -> Result<String, String> {
        let spec = &request.spec;
        let usages = spec.usages.as_deref().unwrap_or_default();
        let parsed = Request::parse(&spec.request.0)?;
        check_signer(&spec.signer_name, &parsed, usages)?;
        let asked = spec.expiration_seconds.map(|seconds| SignedDuration::from_secs(seconds.into()));
        let good = asked.unwrap_or(DEFAULT).clamp(SHORTEST, DEFAULT);
        let past = |time: Timestamp, by: SignedDuration| time.saturating_add(by).unwrap_or(Timestamp::MAX);
        self.signer.sign(&parsed, usages, past(now, -BACKDATED), past(now, good))
    }
}

impl Controller for CertificateSigning {
    type Kind = CertificateSigningRequest;
    const NAME: &'static str = "certificate-signing";

    async fn reconcile(
        &self,
        request: &CertificateSigningRequest,
        cx: &Context<CertificateSigningRequest>,
    ) -> Result<Next> {
        let ours = [API_CLIENT, KUBELET_CLIENT, KUBELET_SERVING].contains(&&*request.spec.signer_name);
        let is_due = condition(request, "Approved").is_some() && condition(request, "Failed").is_none();
        if !ours || !is_due || is_issued(request) {
            return Ok(Next::on_change());
        }
        let now = cx.env().now();
        let done = match self.certificate(request, now) {
            Ok(pem) => {
                let mut done = request.clone();
                done.status.get_or_insert_default().certificate = Some(ByteString(pem.into_bytes()));
                done
            }
            Err(why) => with_condition(request, "Failed", "SignerValidationFailure", why, now),
        };
        match cx.replace_status(&done).await {
            Err(Error::Client(error)) if error.is_not_found() => {}
            done => drop(done?),
        }
        Ok(Next::on_change())
    }
}
