//! Whose token it is, if it is good (`pkg/serviceaccount`).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use ring::digest;
use serde::Deserialize;
use trimtab_api::kinds::service_account::TOKEN_KEY;
use trimtab_env::lock;
use trimtab_store::Store;

use super::Tokens;
use super::claims::{Claims, Reference};
use super::key::Signed;
use crate::auth::Identity;
use crate::stored;

/// How far clocks may differ, in seconds, as upstream allows.
const LEEWAY: i64 = 60;
/// How long an object that is being deleted still vouches for its tokens, in seconds.
const DELETION_GRACE: i64 = 60;
/// How many tokens are remembered.
const REMEMBERED: usize = 4096;
const INVALIDATED: &str = "service account token has been invalidated";

/// Who has shown a token, and for whom it is among those asked for.
#[derive(Debug)]
pub(crate) struct Known {
    pub identity: Identity,
    pub audiences: Vec<String>,
}

/// Of an object, what a token depends on.
#[derive(Deserialize)]
struct Stored {
    metadata: Metadata,
    /// Of a Secret.
    #[serde(default)]
    data: BTreeMap<String, ByteString>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    deletion_timestamp: Option<String>,
}

impl Tokens {
    /// Who shows `token` to one of `audiences`, at `now`; `None` when it is not one of ours.
    ///
    /// # Errors
    /// Why the token is not good, in upstream's words.
    pub(crate) async fn authenticate(
        &self,
        store: &dyn Store,
        token: &str,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<Option<Known>, String> {
        let Some(claims) = self.read(token)? else { return Ok(None) };
        let common: Vec<String> = claims.aud.iter().filter(|own| audiences.contains(own)).cloned().collect();
        if common.is_empty() {
            let (own, asked) = (quoted(&claims.aud), quoted(audiences));
            return Err(format!("token audiences {own} is invalid for the target audiences {asked}"));
        }
        let now = now.as_second();
        if now > claims.exp.saturating_add(LEEWAY) {
            return Err("service account token has expired".to_owned());
        }
        if now.saturating_add(LEEWAY) < claims.nbf {
            return Err("service account token is not valid yet".to_owned());
        }
        let there = There { store, now };
        there.vouch(&claims, token).await?;
        Ok(Some(Known { identity: claims.identity(), audiences: common }))
    }

    /// The claims of a token of ours whose signature is right.
    fn read(&self, token: &str) -> Result<Option<Arc<Claims>>, String> {
        let digest = digest::digest(&digest::SHA256, token.as_bytes());
        let digest: [u8; 32] = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
        if let Some(claims) = lock(&self.right).get(&digest) {
            return Ok(Some(Arc::clone(claims)));
        }
        let Some(signed) = Signed::parse(token) else { return Ok(None) };
        let Some(claims) = Claims::read(&signed.claims, &self.config.issuer) else { return Ok(None) };
        if !self.config.key.has_signed(&signed) {
            return Err("error verifying token signature".to_owned());
        }
        let claims = Arc::new(claims);
        let mut right = lock(&self.right);
        if right.len() >= REMEMBERED {
            right.clear();
        }
        right.insert(digest, Arc::clone(&claims));
        Ok(Some(claims))
    }
}

fn quoted(list: &[String]) -> String {
    let list: Vec<String> = list.iter().map(|item| format!("{item:?}")).collect();
    format!("[{}]", list.join(" "))
}

/// What is there now.
struct There<'a> {
    store: &'a dyn Store,
    now: i64,
}

impl There<'_> {
    /// Whether the service account, and what the token is bound to, are there and the same.
    async fn vouch(&self, claims: &Claims, token: &str) -> Result<(), String> {
        let private = &claims.private;
        let (namespace, account) = (&private.namespace, &private.serviceaccount);
        let found = self.find(&format!("serviceaccounts/{namespace}/{}", account.name)).await?;
        let found = found.ok_or_else(|| format!("serviceaccounts {:?} not found", account.name))?;
        self.same(&found.metadata, account, "service account UID ({found}) does not match claim ({claimed})")?;
        if let Some(secret) = &private.secret {
            let path = format!("secrets/{namespace}/{}", secret.name);
            if claims.is_kept() {
                return self.kept(&path, token).await;
            }
            let words = "secret UID ({found}) does not match service account secret ref claim ({claimed})";
            self.bound(&path, secret, words).await?;
        }
        if let Some(pod) = &private.pod {
            let words = "pod UID ({found}) does not match service account pod ref claim ({claimed})";
            self.bound(&format!("pods/{namespace}/{}", pod.name), pod, words).await?;
        } else if let Some(node) = &private.node {
            // A pod's token says its node, and ends with the pod.
            let words = "node UID ({found}) does not match service account node ref claim ({claimed})";
            self.bound(&format!("nodes/{}", node.name), node, words).await?;
        }
        Ok(())
    }

    async fn bound(&self, key: &str, claimed: &Reference, words: &str) -> Result<(), String> {
        let found = self.find(key).await?.ok_or(INVALIDATED)?;
        self.same(&found.metadata, claimed, words)
    }

    /// Whether the Secret at `path` still holds `token`: it may be gone, or have been given another one.
    async fn kept(&self, path: &str, token: &str) -> Result<(), String> {
        let secret = self.find(path).await?.filter(|secret| secret.metadata.deletion_timestamp.is_none());
        let secret = secret.ok_or(INVALIDATED)?;
        let holds = secret.data.get(TOKEN_KEY).is_some_and(|held| held.0 == token.as_bytes());
        if holds { Ok(()) } else { Err("token does not match server's copy".to_owned()) }
    }

    fn same(&self, found: &Metadata, claimed: &Reference, words: &str) -> Result<(), String> {
        let deleted = found.deletion_timestamp.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
        if deleted.is_some_and(|deleted| deleted.as_second() < self.now - DELETION_GRACE) {
            return Err(INVALIDATED.to_owned());
        }
        if found.uid != claimed.uid {
            return Err(words.replace("{found}", &found.uid).replace("{claimed}", &claimed.uid));
        }
        Ok(())
    }

    async fn find(&self, path: &str) -> Result<Option<Stored>, String> {
        stored::at(self.store, path).await.map_err(|error| error.to_string())
    }
}
