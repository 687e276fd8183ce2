//! What running containers may use, when that has changed since they were started (KEP-1287).

use k8s_openapi::api::core::v1::{Container as Wanted, ResourceRequirements};
use trimtab_api::quantity::Quantity;
use trimtab_env::HashMap;

use super::Worker;
use crate::pod;
use crate::pod::actions::Stop;
use crate::pod::resources::{amount, limits};
use crate::pod::status::Unresized;
use crate::runtime::Container;

/// What containers have, and why they have not what they should.
#[derive(Default)]
pub(super) struct Resizes {
    /// What each running container was given, by the runtime's id.
    pub(super) given: HashMap<String, ResourceRequirements>,
    /// Why the last resize was not carried out.
    pub(super) failed: Option<Unresized>,
}

impl Worker {
    /// Gives running containers what the pod's newest version says.
    pub(super) async fn resize(&mut self) {
        self.remember_given();
        self.resizes.failed = None;
        let mut restarts = Vec::new();
        let wrong = self.to_resize();
        if let Some(message) = self.shortage().filter(|_| !wrong.is_empty()) {
            let (condition, reason) = ("PodResizePending", "Infeasible");
            self.resizes.failed = Some(Unresized { condition, reason, message });
            return;
        }
        for (container, instance) in wrong {
            let new = container.resources.clone().unwrap_or_default();
            if restarts_for(&container, self.resizes.given.get(&instance.id), &new) {
                let why = format!("Container {} resize requires restart", container.name);
                let (id, name) = (instance.id.clone(), container.name.clone());
                restarts.push(Stop { id, name, why, grace: None });
                continue;
            }
            let limits = limits(&self.pod, &container, self.node.host.memory);
            match self.runtime().update(&instance.id, &limits).await {
                Ok(()) => drop(self.resizes.given.insert(instance.id.clone(), new)),
                Err(error) if error.is_unavailable() => self.postponed = true,
                Err(error) => {
                    let message = format!("could not resize container {}: {error}", container.name);
                    tracing::warn!(pod = %self.uid(), "{message}");
                    let (condition, reason) = ("PodResizeInProgress", "Error");
                    self.resizes.failed = Some(Unresized { condition, reason, message });
                }
            }
        }
        self.stop_all(&restarts, pod::grace_seconds(&self.pod)).await;
        self.dirty |= !restarts.is_empty();
    }

    /// What was given to containers that an agent before this one started is what it told the API.
    fn remember_given(&mut self) {
        let running = self.observed.containers.iter().filter(|container| container.state.is_running());
        let ids: Vec<&String> = running.map(|container| &container.id).collect();
        self.resizes.given.retain(|id, _| ids.contains(&id));
        for id in ids.into_iter().filter(|id| !self.resizes.given.contains_key(*id)).cloned().collect::<Vec<_>>() {
            let instance = self.observed.containers.iter().find(|container| container.id == id);
            let name = instance.map(|instance| instance.name.as_str()).unwrap_or_default();
            let statuses = self.pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
            let told = statuses.filter(|status| status.container_id.as_deref().is_some_and(|told| told.ends_with(&id)));
            let told = told.filter_map(|status| status.resources.clone()).next();
            let given = told.or_else(|| self.wanted(name)?.resources.clone()).unwrap_or_default();
            self.resizes.given.insert(id, given);
        }
    }

    /// Of what the pod asks for more than the whole node has.
    fn shortage(&self) -> Option<String> {
        let host = &self.node.host;
        let has = [("cpu", Quantity::from_units(i64::from(host.cpus))), ("memory", memory(host.memory))];
        has.into_iter().find_map(|(name, capacity)| {
            let asked = pod::spec(&self.pod).containers.iter().filter_map(|container| amount(container, false, name));
            let asked = asked.fold(Quantity::from_units(0), |all, more| all + more);
            let message =
                || format!("Node didn't have enough capacity: {name}, requested: {asked}, capacity: {capacity}");
            (asked > capacity).then(message)
        })
    }

    /// The running containers that should have something else, and their instances.
    fn to_resize(&self) -> Vec<(Wanted, Container)> {
        let differs = |container: &&Wanted, instance: &Container| {
            let given = self.resizes.given.get(&instance.id);
            instance.state.is_running() && given != Some(container.resources.as_ref().unwrap_or(&Default::default()))
        };
        let containers = pod::spec(&self.pod).containers.iter();
        let instances = containers
            .filter_map(|container| Some((container, pod::actions::latest(&self.observed, &container.name)?)));
        let wrong = instances.filter(|(container, instance)| differs(container, instance));
        wrong.map(|(container, instance)| (container.clone(), instance.clone())).collect()
    }
}

fn memory(bytes: u64) -> Quantity {
    Quantity::from_units(i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// Whether the container is to be restarted when that changes which differs.
fn restarts_for(container: &Wanted, given: Option<&ResourceRequirements>, new: &ResourceRequirements) -> bool {
    let none = ResourceRequirements::default();
    let given = given.unwrap_or(&none);
    let amount = |resources: &ResourceRequirements, name: &str| {
        let of = |list: &Option<std::collections::BTreeMap<String, _>>| list.as_ref()?.get(name).cloned();
        (of(&resources.limits), of(&resources.requests))
    };
    container.resize_policy.iter().flatten().any(|policy| {
        let name = policy.resource_name.as_str();
        policy.restart_policy == "RestartContainer" && amount(given, name) != amount(new, name)
    })
}
