//! kubeconfig files: who to ask, as whom
//! (<https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/>).

mod connect;
mod entries;
mod exec;
mod plugged;
mod proxy;
#[cfg(test)]
mod tests;
mod tls;

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use trimtab_api::to_yaml;

use crate::error::Error;
use entries::or_default;

pub use entries::{ClusterEntry, ClusterInfo, ContextEntry, ContextInfo, Named, UserEntry, UserInfo};

/// Where a pod finds its service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Why a kubeconfig cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("could not read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no kubeconfig.
    #[error("{path} is no kubeconfig")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_yaml::Error,
    },
    /// A context, cluster or user is named that is not there.
    #[error("the kubeconfig has no {what} named {name:?}")]
    Missing {
        /// `context`, `cluster` or `user`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// There is no kubeconfig, or no current context in it.
    #[error(
        "no kubeconfig with a current context was found; start a cluster with `trimtab up`, or name a file with --kubeconfig"
    )]
    NoContext,
    /// A field says what cannot be done.
    #[error("{file}: {field} of {name:?} {why}")]
    Field {
        /// The file that it is in.
        file: String,
        /// The field.
        field: String,
        /// The name of its entry.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// A credential plugin gave nothing that lets in.
    #[error("getting credentials: exec: executable {command} {why}")]
    Plugin {
        /// The program.
        command: String,
        /// What is wrong.
        why: String,
    },
    /// A certificate, key or token cannot be used.
    #[error("the {what} cannot be used: {detail}")]
    Credentials {
        /// What it is.
        what: &'static str,
        /// Why.
        detail: String,
    },
}

/// A kubeconfig. What this crate does not know of is kept when it is written again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Kubeconfig {
    #[serde(rename = "apiVersion")]
    api_version: String,
    kind: String,
    /// Servers.
    #[serde(deserialize_with = "or_default")]
    pub clusters: Vec<Named<ClusterEntry>>,
    /// Who asks, and where.
    #[serde(deserialize_with = "or_default")]
    pub contexts: Vec<Named<ContextEntry>>,
    /// The context that is meant when none is named.
    pub current_context: Option<String>,
    /// Credentials.
    #[serde(deserialize_with = "or_default")]
    pub users: Vec<Named<UserEntry>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Default for Kubeconfig {
    fn default() -> Self {
        Self {
            api_version: "v1".to_owned(),
            kind: "Config".to_owned(),
            clusters: Vec::new(),
            contexts: Vec::new(),
            current_context: None,
            users: Vec::new(),
            rest: Map::new(),
        }
    }
}

impl Kubeconfig {
    /// A kubeconfig with one context.
    pub fn single(name: &str, server: &str, ca_pem: &str, cert_pem: &str, key_pem: &str) -> Self {
        let encode = |pem: &str| Some(STANDARD.encode(pem));
        let cluster = ClusterInfo {
            server: server.to_owned(),
            certificate_authority_data: encode(ca_pem),
            // To send an answer within a machine takes a fraction of what it takes to compress it.
            disable_compression: is_of_this_machine(server).then_some(true),
            ..ClusterInfo::default()
        };
        let user = UserInfo {
            client_certificate_data: encode(cert_pem),
            client_key_data: encode(key_pem),
            ..UserInfo::default()
        };
        let context = ContextInfo { cluster: name.to_owned(), user: name.to_owned(), ..ContextInfo::default() };
        Self {
            clusters: vec![Named::new(name, ClusterEntry { cluster })],
            contexts: vec![Named::new(name, ContextEntry { context })],
            users: vec![Named::new(name, UserEntry { user })],
            current_context: Some(name.to_owned()),
            ..Self::default()
        }
    }

