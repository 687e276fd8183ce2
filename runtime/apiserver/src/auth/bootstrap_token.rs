//! Tokens by which what is not yet known joins the cluster: Secrets of `kube-system`
//! (<https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/>).

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use ring::digest;
use serde::Deserialize;
use trimtab_api::ApiError;
use trimtab_store::Store;

use super::Identity;
use crate::stored;

const TYPE: &str = "bootstrap.kubernetes.io/token";
const GROUP: &str = "system:bootstrappers";
/// How long the two parts of a token are.
const ID: usize = 6;
const SECRET: usize = 16;

/// Of a Secret, what counts.
#[derive(Deserialize)]
struct Stored {
    metadata: Metadata,
    #[serde(default, rename = "type")]
    type_: String,
    #[serde(default)]
    data: BTreeMap<String, ByteString>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    deletion_timestamp: Option<serde_json::Value>,
}

impl Stored {
    fn text(&self, key: &str) -> &str {
        self.data.get(key).and_then(|bytes| std::str::from_utf8(&bytes.0).ok()).unwrap_or_default()
    }
}

/// Who shows `token`, if it is one of these and good at `now`.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn authenticate(store: &dyn Store, token: &str, now: Timestamp) -> Result<Option<Identity>, ApiError> {
    let Some((id, secret)) = parts(token) else { return Ok(None) };
    let path = format!("secrets/kube-system/bootstrap-token-{id}");
    let Some(stored) = stored::at::<Stored>(store, &path).await? else { return Ok(None) };
    let found = check(&stored, id, secret, now);
    if let Err(why) = found {
        tracing::info!(id, why, "a bootstrap token was refused");
    }
    Ok(found.ok().map(|groups| {
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        Identity::new(&format!("system:bootstrap:{id}"), &groups)
    }))
}

fn parts(token: &str) -> Option<(&str, &str)> {
    let (id, secret) = token.split_once('.')?;
    let fits = |part: &str, len: usize| {
        part.len() == len && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    (fits(id, ID) && fits(secret, SECRET)).then_some((id, secret))
}

/// The groups that the token gives.
fn check(stored: &Stored, id: &str, secret: &str, now: Timestamp) -> Result<Vec<String>, &'static str> {
    if stored.metadata.deletion_timestamp.is_some() {
        return Err("it is being deleted");
    }
    if stored.type_ != TYPE {
        return Err("the Secret has another type");
    }
    // Of digests it may be told how much of them is right.
    let digest = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    if digest(stored.text("token-secret")).as_ref() != digest(secret).as_ref() {
        return Err("the secret is another");
    }
    if stored.text("token-id") != id {
        return Err("the id is another");
    }
    let expiration = stored.text("expiration");
    if !expiration.is_empty() && !expiration.parse::<Timestamp>().is_ok_and(|end| now < end) {
        return Err("it has expired");
    }
    if stored.text("usage-bootstrap-authentication") != "true" {
        return Err("it is not for authentication");
    }
    let more = stored.text("auth-extra-groups").split(',').map(str::trim).filter(|group| !group.is_empty());
    let groups: Vec<String> = std::iter::once(GROUP).chain(more).map(str::to_owned).collect();
    if groups[1..].iter().all(|group| is_bootstrappers(group)) { Ok(groups) } else { Err("a group is not allowed") }
}

/// `system:bootstrappers:` and something.
fn is_bootstrappers(group: &str) -> bool {
    let Some(name) = group.strip_prefix(GROUP).and_then(|rest| rest.strip_prefix(':')) else { return false };
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= 256
        && name.bytes().last().is_some_and(fits)
        && name.bytes().all(|b| fits(b) || b == b':' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(changes: &[(&str, &str)]) -> Stored {
        let mut data: BTreeMap<&str, &str> = [
            ("token-id", "abcdef"),
            ("token-secret", "0123456789abcdef"),
            ("usage-bootstrap-authentication", "true"),
            ("auth-extra-groups", "system:bootstrappers:workers, system:bootstrappers:a:b"),
        ]
        .into();
        data.extend(changes.iter().copied());
        let data = data.into_iter().map(|(key, text)| (key.to_owned(), ByteString(text.into()))).collect();
        Stored { metadata: Metadata { deletion_timestamp: None }, type_: TYPE.to_owned(), data }
    }

    #[test]
    fn what_makes_a_token_good() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let check = |changes: &[(&str, &str)]| check(&stored(changes), "abcdef", "0123456789abcdef", now);
        let groups = ["system:bootstrappers", "system:bootstrappers:workers", "system:bootstrappers:a:b"];
        assert_eq!(check(&[]).unwrap(), groups);
        assert_eq!(check(&[("auth-extra-groups", "")]).unwrap(), ["system:bootstrappers"]);
        assert!(check(&[("expiration", "2026-01-01T00:00:01Z")]).is_ok());
        for bad in [
            ("expiration", "2026-01-01T00:00:00Z"),
            ("expiration", "soon"),
            ("token-secret", "0123456789abcdeg"),
            ("token-id", "abcdeg"),
            ("usage-bootstrap-authentication", "false"),
            ("auth-extra-groups", "system:masters"),
            ("auth-extra-groups", "system:bootstrappers:"),
        ] {
            assert!(check(&[bad]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_form_of_a_token() {
        assert_eq!(parts("abcdef.0123456789abcdef"), Some(("abcdef", "0123456789abcdef")));
        for bad in ["abcdef", "abcde.0123456789abcdef", "abcdeF.0123456789abcdef", "abcdef.0123456789abcde", "a/b"] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }
}
