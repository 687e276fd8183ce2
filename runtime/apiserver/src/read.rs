//! get and list.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use trimtab_api::table::{self, IncludeObject};
use trimtab_api::{ApiError, FieldSelector, Kind, Object, Selector};
use trimtab_client::Body;
use trimtab_store::{Entry, ListPage, Page, ReadError};

use crate::body::{self, Chunks};
use crate::conversion;
use crate::encode;
use crate::handler::{Answer, Call};
use crate::negotiate::{self, Encoding, Form, Shape};
use crate::options;
use crate::protobuf;
use crate::selectable::{self, Selectable};
use crate::server::ApiServer;

/// Upstream's words (`k8s.io/apiserver/pkg/storage/etcd3/errors.go`).
const CONTINUE_EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

const LIST_EXPIRED: &str = "The resourceVersion for the provided list is too old.";

/// A page that a selector thins out is filled from further pages of at least this size.
const MIN_PAGE: usize = 500;

pub(crate) async fn get(server: &ApiServer, call: &Call<'_>) -> Answer {
    let form = negotiate::form(call.headers, &call.kind)?;
    let entry = find(server, call).await?;
    reached(server, call.query.get("resourceVersion"))?;
    one(server, call, form, StatusCode::OK, &entry)
}

/// The entry that the call names.
///
/// # Errors
/// 404 when it is not there.
pub(crate) async fn find(server: &ApiServer, call: &Call<'_>) -> Result<Arc<Entry>, ApiError> {
    let key = encode::key(&call.kind, call.path.namespace, call.path.name);
    let found = match computed(server, &call.kind) {
        Some(all) => all.await.into_iter().find(|entry| *entry.key == *key),
        None => server.inner.store.get(&key).await.map_err(read_error)?,
    };
    let found = found.ok_or_else(|| ApiError::not_found(&call.kind, call.path.name))?;
    conversion::entry(server, &call.kind, found).await
}

/// All objects of the kind, if they are not stored.
fn computed<'a>(server: &'a ApiServer, kind: &'a Kind) -> Option<BoxFuture<'a, Vec<Arc<Entry>>>> {
    server.inner.hook(kind).and_then(|hook| hook.computed(kind))
}

/// Answers with one object.
pub(crate) fn one(server: &ApiServer, call: &Call<'_>, form: Form, code: StatusCode, entry: &Entry) -> Answer {
    let content_type = form.encoding.content_type();
    match (form.shape, form.encoding) {
        (Shape::Whole, Encoding::Json) => {
            let mut chunks = Chunks::default();
            encode::push(&mut chunks, &call.kind, entry);
            Ok(body::chunks(code, content_type, chunks))
        }
        (Shape::Whole, Encoding::Protobuf) => {
            let encoded = protobuf::entry(&server.inner.messages, &call.kind, entry, entry.mod_revision)?;
            Ok(body::chunks(code, content_type, encoded.into_chunks()))
        }
        _ => formed(server, call, form, code, &encode::to_object(&call.kind, entry)),
    }
}

/// Answers with one object that may not be stored, as after a dry run.
pub(crate) fn formed(server: &ApiServer, call: &Call<'_>, form: Form, code: StatusCode, object: &Object) -> Answer {
    let value = match form.shape {
        Shape::Whole if form.encoding == Encoding::Json => return Ok(body::json(code, object)),
        Shape::Whole => Value::Object(object.0.clone()),
        Shape::Partial => partial(object),
        Shape::Table => {
            let now = server.inner.env.now().as_second();
            let row = table::row(&call.kind, object, include(call)?, now);
            let list = json!({"resourceVersion": object.resource_version()});
            as_table(&call.kind, list, vec![row])
        }
    };
    body::object(code, form.encoding, &value)
}

pub(crate) fn include(call: &Call<'_>) -> Result<IncludeObject, ApiError> {
    match call.query.get("includeObject") {
        "" | "Metadata" => Ok(IncludeObject::Metadata),
        "None" => Ok(IncludeObject::None),
        "Object" => Ok(IncludeObject::Object),
        other => Err(ApiError::bad_request(format!("unrecognized includeObject value: {other:?}"))),
    }
}

pub(crate) fn as_table(kind: &Kind, metadata: Value, rows: Vec<Value>) -> Value {
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": table::columns(kind), "rows": rows})
}

pub(crate) fn partial(object: &Object) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object.0.get("metadata")})
}

/// The selectors of a list, watch or deletecollection.
pub(crate) struct Filter {
    labels: Selector,
    fields: FieldSelector,
    /// The name in the path of a watch on one object.
    only: Option<String>,
}

