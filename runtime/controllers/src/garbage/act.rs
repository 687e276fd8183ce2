//! Does what the graph decided. Every write names the version that was decided on, so that one
//! made on old news fails and is decided anew.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};
use trimtab_client::{Api, ApiResource, Client, DeleteParams, Error, Patch, Propagation};
use trimtab_env::Env;

use super::graph::{Node, Task};
use crate::metadata::Seen;

/// What came of a task.
#[derive(Debug, PartialEq)]
pub(super) enum Done {
    /// It is done; the object's next version will show it.
    Written,
    /// The object is no longer there.
    Vanished,
    /// These owners do not exist; the others do, and will be heard of, but for one that cannot own the object.
    Verified { gone: Vec<OwnerReference>, misplaced: Option<OwnerReference> },
    /// An owner's kind is not served.
    UnknownKind,
    /// It did not work, this time.
    Failed,
}

#[derive(Clone)]
pub(super) struct Actor {
    pub(super) client: Client,
    pub(super) env: Env,
}

impl Actor {
    pub(super) fn new(client: Client, env: Env) -> Self {
        Self { client, env }
    }

    /// Every resource whose objects can be listed, watched and deleted. Events own nothing, are
    /// owned by nobody, and are many.
    pub(super) async fn deletable(&self) -> Vec<Arc<ApiResource>> {
        loop {
            match self.client.discover().await {
                Ok(found) => {
                    let deletable = found.resources.into_iter().filter(|resource| {
                        ["list", "watch", "delete"].iter().all(|verb| resource.can(verb))
                            && resource.resource.plural != "events"
                    });
                    return deletable.map(|found| Arc::new(found.resource)).collect();
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot discover what is served; trying again");
                    self.env.sleep(super::FIRST_RETRY * 10).await;
                }
            }
        }
    }

    pub(super) async fn perform(&self, node: &Node, task: Task, dependents: &[Node]) -> Done {
        let result = match task {
            Task::Rest | Task::Await(_) => Ok(Done::Written),
            Task::Verify(owners) => self.verify(node, owners).await,
            Task::Delete(propagation) => self.delete(node, propagation).await,
            Task::Own(owners) => self.change(node, json!({"ownerReferences": some(owners)})).await,
            Task::Finalize(finalizers) => self.change(node, json!({"finalizers": some(finalizers)})).await,
            Task::LetGo(owners) => self.let_go(dependents, &owners).await,
        };
        result.unwrap_or_else(|error| match error {
            error if error.is_not_found() => Done::Vanished,
            error => {
                tracing::debug!(object = %node.meta.name, %error, "garbage collection will try again");
                Done::Failed
            }
        })
    }

    fn api(&self, node: &Node) -> Api<Seen> {
        Api::of(&self.client, ApiResource::clone(&node.resource), Some(&node.meta.namespace))
    }

    async fn delete(&self, node: &Node, propagation: Propagation) -> Result<Done, Error> {
        let params = DeleteParams {
            resource_version: Some(node.meta.resource_version.clone()),
            ..DeleteParams::default().uid(&node.meta.uid).propagation(propagation)
        };
        self.api(node).delete(&node.meta.name, &params).await?;
        tracing::debug!(resource = %node.resource.resource(), object = %node.meta.name, ?propagation, "collected");
        Ok(Done::Written)
    }

    async fn change(&self, node: &Node, mut metadata: Value) -> Result<Done, Error> {
        metadata["uid"] = node.meta.uid.as_str().into();
        metadata["resourceVersion"] = node.meta.resource_version.as_str().into();
        let patch = Patch::Merge(json!({"metadata": metadata}));
        self.api(node).patch(&node.meta.name, &patch).await?;
        Ok(Done::Written)
    }

    async fn let_go(&self, nodes: &[Node], owners: &[(String, Vec<OwnerReference>)]) -> Result<Done, Error> {
        for node in nodes {
            let Some((_, kept)) = owners.iter().find(|(uid, _)| *uid == node.meta.uid) else { continue };
            match self.change(node, json!({"ownerReferences": some(kept.clone())})).await {
                Err(error) if error.is_not_found() => {}
                done => drop(done?),
            }
        }
        Ok(Done::Written)
    }

    /// Asks the server itself which of `owners` exist.
    async fn verify(&self, node: &Node, owners: Vec<OwnerReference>) -> Result<Done, Error> {
        let served = self.client.discover().await?;
        let (mut gone, mut misplaced) = (Vec::new(), None);
        for owner in owners {
            let Some(kind) = served.of_kind(&owner.api_version, &owner.kind) else { return Ok(Done::UnknownKind) };
            // There is no namespace to look for it in.
            if kind.resource.namespaced && !node.resource.namespaced {
                misplaced = Some(owner);
                continue;
            }
            let api = Api::<Seen>::of(&self.client, kind.resource.clone(), Some(&node.meta.namespace));
            if api.get_opt(&owner.name).await?.is_none_or(|found| found.metadata.uid != owner.uid) {
                gone.push(owner);
            }
        }
        Ok(Done::Verified { gone, misplaced })
    }
}

/// `None`, which removes the field, rather than an empty list.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
