//! Who a request is from: by its connection's certificate, or by the token it carries; and as whom
//! it is made.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderValue};
use trimtab_api::ApiError;
use trimtab_client::header_list;

use super::token::{Known, Tokens};
use super::{Identity, bootstrap_token, impersonate};
use crate::audit::Record;
use crate::server::ApiServer;

/// In the name of a WebSocket's protocol, what stands before a token: browsers cannot set headers.
const PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// Who asks: `shown` is who the connection is from. What is for us alone is taken out of `headers`.
///
/// # Errors
/// 401 for a token that is not good.
pub(crate) async fn caller<'a>(
    server: &ApiServer,
    shown: Option<&'a Identity>,
    headers: &mut HeaderMap,
) -> Result<Cow<'a, Identity>, ApiError> {
    let offered = from_protocols(headers);
    match shown {
        Some(identity) => Ok(Cow::Borrowed(identity)),
        None => by_token(server, bearer(headers).or(offered)).await,
    }
}

/// As whom `caller` wants its request to be made: itself, if `headers` do not say otherwise.
///
/// # Errors
/// 403 when it may not act as whom it wants to.
pub(crate) async fn acting<'a>(
    server: &ApiServer,
    caller: Cow<'a, Identity>,
    headers: &mut HeaderMap,
    record: Option<&Arc<Record>>,
) -> Result<Cow<'a, Identity>, ApiError> {
    let Some(other) = impersonate::asked(server, &caller, headers).await? else { return Ok(caller) };
    if let Some(record) = record {
        record.acts_as(&other);
    }
    Ok(Cow::Owned(other))
}

async fn by_token<'a>(server: &ApiServer, token: Option<String>) -> Result<Cow<'a, Identity>, ApiError> {
    let Some(token) = token else { return Ok(Cow::Borrowed(Identity::anonymous())) };
    let audiences = server.inner.tokens.as_ref().map(Tokens::audiences).unwrap_or_default();
    match of_token(server, &token, &audiences).await {
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
    let (store, now) = (&*inner.store, inner.env.now());
    if let Some(tokens) = &inner.tokens
        && let Some(known) = tokens.authenticate(store, token, audiences, now).await?
    {
        return Ok(Some(known));
    }
    let found = bootstrap_token::authenticate(store, token, now).await;
    let found = found.map_err(|error| error.to_string())?;
    // These are for nobody in particular.
    Ok(found.map(|identity| Known { identity, audiences: audiences.to_vec() }))
}

/// The token in an `Authorization` header (RFC 6750).
fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

/// The token among the protocols that a WebSocket offers, which then are the others: it goes no
/// further, good or not. As upstream, it is none when no other is offered: the server must choose
/// one, and it will not be the token.
fn from_protocols(headers: &mut HeaderMap) -> Option<String> {
    headers.get(UPGRADE)?.to_str().ok()?.eq_ignore_ascii_case("websocket").then_some(())?;
    let offered = header_list(headers, SEC_WEBSOCKET_PROTOCOL);
    let (tokens, others): (Vec<&str>, Vec<&str>) = offered.partition(|protocol| protocol.starts_with(PROTOCOL));
    let token = tokens.first()?.strip_prefix(PROTOCOL).and_then(|token| URL_SAFE_NO_PAD.decode(token).ok());
    let others = HeaderValue::from_str(&others.join(", ")).ok().filter(|others| !others.is_empty());
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    headers.insert(SEC_WEBSOCKET_PROTOCOL, others?);
    String::from_utf8(token?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(protocols: &[&str], token: Option<&str>, left: &str) {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        for list in protocols {
            headers.append(SEC_WEBSOCKET_PROTOCOL, list.parse().unwrap());
        }
        assert_eq!(from_protocols(&mut headers).as_deref(), token, "{protocols:?}");
        let found = headers.get(SEC_WEBSOCKET_PROTOCOL).map_or("", |found| found.to_str().unwrap());
        assert_eq!(found, left, "{protocols:?}");
    }

    #[test]
    fn a_websockets_protocol_may_be_a_token() {
        let token = format!("{PROTOCOL}{}", URL_SAFE_NO_PAD.encode("a.b"));
        check(&["v5.channel.k8s.io"], None, "v5.channel.k8s.io");
        check(&[&format!("{token}, v5.channel.k8s.io, v4")], Some("a.b"), "v5.channel.k8s.io, v4");
        check(&["v4", &token], Some("a.b"), "v4");
        // What is no token, or may be none, goes no further either.
        check(&[&token], None, "");
        check(&[&format!("{PROTOCOL}%, v4")], None, "v4");
    }
}
