//! Whether the servers of other groups are there, and what they serve
//! (`k8s.io/kube-aggregator/pkg/controllers/status/remote`).

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::header::ACCEPT;
use http::{HeaderMap, Request};
use serde_json::Value;
use trimtab_api::Object;
use trimtab_api::crd::set_condition;
use trimtab_api::kinds::api_service::AVAILABLE;
use trimtab_client::{HttpTransport, Transport as _, root_cause};
use trimtab_store::Precondition;

use super::{Discovered, GROUP, Known, PLURAL, Remote, route};
use crate::auth::Identity;
use crate::outside::{MAX_ANSWER, whole};
use crate::server::ApiServer;
use crate::write::{Committed, commit};
use crate::{backend, encode, read};

/// How often it is asked before it is said not to answer: another of its pods may.
const ATTEMPTS: usize = 5;
/// How long it may take to answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Why one is not available: a reason and a message, in upstream's words.
type Missing = (&'static str, String);

/// Asks all others, and writes what has changed. Answers whether all of them are there.
pub(super) async fn look(server: &ApiServer) -> bool {
    let others = server.inner.aggregation.others();
    let looks = others.iter().map(|other| async {
        let known = &*other.known;
        let found = match &known.remote {
            Some(remote) => check(server, known, remote).await,
            None => return true,
        };
        let (found, missing) = match found {
            Ok(found) => (Some(found), None),
            Err(missing) => (None, Some(missing)),
        };
        server.inner.aggregation.discovered(known, found);
        let is_there = missing.is_none();
        if let Err(Committed::Other(error)) = tell(server, known, missing).await {
            tracing::warn!(name = known.name(), %error, "an APIService's status could not be written");
        }
        is_there
    });
    join_all(looks).await.into_iter().all(|is_there| is_there)
}

/// Writes the condition. A conflict is left: whoever wrote it has woken the keeper.
async fn tell(server: &ApiServer, known: &Known, missing: Option<Missing>) -> Result<(), Committed> {
    let kinds = server.inner.kinds();
    let Some(kind) = kinds.by_resource(GROUP, "v1", PLURAL) else { return Ok(()) };
    let there = server.inner.store.get(&encode::key(kind, "", &known.name())).await;
    let there = there.map_err(|error| Committed::Other(read::read_error(error)))?;
    let Some(entry) = there else { return Ok(()) };
    let old = encode::to_object(kind, &entry);
    // What was found is not of what it is now.
    if Known::of(&old).remote != known.remote {
        return Ok(());
    }
    let mut new = old.clone();
    let is_there = missing.is_none();
    let (reason, message) = missing.unwrap_or_else(|| ("Passed", "all checks passed".to_owned()));
    set_condition(&mut new, (AVAILABLE, is_there), reason, &message, &server.inner.timestamp());
    if new == old {
        return Ok(());
    }
    commit(server, kind, &new, Precondition::At(entry.mod_revision)).await.map(drop)
}

/// What `remote` serves of the group and version.
async fn check(server: &ApiServer, known: &Known, remote: &Remote) -> Result<Discovered, Missing> {
    let (namespace, name) = (&remote.namespace, &remote.name);
    let service = backend::service(server, namespace, name).await;
    let service =
        service.map_err(|_| ("ServiceNotFound", format!("service/{name} in {namespace:?} is not present")))?;
    if matches!(service.str_at(&["spec", "type"]), "" | "ClusterIP") {
        has_endpoints(server, remote, &service).await?;
    }
    let limit = server.inner.env.sleep(LIMIT);
    let asked = async {
        let mut failed = String::new();
        for _ in 0..ATTEMPTS {
            match discover(server, known, remote).await {
                Ok(found) => return Ok(found),
                Err(why) => failed = why,
            }
        }
        Err(failed)
    };
    let found = tokio::select! {
        biased;
        found = asked => found,
        () = limit => Err(format!("timed out waiting for {}", route::url(remote, &known.path()))),
    };
    found.map_err(|why| ("FailedDiscoveryCheck", why))
}

async fn has_endpoints(server: &ApiServer, remote: &Remote, service: &Object) -> Result<(), Missing> {
    let Remote { namespace, name, port, .. } = remote;
    let mut ports = service.at(&["spec", "ports"]).and_then(Value::as_array).into_iter().flatten();
    let Some(found) = ports.find(|known| known["port"] == *port) else {
        return Err(("ServicePortError", format!("service/{name} in {namespace:?} is not listening on port {port}")));
    };
    let slices = backend::slices(server, namespace, name).await.unwrap_or_default();
    if slices.is_empty() {
        let message = format!("cannot find endpointslices for service/{name} in {namespace:?}");
        return Err(("EndpointsNotFound", message));
    }
    let port_name = found["name"].as_str().unwrap_or_default();
    if slices.iter().all(|slice| backend::addresses(slice, port_name).is_empty()) {
        let message = format!(
            "endpointslices for service/{name} in {namespace:?} have no addresses with port name {port_name:?}"
        );
        return Err(("MissingEndpoints", message));
    }
    Ok(())
}

async fn discover(server: &ApiServer, known: &Known, remote: &Remote) -> Result<Discovered, String> {
    let transport = route::transport(server, remote).await;
    let transport = transport.map_err(|error| error.status().message.clone().unwrap_or_default())?;
    let path = known.path();
    let url = route::url(remote, &path);
    let failed = |why: String| format!("failing or missing response from {url}: {why}");
    let (status, mut list) = get(&transport, &path).await.map_err(failed)?;
    if !status.is_success() {
        return Err(failed(format!("bad status from {url}: {}", status.as_u16())));
    }
    // A server without OpenAPI v3 is one all the same.
    let index = get(&transport, "/openapi/v3").await.ok().filter(|(status, _)| status.is_success());
    let document = |index: &Value| {
        let url = index["paths"][path.trim_start_matches('/')]["serverRelativeURL"].as_str()?.to_owned();
        url.starts_with("/openapi/v3/").then_some(url)
    };
    Ok(Discovered { resources: list["resources"].take(), openapi: index.and_then(|(_, index)| document(&index)) })
}

async fn get(transport: &HttpTransport, path: &str) -> Result<(http::StatusCode, Value), String> {
    let mut request = Request::builder().uri(path).header(ACCEPT, "application/json");
    // Whoever asks may ask for everything, so that a refusal is one of the server's own.
    let mut headers = HeaderMap::new();
    route::speak_for(
        &Identity {
            user: "system:kube-aggregator".to_owned(),
            groups: vec!["system:masters".to_owned()],
            ..Identity::default()
        },
        &mut headers,
    );
    if let Some(all) = request.headers_mut() {
        all.extend(headers);
    }
    let request = request.body(Bytes::new()).map_err(|error| error.to_string())?;
    let response = transport.send(request).await.map_err(|error| root_cause(&error))?;
    let status = response.status();
    let body = whole(response.into_body(), MAX_ANSWER).await?;
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}
