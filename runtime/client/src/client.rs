//! Requests and answers, for no kind in particular.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use serde::de::DeserializeOwned;
use trimtab_api::{ApiError, from_json};

use crate::error::Error;
use crate::lean;
use crate::transport::{Body, Switched, Transport, TransportError, Upgraded};

/// How often a request is sent while the server has too much to do, as client-go does.
const TRIES: usize = 10;

/// When to come back, if the server says so.
fn again_after(response: &Response<Body>) -> Option<Duration> {
    if response.status() != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// A connection to one API server as one user. Cloning is cheap.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    namespace: Arc<str>,
    agent: Option<HeaderValue>,
    /// Whether objects are read without their managedFields.
    lean: bool,
}

impl Client {
    /// A client over `transport`.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, namespace: "default".into(), agent: None, lean: false }
    }

    /// A client of no server: whatever is asked fails.
    pub fn unconnected() -> Self {
        Self::new(Arc::new(Nowhere))
    }

    /// The same client, whose requests go through what `wrap` makes of the way to the server.
    #[must_use]
    pub fn through(mut self, wrap: impl FnOnce(Arc<dyn Transport>) -> Arc<dyn Transport>) -> Self {
        self.transport = wrap(self.transport);
        self
    }

    /// The same client with another default namespace.
    #[must_use]
    pub fn with_namespace(mut self, namespace: &str) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// The same client as the program called `agent`, which is the field manager of writes that name none.
    #[must_use]
    pub fn with_user_agent(mut self, agent: &'static str) -> Self {
        self.agent = Some(HeaderValue::from_static(agent));
        self
    }

    /// The same client, which reads objects without their `managedFields`: half of a small object, which nobody
    /// looks at but those who apply. Of a list that is read as one, the items keep theirs.
    #[must_use]
    pub fn without_managed_fields(mut self) -> Self {
        self.lean = true;
        self
    }

    /// Reads an object as this client reads them.
    ///
    /// # Errors
    /// When it is no JSON, or not a `T`.
    pub fn read<T: DeserializeOwned>(&self, json: &[u8]) -> Result<T, serde_json::Error> {
        let cut = if self.lean { lean::without_managed_fields(json) } else { None };
        from_json(cut.as_deref().unwrap_or(json))
    }

    /// The namespace that is meant when none is named.
    pub fn default_namespace(&self) -> &str {
        &self.namespace
    }

    /// The way to the server, for other people's clients: it passes on whatever is asked, and whatever is answered.
    pub fn transport(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.transport)
    }

    /// Where the server is.
    pub fn server(&self) -> &str {
        self.transport.server()
    }

    /// Sends a request whose success is any 2xx; the body is streamed. It is sent again when the server has too much
    /// to do and says when to come back.
    ///
    /// # Errors
    /// [`Error::Api`] for any other answer.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Body>, Error> {
        let request = self.signed(request);
        for _ in 1..TRIES {
            let response = self.transport.send(request.clone()).await?;
            match again_after(&response) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return self.succeeded(response).await,
            }
        }
        self.succeeded(self.transport.send(request).await?).await
    }

    async fn succeeded(&self, response: Response<Body>) -> Result<Response<Body>, Error> {
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    /// Sends a request and reads its whole answer.
    ///
    /// # Errors
    /// As [`Client::send`], and when the connection breaks.
    pub async fn bytes(&self, request: Request<Bytes>) -> Result<Bytes, Error> {
        let response = self.send(request).await?;
        self.collect(response.into_body()).await
    }

    /// Sends a request and reads its answer as JSON.
    ///
    /// # Errors
    /// As [`Client::bytes`], and when the answer is not a `T`.
    pub async fn json<T: DeserializeOwned>(&self, request: Request<Bytes>) -> Result<T, Error> {
        let what = format!("{} {}", request.method(), request.uri());
        let bytes = self.bytes(request).await?;
        self.read(&bytes).map_err(|source| Error::Decode { what, source })
    }

    /// GETs `path` as JSON.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.json(request(Method::GET, path, None)?).await
    }

    /// GETs `path` as text.
    ///
    /// # Errors
    /// As [`Client::bytes`].
    pub async fn text(&self, path: &str) -> Result<String, Error> {
        let bytes = self.bytes(request(Method::GET, path, None)?).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Sends a request that asks for an upgrade.
    ///
    /// # Errors
    /// [`Error::Api`] when the server does not switch protocols.
    pub async fn upgrade(&self, request: Request<Bytes>) -> Result<(Response<Body>, Upgraded), Error> {
        match self.transport.upgrade(self.signed(request)).await? {
            (response, Some(stream)) => Ok((response, stream)),
            (response, None) => Err(self.refusal(response).await),
        }
    }

    fn signed(&self, mut request: Request<Bytes>) -> Request<Bytes> {
        if let Some(agent) = &self.agent {
            request.headers_mut().insert(USER_AGENT, agent.clone());
        }
        request
    }

    async fn collect(&self, body: Body) -> Result<Bytes, Error> {
        let failed = |source| TransportError { server: self.server().to_owned(), source };
        Ok(body.collect().await.map_err(failed)?.to_bytes())
    }

    async fn refusal(&self, response: Response<Body>) -> Error {
        let code = response.status().as_u16();
        let body = match self.collect(response.into_body()).await {
            Ok(body) => body,
            Err(error) => return error,
        };
        match from_json::<Status>(&body) {
            Ok(status) if status.code.is_some() => ApiError::from_status(status).into(),
            _ => ApiError::new(code, "", String::from_utf8_lossy(&body)).into(),
        }
    }
}

