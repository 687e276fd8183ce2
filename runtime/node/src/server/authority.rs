//! Whether whoever asks may: by its certificate, and by what the API server says of it
//! (<https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/>).

use http::Method;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use trimtab_api::ApiError;
use trimtab_api::rbac::MASTERS;
use trimtab_client::{Api, Client};
use x509_parser::prelude::{FromDer, X509Certificate};

const AUTHENTICATED: &str = "system:authenticated";

/// The user and the groups of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    user: String,
    groups: Vec<String>,
}

impl Caller {
    /// Of a certificate whose signature is checked; `None` when it names nobody.
    pub(super) fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let subject = certificate.subject();
        let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
        let groups = subject.iter_organization().filter_map(|o| o.as_str().ok()).map(str::to_owned).collect();
        Some(Self { user, groups })
    }

    /// Asks the API server whether the caller may do this on `node`.
    ///
    /// # Errors
    /// 403 when it may not, 500 when nobody could say.
    pub(super) async fn check(&self, client: &Client, node: &str, method: &Method, path: &str) -> Result<(), ApiError> {
        if self.groups.iter().any(|group| group == MASTERS) {
            return Ok(());
        }
        let verb = verb(method);
        for subresource in subresources(path) {
            if self.may(client, node, verb, subresource).await? {
                return Ok(());
            }
        }
        let message = format!(
            "Forbidden (user={}, verb={verb}, resource=nodes, subresource(s)={:?})",
            self.user,
            subresources(path)
        );
        Err(ApiError::new(403, "Forbidden", message))
    }

    async fn may(&self, client: &Client, node: &str, verb: &str, subresource: &str) -> Result<bool, ApiError> {
        let attributes = ResourceAttributes {
            resource: Some("nodes".to_owned()),
            subresource: Some(subresource.to_owned()),
            name: Some(node.to_owned()),
            verb: Some(verb.to_owned()),
            version: Some("v1".to_owned()),
            ..ResourceAttributes::default()
        };
        let groups = self.groups.iter().cloned().chain([AUTHENTICATED.to_owned()]).collect();
        let spec = SubjectAccessReviewSpec {
            user: Some(self.user.clone()),
            groups: Some(groups),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let answer = Api::<SubjectAccessReview>::all(client).create(&review).await;
        let failed = |error| ApiError::internal(format!("Authorization error (user={}): {error}", self.user));
        Ok(answer.map_err(failed)?.status.is_some_and(|status| status.allowed))
    }
}

fn verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "get",
    }
}

/// As what of a node a path counts, one of which is enough.
fn subresources(path: &str) -> &'static [&'static str] {
    match path.trim_matches('/').split('/').next().unwrap_or_default() {
        "healthz" => &["healthz", "proxy"],
        "pods" => &["pods", "proxy"],
        "stats" => &["stats"],
        _ => &["proxy"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_counts_as() {
        for (path, expected) in [
            ("/healthz", &["healthz", "proxy"][..]),
            ("/pods", &["pods", "proxy"]),
            ("/stats/summary", &["stats"]),
            ("/exec/ns/pod/c", &["proxy"]),
            ("/containerLogs/ns/pod/c", &["proxy"]),
        ] {
            assert_eq!(subresources(path), expected, "{path}");
        }
        assert_eq!((verb(&Method::GET), verb(&Method::POST)), ("get", "create"));
    }

    #[test]
    fn what_is_no_certificate_names_nobody() {
        assert_eq!(Caller::of(b"x"), None);
    }
}
