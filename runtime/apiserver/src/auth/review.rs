//! Questions about callers and what they may do: never stored, answered at once
//! (`authorization.k8s.io`, `authentication.k8s.io`).

use http::StatusCode;
use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::{Value, json};
use trimtab_api::rbac::{Attributes, User};
use trimtab_api::{ApiError, Object, Operation};

use super::authenticate;
use super::token::{Known, Tokens};
use crate::handler::{Answer, Call};
use crate::server::ApiServer;
use crate::{decode, negotiate, read};

/// Answers the review in the call's body: with itself, its status filled.
pub(crate) async fn answer(server: &ApiServer, call: &Call<'_>) -> Answer {
    let form = negotiate::form(call.headers, &call.kind)?;
    let mut review = decode::object(call)?;
    place(call, &mut review)?;
    let errors = call.kind.strategy.admit(Operation::Create, &mut review).errors;
    if !errors.is_empty() {
        return Err(ApiError::invalid(&call.kind, review.name(), &errors));
    }
    let authorizer = &server.inner.authorizer;
    // Masters are let in without a look at the roles.
    authorizer.policy.catch_up(&*server.inner.store).await.map_err(read::read_error)?;
    let status = match &*call.kind.kind {
        "SelfSubjectAccessReview" => access(server, call.identity.as_user(), &review).await?,
        "SubjectAccessReview" | "LocalSubjectAccessReview" => {
            let groups = strings(review.at(&["spec", "groups"]));
            let user = User { name: review.str_at(&["spec", "user"]), groups: &groups };
            access(server, user, &review).await?
        }
        "SelfSubjectRulesReview" => rules(server, call, review.str_at(&["spec", "namespace"]))?,
        "TokenReview" => whose(server, &mut review).await?,
        "SelfSubjectReview" => json!({"userInfo": call.identity.to_user_info()}),
        _ => return Err(ApiError::no_such_path()),
    };
    review.set(&["status"], status);
    read::formed(server, call, form, StatusCode::CREATED, &review)
}

fn place(call: &Call<'_>, review: &mut Object) -> Result<(), ApiError> {
    if review.at(&["metadata"]).is_none_or(Value::is_null) {
        review.set(&["metadata"], json!({}));
    }
    if call.kind.namespaced() {
        let (asked, found) = (call.path.namespace, review.namespace());
        if asked.is_empty() {
            return Err(ApiError::bad_request(format!("namespace is required on this type: {asked}")));
        }
        if !found.is_empty() && found != asked {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        review.set(&["metadata", "namespace"], asked);
    }
    Ok(())
}

async fn access(server: &ApiServer, user: User<'_>, review: &Object) -> Result<Value, ApiError> {
    let resource = |field| review.str_at(&["spec", "resourceAttributes", field]);
    let path = |field| review.str_at(&["spec", "nonResourceAttributes", field]);
    let asked = if review.at(&["spec", "resourceAttributes"]).is_some_and(Value::is_object) {
        Attributes::Resource {
            verb: resource("verb"),
            namespace: resource("namespace"),
            group: resource("group"),
            version: resource("version"),
            resource: resource("resource"),
            subresource: resource("subresource"),
            name: resource("name"),
        }
    } else {
        Attributes::Path { verb: path("verb"), path: path("path") }
    };
    let inner = &*server.inner;
    let (allowed, reason) = match inner.authorizer.explain_any(&*inner.store, user, &asked).await? {
        Ok(reason) => (true, reason),
        Err(reason) => (false, reason),
    };
    Ok(if reason.is_empty() { json!({"allowed": allowed}) } else { json!({"allowed": allowed, "reason": reason}) })
}

/// Whose token it is that the review shows.
async fn whose(server: &ApiServer, review: &mut Object) -> Result<Value, ApiError> {
    let token = review.str_at(&["spec", "token"]);
    if token.is_empty() {
        return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
    }
    let mut audiences = strings(review.at(&["spec", "audiences"]));
    if audiences.is_empty() {
        audiences = server.inner.tokens.as_ref().map(Tokens::audiences).unwrap_or_default();
    }
    let known = authenticate::of_token(server, token, &audiences).await;
    review.set(&["spec", "audiences"], audiences);
    Ok(match known {
        Ok(Some(Known { identity, audiences })) => {
            json!({"authenticated": true, "user": identity.to_user_info(), "audiences": audiences})
        }
        Ok(None) => json!({"user": {}}),
        Err(error) => json!({"user": {}, "error": error}),
    })
}

fn rules(server: &ApiServer, call: &Call<'_>, namespace: &str) -> Result<Value, ApiError> {
    if namespace.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let held = server.inner.authorizer.policy.read().held(call.identity.as_user(), namespace);
    let is_some = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let resource = |rule: &PolicyRule| PolicyRule { non_resource_urls: None, ..rule.clone() };
    let path = |rule: &PolicyRule| json!({"verbs": rule.verbs, "nonResourceURLs": rule.non_resource_urls});
    let resources: Vec<_> = held.rules.iter().filter(|rule| is_some(&rule.resources)).map(resource).collect();
    let paths: Vec<_> = held.rules.iter().filter(|rule| is_some(&rule.non_resource_urls)).map(path).collect();
    let mut status = json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false});
    if !held.missing.is_empty() {
        let all = match held.missing.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        status["evaluationError"] = all.into();
    }
    Ok(status)
}

fn strings(list: Option<&Value>) -> Vec<String> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
