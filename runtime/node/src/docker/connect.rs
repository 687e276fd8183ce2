//! Finds the engine's socket.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Docker, Options};
use crate::runtime::{Error, Result};

/// Answers that take longer than this mean that the engine hangs.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longer than any grace period or pull.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

impl Docker {
    /// Connects to the first engine that answers: `$DOCKER_HOST` alone when it is set, else
    /// `/var/run/docker.sock`, else Podman's sockets.
    ///
    /// # Errors
    /// [`Error::Unavailable`], with what was tried and what to do, if none answers.
    pub async fn connect(options: Options) -> Result<Self> {
        let mut tried = Vec::new();
        for endpoint in endpoints(|name| std::env::var(name).ok()) {
            match open(&endpoint).await {
                Ok(engine) => return Ok(Self::of(engine, &endpoint, options)),
                Err(error) => tried.push(format!("{endpoint}: {error}")),
            }
        }
        let message = format!(
            "no container engine answers (tried {}); install and start Docker (systemctl start docker) or Podman \
             (systemctl start podman.socket), or set DOCKER_HOST, and see that this user may use the socket (docker info)",
            tried.join("; ")
        );
        Err(Error::Unavailable { message, source: None })
    }

    fn of(engine: bollard::Docker, endpoint: &str, options: Options) -> Self {
        Self {
            patient: engine.clone().with_timeout(PATIENCE),
            engine: engine.with_timeout(TIMEOUT),
            endpoint: endpoint.into(),
            options: Arc::new(options),
            inspected: Arc::new(Mutex::new(HashMap::new())),
        }
    }
}

fn endpoints(variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    if let Some(host) = variable("DOCKER_HOST").filter(|host| !host.is_empty()) {
        return vec![host];
    }
    let mut endpoints = vec!["unix:///var/run/docker.sock".to_owned()];
    endpoints.extend(variable("XDG_RUNTIME_DIR").map(|dir| format!("unix://{dir}/podman/podman.sock")));
    endpoints.push("unix:///run/podman/podman.sock".to_owned());
    endpoints
}

async fn open(endpoint: &str) -> Result<bollard::Docker, String> {
    if endpoint.strip_prefix("unix://").is_some_and(|path| !Path::new(path).exists()) {
        return Err("no such socket".to_owned());
    }
    let engine = bollard::Docker::connect_with_host(endpoint).map_err(|error| error.to_string())?;
    engine.with_timeout(Duration::from_secs(5)).negotiate_version().await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_host_alone_counts_when_it_is_set() {
        let only = |name: &str| (name == "DOCKER_HOST").then(|| "tcp://10.0.0.1:2375".to_owned());
        assert_eq!(endpoints(only), ["tcp://10.0.0.1:2375"]);
        let runtime_dir = |name: &str| (name == "XDG_RUNTIME_DIR").then(|| "/run/user/7".to_owned());
        let expected =
            ["unix:///var/run/docker.sock", "unix:///run/user/7/podman/podman.sock", "unix:///run/podman/podman.sock"];
        assert_eq!(endpoints(runtime_dir), expected);
    }

    #[tokio::test]
    async fn a_missing_socket_is_named() {
        assert_eq!(open("unix:///nowhere/docker.sock").await.unwrap_err(), "no such socket");
    }
}
