//! The tokens that pods show themselves to the API with: asked for when a volume holds one, and
//! again before they end (`pkg/kubelet/token`).

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount, ServiceAccountTokenProjection};
use serde::Deserialize;
use serde_json::json;
use trimtab_client::{Api, Client, Error};
use trimtab_env::{Env, HashMap, lock};

use crate::pod::{self, spec};
use crate::runtime::PodId;

/// As the API's own default.
const DEFAULT_SECONDS: i64 = 60 * 60;
/// However long a token lives, it is not used for longer than this, in seconds.
const MAX_AGE: i64 = 24 * 60 * 60;
/// A token is replaced so many seconds earlier or later, that not all are at once.
const SPREAD: u64 = 10;
/// How long after a refusal a token that is still good is asked for again, in seconds.
const AGAIN: i64 = 60;

/// For whom a token is (`""`: the API server), and for how many seconds.
pub(crate) type Key = (String, i64);

/// What `projection` asks for.
pub(crate) fn key(projection: &ServiceAccountTokenProjection) -> Key {
    let audience = projection.audience.clone().unwrap_or_default();
    (audience, projection.expiration_seconds.unwrap_or(DEFAULT_SECONDS))
}

/// The tokens of this process' pods, by the pods' uids.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<String, BTreeMap<Key, Held>>>);

#[derive(Clone)]
struct Held {
    token: String,
    /// When it is to be replaced.
    renew: Timestamp,
    expires: Timestamp,
}

/// Of the API's answer, what counts.
#[derive(Deserialize)]
struct Answer {
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    token: String,
    expiration_timestamp: Timestamp,
}

impl Tokens {
    /// The tokens that the volumes of `pod` ask for, those that are to be replaced anew.
    ///
    /// # Errors
    /// When the API refuses one and there is none that is still good.
    pub(crate) async fn of(&self, pod: &Pod, client: &Client, env: &Env) -> Result<BTreeMap<Key, String>, Error> {
        let volumes = spec(pod).volumes.iter().flatten().filter_map(|volume| volume.projected.as_ref());
        let sources = volumes.flat_map(|projected| projected.sources.iter().flatten());
        let asked = sources.filter_map(|source| Some(key(source.service_account_token.as_ref()?)));
        let got = asked.map(|key| async move {
            let token = self.one(pod, key.clone(), client, env).await?;
            Ok::<_, Error>((key, token))
        });
        Ok(try_join_all(got).await?.into_iter().collect())
    }

    async fn one(&self, pod: &Pod, key: Key, client: &Client, env: &Env) -> Result<String, Error> {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let now = env.now();
        let held = lock(&self.0).get(&uid).and_then(|tokens| tokens.get(&key)).cloned();
        if let Some(held) = held.as_ref().filter(|held| now < held.renew) {
            return Ok(held.token.clone());
        }
        let held = match (request(pod, &key, client).await, held) {
            (Ok(status), _) => Held {
                renew: renewal(status.expiration_timestamp, key.1, now, env.below(SPREAD)),
                token: status.token,
                expires: status.expiration_timestamp,
            },
            (Err(error), Some(held)) if now < held.expires => {
                tracing::warn!(pod = %uid, %error, "a token could not be replaced; it is still good");
                Held { renew: after(now, AGAIN), ..held }
            }
            (Err(error), _) => {
                if let Some(tokens) = lock(&self.0).get_mut(&uid) {
                    tokens.remove(&key);
                }
                return Err(error);
            }
        };
        let token = held.token.clone();
        lock(&self.0).entry(uid).or_default().insert(key, held);
        Ok(token)
    }

    /// How long until a token of this pod is to be replaced; `None` when it has none.
    pub(crate) fn due_in(&self, uid: &str, env: &Env) -> Option<Duration> {
        let renew = lock(&self.0).get(uid)?.values().map(|held| held.renew).min()?;
        Some(Duration::try_from(renew.duration_since(env.now())).unwrap_or_default())
    }

    /// The pod uses none any more.
    pub(crate) fn forget(&self, uid: &str) {
        lock(&self.0).remove(uid);
    }
}

async fn request(pod: &Pod, (audience, seconds): &Key, client: &Client) -> Result<Status, Error> {
    let PodId { namespace, name, uid } = pod::id(pod);
    let account = spec(pod).service_account_name.as_deref().unwrap_or("default");
    let audiences: Vec<&str> = Some(audience.as_str()).into_iter().filter(|audience| !audience.is_empty()).collect();
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {
        "audiences": audiences, "expirationSeconds": seconds,
        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}}});
    let api = Api::<ServiceAccount>::namespaced(client, &namespace);
    let answer = api.create_subresource(account, "token", &body).await?;
    let answer = serde_json::to_value(answer).and_then(|value| Answer::deserialize(&value));
    Ok(answer.map_err(|source| Error::Decode { what: "a token".to_owned(), source })?.status)
}

/// When four fifths of its time are over, or a day.
fn renewal(expires: Timestamp, seconds: i64, now: Timestamp, early: u64) -> Timestamp {
    let early = i64::try_from(early).unwrap_or_default();
    let last_fifth = after(expires, -(seconds / 5 + early));
    last_fifth.min(after(now, MAX_AGE - early))
}

fn after(time: Timestamp, seconds: i64) -> Timestamp {
    time.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_replaced_in_its_last_fifth_and_after_a_day() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let check = |seconds: i64, early: u64, expected: i64| {
            let found = renewal(after(now, seconds), seconds, now, early);
            assert_eq!(found.duration_since(now).as_secs(), expected, "{seconds}");
        };
        check(600, 0, 480);
        check(600, 9, 471);
        check(3607, 0, 2886);
        check(1_000_000, 0, MAX_AGE);
    }
}
