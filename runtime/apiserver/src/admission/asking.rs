//! What expressions ask the authorizer.

use trimtab_api::cel::{Authorizer, Check};
use trimtab_api::rbac::Attributes;

use crate::auth::Identity;
use crate::server::ApiServer;

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
                let account = Identity::service_account(namespace, name, "");
                authorizer.explain(account.as_user(), &attributes)
            }
        }
    }
}
