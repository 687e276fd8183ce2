//! What the program tells of itself over HTTP.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use rustls::ServerConfig;
use serde_json::Value;
use tokio::net::TcpListener;
use trimtab_api::custom::Declaration;
use trimtab_env::Tasks;
use trimtab_reconcile::Manager;
use trimtab_serve::{Body, Server, response};

use crate::webhook;

const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How long a request may still be answered after the end has begun.
const GRACE: Duration = Duration::from_secs(5);
/// The largest conversion review, in bytes: many objects of the largest size.
const MAX_REVIEW: usize = 64 << 20;

/// How the controllers stand, once there are any.
#[derive(Clone, Default)]
pub(crate) struct Health(Arc<OnceLock<Manager>>);

impl Health {
    pub(crate) fn tells_of(&self, manager: &Manager) {
        let _ = self.0.set(manager.clone());
    }

    /// Serves health checks (<https://kubernetes.io/docs/reference/using-api/health-checks/>) and metrics.
    pub(crate) fn serve(&self, listener: TcpListener, tasks: &Tasks) {
        let health = self.clone();
        Server { listener, tls: None, grace: GRACE }
            .start(tasks, move |request, _| std::future::ready(health.answer(&request)));
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD are answered\n");
        }
        let manager = self.0.get();
        match request.uri().path() {
            "/healthz" | "/livez" => response(StatusCode::OK, TEXT, "ok"),
            "/readyz" => match manager {
                Some(manager) if manager.is_synced() => response(StatusCode::OK, TEXT, "ok"),
                Some(_) => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, "not everything is read yet\n"),
                None => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, "the controllers do not run yet\n"),
            },
            "/metrics" => {
                response(StatusCode::OK, METRICS, manager.map(Manager::metrics).unwrap_or_else(|| "# EOF\n".to_owned()))
            }
            "/failing" => response(StatusCode::OK, TEXT, manager.map(Manager::failing).unwrap_or_default()),
            _ => response(StatusCode::NOT_FOUND, TEXT, "there are /healthz, /livez, /readyz, /metrics and /failing\n"),
        }
    }
}

/// Serves the webhook that converts between the versions of `kinds`.
pub(crate) fn serve_conversions(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    kinds: Vec<&'static Declaration>,
    tasks: &Tasks,
) {
    let kinds: Arc<[_]> = kinds.into();
    Server { listener, tls: Some(tls), grace: GRACE }.start(tasks, move |request, _| {
        let kinds = Arc::clone(&kinds);
        async move { review(&kinds, request).await }
    });
}

async fn review(kinds: &[&'static Declaration], request: Request<Incoming>) -> Response<Body> {
    if request.uri().path() != webhook::PATH {
        return response(StatusCode::NOT_FOUND, TEXT, "there is /convert\n");
    }
    if request.method() != Method::POST {
        return response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "a ConversionReview is sent by POST\n");
    }
    let wrong = |status, why: String| response(status, TEXT, why);
    let body = match Limited::new(request.into_body(), MAX_REVIEW).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return wrong(StatusCode::BAD_REQUEST, format!("the body cannot be read: {error}\n")),
    };
    match serde_json::from_slice::<Value>(&body) {
        Ok(review) => response(StatusCode::OK, "application/json", webhook::convert(kinds, &review).to_string()),
        Err(error) => wrong(StatusCode::BAD_REQUEST, format!("this is no ConversionReview: {error}\n")),
    }
}
