//! What lets others recognise our tokens: OpenID Connect Discovery 1.0, and the keys (RFC 7517)
//! (<https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery>).

use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::Tokens;
use crate::body;
use crate::handler::Answer;

const CONFIGURATION: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/openid/v1/jwks";

/// The document at `path`, if there is one.
pub(crate) fn answer(tokens: Option<&Tokens>, path: &str) -> Option<Answer> {
    let config = &tokens?.config;
    let (media, value) = match path.trim_end_matches('/') {
        CONFIGURATION => (
            "application/json",
            json!({
                "issuer": config.issuer,
                "jwks_uri": config.jwks_uri,
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            }),
        ),
        KEYS => ("application/jwk-set+json", json!({"keys": [config.key.public()]})),
        _ => return None,
    };
    let mut response = body::bytes(StatusCode::OK, media, value.to_string());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Some(Ok(response))
}
