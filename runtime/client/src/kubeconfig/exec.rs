//! Credential plugins: programs that say who asks
//! (<https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>).

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;

use super::entries::{given, or_default};
use super::{ClusterEntry, ConfigError, Named, UserEntry, tls};

/// The versions of what a plugin is told and answers.
const V1: &str = "client.authentication.k8s.io/v1";
const V1BETA1: &str = "client.authentication.k8s.io/v1beta1";

/// The name of the extension of a cluster that its plugins are told.
const EXTENSION: &str = "client.authentication.k8s.io/exec";

/// A program that gives out credentials.
pub(super) struct Plugin {
    command: PathBuf,
    config: Exec,
    input: Input,
    /// What it is told of the cluster.
    cluster: Option<Value>,
}

/// `exec:` of a user.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Exec {
    #[serde(deserialize_with = "or_default")]
    api_version: String,
    #[serde(deserialize_with = "or_default")]
    command: String,
    #[serde(deserialize_with = "or_default")]
    args: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    env: Vec<Variable>,
    #[serde(deserialize_with = "or_default")]
    install_hint: String,
    #[serde(deserialize_with = "or_default")]
    provide_cluster_info: bool,
    interactive_mode: Option<Input>,
}

#[derive(Deserialize)]
struct Variable {
    name: String,
    #[serde(default)]
    value: String,
}

/// `interactiveMode`: what the program does with the standard input.
#[derive(Clone, Copy, Deserialize)]
enum Input {
    Never,
    IfAvailable,
    Always,
}

/// What a plugin prints.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential {
    #[serde(default)]
    api_version: String,
    status: Option<Credential>,
}

/// As whom to ask, and until when.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Credential {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    pub(super) expiration_timestamp: Option<Time>,
}

impl Credential {
    /// The bearer token.
    pub(super) fn token(&self) -> Option<&str> {
        given(self.token.as_ref())
    }

    /// The certificate and its key, in PEM.
    pub(super) fn identity(&self) -> Option<(&str, &str)> {
        given(self.client_certificate_data.as_ref()).zip(given(self.client_key_data.as_ref()))
    }

    fn is_half(&self) -> bool {
        given(self.client_certificate_data.as_ref()).is_some() != given(self.client_key_data.as_ref()).is_some()
    }
}

impl Plugin {
    /// The plugin of a user, if it has one. It is not run yet.
    pub(super) fn of(cluster: &Named<ClusterEntry>, user: &Named<UserEntry>) -> Result<Option<Self>, ConfigError> {
        let Some(exec) = &user.entry.user.exec else { return Ok(None) };
        let config = Exec::deserialize(exec).map_err(|error| user.refused("user.exec", error.to_string()))?;
        let input = match (config.api_version.as_str(), config.interactive_mode) {
            (V1 | V1BETA1, Some(input)) => input,
            (V1BETA1, None) => Input::IfAvailable,
            (V1, None) => return Err(user.refused("user.exec.interactiveMode", "must be specified")),
            (other, _) => {
                let why = format!("is {other:?}; {V1} and {V1BETA1} are supported");
                return Err(user.refused("user.exec.apiVersion", why));
            }
        };
        if config.command.is_empty() {
            return Err(user.refused("user.exec.command", "must be specified"));
        }
        // A path is relative to the file that names it; what is no path is looked for where programs are.
        let dir = user.file.as_deref().and_then(Path::parent).filter(|_| config.command.contains('/'));
        let command = dir.unwrap_or(Path::new("")).join(&config.command);
        let cluster = if config.provide_cluster_info { Some(told(cluster)?) } else { None };
        Ok(Some(Self { command, config, input, cluster }))
    }

    /// Runs the program.
    ///
    /// # Errors
    /// When it cannot be run, fails, or gives out nothing that can be used.
    pub(super) async fn run(&self) -> Result<Credential, ConfigError> {
        let failed = |why: String| ConfigError::Plugin { command: self.command.display().to_string(), why };
        let interactive = match (self.input, io::stdin().is_terminal()) {
            (Input::Never, _) | (Input::IfAvailable, false) => false,
            (Input::IfAvailable | Input::Always, true) => true,
            (Input::Always, false) => return Err(failed("asks for input, and standard input is no terminal".into())),
        };
        let mut spec = json!({"interactive": interactive});
        if let Some(cluster) = &self.cluster {
            spec["cluster"] = cluster.clone();
        }
        let Exec { api_version, args, env, install_hint, .. } = &self.config;
        let info = json!({"apiVersion": api_version, "kind": "ExecCredential", "spec": spec});
        let mut command = Command::new(&self.command);
        command.args(args).envs(env.iter().map(|variable| (&variable.name, &variable.value)));
        command.env("KUBERNETES_EXEC_INFO", info.to_string()).kill_on_drop(true);
        // What it has to say to people, it says on the standard error.
        command.stdin(if interactive { Stdio::inherit() } else { Stdio::null() }).stdout(Stdio::piped());
        let child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound if install_hint.is_empty() => failed("not found".to_owned()),
            io::ErrorKind::NotFound => failed(format!("not found\n\n{install_hint}")),
            _ => failed(format!("cannot be run: {error}")),
        })?;
        let output = child.wait_with_output().await.map_err(|error| failed(format!("cannot be heard: {error}")))?;
        if !output.status.success() {
            return Err(failed(format!("failed with {}", output.status)));
        }
        let told: ExecCredential = serde_json::from_slice(&output.stdout)
            .map_err(|error| failed(format!("printed what is no ExecCredential: {error}")))?;
        if told.api_version != *api_version {
            return Err(failed(format!("answers in version {:?} what was asked in {api_version:?}", told.api_version)));
        }
        match told.status {
            Some(credential) if credential.is_half() => {
                Err(failed("gives a certificate without its key, or a key alone".to_owned()))
            }
            Some(credential) if credential.token().is_some() || credential.identity().is_some() => Ok(credential),
            _ => Err(failed("gives neither a token nor a certificate".to_owned())),
        }
    }
}

/// What a plugin is told of the cluster, with `provideClusterInfo`.
fn told(cluster: &Named<ClusterEntry>) -> Result<Value, ConfigError> {
    let info = &cluster.entry.cluster;
    let mut told = json!({"server": info.server});
    if let Some(name) = given(info.tls_server_name.as_ref()) {
        told["tls-server-name"] = name.into();
    }
    if let Some(skip) = info.insecure_skip_tls_verify {
        told["insecure-skip-tls-verify"] = skip.into();
    }
    if let Some(pem) = tls::authority(info)? {
        told["certificate-authority-data"] = STANDARD.encode(pem).into();
    }
    if let Some(url) = given(info.proxy_url.as_ref()) {
        told["proxy-url"] = url.into();
    }
    if let Some(disable) = info.disable_compression {
        told["disable-compression"] = disable.into();
    }
    let mut extensions = info.rest.get("extensions").and_then(Value::as_array).into_iter().flatten();
    if let Some(own) = extensions.find(|extension| extension["name"] == EXTENSION) {
        told["config"] = own["extension"].clone();
    }
    Ok(told)
}
