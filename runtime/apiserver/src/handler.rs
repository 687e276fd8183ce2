//! From a request to the verb it asks for.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use hyper::upgrade::OnUpgrade;
use tracing::Instrument;
use trimtab_api::{ApiError, Kind};
use trimtab_client::Body;
use trimtab_env::Instant;

use crate::admission::Namespace;
use crate::audit::{self, Record, Subject};
use crate::auth::{self, Asked, Identity};
use crate::flow::{self, Flow};
use crate::pass::Sent;
use crate::path::{Query, ResourcePath};
use crate::server::ApiServer;
use crate::warnings::Warnings;
use crate::{
    aggregation, body, delete, discovery, eviction, health, metrics, nodes, openapi, openapi_v2, options, path, proxy,
    read, subresource, watch, websocket, write,
};

/// A request on a resource.
pub(crate) struct Call<'a> {
    pub kind: Arc<Kind>,
    pub path: ResourcePath<'a>,
    pub uri: &'a http::Uri,
    pub query: Query<'a>,
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    pub body: Bytes,
    pub identity: &'a Identity,
    pub warnings: Warnings,
    /// What is logged of it.
    pub record: Option<&'a Arc<Record>>,
    /// What admission has read for it.
    pub namespace: Namespace,
}

impl Call<'_> {
    /// The same call, to be changed in a part: the server's verbs are each other's building blocks.
    pub(crate) fn borrowed(&self) -> Call<'_> {
        Call {
            kind: Arc::clone(&self.kind),
            path: self.path.clone(),
            uri: self.uri,
            query: self.query.clone(),
            method: self.method,
            headers: self.headers,
            body: self.body.clone(),
            identity: self.identity,
            warnings: self.warnings.clone(),
            record: self.record,
            namespace: Namespace::default(),
        }
    }

    pub(crate) fn content_type(&self) -> &str {
        let text = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        text.split(';').next().unwrap_or_default().trim()
    }

    /// The field manager that a write is recorded under: what the client names, or its program.
    pub(crate) fn manager(&self) -> String {
        let named = self.query.get("fieldManager");
        if !named.is_empty() {
            return named.to_owned();
        }
        let agent =
            self.headers.get(http::header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("unknown");
        agent.split('/').next().unwrap_or("unknown").chars().take(128).collect()
    }

    /// Whether the body is a server-side apply.
    pub(crate) fn is_apply(&self) -> bool {
        self.content_type().starts_with("application/apply-patch")
    }

    pub(crate) fn dry_run(&self) -> bool {
        self.query.has("dryRun", "All")
    }
}

pub(crate) type Answer = Result<Response<Body>, ApiError>;

/// Where a request comes from, by what it does not say itself.
#[derive(Clone, Copy, Default)]
pub(crate) struct Origin<'a> {
    /// Who the connection is from.
    pub identity: Option<&'a Identity>,
    /// The other end of the connection.
    pub address: Option<IpAddr>,
}

/// What becomes known of a request on its way, whether or not it gets far.
struct Learnt<'a> {
    record: &'a mut Option<Arc<Record>>,
    flow: &'a mut Option<Flow>,
}

/// A request's body, or why there is none.
type Received = Result<Bytes, ApiError>;

