//! The `token` subresource of service accounts: a TokenRequest is answered with a token
//! (`pkg/registry/core/serviceaccount/storage/token.go`).

use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequestSpec};
use serde::Deserialize;
use serde_json::{Value, json};
use trimtab_api::field::{Error, Path};
use trimtab_api::{ApiError, Object};

use super::Tokens;
use super::claims::{Claims, Private, Reference};
use crate::admission::Verb;
use crate::decode::Expected;
use crate::handler::{Answer, Call};
use crate::server::{ApiServer, format_time};
use crate::{body, decode, encode, read, stored, subresource};

const GROUP: &str = "authentication.k8s.io";
const API_VERSION: &str = "authentication.k8s.io/v1";
const KIND: &str = "TokenRequest";
const DEFAULT_SECONDS: i64 = 60 * 60;
const MIN_SECONDS: i64 = 10 * 60;
const MAX_SECONDS: i64 = 1 << 32;
/// What a pod's own token asks for. It lives for a year, for programs that read it once; whoever
/// uses it later than asked for is told so in the logs.
const OF_PODS_SECONDS: i64 = 60 * 60 + 7;
const EXTENDED_SECONDS: i64 = 365 * 24 * 60 * 60;

/// Makes a token of the service account that the call names.
pub(crate) async fn create(server: &ApiServer, call: &Call<'_>) -> Answer {
    if *call.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let tokens = server.inner.tokens.as_ref().ok_or_else(ApiError::no_such_path)?;
    let account = encode::to_object(&call.kind, &*read::find(server, call).await?);
    let (now, mut request) = (server.inner.env.now(), read_request(call)?);
    place(call, &mut request, &account)?;
    request["metadata"]["creationTimestamp"] = format_time(now).into();
    fill(tokens, &mut request)?;
    let mut request = subresource::admit(server, call, Verb::Create, (API_VERSION, KIND), request, None).await?;
    let (spec, audiences, seconds) = fill(tokens, &mut request)?;
    let mut private = Private {
        namespace: account.namespace().to_owned(),
        serviceaccount: reference(&account),
        ..Private::default()
    };
    if let Some(bound) = &spec.bound_object_ref {
        bind(server, call, bound, &mut private).await?;
    }
    let token = tokens.make(server, private, audiences, seconds, now)?;
    let expires = now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
    request["status"] = json!({"token": token, "expirationTimestamp": format_time(expires)});
    body::plain(StatusCode::CREATED, call.headers, &request)
}

fn read_request(call: &Call<'_>) -> Result<Value, ApiError> {
    let mut request = decode::value(call, Expected::of(API_VERSION, KIND))?;
    let Some(map) = request.as_object_mut() else { return Err(ApiError::bad_request("the body is not an object")) };
    for (name, wanted) in [("apiVersion", API_VERSION), ("kind", KIND)] {
        let found = map.entry(name).or_insert_with(|| wanted.into());
        if found != wanted {
            let message = format!("the {name} in the data ({found}) does not match the expected {name} ({wanted})");
            return Err(ApiError::bad_request(message));
        }
    }
    if map.get("metadata").is_none_or(Value::is_null) {
        map.insert("metadata".to_owned(), json!({}));
    }
    map.remove("status");
    Ok(request)
}

/// Fills in whose token it is.
fn place(call: &Call<'_>, request: &mut Value, account: &Object) -> Result<(), ApiError> {
    for (field, wanted) in [("name", account.name()), ("namespace", account.namespace())] {
        match request["metadata"][field].as_str().unwrap_or_default() {
            "" => request["metadata"][field] = wanted.into(),
            found if found == wanted => {}
            found => {
                let path = Path::new("metadata").child(field);
                let error =
                    Error::invalid(&path, found, format!("must match the service account {field} if specified"));
                return Err(ApiError::invalid_as(GROUP, KIND, call.path.name, &[error]));
            }
        }
    }
    Ok(())
}

/// Gives the request its defaults: what it asks for, for whom, and for how many seconds.
fn fill(tokens: &Tokens, request: &mut Value) -> Result<(TokenRequestSpec, Vec<String>, i64), ApiError> {
    let mut spec = spec(request)?;
    let audiences = spec.audiences.take().filter(|list| !list.is_empty()).unwrap_or_else(|| tokens.audiences());
    spec.audiences = Some(audiences.clone());
    let seconds = *spec.expiration_seconds.get_or_insert(DEFAULT_SECONDS);
    check(seconds)?;
    request["spec"] = serde_json::to_value(&spec).map_err(ApiError::internal)?;
    Ok((spec, audiences, seconds))
}

