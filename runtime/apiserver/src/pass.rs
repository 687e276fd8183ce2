//! Passes a request on to another server, and its answer back.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderName, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Method, Request, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use trimtab_api::ApiError;
use trimtab_client::{Body, Transport, TransportError};

use crate::audit::Record;
use crate::handler::{Answer, Call};
use crate::server::ApiServer;

/// What is about one connection alone (RFC 9110, section 7.6.1).
const OF_THE_CONNECTION: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
/// What is between the client and this server.
const OF_THE_CLIENT: [HeaderName; 4] = [HOST, AUTHORIZATION, ACCEPT_ENCODING, CONTENT_LENGTH];

/// What is passed on.
pub(crate) struct Sent<'a> {
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    pub body: Bytes,
    pub record: Option<&'a Arc<Record>>,
}

impl<'a> Sent<'a> {
    pub(crate) fn of(call: &'a Call<'_>) -> Self {
        Self { method: call.method, headers: call.headers, body: call.body.clone(), record: call.record }
    }
}

/// Sends the request to `uri` on another server, with `more` among its headers. A connection that the
/// other server upgrades is passed on byte for byte.
///
/// # Errors
/// What `away` makes of it when the other server cannot be reached; 400 when `uri` is none.
pub(crate) async fn on(
    server: &ApiServer,
    sent: Sent<'_>,
    (transport, uri): (&dyn Transport, &str),
    more: HeaderMap,
    upgrade: Option<OnUpgrade>,
    away: impl Fn(TransportError) -> ApiError,
) -> Answer {
    let upgrade = upgrade.filter(|_| sent.headers.contains_key(UPGRADE));
    let mut request = Request::builder().method(sent.method.clone()).uri(uri);
    for (header, value) in sent.headers {
        let of_the_connection = upgrade.is_none() && OF_THE_CONNECTION.contains(header);
        if !of_the_connection && !OF_THE_CLIENT.contains(header) {
            request = request.header(header, value);
        }
    }
    for (header, value) in &more {
        request = request.header(header, value);
    }
    let request = request.body(sent.body).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let Some(upgrade) = upgrade else { return Ok(without_connection(transport.send(request).await.map_err(away)?)) };
    let (response, stream) = transport.upgrade(request).await.map_err(away)?;
    let Some(mut stream) = stream else { return Ok(without_connection(response)) };
    // The request lasts as long as its stream.
    let record = sent.record.cloned();
    server.tunnel(async move {
        let _record = record;
        let Ok(client) = upgrade.await else { return };
        let mut client = TokioIo::new(client);
        // Either side hanging up ends the tunnel. The client is told in the way of its protocol,
        // however the other server went.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut stream).await;
        let _ = client.shutdown().await;
    });
    Ok(response)
}

fn without_connection(mut response: Response<Body>) -> Response<Body> {
    OF_THE_CONNECTION.iter().for_each(|header| drop(response.headers_mut().remove(header)));
    response
}
