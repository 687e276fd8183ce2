//! From a kubeconfig to a client.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::entries::given;
use super::exec::Plugin;
use super::plugged::Plugged;
use super::proxy::proxy;
use super::tls::tls;
use super::{ClusterEntry, ConfigError, Kubeconfig, Named, UserEntry, find};
use crate::bearer::Bearer;
use crate::client::Client;
use crate::error::Error;
use crate::http::{Alias, HttpTransport, Way};
use crate::transport::Transport;

impl Kubeconfig {
    /// A client for `context`, or for the current one.
    ///
    /// # Errors
    /// When the context or its credentials cannot be used.
    pub fn client(&self, context: Option<&str>) -> Result<Client, Error> {
        let (context, cluster) = self.place(context)?;
        let client = Client::new(transport(cluster, find(&self.users, "user", &context.user)?)?);
        Ok(match &context.namespace {
            Some(namespace) => client.with_namespace(namespace),
            None => client,
        })
    }
}

fn transport(cluster: &Named<ClusterEntry>, user: &Named<UserEntry>) -> Result<Arc<dyn Transport>, Error> {
    if user.entry.user.rest.get("auth-provider").is_some_and(|provider| !provider.is_null()) {
        return Err(user
            .refused("user.auth-provider", "is not supported any more, as by kubectl; user.exec is")
            .into());
    }
    let (bearer, mut headers) = (bearer(user)?, basic(user)?);
    let is_static = bearer.is_some() || !headers.is_empty();
    headers.extend(impersonation(user)?);
    let info = &cluster.entry.cluster;
    let proxy = proxy(cluster)?;
    let way = Way {
        uncompressed: info.disable_compression == Some(true),
        alias: alias(cluster, proxy.is_some())?,
        proxy,
        headers,
    };
    let (server, tls) = (info.server.as_str(), tls(cluster, user)?);
    let transport: Arc<dyn Transport> = match Plugin::of(cluster, user)? {
        // As for kubectl, what the file itself says goes before what a program would.
        Some(plugin) if !is_static => Arc::new(Plugged::new(plugin, way, server, tls)),
        _ => Arc::new(HttpTransport::by(&way, server, &tls, bearer)?),
    };
    Ok(transport)
}

fn bearer(user: &Named<UserEntry>) -> Result<Option<Bearer>, ConfigError> {
    let info = &user.entry.user;
    let file = info.token_file.as_deref().filter(|path| !path.as_os_str().is_empty());
    Ok(match (given(info.token.as_ref()), file) {
        (Some(token), Some(path)) => Some(Bearer::file_or(path, token)),
        (Some(token), None) => Some(Bearer::Token(token.to_owned())),
        (None, Some(path)) => Some(Bearer::file(path)?),
        (None, None) => None,
    })
}

/// `username` and `password`.
fn basic(user: &Named<UserEntry>) -> Result<HeaderMap, ConfigError> {
    let info = &user.entry.user;
    let (name, password) = (given(info.username.as_ref()), given(info.password.as_ref()));
    if name.or(password).is_none() {
        return Ok(HeaderMap::new());
    }
    if given(info.token.as_ref()).is_some() || info.token_file.is_some() {
        return Err(user.refused("user.username", "goes with no token: only one of them can be shown"));
    }
    let pair = format!("{}:{}", name.unwrap_or_default(), password.unwrap_or_default());
    let mut value = header(user, "user.username", &format!("Basic {}", STANDARD.encode(pair)))?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

/// What a header's name may not hold of the name of something that is known of somebody.
const NO_HEADER: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'*')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// `as` and what belongs to it
/// (<https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation>).
fn impersonation(user: &Named<UserEntry>) -> Result<HeaderMap, ConfigError> {
    let info = &user.entry.user;
    let (name, uid) = (given(info.impersonate.as_ref()), given(info.impersonate_uid.as_ref()));
    let (groups, extra) = (&info.impersonate_groups, &info.impersonate_extra);
    let mut headers = HeaderMap::new();
    let Some(name) = name else {
        let alone = [
            ("user.as-uid", uid.is_some()),
            ("user.as-groups", !groups.is_empty()),
            ("user.as-user-extra", !extra.is_empty()),
        ];
        return match alone.into_iter().find(|(_, is_given)| *is_given) {
            Some((field, _)) => Err(user.refused(field, "needs user.as, the user to act as")),
            None => Ok(headers),
        };
    };
    headers.insert("impersonate-user", header(user, "user.as", name)?);
    if let Some(uid) = uid {
        headers.insert("impersonate-uid", header(user, "user.as-uid", uid)?);
    }
    for group in groups {
        headers.append("impersonate-group", header(user, "user.as-groups", group)?);
    }
    for (key, values) in extra {
        const FIELD: &str = "user.as-user-extra";
        let name = format!("impersonate-extra-{}", utf8_percent_encode(key, NO_HEADER));
        let name = HeaderName::try_from(name).map_err(|error| user.refused(FIELD, error.to_string()))?;
        for value in values {
            headers.append(name.clone(), header(user, FIELD, value)?);
        }
    }
    Ok(headers)
}

fn header(user: &Named<UserEntry>, field: &str, value: &str) -> Result<HeaderValue, ConfigError> {
    HeaderValue::from_bytes(value.as_bytes()).map_err(|_| user.refused(field, "holds what no HTTP header can"))
}

/// `tls-server-name`, of a server that has a certificate.
fn alias(cluster: &Named<ClusterEntry>, by_proxy: bool) -> Result<Option<Alias>, ConfigError> {
    const FIELD: &str = "cluster.tls-server-name";
    let info = &cluster.entry.cluster;
    let Some(name) = given(info.tls_server_name.as_ref()).filter(|_| !info.server.starts_with("http:")) else {
        return Ok(None);
    };
    if by_proxy {
        return Err(cluster.refused(FIELD, "is not supported with a proxy"));
    }
    match Alias::new(&info.server, name) {
        Some(alias) => Ok(Some(alias)),
        None => Err(cluster.refused(FIELD, format!("({name:?}) is no host name, which alone is supported"))),
    }
}
