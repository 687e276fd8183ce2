//! Acting as somebody else: the `Impersonate-` headers, each of which needs to be allowed
//! (<https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation>).

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use trimtab_api::ApiError;
use trimtab_api::rbac::{Attributes, service_account};

use super::Identity;
use super::attributes::forbidden;
use super::identity::{ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, service_account_groups};
use crate::read::read_error;
use crate::server::ApiServer;

const PREFIX: &str = "impersonate-";
const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";
const AUTHENTICATION: &str = "authentication.k8s.io";

/// Whom `headers` ask to act as; `None` when nobody. The headers are taken out: they are for us
/// alone.
///
/// # Errors
/// 403 when `caller` may not; 500, as upstream, when they name no user.
pub(super) async fn asked(
    server: &ApiServer,
    caller: &Identity,
    headers: &mut HeaderMap,
) -> Result<Option<Identity>, ApiError> {
    if !headers.keys().any(|name| name.as_str().starts_with(PREFIX)) {
        return Ok(None);
    }
    let wanted = take(headers);
    if wanted.user.is_empty() {
        if wanted == Identity::default() {
            return Ok(None);
        }
        return Err(ApiError::internal("requested groups, a uid or extras without impersonating a user"));
    }
    let inner = &*server.inner;
    inner.authorizer.policy.catch_up(&*inner.store).await.map_err(read_error)?;
    for attributes in needed(&wanted) {
        if let Err(reason) = inner.authorizer.decide(caller.as_user(), &attributes) {
            return Err(forbidden(caller, &attributes, &reason));
        }
    }
    let wanted = complete(wanted);
    tracing::info!(user = %caller.user, acts_as = %wanted.user, "impersonated");
    Ok(Some(wanted))
}

fn take(headers: &mut HeaderMap) -> Identity {
    let mut wanted = Identity::default();
    for (name, value) in headers.iter() {
        let Ok(value) = value.to_str() else { continue };
        match name.as_str() {
            USER => wanted.user = value.to_owned(),
            UID => wanted.uid = value.to_owned(),
            GROUP => wanted.groups.push(value.to_owned()),
            other => {
                if let Some(key) = other.strip_prefix(EXTRA) {
                    let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
                    wanted.extra.entry(key).or_default().push(value.to_owned());
                }
            }
        }
    }
    let ours: Vec<_> = headers.keys().filter(|name| name.as_str().starts_with(PREFIX)).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
    wanted
}

/// What must be allowed: each part of the other identity.
fn needed(wanted: &Identity) -> Vec<Attributes<'_>> {
    let verb = "impersonate";
    let one = |group, namespace, resource, subresource, name| Attributes::Resource {
        verb,
        namespace,
        group,
        version: "v1",
        resource,
        subresource,
        name,
    };
    let user = match service_account(&wanted.user) {
        Some((namespace, name)) => one("", namespace, "serviceaccounts", "", name),
        None => one("", "", "users", "", &*wanted.user),
    };
    let groups = wanted.groups.iter().map(|group| one("", "", "groups", "", &**group));
    let uid = (!wanted.uid.is_empty()).then(|| one(AUTHENTICATION, "", "uids", "", &*wanted.uid));
    let extra = wanted.extra.iter().flat_map(|(key, values)| {
        values.iter().map(|value| one(AUTHENTICATION, "", "userextras", key.as_str(), value.as_str()))
    });
    std::iter::once(user).chain(groups).chain(extra).chain(uid).collect()
}

/// With the groups that everybody of its kind is in.
fn complete(mut wanted: Identity) -> Identity {
    if wanted.groups.is_empty()
        && let Some((namespace, _)) = service_account(&wanted.user)
    {
        wanted.groups = service_account_groups(namespace);
    }
    let known = [AUTHENTICATED, UNAUTHENTICATED];
    let is_told = wanted.groups.iter().any(|group| known.contains(&group.as_str()));
    match wanted.user.as_str() {
        ANONYMOUS if wanted.groups.is_empty() => wanted.groups.push(UNAUTHENTICATED.to_owned()),
        ANONYMOUS => {}
        _ if is_told => {}
        _ => wanted.groups.push(AUTHENTICATED.to_owned()),
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&'static str, &'static str)], expected: &[&str]) {
        let mut headers = HeaderMap::new();
        headers.append("accept", "x".parse().unwrap());
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        let wanted = take(&mut headers);
        assert_eq!(headers.len(), 1, "no header of ours is passed on");
        let needed = needed(&wanted).into_iter().map(|attributes| match attributes {
            Attributes::Resource { namespace, group, resource, subresource, name, .. } => {
                format!("{group}|{resource}|{subresource}|{namespace}|{name}")
            }
            Attributes::Path { .. } => String::new(),
        });
        assert_eq!(needed.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn each_part_needs_to_be_allowed() {
        check(&[("impersonate-user", "jane")], &["|users|||jane"]);
        check(&[("impersonate-user", "system:serviceaccount:a:b")], &["|serviceaccounts||a|b"]);
        check(
            &[
                ("impersonate-user", "jane"),
                ("impersonate-group", "dev"),
                ("impersonate-group", "ops"),
                ("impersonate-uid", "7"),
                ("impersonate-extra-acme.com%2fproject", "x"),
            ],
            &[
                "|users|||jane",
                "|groups|||dev",
                "|groups|||ops",
                "authentication.k8s.io|userextras|acme.com/project||x",
                "authentication.k8s.io|uids|||7",
            ],
        );
    }

    #[test]
    fn the_groups_that_come_with_a_name() {
        let check = |user: &str, groups: &[&str], expected: &[&str]| {
            let groups = groups.iter().map(ToString::to_string).collect();
            let wanted = complete(Identity { user: user.to_owned(), groups, ..Identity::default() });
            assert_eq!(wanted.groups, expected, "{user}");
        };
        check("jane", &[], &["system:authenticated"]);
        check("jane", &["dev"], &["dev", "system:authenticated"]);
        check("jane", &["system:unauthenticated"], &["system:unauthenticated"]);
        check("system:anonymous", &[], &["system:unauthenticated"]);
        let groups = ["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"];
        check("system:serviceaccount:a:b", &[], &groups);
        check("system:serviceaccount:a:b", &["x"], &["x", "system:authenticated"]);
    }
}
