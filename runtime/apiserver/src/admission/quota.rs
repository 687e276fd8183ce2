//! ResourceQuotas: a write takes what it uses from every quota of its namespace, before it is made, so that
//! two at once cannot both have the last (`k8s.io/apiserver/pkg/admission/plugin/resourcequota`).
//!
//! The quota controller adds up anew what is used, and so gives back what goes.

use std::sync::Arc;

use serde_json::Value;
use trimtab_api::quota::{self, Amounts, Resource};
use trimtab_api::{ApiError, Kind, Object};
use trimtab_store::{Entry, Precondition};

use crate::handler::Call;
use crate::server::ApiServer;
use crate::write::{Committed, commit};
use crate::{encode, stored};

/// What a write has taken, to be [given back](Charge::refund) if it is not made.
#[derive(Default)]
pub(crate) struct Charge {
    /// Each quota as it was before and after.
    taken: Vec<(Object, Amounts)>,
}

/// Takes what the write of `new` over `old` uses; a dry run only looks.
///
/// # Errors
/// 403 when there is not enough left of something.
pub(crate) async fn charge(
    server: &ApiServer,
    call: &Call<'_>,
    new: &Object,
    old: Option<&Object>,
) -> Result<Charge, ApiError> {
    let mut charge = Charge::default();
    if !call.kind.namespaced() || !is_limited(&call.kind, call.path.subresource, old.is_some()) {
        return Ok(charge);
    }
    let kinds = server.inner.kinds();
    let Some(kind) = kinds.by_resource("", "v1", "resourcequotas") else { return Ok(charge) };
    let quotas = stored::entries(server, kind, new.namespace()).await?;
    let resource = Resource { group: call.kind.stored_as().0, plural: &call.kind.plural };
    let write = quota::Write { resource, new, old, now: server.inner.env.now().as_second() };
    for entry in quotas {
        if let Err(error) = take(server, call, kind, entry, &write, &mut charge).await {
            charge.refund(server).await;
            return Err(error);
        }
    }
    Ok(charge)
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

async fn take(
    server: &ApiServer,
    call: &Call<'_>,
    kind: &Kind,
    mut entry: Arc<Entry>,
    write: &quota::Write<'_>,
    charge: &mut Charge,
) -> Result<(), ApiError> {
    loop {
        let before = encode::to_object(kind, &entry);
        let used =
            quota::charged(&before, write).map_err(|why| ApiError::forbidden(&call.kind, write.new.name(), why))?;
        let Some(used) = used.filter(|_| !call.dry_run()) else { return Ok(()) };
        let mut after = before.clone();
        set_used(&mut after, &used);
        match commit(server, kind, &after, Precondition::At(entry.mod_revision)).await {
            Ok(_) => {
                charge.taken.push((before, used));
                return Ok(());
            }
            // One that is gone limits nothing.
            Err(Committed::Conflict(None)) => return Ok(()),
            Err(Committed::Conflict(Some(newer))) => entry = newer,
            Err(Committed::Other(error)) => return Err(error),
        }
    }
}

fn set_used(quota: &mut Object, used: &Amounts) {
    for (name, amount) in used {
        quota.set(&["status", "used", name], amount.to_string());
    }
}

impl Charge {
    /// Gives back what was taken. What cannot be given back is found by the quota controller.
    pub(crate) async fn refund(self, server: &ApiServer) {
        let kinds = server.inner.kinds();
        let Some(kind) = kinds.by_resource("", "v1", "resourcequotas") else { return };
        for (before, after) in self.taken {
            let key = encode::key(kind, before.namespace(), before.name());
            while let Ok(Some(entry)) = server.inner.store.get(&key).await {
                let mut quota = encode::to_object(kind, &entry);
                let amount = |of: &Object, name: &str| {
                    let text = of.at(&["status", "used", name]).and_then(Value::as_str);
                    text.and_then(|text| trimtab_api::Quantity::parse(text).ok())
                };
                let left: Amounts = after
                    .iter()
                    .filter_map(|(name, after)| {
                        let taken = *after - amount(&before, name).unwrap_or_default();
                        Some((name.clone(), amount(&quota, name)? - taken))
                    })
                    .collect();
                set_used(&mut quota, &left);
                match commit(server, kind, &quota, Precondition::At(entry.mod_revision)).await {
                    Err(Committed::Conflict(Some(_))) => {}
                    _ => break,
                }
            }
        }
    }
}
