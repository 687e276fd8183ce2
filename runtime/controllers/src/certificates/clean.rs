//! Deletes requests that have served their time.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use std::time::Duration;
use trimtab_client::DeleteParams;
use trimtab_reconcile::{Context, Next, Result, controller};

use super::{condition, is_issued};

const DECIDED: SignedDuration = SignedDuration::from_hours(1);
const PENDING: SignedDuration = SignedDuration::from_hours(24);

/// Deletes requests an hour after they were signed, denied or failed, and a day after they were
/// made when nobody has decided.
#[derive(Debug, Default)]
pub struct CertificateCleaning;

#[controller(
    for = CertificateSigningRequest,
    name = "certificate-cleaning",
    crate = "trimtab_reconcile"
)]
impl CertificateCleaning {
    async fn reconcile(
        &self,
        request: &CertificateSigningRequest,
        cx: &Context<CertificateSigningRequest>,
    ) -> Result<Next> {
        let Some(end) = end(request) else { return Ok(Next::on_change()) };
        let left = Duration::try_from(end.duration_since(cx.env().now())).unwrap_or_default();
        if !left.is_zero() {
            return Ok(Next::after(left));
        }
        cx.delete(request, DeleteParams::default()).await?;
        Ok(Next::on_change())
    }
}

/// When the request is to go; `None`: not as it is now.
fn end(request: &CertificateSigningRequest) -> Option<Timestamp> {
    let since = |type_: &str| condition(request, type_)?.last_update_time.as_ref().map(|time| time.0);
    let decided =
        since("Denied").or_else(|| since("Failed")).or_else(|| since("Approved").filter(|_| is_issued(request)));
    if let Some(decided) = decided {
        return decided.saturating_add(DECIDED).ok();
    }
    let is_pending = request.status.as_ref().and_then(|status| status.conditions.as_ref()).is_none_or(Vec::is_empty);
    let made = request.metadata.creation_timestamp.as_ref()?.0;
    if is_pending { made.saturating_add(PENDING).ok() } else { None }
}