impl Filter {
    /// # Errors
    /// 400 for a selector that cannot be read, or a field that cannot be selected by.
    pub(crate) fn of(call: &Call<'_>) -> Result<Self, ApiError> {
        let labels =
            Selector::parse(call.query.get("labelSelector")).map_err(|e| ApiError::bad_request(e.to_string()))?;
        let fields =
            FieldSelector::parse(call.query.get("fieldSelector")).map_err(|e| ApiError::bad_request(e.to_string()))?;
        if let Some(unknown) = fields.fields().find(|field| selectable::field_index(&call.kind, field).is_none()) {
            return Err(ApiError::bad_request(format!("field label not supported: {unknown}")));
        }
        Ok(Self { labels, fields, only: None })
    }

    pub(crate) fn matches(&self, kind: &Kind, entry: &Entry) -> bool {
        if self.only.as_deref().is_some_and(|name| !encode::is_named(entry, name)) {
            return false;
        }
        if self.labels.is_empty() && self.fields.is_empty() {
            return true;
        }
        let selectable = Selectable::of(kind, entry);
        self.labels.matches(|key| selectable.label(key)) && self.fields.matches(|name| selectable.field(kind, name))
    }

    /// The same, for the one object called `name` alone.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.only = (!name.is_empty()).then(|| name.to_owned());
        self
    }

    /// The one name that can match, if the selector says so.
    pub(crate) fn name(&self) -> Option<&str> {
        self.only.as_deref().or_else(|| self.fields.exact("metadata.name"))
    }
}

/// Where a list goes on.
#[derive(Deserialize, Serialize)]
struct Continue {
    /// The revision that the first page read; 0 for whatever is there when the token is used.
    rv: u64,
    /// The last key given.
    after: String,
}

impl Continue {
    fn token(&self) -> String {
        // Serialising a number and a string cannot fail.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }
}

pub(crate) async fn list(server: &ApiServer, call: &Call<'_>) -> Answer {
    let form = negotiate::form(call.headers, &call.kind)?;
    options::check_list(call)?;
    let filter = Filter::of(call)?;
    let page = select(server, call, &filter).await?;
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if page.remaining > 0
        && let Some(last) = page.entries.last()
    {
        let token = Continue { rv: page.revision, after: last.key.to_string() };
        metadata["continue"] = token.token().into();
        // With a selector nobody knows how many of the rest will match.
        if filter.labels.is_empty() && filter.fields.is_empty() {
            metadata["remainingItemCount"] = page.remaining.into();
        }
    }
    answer(server, call, form, metadata, &page.entries)
}

/// The entries that a list selects.
pub(crate) async fn select(server: &ApiServer, call: &Call<'_>, filter: &Filter) -> Result<ListPage, ApiError> {
    select_from(server, call, filter, start(server, call)?, options::limit(&call.query)?).await
}

/// All entries that `filter` selects now.
pub(crate) async fn select_all(server: &ApiServer, call: &Call<'_>, filter: &Filter) -> Result<ListPage, ApiError> {
    select_from(server, call, filter, Page::default(), 0).await
}

async fn select_from(
    server: &ApiServer,
    call: &Call<'_>,
    filter: &Filter,
    mut page: Page,
    limit: usize,
) -> Result<ListPage, ApiError> {
    if let Some(all) = computed(server, &call.kind) {
        let mut entries = all.await;
        entries.retain(|entry| filter.matches(&call.kind, entry));
        return Ok(ListPage { entries, revision: server.inner.store.revision(), remaining: 0 });
    }
    let namespace = call.path.namespace;
    let prefix = match filter.name().filter(|_| !call.kind.namespaced() || !namespace.is_empty()) {
        Some(name) => encode::key(&call.kind, namespace, name),
        None => encode::prefix(&call.kind, namespace),
    };
    let mut entries = Vec::new();
    loop {
        page.limit = if limit == 0 { 0 } else { (limit - entries.len()).max(MIN_PAGE) };
        let read = server.inner.store.list(&prefix, page.clone()).await;
        let mut read = read.map_err(|error| list_error(error, page.after.as_deref()))?;
        let revision = read.revision;
        page.revision = Some(revision);
        page.after = read.entries.last().map(|entry| entry.key.to_string());
        let total = read.entries.len() + read.remaining;
        let mut seen = 0;
        for entry in conversion::entries(server, &call.kind, std::mem::take(&mut read.entries)).await? {
            seen += 1;
            if filter.matches(&call.kind, &entry) {
                entries.push(entry);
                if limit > 0 && entries.len() == limit {
                    return Ok(ListPage { entries, revision, remaining: total - seen });
                }
            }
        }
        if read.remaining == 0 {
            return Ok(ListPage { entries, revision, remaining: 0 });
        }
    }
}

fn start(server: &ApiServer, call: &Call<'_>) -> Result<Page, ApiError> {
    let token = call.query.get("continue");
    if !token.is_empty() {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok();
        let read: Option<Continue> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let Continue { rv, after } =
            read.ok_or_else(|| ApiError::bad_request("invalid continue token: continue key is not valid"))?;
        if !matches!(call.query.get("resourceVersion"), "" | "0") {
            return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
        }
        return Ok(Page { revision: Some(rv).filter(|rv| *rv > 0), after: Some(after), limit: 0 });
    }
    let (revision, exact) = (reached(server, call.query.get("resourceVersion"))?, options::is_exact(&call.query)?);
    Ok(Page { revision: revision.filter(|_| exact), ..Page::default() })
}

/// The revision that `text` names, if it has been reached.
///
/// # Errors
/// 400 when it is no number, 504 when it is in the future.
pub(crate) fn reached(server: &ApiServer, text: &str) -> Result<Option<u64>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    let revision = text.parse().map_err(|_| ApiError::bad_request(format!("invalid resource version {text:?}")))?;
    let current = server.inner.store.revision();
    if revision > current { Err(ApiError::revision_too_large(revision, current)) } else { Ok(Some(revision)) }
}

