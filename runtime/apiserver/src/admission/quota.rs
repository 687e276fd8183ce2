//! ResourceQuotas: a write takes what it uses from every quota of its namespace (in upstream's words,
//! `k8s.io/apiserver/pkg/admission/plugin/resourcequota`).
//!
//! What is taken is written in one step with what takes it, so that two at once cannot both have the last, and whoever
//! adds up anew what is used, as the quota controller does to give back what goes, finds both or neither.

use trimtab_api::quota::{self, Amounts, Resource};
use trimtab_api::{ApiError, Kind, Object};
use trimtab_store::{Precondition, Write};

use crate::handler::Call;
use crate::server::ApiServer;
use crate::{encode, stored};

/// What is to be written together with `new` over `old`: each quota of its namespace that has less left then. A dry run
/// only looks.
///
/// # Errors
/// 403 when there is not enough left of something.
pub(crate) async fn charge(
    server: &ApiServer,
    call: &Call<'_>,
    new: &Object,
    old: Option<&Object>,
) -> Result<Vec<Write>, ApiError> {
    if !call.kind.namespaced() || !is_limited(&call.kind, call.path.subresource, old.is_some()) {
        return Ok(Vec::new());
    }
    let kinds = server.inner.kinds();
    let Some(kind) = kinds.by_resource("", "v1", "resourcequotas") else { return Ok(Vec::new()) };
    let resource = Resource { group: call.kind.stored_as().0, plural: &call.kind.plural };
    let write = quota::Write { resource, new, old, now: server.inner.env.now().as_second() };
    let mut beside = Vec::new();
    for entry in stored::entries(server, kind, new.namespace()).await? {
        let mut quota = encode::to_object(kind, &entry);
        let used = quota::charged(&quota, &write).map_err(|why| ApiError::forbidden(&call.kind, new.name(), why))?;
        let Some(used) = used else { continue };
        set_used(&mut quota, &used);
        beside.push(Write {
            key: entry.key.to_string(),
            value: Some(encode::to_stored(kind, &quota)),
            precondition: Precondition::At(entry.mod_revision),
        });
    }
    Ok(beside)
}

/// Whether a write may use more: most objects are only counted, and that once.
fn is_limited(kind: &Kind, subresource: &str, is_update: bool) -> bool {
    match (&*kind.group, &*kind.plural, subresource) {
        ("", "pods", "resize") => true,
        ("", "services" | "persistentvolumeclaims", "") => true,
        (_, _, "") => !is_update,
        _ => false,
    }
}

fn set_used(quota: &mut Object, used: &Amounts) {
    for (name, amount) in used {
        quota.set(&["status", "used", name], amount.to_string());
    }
}
