//! What the one agent of all simulated nodes may read: as of any node's agent, what the pods on its nodes refer to.
//! The rest its role says.

use trimtab_api::rbac::{Attributes, User};
use trimtab_api::{ApiError, Object};
use trimtab_store::{Page, Store};

use super::node;
use crate::read::read_error;
use crate::{encode, stored};

/// The agent's name.
const AGENT: &str = "system:trimtab:sim";
/// What such a node says of its container runtime.
const RUNTIME: &str = "sim://";

/// Whether `user` is the agent.
pub(crate) fn is_agent(user: User<'_>) -> bool {
    user.name == AGENT
}

/// Whether the agent gets a Secret or ConfigMap because a pod of its nodes refers to it.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn gets_related(store: &dyn Store, asked: &Attributes<'_>) -> Result<bool, ApiError> {
    let Attributes::Resource { verb, namespace, group, resource, subresource, name, .. } = *asked else {
        return Ok(false);
    };
    let is_read = verb == "get" && group.is_empty() && matches!(resource, "secrets" | "configmaps");
    if !is_read || !subresource.is_empty() || namespace.is_empty() || name.is_empty() {
        return Ok(false);
    }
    let prefix = encode::registry(&format!("pods/{namespace}/"));
    let page = store.list(&prefix, Page::default()).await.map_err(read_error)?;
    let named = format!("\"{name}\"");
    for entry in &page.entries {
        if memchr::memmem::find(&entry.value, named.as_bytes()).is_none() {
            continue;
        }
        let pod = encode::stored_object(entry);
        let node = pod.str_at(&["spec", "nodeName"]);
        if !node.is_empty() && node::refers(&pod, resource, name) && is_simulated(store, node).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn is_simulated(store: &dyn Store, node: &str) -> Result<bool, ApiError> {
    let node: Option<Object> = stored::at(store, &format!("nodes/{node}")).await?;
    let runtime = ["status", "nodeInfo", "containerRuntimeVersion"];
    Ok(node.is_some_and(|node| node.str_at(&runtime).starts_with(RUNTIME)))
}
