//! Requests over HTTPS, by reqwest.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{HOST, HeaderMap, HeaderValue};
use http::{Request, Response};
use http_body_util::BodyExt;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, Proxy};
use rustls::ClientConfig;
use url::{Host, Position, Url};

use crate::bearer::Bearer;
use crate::transport::{Body, Transport, TransportError, Upgraded};

/// A transport over HTTPS: HTTP/2 for requests, HTTP/1.1 for upgrades.
pub struct HttpTransport {
    server: String,
    /// What stands before each request's path.
    base: String,
    /// What each request says beside its own headers.
    headers: HeaderMap,
    requests: reqwest::Client,
    upgrades: reqwest::Client,
    bearer: Option<Bearer>,
}

/// How a server is reached, and what every request to it says.
#[derive(Clone, Default)]
pub(crate) struct Way {
    /// Compressed answers are not asked for: on one machine, to compress them takes longer than to send them.
    pub(crate) uncompressed: bool,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) alias: Option<Alias>,
    pub(crate) headers: HeaderMap,
}

/// A server whose certificate is for another name than the one in its URL. A connection asks for the name in the
/// URL and holds the certificate against it, so that the URL says the other name, which leads to the server's address.
#[derive(Clone)]
pub(crate) struct Alias {
    base: String,
    authority: HeaderValue,
    host: String,
}

impl Alias {
    /// `None` where `name` is no host name: an address in a URL would lead to itself.
    pub(crate) fn new(server: &str, name: &str) -> Option<Self> {
        let mut url = Url::parse(server).ok()?;
        let authority = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]).ok()?;
        let host = match url.host()? {
            Host::Ipv6(address) => address.to_string(),
            host => host.to_string(),
        };
        url.set_host(Some(name)).ok()?;
        let is_name = matches!(url.host(), Some(Host::Domain(set)) if set.eq_ignore_ascii_case(name));
        is_name.then(|| Self { base: url.as_str().trim_end_matches('/').to_owned(), authority, host })
    }
}