pub(crate) fn number(call: &Call<'_>, name: &str) -> Result<usize, ApiError> {
    match call.query.get(name) {
        "" => Ok(0),
        text => text.parse().map_err(|_| ApiError::bad_request(format!("{name} {text:?} is not a whole number"))),
    }
}

/// Answers with a list of `entries`.
pub(crate) fn answer(
    server: &ApiServer,
    call: &Call<'_>,
    form: Form,
    metadata: Value,
    entries: &[Arc<Entry>],
) -> Answer {
    let kind = &call.kind;
    let objects = || entries.iter().map(|entry| encode::to_object(kind, entry));
    let encoded =
        |list: protobuf::Enveloped| Ok(body::chunks(StatusCode::OK, form.encoding.content_type(), list.into_chunks()));
    let list = match (form.shape, form.encoding) {
        (Shape::Whole, Encoding::Json) => return Ok(listed(kind, &metadata, entries)),
        (Shape::Whole, Encoding::Protobuf) => {
            return encoded(protobuf::list(kind, &metadata, entries.iter().map(|entry| &**entry))?);
        }
        (Shape::Whole, Encoding::Yaml) => {
            let items: Vec<Object> = objects().collect();
            json!({"kind": kind.list_kind, "apiVersion": kind.api_version(), "metadata": metadata, "items": items})
        }
        (Shape::Partial, encoding) => {
            let items: Vec<Value> = objects().map(|object| partial(&object)).collect();
            if encoding == Encoding::Protobuf {
                let kinds = ("meta.k8s.io/v1", "PartialObjectMetadata", "PartialObjectMetadataList");
                return encoded(protobuf::list_of(kinds, &metadata, &items)?);
            }
            json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": items})
        }
        (Shape::Table, _) => {
            let (include, now) = (include(call)?, server.inner.env.now().as_second());
            as_table(kind, metadata, objects().map(|object| table::row(kind, &object, include, now)).collect())
        }
    };
    body::object(StatusCode::OK, form.encoding, &list)
}

fn listed(kind: &Kind, metadata: &Value, entries: &[Arc<Entry>]) -> Response<Body> {
    let mut chunks = Chunks::default();
    let (list_kind, api_version) = (&kind.list_kind, kind.api_version());
    chunks.push(format!(r#"{{"kind":"{list_kind}","apiVersion":"{api_version}","metadata":{metadata},"items":["#));
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            chunks.push(&b","[..]);
        }
        encode::push(&mut chunks, kind, entry);
    }
    chunks.push(&b"]}"[..]);
    body::chunks(StatusCode::OK, "application/json", chunks)
}

/// Why a list failed that was to go on behind the key `after`. Whoever would rather have the rest
/// of an inconsistent list than none of it finds the token for that in the answer, as upstream.
fn list_error(error: ReadError, after: Option<&str>) -> ApiError {
    let after = match (&error, after) {
        (ReadError::Compacted { .. }, Some(after)) => after,
        (ReadError::Compacted { .. }, None) => return ApiError::expired(LIST_EXPIRED),
        _ => return read_error(error),
    };
    let expired = ApiError::expired(CONTINUE_EXPIRED);
    let mut status = expired.status().clone();
    status.metadata.continue_ = Some(Continue { rv: 0, after: after.to_owned() }.token());
    ApiError::from_status(status)
}

pub(crate) fn read_error(error: ReadError) -> ApiError {
    match error {
        ReadError::Compacted { asked, oldest } => {
            ApiError::expired(format!("too old resource version: {asked} ({oldest})"))
        }
        ReadError::Future { asked, current } => ApiError::revision_too_large(asked, current),
        error => {
            tracing::error!(?error, "the store failed");
            ApiError::internal("the store cannot be read")
        }
    }
}
