//! Approves what nodes' agents ask for, if whoever asks may ask for it.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use trimtab_api::kinds::signing_request::{KUBELET_CLIENT, Request, check_signer};
use trimtab_client::Api;
use trimtab_reconcile::{Context, Next, Result, controller};

use super::{condition, is_issued, with_condition};

/// Approves the requests of nodes' agents for certificates as clients.
#[derive(Debug, Default)]
pub struct CertificateApproving;

#[controller(
    for = CertificateSigningRequest,
    name = "certificate-approving",
    crate = "trimtab_reconcile"
)]
impl CertificateApproving {
    async fn reconcile(
        &self,
        request: &CertificateSigningRequest,
        cx: &Context<CertificateSigningRequest>,
    ) -> Result<Next> {
        let decided = ["Approved", "Denied"].into_iter().any(|type_| condition(request, type_).is_some());
        if decided || is_issued(request) {
            return Ok(Next::on_change());
        }
        for (permission, message) in permissions(request) {
            if may(request, permission, cx).await? {
                let now = cx.env().now();
                let approved = with_condition(request, "Approved", "AutoApproved", message.to_owned(), now);
                approve(&approved, cx).await?;
                break;
            }
        }
        Ok(Next::on_change())
    }
}

/// What whoever asks needs to be allowed (one is enough), and what is said then.
fn permissions(request: &CertificateSigningRequest) -> Vec<(&'static str, &'static str)> {
    let spec = &request.spec;
    let usages = spec.usages.as_deref().unwrap_or_default();
    let Ok(parsed) = Request::parse(&spec.request.0) else { return Vec::new() };
    if spec.signer_name != KUBELET_CLIENT || check_signer(KUBELET_CLIENT, &parsed, usages).is_err() {
        return Vec::new();
    }
    let mut all = Vec::new();
    if spec.username.as_deref() == Some(&*parsed.common_name) {
        let message = "Auto approving self kubelet client certificate after SubjectAccessReview.";
        all.push(("selfnodeclient", message));
    }
    all.push(("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."));
    all
}

async fn may(
    request: &CertificateSigningRequest,
    permission: &str,
    cx: &Context<CertificateSigningRequest>,
) -> Result<bool> {
    let spec = &request.spec;
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: spec.username.clone(),
            uid: spec.uid.clone(),
            groups: spec.groups.clone(),
            extra: spec.extra.clone(),
            resource_attributes: Some(ResourceAttributes {
                group: Some("certificates.k8s.io".to_owned()),
                resource: Some("certificatesigningrequests".to_owned()),
                subresource: Some(permission.to_owned()),
                verb: Some("create".to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let review = Api::<SubjectAccessReview>::all(cx.client()).create(&review).await?;
    Ok(review.status.is_some_and(|status| status.allowed))
}

async fn approve(approved: &CertificateSigningRequest, cx: &Context<CertificateSigningRequest>) -> Result<()> {
    let api = Api::<CertificateSigningRequest>::all(cx.client());
    match api.replace_subresource(approved, "approval").await {
        Err(error) if error.is_not_found() => Ok(()),
        done => Ok(done.map(drop)?),
    }
}
