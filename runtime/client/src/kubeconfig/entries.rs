//! What a kubeconfig says of a cluster, a context, a user.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::ConfigError;

/// An entry of one of the lists.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Named<T> {
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub entry: T,
    /// Where it was read from.
    #[serde(skip)]
    pub(super) file: Option<PathBuf>,
}

impl<T> Named<T> {
    pub(super) fn new(name: &str, entry: T) -> Self {
        Self { name: name.to_owned(), entry, file: None }
    }

    /// Why the entry cannot be used as it is.
    pub(super) fn refused(&self, field: &str, why: impl Into<String>) -> ConfigError {
        let file = self.file.as_ref().map_or("the kubeconfig".to_owned(), |file| file.display().to_string());
        ConfigError::Field { file, field: field.to_owned(), name: self.name.clone(), why: why.into() }
    }
}

/// `cluster:` of a cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClusterEntry {
    /// The server.
    #[serde(default, deserialize_with = "or_default")]
    pub cluster: ClusterInfo,
}

/// Where a server is and whom it trusts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ClusterInfo {
    /// `https://host:port`.
    #[serde(deserialize_with = "or_default")]
    pub server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// The authority's certificate: PEM in base64.
    pub certificate_authority_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// The authority's certificate: a file.
    pub certificate_authority: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// Trust any certificate.
    pub insecure_skip_tls_verify: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// The name that the server's certificate is for, if it is another than the server's.
    pub tls_server_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// The proxy that leads to the server: its URL.
    pub proxy_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// Do not ask for compressed answers.
    pub disable_compression: Option<bool>,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

/// `context:` of a context.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContextEntry {
    /// The context.
    #[serde(default, deserialize_with = "or_default")]
    pub context: ContextInfo,
}

/// Which cluster, as whom, in which namespace.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ContextInfo {
    /// The cluster's name.
    #[serde(deserialize_with = "or_default")]
    pub cluster: String,
    /// The user's name.
    #[serde(deserialize_with = "or_default")]
    pub user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// The namespace that is meant when none is named.
    pub namespace: Option<String>,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

/// `user:` of a user.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserEntry {
    /// The user.
    #[serde(default, deserialize_with = "or_default")]
    pub user: UserInfo,
}

/// Credentials.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct UserInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    /// The certificate: PEM in base64.
    pub client_certificate_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// The certificate: a file.
    pub client_certificate: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// The key: PEM in base64.
    pub client_key_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// The key: a file.
    pub client_key: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// A bearer token.
    pub token: Option<String>,
    #[serde(rename = "tokenFile", skip_serializing_if = "Option::is_none")]
    /// A bearer token in a file, which goes before `token`.
    pub token_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// A name, with a password.
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// The password.
    pub password: Option<String>,
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    /// The user to act as.
    pub impersonate: Option<String>,
    #[serde(rename = "as-uid", skip_serializing_if = "Option::is_none")]
    /// The uid of who is acted as.
    pub impersonate_uid: Option<String>,
    #[serde(rename = "as-groups", deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    /// The groups of who is acted as.
    pub impersonate_groups: Vec<String>,
    #[serde(rename = "as-user-extra", deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    /// What else is known of who is acted as.
    pub impersonate_extra: BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// The program that gives out credentials: `exec`, which is read when it is used.
    pub exec: Option<Value>,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

/// What is null is as if it were not there: so kubectl writes a list whose last entry it has taken out.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// What is empty is as if it were not there.
pub(super) fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}