struct Nowhere;

impl Nowhere {
    fn failed<T: Send + 'static>() -> BoxFuture<'static, Result<T, TransportError>> {
        let error = TransportError { server: "no server".to_owned(), source: "this client is of no server".into() };
        Box::pin(std::future::ready(Err(error)))
    }
}

impl Transport for Nowhere {
    fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        Self::failed()
    }

    fn upgrade(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Switched, TransportError>> {
        Self::failed()
    }

    fn server(&self) -> &str {
        "no server"
    }
}

/// A request that accepts JSON; `body` with its content type.
///
/// # Errors
/// When `path` is no URI.
pub fn request(method: Method, path: &str, body: Option<(&str, Bytes)>) -> Result<Request<Bytes>, Error> {
    let builder = Request::builder().method(method).uri(path).header(ACCEPT, "application/json");
    let built = match body {
        Some((content_type, bytes)) => builder.header(CONTENT_TYPE, content_type).body(bytes),
        None => builder.body(Bytes::new()),
    };
    built.map_err(|error| Error::Request(format!("{path:?}: {error}")))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Has too much to do for so many requests.
    struct Busy {
        refuses: usize,
        asked: AtomicUsize,
        says_when: bool,
    }

    impl Transport for Busy {
        fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
            assert_eq!(&**request.body(), b"body");
            let mut response = Response::new(crate::transport::empty_body());
            if self.asked.fetch_add(1, Ordering::Relaxed) < self.refuses {
                *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
                if self.says_when {
                    response.headers_mut().insert(RETRY_AFTER, 2.into());
                }
            }
            Box::pin(std::future::ready(Ok(response)))
        }

        fn upgrade(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Switched, TransportError>> {
            Nowhere::failed()
        }

        fn server(&self) -> &str {
            "busy"
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_sent_again_when_the_server_says_when() {
        for (refuses, says_when, asked, succeeds) in [(3, true, 4, true), (99, true, 10, false), (1, false, 1, false)] {
            let busy = Arc::new(Busy { refuses, asked: AtomicUsize::new(0), says_when });
            let client = Client::new(Arc::<Busy>::clone(&busy));
            let begun = tokio::time::Instant::now();
            let sent = client.send(request(Method::POST, "/a", Some(("text/plain", "body".into()))).unwrap()).await;
            assert_eq!((sent.is_ok(), busy.asked.load(Ordering::Relaxed)), (succeeds, asked));
            assert_eq!(begun.elapsed().as_secs(), 2 * (asked as u64 - 1));
        }
    }
}
