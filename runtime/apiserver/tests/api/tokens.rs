//! Tokens of service accounts.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::KeyPair;
use serde_json::{Value, json};
use trimtab_api::kinds::service_account::SecretClaims;
use trimtab_apiserver::SigningKey;

use crate::harness::{ISSUER, PODS, Server, pod};

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
/// Whoever is known may ask it.
const WHO_AM_I: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

/// A server with the service account `robot`.
async fn server() -> Server {
    let server = Server::with_tokens().await;
    server.post(ACCOUNTS, json!({"metadata": {"name": "robot"}})).await.ok();
    server
}

async fn request(server: &Server, spec: Value) -> crate::harness::Answer {
    server.post(&format!("{ACCOUNTS}/robot/token"), json!({"spec": spec})).await
}

async fn token(server: &Server, spec: Value) -> String {
    request(server, spec).await.ok()["status"]["token"].as_str().unwrap().to_owned()
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

async fn review(server: &Server, token: &str, audiences: Value) -> Value {
    let answer = server.post(REVIEWS, json!({"spec": {"token": token, "audiences": audiences}})).await;
    answer.ok()["status"].clone()
}

async fn is_let_in(server: &Server, token: &str) -> bool {
    let code = server.get_with("/api", token).await.code;
    assert!(matches!(code, 200 | 401), "{code}");
    code == 200
}

#[tokio::test(start_paused = true)]
async fn a_token_says_whose_it_is_and_for_how_long() {
    let server = server().await;
    let account = server.get(&format!("{ACCOUNTS}/robot")).await.ok();
    let answer = request(&server, json!({"expirationSeconds": 600})).await;
    assert_eq!(answer.code, 201);
    let answer = answer.ok();
    assert_eq!((&answer["kind"], &answer["apiVersion"]), (&json!("TokenRequest"), &json!("authentication.k8s.io/v1")));
    assert_eq!(answer["metadata"]["name"], "robot");
    assert_eq!(answer["spec"], json!({"audiences": [ISSUER], "expirationSeconds": 600}));
    assert_eq!(answer["status"]["expirationTimestamp"], "2026-01-01T00:10:00Z");
    let claims = claims(answer["status"]["token"].as_str().unwrap());
    let start = 1_767_225_600;
    assert_eq!(
        claims,
        json!({"aud": [ISSUER], "exp": start + 600, "iat": start, "nbf": start, "iss": ISSUER, "jti": claims["jti"],
            "sub": "system:serviceaccount:default:robot", "kubernetes.io": {"namespace": "default",
            "serviceaccount": {"name": "robot", "uid": account["metadata"]["uid"]}}})
    );
}

#[tokio::test(start_paused = true)]
async fn a_bearer_is_the_service_account() {
    let server = server().await;
    let token = token(&server, json!({})).await;
    let open = server.open();
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let answer = open.ask(http::Method::POST, WHO_AM_I, &headers, "{}".into()).await.ok();
    let info = &answer["status"]["userInfo"];
    assert_eq!(info["username"], "system:serviceaccount:default:robot");
    let groups = ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"];
    assert_eq!(info["groups"], json!(groups));
    assert_eq!(info["uid"], server.get(&format!("{ACCOUNTS}/robot")).await.ok()["metadata"]["uid"]);
    let jti = claims(&token)["jti"].as_str().unwrap().to_owned();
    assert_eq!(info["extra"], json!({"authentication.kubernetes.io/credential-id": [format!("JTI={jti}")]}));
    let refused = server.get_with(PODS, &token).await;
    refused.refused(403, "Forbidden", r#"User "system:serviceaccount:default:robot" cannot list resource "pods""#);
    server.get_with(PODS, "nonsense").await.refused(401, "Unauthorized", "Unauthorized");
    server.get_with(PODS, &format!("{token}x")).await.refused(401, "Unauthorized", "Unauthorized");
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_with_its_time() {
    let server = server().await;
    let token = token(&server, json!({"expirationSeconds": 600})).await;
    assert!(is_let_in(&server, &token).await);
    tokio::time::advance(Duration::from_secs(600)).await;
    assert!(is_let_in(&server, &token).await, "clocks may differ by a minute");
    tokio::time::advance(Duration::from_secs(61)).await;
    assert!(!is_let_in(&server, &token).await);
    let status = review(&server, &token, json!(null)).await;
    assert_eq!(status, json!({"user": {}, "error": "service account token has expired"}));
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_with_its_account_and_with_what_it_is_bound_to() {
    let server = server().await;
    let mut bound = pod("p");
    bound["spec"]["serviceAccountName"] = "robot".into();
    bound["spec"]["nodeName"] = "n".into();
    server.post("/api/v1/nodes", json!({"metadata": {"name": "n"}})).await.ok();
    server.post(PODS, bound.clone()).await.ok();
    let uid = server.get(&format!("{PODS}/p")).await.ok()["metadata"]["uid"].clone();
    let to_pod = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid});
    let of_pod = token(&server, json!({"boundObjectRef": to_pod})).await;
    assert_eq!(claims(&of_pod)["kubernetes.io"]["pod"], json!({"name": "p", "uid": uid}));
    let user = review(&server, &of_pod, json!(null)).await["user"].clone();
    assert_eq!(user["extra"]["authentication.kubernetes.io/pod-name"], json!(["p"]));
    assert_eq!(user["extra"]["authentication.kubernetes.io/pod-uid"], json!([uid]));
    assert_eq!(user["extra"]["authentication.kubernetes.io/node-name"], json!(["n"]));

    server.post(SECRETS, json!({"metadata": {"name": "s"}})).await.ok();
    let of_secret =
        token(&server, json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": "s"}})).await;
    let of_node = token(&server, json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Node", "name": "n"}})).await;
    let of_nothing = token(&server, json!({})).await;
    for token in [&of_pod, &of_secret, &of_node, &of_nothing] {
        assert!(is_let_in(&server, token).await);
    }
    server.delete("/api/v1/nodes/n", json!({})).await.ok();
    assert!(!is_let_in(&server, &of_node).await && is_let_in(&server, &of_pod).await);
    server.delete(&format!("{SECRETS}/s"), json!({})).await.ok();
    assert!(!is_let_in(&server, &of_secret).await);
    server.delete(&format!("{PODS}/p"), json!({"gracePeriodSeconds": 0})).await.ok();
    assert!(!is_let_in(&server, &of_pod).await);
    server.post(PODS, bound).await.ok();
    let error = review(&server, &of_pod, json!(null)).await["error"].clone();
    assert!(error.as_str().unwrap().starts_with("pod UID ("), "another pod of the same name: {error}");
    assert!(is_let_in(&server, &of_nothing).await);
    server.delete(&format!("{ACCOUNTS}/robot"), json!({})).await.ok();
    assert!(!is_let_in(&server, &of_nothing).await);
    server.post(ACCOUNTS, json!({"metadata": {"name": "robot"}})).await.ok();
    assert!(!is_let_in(&server, &of_nothing).await, "another account of the same name");
}

#[tokio::test(start_paused = true)]
async fn a_token_in_a_secret_is_good_for_as_long_as_it_is_there() {
    let key = KeyPair::generate().unwrap();
    let server = Server::with_key(&key).await;
    let account = server.post(ACCOUNTS, json!({"metadata": {"name": "robot"}})).await.ok();
    let uid = account["metadata"]["uid"].as_str().unwrap();
    let claims = SecretClaims::new("default", "robot-token", "robot", uid);
    let token = SigningKey::from_pkcs8(&key.serialize_der()).unwrap().sign(&claims).unwrap();
    assert!(!is_let_in(&server, &token).await, "there is no such Secret");
    let secret = json!({
        "metadata": {"name": "robot-token", "annotations": {"kubernetes.io/service-account.name": "robot"}},
        "type": "kubernetes.io/service-account-token",
        "stringData": {"token": token},
    });
    let path = format!("{SECRETS}/robot-token");
    server.post(SECRETS, secret.clone()).await.ok();
    let user = review(&server, &token, json!(null)).await["user"].clone();
    assert_eq!((&user["username"], &user["uid"]), (&json!("system:serviceaccount:default:robot"), &json!(uid)));
    assert_eq!(user["extra"], json!(null));
    tokio::time::advance(Duration::from_secs(366 * 24 * 3600)).await;
    assert!(is_let_in(&server, &token).await, "it has no end");
    let status = review(&server, &token, json!(["vault"])).await;
    assert!(status["error"].as_str().unwrap().contains("is invalid for the target audiences"), "{status}");

    server.delete(&path, json!({})).await.ok();
    let mut other = secret.clone();
    other["stringData"]["token"] = "another".into();
    server.post(SECRETS, other).await.ok();
    let status = review(&server, &token, json!(null)).await;
    assert_eq!(status["error"], "token does not match server's copy");
    server.delete(&path, json!({})).await.ok();
    server.post(SECRETS, secret).await.ok();
    assert!(is_let_in(&server, &token).await);
    server.delete(&format!("{ACCOUNTS}/robot"), json!({})).await.ok();
    assert!(!is_let_in(&server, &token).await, "its account is gone");
}

#[tokio::test(start_paused = true)]
async fn a_token_for_others_is_not_for_us() {
    let server = server().await;
    let token = token(&server, json!({"audiences": ["vault", "mail"]})).await;
    assert!(!is_let_in(&server, &token).await);
    let status = review(&server, &token, json!(["mail", "x"])).await;
    assert_eq!((&status["authenticated"], &status["audiences"]), (&json!(true), &json!(["mail"])));
    let status = review(&server, &token, json!(null)).await;
    let error = format!(r#"token audiences ["vault" "mail"] is invalid for the target audiences ["{ISSUER}"]"#);
    assert_eq!(status, json!({"user": {}, "error": error}));
    assert_eq!(review(&server, "nonsense", json!(null)).await, json!({"user": {}}));
    server.post(REVIEWS, json!({"spec": {}})).await.refused(400, "BadRequest", "token is required");
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_is_checked() {
    let server = server().await;
    let refused = async |spec: Value, code: u16, reason: &str, message: &str| {
        request(&server, spec).await.refused(code, reason, message);
    };
    let short = r#"TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes"#;
    refused(json!({"expirationSeconds": 599}), 422, "Invalid", short).await;
    refused(json!({"expirationSeconds": (1_i64 << 32) + 1}), 422, "Invalid", "larger than 2^32 seconds").await;
    let map = json!({"boundObjectRef": {"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}});
    refused(map, 400, "BadRequest", "cannot bind token to object of type /v1, Kind=ConfigMap").await;
    let gone = json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "x"}});
    refused(gone, 404, "NotFound", r#"pods "x" not found"#).await;
    server.post(ACCOUNTS, json!({"metadata": {"name": "default"}})).await.ok();
    server.post(PODS, pod("p")).await.ok();
    let other = json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p"}});
    refused(other, 400, "BadRequest", r#"cannot bind token for serviceaccount "robot" to pod"#).await;
    server.post(SECRETS, json!({"metadata": {"name": "s"}})).await.ok();
    let old = json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": "s", "uid": "u"}});
    refused(old, 409, "Conflict", "the UID in the bound object reference (u) does not match").await;
    let path = format!("{ACCOUNTS}/robot/token");
    server.post(&path, json!({"metadata": {"name": "x"}})).await.refused(
        422,
        "Invalid",
        "must match the service account name",
    );
    server.post(&format!("{ACCOUNTS}/none/token"), json!({})).await.refused(
        404,
        "NotFound",
        r#"serviceaccounts "none""#,
    );
    assert_eq!(server.get(&path).await.code, 405);
}

#[tokio::test(start_paused = true)]
async fn the_keys_are_published() {
    let server = server().await;
    let bearer = token(&server, json!({})).await;
    let found = server.get_with("/.well-known/openid-configuration", &bearer).await;
    assert_eq!(found.headers["cache-control"], "public, max-age=3600");
    let found = found.ok();
    assert_eq!((&found["issuer"], &found["jwks_uri"]), (&json!(ISSUER), &json!("https://127.0.0.1/openid/v1/jwks")));
    let keys = server.get_with("/openid/v1/jwks", &bearer).await;
    assert_eq!(keys.headers["content-type"], "application/jwk-set+json");
    let keys = keys.ok();
    let header = URL_SAFE_NO_PAD.decode(bearer.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!((&header["kid"], &header["alg"]), (&keys["keys"][0]["kid"], &json!("ES256")));
}

#[tokio::test(start_paused = true)]
async fn without_a_key_there_are_no_tokens() {
    let server = Server::new().await;
    server.post(ACCOUNTS, json!({"metadata": {"name": "robot"}})).await.ok();
    assert_eq!(request(&server, json!({})).await.code, 404);
    assert_eq!(server.get("/openid/v1/jwks").await.code, 404);
    assert_eq!(server.get_with("/version", "x").await.code, 401);
}