impl Resolve for Alias {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.host.clone();
        Box::pin(async move {
            // The port is that of the URL.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Who vouches for a server that is not the cluster's.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// The system's authorities.
    System,
    /// The authorities whose certificates these are, in PEM.
    Authority(&'a [u8]),
    /// Nobody need: for servers inside the cluster that have a certificate of their own making.
    Anybody,
}

impl HttpTransport {
    /// A transport to `server` (`https://host:port`, with a path prefix if it has one).
    ///
    /// # Errors
    /// When the TLS configuration cannot be used.
    pub fn new(server: &str, tls: &ClientConfig, bearer: Option<Bearer>) -> Result<Self, TransportError> {
        Self::by(&Way::default(), server, tls, bearer)
    }

    /// As [`HttpTransport::new`], by a way of its own.
    ///
    /// # Errors
    /// As [`HttpTransport::new`].
    pub(crate) fn by(
        way: &Way,
        server: &str,
        tls: &ClientConfig,
        bearer: Option<Bearer>,
    ) -> Result<Self, TransportError> {
        let mut made = Self::made(server, bearer, |builder, use_| {
            // HTTP/2 has no other word for whom a request is for than the URL's.
            let use_ = if way.alias.is_some() { Use::Upgrades } else { use_ };
            let builder = builder.tls_backend_preconfigured(offering(tls, use_)).gzip(!way.uncompressed);
            let builder = way.proxy.iter().fold(builder, |builder, proxy| builder.proxy(proxy.clone()));
            let alias = way.alias.iter().cloned();
            Ok(alias.fold(builder, |builder, alias| builder.dns_resolver(alias).http1_only()))
        })?;
        made.headers = way.headers.clone();
        if let Some(alias) = &way.alias {
            made.base.clone_from(&alias.base);
            made.headers.insert(HOST, alias.authority.clone());
        }
        Ok(made)
    }

    /// A transport to a server that is not the cluster's. It is looked for at the address `at`,
    /// whatever its name resolves to; the port is the name's. It is shown `identity`, a certificate
    /// and its key in PEM, if it asks for one.
    ///
    /// # Errors
    /// When the authorities' certificates, or those of `identity`, cannot be read.
    pub fn trusting(
        server: &str,
        trust: Trust<'_>,
        at: Option<SocketAddr>,
        identity: Option<&str>,
    ) -> Result<Self, TransportError> {
        // Without a provider of its own, reqwest takes the process' default one.
        let _ = provider().as_ref().clone().install_default();
        let host = server.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
        // Of a setup that is reqwest's own, it offers the protocols itself.
        Self::made(server, None, |builder, _| {
            let builder = match trust {
                Trust::System => builder,
                Trust::Authority(pem) => builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem)?),
                Trust::Anybody => builder.tls_danger_accept_invalid_certs(true),
            };
            let builder = match identity {
                Some(pem) => builder.identity(reqwest::Identity::from_pem(pem.as_bytes())?),
                None => builder,
            };
            Ok(at.into_iter().fold(builder, |builder, at| builder.resolve(&host, at)))
        })
    }

    fn made(
        server: &str,
        bearer: Option<Bearer>,
        with: impl Fn(ClientBuilder, Use) -> reqwest::Result<ClientBuilder>,
    ) -> Result<Self, TransportError> {
        let server = server.trim_end_matches('/').to_owned();
        let builder = |use_| {
            let agent = concat!("trimtab/", env!("CARGO_PKG_VERSION"));
            // A redirect is for whoever asked: it might lead where they may not go.
            with(reqwest::Client::builder().no_proxy().redirect(Policy::none()).user_agent(agent), use_)
        };
        let both =
            || reqwest::Result::Ok((builder(Use::Requests)?.build()?, builder(Use::Upgrades)?.http1_only().build()?));
        let (requests, upgrades) =
            both().map_err(|source| TransportError { server: server.clone(), source: source.into() })?;
        Ok(Self { base: server.clone(), server, headers: HeaderMap::new(), requests, upgrades, bearer })
    }

    async fn execute(
        &self,
        client: &reqwest::Client,
        request: Request<Bytes>,
    ) -> Result<reqwest::Response, TransportError> {
        let (mut parts, body) = request.into_parts();
        parts.headers.extend(self.headers.clone());
        let mut builder = client.request(parts.method, format!("{}{}", self.base, parts.uri)).headers(parts.headers);
        if let Some(bearer) = &self.bearer {
            builder = builder.bearer_auth(bearer.token());
        }
        builder.body(body).send().await.map_err(|error| self.failed(error))
    }

    fn failed(&self, source: reqwest::Error) -> TransportError {
        TransportError { server: self.server.clone(), source: source.without_url().into() }
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        Box::pin(async move { Ok(streamed(self.execute(&self.requests, request).await?)) })
    }

    fn upgrade(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<(Response<Body>, Option<Upgraded>), TransportError>> {
        Box::pin(async move {
            let response = self.execute(&self.upgrades, request).await?;
            if response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
                return Ok((streamed(response), None));
            }
            let mut head = Response::new(crate::transport::empty_body());
            *head.status_mut() = response.status();
            *head.headers_mut() = response.headers().clone();
            let stream = response.upgrade().await.map_err(|error| self.failed(error))?;
            Ok((head, Some(Box::new(stream) as Upgraded)))
        })
    }

    fn server(&self) -> &str {
        &self.server
    }
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Requests,
    Upgrades,
}

/// `tls`, which offers by ALPN what is spoken over it, unless it says so itself: what is not offered, no server
/// chooses.
fn offering(tls: &ClientConfig, use_: Use) -> ClientConfig {
    let mut tls = tls.clone();
    match use_ {
        Use::Upgrades => tls.alpn_protocols = vec![b"http/1.1".to_vec()],
        Use::Requests if tls.alpn_protocols.is_empty() => {
            tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        }
        Use::Requests => {}
    }
    tls
}

fn streamed(response: reqwest::Response) -> Response<Body> {
    Response::<reqwest::Body>::from(response).map(|body| body.map_err(Into::into).boxed_unsync())
}

/// GETs a document of at most `limit` bytes from anywhere, as a manifest from the web.
///
/// # Errors
/// When it cannot be had within 30 seconds, is larger, or is no text.
pub async fn fetch(url: &str, limit: usize) -> Result<String, TransportError> {
    let failed = |source: crate::BoxError| TransportError { server: url.to_owned(), source };
    // Without a provider of its own, reqwest takes the process' default one.
    let _ = provider().as_ref().clone().install_default();
    let client = reqwest::Client::builder().timeout(std::time::Duration::from_secs(30)).build();
    let request = client.map_err(|error| failed(error.into()))?.get(url).send();
    let response = request.await.and_then(reqwest::Response::error_for_status);
    let mut response = response.map_err(|error| failed(error.without_url().into()))?;
    let mut text = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| failed(error.without_url().into()))? {
        text.extend_from_slice(&piece);
        if text.len() > limit {
            return Err(failed(format!("the document is larger than {limit} bytes").into()));
        }
    }
    String::from_utf8(text).map_err(|error| failed(error.into()))
}

/// The one TLS provider that this project uses.
pub fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
