//! Deletes the bootstrap tokens that have expired (`pkg/controller/bootstrap`, `tokencleaner`).

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use trimtab_client::{Api, DeleteParams, ListParams};
use trimtab_reconcile::{Context, Controller, Error, Next, Result};

const NAMESPACE: &str = "kube-system";
const TYPE: &str = "bootstrap.kubernetes.io/token";
const EXPIRATION: &str = "expiration";

/// Deletes each bootstrap token when it expires.
#[derive(Debug, Default)]
pub struct TokenCleaner;

impl Controller for TokenCleaner {
    type Kind = Secret;
    const NAME: &'static str = "token-cleaner";

    // Of no other Secret it needs to know.
    fn selection() -> ListParams {
        ListParams::default().fields(format!("metadata.namespace={NAMESPACE},type={TYPE}"))
    }

    async fn reconcile(&self, secret: &Secret, cx: &Context<Secret>) -> Result<Next> {
        let left = match left(secret, cx.env().now()) {
            None => return Ok(Next::on_change()),
            Some(left) => left,
        };
        if !left.is_zero() {
            return Ok(Next::after(left));
        }
        let params = DeleteParams::default().uid(secret.metadata.uid.clone().unwrap_or_default());
        let name = secret.metadata.name.as_deref().unwrap_or_default();
        match Api::<Secret>::namespaced(cx.client(), NAMESPACE).delete(name, &params).await {
            Err(error) if error.is_not_found() => Ok(Next::on_change()),
            done => done.map(|_| Next::on_change()).map_err(Error::Client),
        }
    }
}

/// How long a token is still good; `None`: for ever. One that does not say a time it can be read is not.
fn left(secret: &Secret, now: Timestamp) -> Option<Duration> {
    let expiration = secret.data.as_ref()?.get(EXPIRATION).filter(|bytes| !bytes.0.is_empty())?;
    let end: Option<Timestamp> = std::str::from_utf8(&expiration.0).ok().and_then(|text| text.parse().ok());
    Some(end.map_or(Duration::ZERO, |end| Duration::try_from(end.duration_since(now)).unwrap_or_default()))
}