impl ApiServer {
    /// Answers one request. `upgrade` is there when the connection can be upgraded.
    pub(crate) async fn handle(
        &self,
        request: Request<Received>,
        origin: Origin<'_>,
        upgrade: Option<OnUpgrade>,
    ) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        path::write_plainly(&mut parts.uri);
        if parts.method == Method::GET {
            path::write_watch(&mut parts.uri);
        }
        let id = self.inner.ids.of(&parts.headers);
        // Of the highest level: whatever is logged meanwhile says of which request.
        let name = id.to_str().unwrap_or_default();
        let span = tracing::error_span!("request", audit_id = name, method = %parts.method, path = parts.uri.path());
        let answered = async {
            let (mut record, mut flow) = (None, None);
            let learnt = Learnt { record: &mut record, flow: &mut flow };
            let answer = self.route(&mut parts, body, origin, upgrade, &id, learnt).await;
            let mut response = answer.unwrap_or_else(|error| refused(&error, &parts.headers, record.as_ref()));
            if let Some(flow) = flow {
                flow.tell(response.headers_mut());
            }
            match record {
                None => response,
                Some(record) => audit::told(record, response).await,
            }
        };
        let mut response = answered.instrument(span).await;
        response.headers_mut().insert(audit::HEADER, id);
        response
    }

    async fn route(
        &self,
        parts: &mut Parts,
        body: Received,
        Origin { identity, address }: Origin<'_>,
        upgrade: Option<OnUpgrade>,
        id: &HeaderValue,
        Learnt { record, flow }: Learnt<'_>,
    ) -> Answer {
        let Parts { method, uri, headers, .. } = parts;
        let path = uri.path();
        let (resource, query) = (path::resource(path), Query::of(uri));
        let asked = Asked::of(method, path, resource.as_ref(), &query);
        let caller = auth::caller(self, identity, headers).await;
        if let Some(audit) = &self.inner.audit {
            let identity = caller.as_deref().ok();
            let subject = Subject { id, uri, headers, address, identity, asked: asked.attributes() };
            *record = audit.begin(&self.inner.env, subject).await;
        }
        let record = record.as_ref();
        let caller = caller?;
        websocket::check_origin(headers, identity.is_none() && *caller != *Identity::anonymous())?;
        let identity = auth::acting(self, caller, headers, record).await?;
        let identity = &*identity;
        let (store, kinds) = (&*self.inner.store, self.inner.kinds());
        let attributes = asked.attributes();
        if flow::is_counted(identity.as_user(), &attributes) {
            *flow = self.inner.flows.of(store, &kinds, identity.as_user(), &attributes).await;
        }
        let _seat = match flow {
            Some(flow) => {
                let (flows, env, user) = (&self.inner.flows, &self.inner.env, identity.as_user());
                Some(flows.seat(env, flow, user, &attributes, (method, uri)).await?)
            }
            None => None,
        };
        self.inner.authorizer.authorize(&*self.inner.store, identity, &asked, record).await?;
        if let Some(known) = aggregation::asked(self, path) {
            // What is said of it there bears the same name as here.
            headers.insert(audit::HEADER, id.clone());
            let sent = Sent { method, headers, body: body?, record };
            return aggregation::pass_on(self, &known, (sent, uri), identity, upgrade).await;
        }
        if let Some(answer) = self.meta(path, method, headers, uri) {
            return answer;
        }
        let path = resource.ok_or_else(ApiError::no_such_path)?;
        let kind = kinds.by_resource(path.group, path.version, path.plural).ok_or_else(ApiError::no_such_path)?;
        if !kind.namespaced() && !path.namespace.is_empty() {
            return Err(ApiError::no_such_path());
        }
        let call = Call {
            kind: Arc::clone(kind),
            path,
            uri,
            query,
            method,
            headers,
            body: body?,
            identity,
            warnings: Warnings::default(),
            record,
            namespace: Namespace::default(),
        };
        if let Some(text) = call.kind.deprecation.as_deref() {
            call.warnings.add(text.to_owned());
        }
        let started = Instant::now();
        let answer = self.verb(&call, upgrade).await;
        let answer = answer.unwrap_or_else(|error| refused(&error, call.headers, call.record));
        let answer = call.warnings.told(answer);
        self.inner.metrics.observe(&call, answer.status().as_u16(), started.elapsed());
        Ok(answer)
    }

    /// Paths that name no resource: health, version, discovery, OpenAPI.
    fn meta(&self, path: &str, method: &Method, headers: &HeaderMap, uri: &http::Uri) -> Option<Answer> {
        let found = health::answer(self, path, uri)
            .or_else(|| metrics::answer(self, path))
            .or_else(|| flow::answer(self, path, uri))
            .or_else(|| auth::token::published(self.inner.tokens.as_ref(), path))
            .or_else(|| discovery::answer(self, path, headers))
            .or_else(|| openapi::answer(self, path, headers, uri))
            .or_else(|| openapi_v2::answer(&self.inner.kinds(), path, headers));
        let found = found?;
        if matches!(*method, Method::GET | Method::HEAD) {
            Some(found)
        } else {
            Some(Err(ApiError::method_not_allowed()))
        }
    }

    async fn verb(&self, call: &Call<'_>, upgrade: Option<OnUpgrade>) -> Answer {
        if !call.path.subresource.is_empty() && call.path.subresource != "status" {
            return self.subresource(call, upgrade).await;
        }
        if call.path.subresource == "status" && !call.kind.status {
            return Err(ApiError::no_such_path());
        }
        options::check_write(call)?;
        let one = !call.path.name.is_empty();
        let allowed = |verb: &str| if call.kind.can(verb) { Ok(()) } else { Err(ApiError::method_not_allowed()) };
        match *call.method {
            Method::GET if call.query.flag("watch") => {
                allowed("watch")?;
                let watch = watch::watch(self, call).await?;
                match upgrade.filter(|_| websocket::is_asked(call.headers)) {
                    Some(upgrade) => websocket::events(self, call, watch, upgrade),
                    None => Ok(watch),
                }
            }
            Method::GET if one => {
                allowed("get")?;
                read::get(self, call).await
            }
            Method::GET => {
                allowed("list")?;
                read::list(self, call).await
            }
            Method::POST if !one => {
                allowed("create")?;
                if call.kind.defined.as_ref().is_some_and(|defined| defined.terminating) {
                    return Err(ApiError::terminating("create"));
                }
                match (&*call.kind.group, call.kind.can("get")) {
                    (_, true) => write::create(self, call).await,
                    // A Binding is never stored: creating one binds the pod of its name.
                    ("", false) => subresource::bind(self, call).await,
                    (_, false) => auth::review::answer(self, call).await,
                }
            }
            Method::PUT if one => {
                allowed("update")?;
                write::replace(self, call).await
            }
            Method::PATCH if one => {
                allowed("patch")?;
                write::patch(self, call).await
            }
            Method::DELETE if one && call.path.subresource.is_empty() => {
                allowed("delete")?;
                delete::delete(self, call).await
            }
            Method::DELETE if !one => {
                allowed("deletecollection")?;
                delete::delete_collection(self, call).await
            }
            _ => Err(ApiError::method_not_allowed()),
        }
    }

    async fn subresource(&self, call: &Call<'_>, upgrade: Option<OnUpgrade>) -> Answer {
        let name = call.path.subresource;
        // What is passed on has options of its own.
        if !matches!(name, "proxy" | "exec" | "attach" | "portforward" | "log") {
            options::check_write(call)?;
        }
        if name == "scale" && call.kind.scale.is_some() {
            return subresource::scale(self, call).await;
        }
        if call.kind.subresource(name).is_none() {
            return Err(ApiError::no_such_path());
        }
        match name {
            "binding" => subresource::bind(self, call).await,
            "eviction" => eviction::evict(self, call).await,
            "finalize" => subresource::finalize(self, call).await,
            "token" => auth::token::create(self, call).await,
            "approval" | "ephemeralcontainers" | "resize" => match *call.method {
                Method::GET => read::get(self, call).await,
                Method::PUT => write::replace(self, call).await,
                Method::PATCH => write::patch(self, call).await,
                _ => Err(ApiError::method_not_allowed()),
            },
            "proxy" => proxy::proxy(self, call, upgrade).await,
            _ => nodes::proxy(self, call, upgrade).await,
        }
    }
}

fn refused(error: &ApiError, headers: &HeaderMap, record: Option<&Arc<Record>>) -> Response<Body> {
    if let Some(record) = record {
        record.refused(error);
    }
    body::error(error, headers)
}
