//! kubeconfig files: who to ask, as whom
//! (<https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/>).

mod connect;
mod tls;

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use trimtab_api::to_yaml;

use crate::error::Error;
use tls::pem;

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

/// An entry of one of the lists.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Named<T> {
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub entry: T,
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
    /// Do not ask for compressed answers.
    pub disable_compression: Option<bool>,
    #[serde(flatten)]
    rest: Map<String, Value>,
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
    rest: Map<String, Value>,
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
    #[serde(flatten)]
    rest: Map<String, Value>,
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
        let name = name.to_owned();
        Self {
            clusters: vec![Named { name: name.clone(), entry: ClusterEntry { cluster } }],
            contexts: vec![Named { name: name.clone(), entry: ContextEntry { context } }],
            users: vec![Named { name: name.clone(), entry: UserEntry { user } }],
            current_context: Some(name),
            ..Self::default()
        }
    }

    /// Reads one file.
    ///
    /// # Errors
    /// When it cannot be read or is no kubeconfig.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let mut config = Self::read_unresolved(path)?;
        config.resolve_paths(path.parent().unwrap_or(Path::new(".")));
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
    fn resolve_paths(&mut self, dir: &Path) {
        let resolve = |path: &mut Option<PathBuf>| {
            if let Some(path) = path.as_mut().filter(|path| !path.as_os_str().is_empty()) {
                *path = dir.join(&path);
            }
        };
        for named in &mut self.clusters {
            resolve(&mut named.entry.cluster.certificate_authority);
        }
        for named in &mut self.users {
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
        let (data, file) = (&cluster.certificate_authority_data, &cluster.certificate_authority);
        let pem = pem("certificate authority", data.as_deref(), file.as_deref())?;
        Ok(pem.map(|pem| String::from_utf8_lossy(&pem).into_owned()))
    }

    fn place(&self, context: Option<&str>) -> Result<(&ContextInfo, &ClusterInfo), ConfigError> {
        let name =
            context.or(self.current_context.as_deref()).filter(|n| !n.is_empty()).ok_or(ConfigError::NoContext)?;
        let context = &find(&self.contexts, "context", name)?.context;
        Ok((context, &find(&self.clusters, "cluster", &context.cluster)?.cluster))
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

/// What is null is as if it were not there: so kubectl writes a list whose last entry it has taken out.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn find<'a, T>(list: &'a [Named<T>], what: &'static str, name: &str) -> Result<&'a T, ConfigError> {
    let found = list.iter().find(|named| named.name == name);
    found.map(|named| &named.entry).ok_or_else(|| ConfigError::Missing { what, name: name.to_owned() })
}

pub(crate) fn read_file(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_never_overwrites_and_keeps_what_it_does_not_know() {
        let theirs = "apiVersion: v1\nkind: Config\ncurrent-context: theirs\npreferences: {colors: true}\nclusters:\n- name: \
                      theirs\n  cluster: {server: https://a, tls-server-name: b}\nusers:\n- name: theirs\n  user: {exec: \
                      {command: c}}\ncontexts:\n- name: theirs\n  context: {cluster: theirs, user: theirs}\n";
        let mut config: Kubeconfig = serde_yaml::from_str(theirs).unwrap();
        config.merge(Kubeconfig::single("trimtab", "https://127.0.0.1:6443", "ca", "cert", "key"));
        let back: Value = serde_yaml::from_str(&config.to_yaml()).unwrap();
        assert_eq!(back["current-context"], "theirs");
        assert_eq!(back["clusters"][0]["cluster"]["tls-server-name"], "b");
        assert_eq!(back["users"][0]["user"]["exec"]["command"], "c");
        assert_eq!(back["preferences"]["colors"], true);
        assert_eq!(back["contexts"][1]["name"], "trimtab");
        assert_eq!(back["users"][1]["user"]["client-key-data"], STANDARD.encode("key"));
    }

    #[test]
    fn what_is_null_is_empty() {
        let emptied = "apiVersion: v1\nclusters: null\ncontexts: null\ncurrent-context: ''\nkind: Config\npreferences: \
                       {}\nusers: null\n";
        let mut config: Kubeconfig = serde_yaml::from_str(emptied).unwrap();
        assert!(config.clusters.is_empty() && config.contexts.is_empty() && config.users.is_empty());
        config.merge(Kubeconfig::single("trimtab", "https://127.0.0.1:6443", "ca", "cert", "key"));
        assert_eq!(config.place(None).unwrap().1.server, "https://127.0.0.1:6443");
        let within = "clusters:\n- {name: a, cluster: {server: null, extensions: null}}\n- {name: b, cluster: null}\n\
                      contexts:\n- {name: a, context: {cluster: a, user: null, namespace: null}}\nusers:\n- {name: a, user: \
                      null}\n- {name: b}\n";
        let config: Kubeconfig = serde_yaml::from_str(within).unwrap();
        assert_eq!((config.clusters.len(), config.users.len()), (2, 2));
        assert_eq!(config.namespace(Some("a")).unwrap(), None);
    }

    #[test]
    fn answers_are_compressed_on_their_way_to_another_machine_alone() {
        for (server, uncompressed) in [
            ("https://127.0.0.1:6443", true),
            ("https://127.8.0.1", true),
            ("https://[::1]:6443", true),
            ("https://localhost:6443", true),
            ("https://10.0.0.1:6443", false),
            ("https://[fd00::1]:6443", false),
            ("https://localhost.example.com", false),
            ("127.0.0.1", true),
            ("", false),
        ] {
            let config = Kubeconfig::single("trimtab", server, "ca", "cert", "key");
            let config: Value = serde_yaml::from_str(&config.to_yaml()).unwrap();
            let written = &config["clusters"][0]["cluster"]["disable-compression"];
            assert_eq!(*written == true, uncompressed, "{server}");
            assert_eq!(written.is_null(), !uncompressed, "{server}");
        }
    }

    #[test]
    fn a_pods_service_account_is_a_context() {
        let dir = Path::new("/run/account");
        let config = Kubeconfig::of_service_account("fd00::1", "443", dir);
        let (context, cluster) = config.place(None).unwrap();
        assert_eq!((cluster.server.as_str(), context.namespace.as_deref()), ("https://[fd00::1]:443", None));
        assert_eq!(config.users[0].entry.user.token_file.as_deref(), Some(Path::new("/run/account/token")));
        assert_eq!(config.client(None).err().unwrap().to_string(), "could not read /run/account/token");
    }

    #[test]
    fn a_missing_context_is_named() {
        let error = Kubeconfig::default().client(Some("nope")).err().unwrap();
        assert_eq!(error.to_string(), "the kubeconfig has no context named \"nope\"");
    }
}
