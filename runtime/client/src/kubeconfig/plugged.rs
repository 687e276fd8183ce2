//! Requests as who a credential plugin says, for as long as it says.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use rustls::ClientConfig;
use tokio::sync::Mutex;
use trimtab_env::Env;

use super::exec::{Credential, Plugin};
use super::tls::identify;
use crate::BoxError;
use crate::bearer::Bearer;
use crate::http::{HttpTransport, Use, Way};
use crate::transport::{Body, Switched, Transport, TransportError};

/// A transport whose credentials a plugin gives out. They are held until they expire or the server refuses them.
pub(super) struct Plugged {
    plugin: Plugin,
    way: Way,
    server: String,
    /// Without what the plugin gives out.
    tls: ClientConfig,
    env: Env,
    held: Mutex<Option<Held>>,
}

/// Connections that were made with one credential, and with no other.
struct Held {
    transport: Arc<HttpTransport>,
    expires: Option<Time>,
}

impl Plugged {
    /// Runs `plugin` when something is asked for the first time.
    pub(super) fn new(plugin: Plugin, way: Way, server: &str, tls: ClientConfig) -> Self {
        Self { plugin, way, server: server.to_owned(), tls, env: Env::system(), held: Mutex::new(None) }
    }

    async fn ask(&self, request: Request<Bytes>, use_: Use) -> Result<Switched, TransportError> {
        let (transport, is_new) = self.current().await?;
        let answer = ask(&transport, request.clone(), use_).await?;
        if answer.0.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.forget(&transport).await;
        // What has just been given out does not get better by asking for it again.
        if is_new {
            return Ok(answer);
        }
        let (transport, _) = self.current().await?;
        ask(&transport, request, use_).await
    }

    /// What to ask by, and whether the plugin was run for it.
    async fn current(&self) -> Result<(Arc<HttpTransport>, bool), TransportError> {
        // Held while the plugin runs: who comes meanwhile waits for the same credential.
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| held.is_good(&self.env)) {
            return Ok((Arc::clone(&held.transport), false));
        }
        let failed = |source: BoxError| TransportError { server: self.server.clone(), source };
        let credential = self.plugin.run().await.map_err(|error| failed(error.into()))?;
        let transport = Arc::new(self.connected(&credential).map_err(failed)?);
        *held = Some(Held { transport: Arc::clone(&transport), expires: credential.expiration_timestamp });
        Ok((transport, true))
    }

    fn connected(&self, credential: &Credential) -> Result<HttpTransport, BoxError> {
        let mut tls = self.tls.clone();
        // A certificate in the file goes before the plugin's, as for kubectl.
        if let Some((cert, key)) = credential.identity().filter(|_| !tls.client_auth_cert_resolver.has_certs()) {
            identify(&mut tls, cert.as_bytes(), key.as_bytes())?;
        }
        let bearer = credential.token().map(|token| Bearer::Token(token.to_owned()));
        Ok(HttpTransport::by(&self.way, &self.server, &tls, bearer)?)
    }

    /// Does not ask by `refused` again.
    async fn forget(&self, refused: &Arc<HttpTransport>) {
        self.held.lock().await.take_if(|held| Arc::ptr_eq(&held.transport, refused));
    }
}

impl Held {
    fn is_good(&self, env: &Env) -> bool {
        self.expires.as_ref().is_none_or(|expires| env.now() < expires.0)
    }
}

async fn ask(transport: &HttpTransport, request: Request<Bytes>, use_: Use) -> Result<Switched, TransportError> {
    match use_ {
        Use::Requests => Ok((transport.send(request).await?, None)),
        Use::Upgrades => transport.upgrade(request).await,
    }
}

impl Transport for Plugged {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        Box::pin(async move { Ok(self.ask(request, Use::Requests).await?.0) })
    }

    fn upgrade(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Switched, TransportError>> {
        Box::pin(self.ask(request, Use::Upgrades))
    }

    fn server(&self) -> &str {
        &self.server
    }
}
