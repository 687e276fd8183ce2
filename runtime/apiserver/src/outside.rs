//! Questions to other servers: webhooks, by a URL or behind a Service.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request};
use http_body_util::BodyExt;
use k8s_openapi::api::admissionregistration::v1::WebhookClientConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use trimtab_client::{Body, HttpTransport, Transport, Trust, root_cause};

use crate::backend;
use crate::server::ApiServer;

/// The most that an answer may say.
pub(crate) const MAX_ANSWER: usize = 8 << 20;

/// What `config` names answers to `body` within `limit`, which is told as `query`; at most `most`
/// bytes.
///
/// # Errors
/// When it cannot be asked, or answers with anything but success.
pub(crate) async fn post(
    server: &ApiServer,
    config: &WebhookClientConfig,
    query: &str,
    limit: Duration,
    most: usize,
    body: String,
) -> Result<Vec<u8>, String> {
    let (transport, path) = transport(server, config).await?;
    let uri = format!("{path}{query}");
    let url = format!("{}{uri}", transport.server());
    let failed = |cause: String| format!("Post {url:?}: {cause}");
    let request = Request::builder().method(Method::POST).uri(&uri);
    let request = request.header(CONTENT_TYPE, "application/json").header(ACCEPT, "application/json");
    let request = request.body(Bytes::from(body)).map_err(|error| failed(error.to_string()))?;
    let answer = async {
        let response = transport.send(request).await.map_err(|error| failed(root_cause(&error)))?;
        let status = response.status();
        let body = whole(response.into_body(), most).await.map_err(failed)?;
        if !status.is_success() {
            let text = String::from_utf8_lossy(&body[..body.len().min(1_024)]).into_owned();
            return Err(failed(format!("the server answered {status}: {text}")));
        }
        Ok(body)
    };
    tokio::select! {
        biased;
        answer = answer => answer,
        () = server.inner.env.sleep(limit) => Err(failed("context deadline exceeded".to_owned())),
    }
}

/// The response in a webhook's answer to the review `uid`, which is an `api_version` `kind`; `absent`
/// is told when there is none.
///
/// # Errors
/// When it is not the answer to that review, or its response cannot be read.
pub(crate) fn response<R: DeserializeOwned>(
    answer: &[u8],
    (api_version, kind): (&str, &str),
    uid: &str,
    absent: &str,
) -> Result<R, String> {
    let review: Review<R> = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
    if (review.api_version.as_str(), review.kind.as_str()) != (api_version, kind) {
        return Err(format!(
            "expected webhook response of {api_version}, Kind={kind}, got {}, Kind={}",
            review.api_version, review.kind
        ));
    }
    let response = review.response.ok_or(absent)?;
    if response.uid != uid {
        return Err(format!("expected response.uid={uid:?}, got {:?}", response.uid));
    }
    Ok(response.rest)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "R: DeserializeOwned")]
struct Review<R> {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    response: Option<Response<R>>,
}

#[derive(Deserialize)]
#[serde(bound = "R: DeserializeOwned")]
struct Response<R> {
    #[serde(default)]
    uid: String,
    #[serde(flatten)]
    rest: R,
}

pub(crate) async fn whole(mut body: Body, most: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|error| error.to_string())?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() > most {
            return Err(format!("the answer is larger than {most} bytes"));
        }
    }
    Ok(bytes)
}

/// How the webhook is reached, and the path there.
async fn transport(server: &ApiServer, config: &WebhookClientConfig) -> Result<(Arc<HttpTransport>, String), String> {
    let (base, path, at) = match (&config.url, &config.service) {
        (Some(url), _) => {
            let start = url.find("://").map_or(0, |at| at + 3);
            let end = url[start..].find('/').map_or(url.len(), |at| start + at);
            (url[..end].to_owned(), url[end..].to_owned(), None)
        }
        (None, Some(service)) => {
            let port = service.port.unwrap_or(443).to_string();
            let found = backend::of(server, &service.namespace, &service.name, &port).await;
            let found = found.map_err(|error| error.status().message.clone().unwrap_or_default())?;
            let path = service.path.clone().unwrap_or_default();
            (format!("https://{}:{}", found.host, found.port), path, found.at)
        }
        (None, None) => return Err("its clientConfig names neither a url nor a service".to_owned()),
    };
    let ca = config.ca_bundle.as_ref().map(|bundle| bundle.0.as_slice()).filter(|pem| !pem.is_empty());
    let key = format!("{base} {at:?} {}", String::from_utf8_lossy(ca.unwrap_or_default()));
    let made = server
        .inner
        .outside
        .get(&key, || HttpTransport::trusting(&base, ca.map_or(Trust::System, Trust::Authority), at, None));
    let transport = made.map_err(|error| format!("its clientConfig cannot be used: {}", root_cause(&error)))?;
    Ok((transport, if path.is_empty() { "/".to_owned() } else { path }))
}
