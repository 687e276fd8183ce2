//! What expressions ask the authorizer, and the expressions that are compiled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use trimtab_api::cel::{Authorizer, Check};
use trimtab_api::policy::Policy;
use trimtab_api::rbac::{Attributes, User};

use crate::auth::Identity;
use crate::server::ApiServer;

/// More than this many are not kept: whatever is looked at often is soon compiled again.
const KEPT: usize = 1_024;

/// Compiled policies, by whatever tells them and their versions apart.
#[derive(Default)]
pub(crate) struct Policies(Mutex<HashMap<String, Arc<Policy>>>);

impl Policies {
    /// The policy of `key`, compiled if it is not.
    pub(super) fn get(&self, key: &str, compile: impl FnOnce() -> Policy) -> Arc<Policy> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(policy) = known().get(key) {
            return Arc::clone(policy);
        }
        // Not under the lock, for it takes its time.
        let policy = Arc::new(compile());
        let mut known = known();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(key.to_owned(), Arc::clone(&policy));
        policy
    }
}

/// Asks in the name of whoever writes.
pub(super) struct Asker<'a> {
    pub server: &'a ApiServer,
    pub identity: &'a Identity,
}

impl Authorizer for Asker<'_> {
    fn check(&self, asked: &Check<'_>, verb: &str) -> Result<String, String> {
        let attributes = match &asked.path {
            Some(path) => Attributes::Path { verb, path },
            None => Attributes::Resource {
                verb,
                namespace: &asked.namespace,
                group: &asked.group,
                version: "*",
                resource: &asked.resource,
                subresource: &asked.subresource,
                name: &asked.name,
            },
        };
        let authorizer = &self.server.inner.authorizer;
        match &asked.service_account {
            None => authorizer.explain(self.identity.as_user(), &attributes),
            Some((namespace, name)) => {
                let groups = [
                    "system:serviceaccounts".to_owned(),
                    format!("system:serviceaccounts:{namespace}"),
                    "system:authenticated".to_owned(),
                ];
                let name = format!("system:serviceaccount:{namespace}:{name}");
                authorizer.explain(User { name: &name, groups: &groups }, &attributes)
            }
        }
    }
}
