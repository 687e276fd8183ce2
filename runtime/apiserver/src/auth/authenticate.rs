//! Who a request is from: by its connection's certificate, or by the token it carries.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use trimtab_api::ApiError;

use super::Identity;
use super::token::{Known, Tokens};
use crate::server::ApiServer;

/// Who asks: `shown` is who the connection is from.
///
/// # Errors
/// 401 for a token that is not good.
pub(crate) async fn caller<'a>(
    server: &ApiServer,
    shown: Option<&'a Identity>,
    headers: &HeaderMap,
) -> Result<Cow<'a, Identity>, ApiError> {
    if let Some(identity) = shown {
        return Ok(Cow::Borrowed(identity));
    }
    let Some(token) = bearer(headers) else { return Ok(Cow::Borrowed(Identity::anonymous())) };
    let audiences = server.inner.tokens.as_ref().map(Tokens::audiences).unwrap_or_default();
    match of_token(server, token, &audiences).await {
        Ok(Some(known)) => Ok(Cow::Owned(known.identity)),
        Ok(None) => Err(ApiError::unauthorized()),
        Err(why) => {
            tracing::info!(%why, "a bearer token was refused");
            Err(ApiError::unauthorized())
        }
    }
}

/// Who shows `token` to one of `audiences`; `None` when nobody knows the token.
///
/// # Errors
/// Why it is not good.
pub(super) async fn of_token(server: &ApiServer, token: &str, audiences: &[String]) -> Result<Option<Known>, String> {
    let inner = &*server.inner;
    match &inner.tokens {
        Some(tokens) => tokens.authenticate(&*inner.store, token, audiences, inner.env.now()).await,
        None => Ok(None),
    }
}

/// The token in an `Authorization` header (RFC 6750).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
