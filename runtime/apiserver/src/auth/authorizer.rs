//! Whether somebody may do something.

use std::sync::Arc;

use trimtab_api::ApiError;
use trimtab_api::rbac::{Attributes, Grant, MASTERS, User};
use trimtab_store::Store;

use super::attributes::{Asked, forbidden};
use super::policy::Followed;
use super::{Identity, node, simulated};
use crate::audit::Record;
use crate::handler::Call;
use crate::path::ResourcePath;
use crate::read::read_error;

/// Decides by the roles and bindings of the store.
#[derive(Default)]
pub(crate) struct Authorizer {
    pub(crate) policy: Followed,
}

impl Authorizer {
    /// Whether `identity` may do what the request asks for.
    ///
    /// # Errors
    /// 403; 500 when the roles cannot be read.
    pub(crate) async fn authorize(
        &self,
        store: &dyn Store,
        identity: &Identity,
        asked: &Asked<'_>,
        record: Option<&Arc<Record>>,
    ) -> Result<(), ApiError> {
        let noted = |decision: Result<&str, &str>| record.into_iter().for_each(|record| record.decided(decision));
        if identity.is_master() {
            noted(Ok(""));
            return Ok(());
        }
        self.policy.catch_up(store).await.map_err(read_error)?;
        for attributes in std::iter::once(asked.attributes()).chain(asked.besides()) {
            let mut reasons = Vec::new();
            if let Some(name) = node::name_of(identity.as_user()) {
                match node::decide(store, name, &attributes, asked.selector.as_ref()).await? {
                    Ok(()) => {
                        noted(Ok(""));
                        continue;
                    }
                    Err(reason) => reasons.push(reason),
                }
            }
            if simulated::is_agent(identity.as_user()) && simulated::gets_related(store, &attributes).await? {
                noted(Ok(""));
                continue;
            }
            // Why it may is put into words for the log alone.
            let decision = match record {
                None => self.decide(identity.as_user(), &attributes).map(|()| String::new()),
                Some(_) => self.explain(identity.as_user(), &attributes),
            };
            match decision {
                Ok(reason) => noted(Ok(&reason)),
                Err(reason) => {
                    reasons.push(reason);
                    reasons.retain(|reason| !reason.is_empty());
                    let reasons = reasons.join(", ");
                    noted(Err(&reasons));
                    return Err(forbidden(identity, &attributes, &reasons));
                }
            }
        }
        Ok(())
    }

    /// Whether the caller may also `verb` what it named: an apply of what is not there creates it.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn may_also(&self, call: &Call<'_>, verb: &str) -> Result<(), ApiError> {
        let ResourcePath { group, version, plural: resource, namespace, name, subresource, .. } = call.path;
        let asked = Attributes::Resource { verb, namespace, group, version, resource, subresource, name };
        let user = call.identity.as_user();
        if node::name_of(user).is_some() && node::by_rules(&asked).is_ok() {
            return Ok(());
        }
        self.decide(user, &asked).map_err(|reason| ApiError::forbidden(&call.kind, name, reason))
    }

    /// Whether `user` may do what `asked` describes, by what is known of the store.
    ///
    /// # Errors
    /// When it may not; the text says which roles are missing, if any.
    pub(crate) fn decide(&self, user: User<'_>, asked: &Attributes<'_>) -> Result<(), String> {
        self.told(user, asked, |_| ())
    }

    /// As [`Authorizer::explain`], of whoever may be a node's agent.
    ///
    /// # Errors
    /// When the store cannot be read; the inner one, when it may not.
    pub(crate) async fn explain_any(
        &self,
        store: &dyn Store,
        user: User<'_>,
        asked: &Attributes<'_>,
    ) -> Result<Result<String, String>, ApiError> {
        if let Some(name) = node::name_of(user)
            && node::decide(store, name, asked, None).await?.is_ok()
        {
            return Ok(Ok(String::new()));
        }
        if simulated::is_agent(user) && simulated::gets_related(store, asked).await? {
            return Ok(Ok(String::new()));
        }
        Ok(self.explain(user, asked))
    }

    /// As [`Authorizer::decide`]; and why it may, `""` when it needs no role.
    ///
    /// # Errors
    /// As [`Authorizer::decide`].
    pub(crate) fn explain(&self, user: User<'_>, asked: &Attributes<'_>) -> Result<String, String> {
        self.told(user, asked, |grant| grant.map(ToString::to_string).unwrap_or_default())
    }

    fn told<T>(
        &self,
        user: User<'_>,
        asked: &Attributes<'_>,
        tell: impl FnOnce(Option<&Grant<'_>>) -> T,
    ) -> Result<T, String> {
        if user.groups.iter().any(|group| group == MASTERS) {
            return Ok(tell(None));
        }
        let policy = self.policy.read();
        let grant = policy.decide(user, asked)?;
        Ok(tell(Some(&grant)))
    }
}
