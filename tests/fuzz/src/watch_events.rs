//! The events of a watch, as the client reads them.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http_body_util::{BodyExt, Full};
use k8s_openapi::api::core::v1::Pod;
use trimtab_client::{Api, Body, Client, ListParams, Switched, Transport, TransportError};

/// A server that answers everything with the same bytes.
struct Says(Bytes);

impl Transport for Says {
    fn send(&self, _: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        let body = Full::new(self.0.clone()).map_err(|never| match never {}).boxed_unsync();
        async move { Ok(http::Response::new(body)) }.boxed()
    }

    fn upgrade(&self, _: http::Request<Bytes>) -> BoxFuture<'_, Result<Switched, TransportError>> {
        async move { Ok((http::Response::new(trimtab_client::empty_body()), None)) }.boxed()
    }

    fn server(&self) -> &str {
        "a fuzzer"
    }
}

/// Of each line there is one event at most, and an error is the last.
pub fn watch_events(bytes: &[u8]) {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    let says = || Arc::new(Says(Bytes::copy_from_slice(bytes)));
    for client in [Client::new(says()), Client::new(says()).without_managed_fields()] {
        let api: Api<Pod> = Api::all(&client);
        let events = async {
            let events = api.watch(&ListParams::default(), "0").await.expect("the server answers");
            events.collect::<Vec<_>>().await
        };
        let events = events.now_or_never().expect("the bytes are all there");
        assert!(events.len() <= lines, "{} events of {lines} lines", events.len());
        let failed = events.iter().position(Result::is_err);
        assert!(failed.is_none_or(|at| at + 1 == events.len()));
    }
}