    /// Reads one file.
    ///
    /// # Errors
    /// When it cannot be read or is no kubeconfig.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let mut config = Self::read_unresolved(path)?;
        config.resolve_paths(path);
        Ok(config)
    }

    /// What a pod is given: the server of its cluster, as its service account, in its own namespace. `None` outside
    /// of a cluster (<https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/>).
    pub fn in_cluster() -> Option<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (host, port) = (variable("KUBERNETES_SERVICE_HOST")?, variable("KUBERNETES_SERVICE_PORT")?);
        let account = Path::new(SERVICE_ACCOUNT);
        account.join("token").exists().then(|| Self::of_service_account(&host, &port, account))
    }

    fn of_service_account(host: &str, port: &str, dir: &Path) -> Self {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let name = "in-cluster";
        let mut config = Self::single(name, &format!("https://{host}:{port}"), "", "", "");
        let cluster = &mut config.clusters[0].entry.cluster;
        cluster.certificate_authority_data = None;
        cluster.certificate_authority = Some(dir.join("ca.crt"));
        config.users[0].entry.user = UserInfo { token_file: Some(dir.join("token")), ..UserInfo::default() };
        let namespace = std::fs::read_to_string(dir.join("namespace")).ok();
        config.contexts[0].entry.context.namespace = namespace.map(|text| text.trim().to_owned());
        config
    }

    /// The namespace of `context`, or of the current one, if it says one.
    ///
    /// # Errors
    /// When there is no such context.
    pub fn namespace(&self, context: Option<&str>) -> Result<Option<&str>, ConfigError> {
        Ok(self.place(context)?.0.namespace.as_deref())
    }

    /// Reads one file to write it again: relative paths in it stay as they are.
    ///
    /// # Errors
    /// When it cannot be read or is no kubeconfig.
    pub fn read_unresolved(path: &Path) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(read)?;
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_yaml::from_str(&text).map_err(|source| ConfigError::Parse { path: path.to_owned(), source })
    }

    /// Reads what kubectl would: the files of `KUBECONFIG`, or `~/.kube/config`. The first to name
    /// something wins; files that are not there are passed over.
    ///
    /// # Errors
    /// When a file is there and cannot be used.
    pub fn load() -> Result<Self, ConfigError> {
        let mut merged = Self::default();
        for path in default_paths().iter().filter(|path| path.exists()) {
            merged.merge(Self::read(path)?);
        }
        Ok(merged)
    }

    /// Reads `path`; where none is named, what kubectl would read, and where that says nothing, what a pod is given.
    ///
    /// # Errors
    /// When a file is there and cannot be used, or `path` is not there.
    pub fn find(path: Option<&Path>) -> Result<Self, ConfigError> {
        match path {
            Some(path) => Self::read(path),
            None => Ok(Self::load()?.or_else(Self::in_cluster)),
        }
    }

    fn or_else(self, other: impl FnOnce() -> Option<Self>) -> Self {
        let says_nothing = self.clusters.is_empty() && self.contexts.is_empty() && self.users.is_empty();
        if says_nothing { other().unwrap_or(self) } else { self }
    }

    /// Adds what `other` has and this one has not.
    pub fn merge(&mut self, other: Self) {
        fn add<T>(into: &mut Vec<Named<T>>, from: Vec<Named<T>>) {
            for named in from {
                if into.iter().all(|have| have.name != named.name) {
                    into.push(named);
                }
            }
        }
        add(&mut self.clusters, other.clusters);
        add(&mut self.contexts, other.contexts);
        add(&mut self.users, other.users);
        self.current_context = self.current_context.take().filter(|c| !c.is_empty()).or(other.current_context);
        for (key, value) in other.rest {
            self.rest.entry(key).or_insert(value);
        }
    }

    /// Removes the cluster, context and user called `name`.
    pub fn remove(&mut self, name: &str) {
        self.clusters.retain(|named| named.name != name);
        self.contexts.retain(|named| named.name != name);
        self.users.retain(|named| named.name != name);
        if self.current_context.as_deref() == Some(name) {
            self.current_context = None;
        }
    }

    /// The file's text.
    ///
    /// # Panics
    /// Never: every field has a JSON form.
    pub fn to_yaml(&self) -> String {
        to_yaml(&serde_json::to_value(self).expect("a kubeconfig has a JSON form"))
    }

    // A relative path is relative to the file that names it.
    fn resolve_paths(&mut self, file: &Path) {
        let dir = file.parent().unwrap_or(Path::new("."));
        let resolve = |path: &mut Option<PathBuf>| {
            if let Some(path) = path.as_mut().filter(|path| !path.as_os_str().is_empty()) {
                *path = dir.join(&path);
            }
        };
        for named in &mut self.clusters {
            named.file = Some(file.to_owned());
            resolve(&mut named.entry.cluster.certificate_authority);
        }
        for named in &mut self.users {
            named.file = Some(file.to_owned());
            let user = &mut named.entry.user;
            resolve(&mut user.client_certificate);
            resolve(&mut user.client_key);
            resolve(&mut user.token_file);
        }
    }

    /// Who signs the certificate of the server of `context`, or of the current one, in PEM; `None` when the
    /// file does not say.
    ///
    /// # Errors
    /// When there is no such context, or what it names cannot be read.
    pub fn certificate_authority(&self, context: Option<&str>) -> Result<Option<String>, Error> {
        let (_, cluster) = self.place(context)?;
        let pem = tls::authority(&cluster.entry.cluster)?;
        Ok(pem.map(|pem| String::from_utf8_lossy(&pem).into_owned()))
    }

    fn place(&self, context: Option<&str>) -> Result<(&ContextInfo, &Named<ClusterEntry>), ConfigError> {
        let name =
            context.or(self.current_context.as_deref()).filter(|n| !n.is_empty()).ok_or(ConfigError::NoContext)?;
        let context = &find(&self.contexts, "context", name)?.entry.context;
        Ok((context, find(&self.clusters, "cluster", &context.cluster)?))
    }
}

/// Whether a server's URL names this machine by its loopback interface.
fn is_of_this_machine(server: &str) -> bool {
    let Some(host) = server.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)) else {
        return false;
    };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

/// The files that kubectl reads, in its order.
pub fn default_paths() -> Vec<PathBuf> {
    match std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty()) {
        Some(list) => std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect(),
        None => std::env::home_dir().map(|home| home.join(".kube/config")).into_iter().collect(),
    }
}

fn find<'a, T>(list: &'a [Named<T>], what: &'static str, name: &str) -> Result<&'a Named<T>, ConfigError> {
    let found = list.iter().find(|named| named.name == name);
    found.ok_or_else(|| ConfigError::Missing { what, name: name.to_owned() })
}

pub(crate) fn read_file(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}
