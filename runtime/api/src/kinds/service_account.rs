//! Service accounts: only the names of their secrets are kept
//! (`pkg/registry/core/serviceaccount`).

use k8s_openapi::api::core::v1::{ObjectReference, ServiceAccount as Typed};

use crate::kinds::typed;
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

/// Service accounts.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServiceAccount;

impl Strategy for ServiceAccount {
    fn admit(&self, _: Operation<'_>, object: &mut Object) -> Admission {
        typed(object, |account: &mut Typed, _| {
            for secret in account.secrets.iter_mut().flatten() {
                *secret = ObjectReference { name: secret.name.take(), ..ObjectReference::default() };
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::created;

    #[test]
    fn secrets_are_named_and_nothing_more() {
        let account =
            created(&ServiceAccount, "{metadata: {name: a, namespace: d}, secrets: [{name: s, uid: u, kind: X}]}");
        assert_eq!(account.0["secrets"], serde_json::json!([{"name": "s"}]));
    }
}