fn spec(request: &Value) -> Result<TokenRequestSpec, ApiError> {
    let spec = request.get("spec").filter(|spec| !spec.is_null()).cloned().unwrap_or_else(|| json!({}));
    TokenRequestSpec::deserialize(&spec).map_err(|error| {
        ApiError::bad_request(format!("{KIND} in version \"v1\" cannot be handled as a {KIND}: {error}"))
    })
}

fn check(seconds: i64) -> Result<(), ApiError> {
    let detail = match seconds {
        ..MIN_SECONDS => "may not specify a duration less than 10 minutes",
        MIN_SECONDS..=MAX_SECONDS => return Ok(()),
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    let path = Path::new("spec").child("expirationSeconds");
    Err(ApiError::invalid_as(GROUP, KIND, "", &[Error::invalid(&path, seconds, detail)]))
}

fn reference(object: &Object) -> Reference {
    Reference { name: object.name().to_owned(), uid: object.uid().to_owned() }
}

/// Looks for what the token is to end with.
async fn bind(
    server: &ApiServer,
    call: &Call<'_>,
    bound: &BoundObjectReference,
    private: &mut Private,
) -> Result<(), ApiError> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (name, kind, uid) = (text(&bound.name), text(&bound.kind), text(&bound.uid));
    let (group, version) = match text(&bound.api_version) {
        core if !core.contains('/') => (String::new(), core),
        other => other.split_once('/').map(|(g, v)| (g.to_owned(), v.to_owned())).unwrap_or_default(),
    };
    let (plural, namespace) = match (&*group, &*kind) {
        ("", "Pod") => ("pods", call.path.namespace),
        ("", "Secret") => ("secrets", call.path.namespace),
        ("", "Node") => ("nodes", ""),
        _ => {
            let message = format!("cannot bind token to object of type {group}/{version}, Kind={kind}");
            return Err(ApiError::bad_request(message));
        }
    };
    let object = find(server, plural, namespace, &name).await?;
    let account = &private.serviceaccount.name;
    if plural == "pods" && object.str_at(&["spec", "serviceAccountName"]) != account {
        return Err(ApiError::bad_request(format!(
            "cannot bind token for serviceaccount {account:?} to pod running with different serviceaccount name."
        )));
    }
    if !uid.is_empty() && uid != object.uid() {
        let detail = format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        let kinds = server.inner.kinds();
        let of = kinds.by_resource("", "v1", plural).ok_or_else(ApiError::no_such_path)?;
        return Err(ApiError::conflict(of, &name, detail));
    }
    match plural {
        "pods" => {
            private.pod = Some(reference(&object));
            let node = object.str_at(&["spec", "nodeName"]);
            if !node.is_empty() {
                let found = find(server, "nodes", "", node).await;
                // The pod is what counts: its node may be gone.
                let uid = found.map(|node| node.uid().to_owned()).unwrap_or_default();
                private.node = Some(Reference { name: node.to_owned(), uid });
            }
        }
        "secrets" => private.secret = Some(reference(&object)),
        _ => private.node = Some(reference(&object)),
    }
    Ok(())
}

async fn find(server: &ApiServer, plural: &str, namespace: &str, name: &str) -> Result<Object, ApiError> {
    stored::find(server, ("", "v1", plural), namespace, name).await
}

impl Tokens {
    fn make(
        &self,
        server: &ApiServer,
        mut private: Private,
        audiences: Vec<String>,
        seconds: i64,
        now: Timestamp,
    ) -> Result<String, ApiError> {
        let now = now.as_second();
        let mut lives = seconds;
        if private.pod.is_some() && seconds == OF_PODS_SECONDS && audiences == self.audiences() {
            private.warnafter = now + seconds;
            lives = EXTENDED_SECONDS;
        }
        let claims = Claims {
            aud: audiences,
            exp: now + lives,
            iat: now,
            iss: self.config.issuer.clone(),
            jti: server.inner.env.uuid(),
            nbf: now,
            sub: crate::auth::identity::service_account_user(&private.namespace, &private.serviceaccount.name),
            private,
        };
        self.config.key.sign(&claims).ok_or_else(|| ApiError::internal("failed to generate token"))
    }
}
