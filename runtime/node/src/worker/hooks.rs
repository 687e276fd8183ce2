//! `postStart` and `preStop`.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container as Wanted, LifecycleHandler};

use super::Worker;
use crate::pod;
use crate::probe::{Target, http_get, run};

/// How long an HTTP hook may take; a command is bounded by the pod's grace alone.
const HTTP_LIMIT: Duration = Duration::from_secs(30);

impl Worker {
    /// The container of the pod called `name`.
    pub(super) fn wanted(&self, name: &str) -> Option<&Wanted> {
        let spec = pod::spec(&self.pod);
        let mut all = spec.containers.iter().chain(pod::init_containers(&self.pod)).chain(&self.ephemeral);
        all.find(|container| container.name == name)
    }

    /// Runs a hook to its end; the error says why it failed.
    pub(super) async fn hook(&self, container: &Wanted, id: &str, hook: &LifecycleHandler) -> Result<(), String> {
        if let Some(exec) = &hook.exec {
            let command = exec.command.clone().unwrap_or_default();
            return run(self.runtime(), id, command).await.map_err(|fault| fault.to_string());
        }
        if let Some(get) = &hook.http_get {
            let ports = container.ports.clone().unwrap_or_default();
            let target = Target { id: id.to_owned(), ip: self.ip(), ports };
            return http_get(&target, get, HTTP_LIMIT).await;
        }
        if let Some(sleep) = &hook.sleep {
            let seconds = u64::try_from(sleep.seconds).unwrap_or_default();
            self.node.shared.env.sleep(Duration::from_secs(seconds)).await;
        }
        Ok(())
    }
}
