//! Gives Secrets of the type `kubernetes.io/service-account-token` their token, and deletes those whose service account
//! is gone
//! (<https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#token-controller>).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use trimtab_api::ObjectRef;
use trimtab_api::kinds::service_account::{ACCOUNT_NAME, ACCOUNT_UID, SecretClaims, TOKEN_KEY, TOKEN_SECRET};
use trimtab_client::{Api, DeleteParams, ListParams};
use trimtab_reconcile::{Context, Controller, Error, Next, Result, Setup};

/// Beside the token, what whoever has it needs to know.
const CA_KEY: &str = "ca.crt";
const NAMESPACE_KEY: &str = "namespace";

/// Signs the tokens of service accounts.
pub trait TokenSigner: fmt::Debug + Send + Sync + 'static {
    /// A token that says `claims`.
    ///
    /// # Errors
    /// Why there can be none.
    fn sign(&self, claims: &SecretClaims) -> Result<String, String>;
}

/// Keeps the Secrets that hold tokens.
#[derive(Debug)]
pub struct ServiceAccountTokens {
    signer: Arc<dyn TokenSigner>,
    root_ca: Option<String>,
}

impl ServiceAccountTokens {
    /// Signs with `signer`, and has the tokens' owners trust `root_ca` (PEM).
    pub fn new(signer: Arc<dyn TokenSigner>, root_ca: Option<String>) -> Self {
        Self { signer, root_ca }
    }

    /// The Secret with all that it should hold. What else it holds stays.
    fn filled(&self, secret: &Secret, account: &ServiceAccount) -> Result<Secret, String> {
        let mut filled = secret.clone();
        let (namespace, uid) = (text(&secret.metadata.namespace), text(&account.metadata.uid));
        filled.metadata.annotations.get_or_insert_default().insert(ACCOUNT_UID.to_owned(), uid.to_owned());
        let data = filled.data.get_or_insert_default();
        if let Some(pem) = &self.root_ca {
            data.insert(CA_KEY.to_owned(), ByteString(pem.clone().into_bytes()));
        }
        if is_empty(data, NAMESPACE_KEY) {
            data.insert(NAMESPACE_KEY.to_owned(), ByteString(namespace.as_bytes().to_vec()));
        }
        if is_empty(data, TOKEN_KEY) {
            let claims = SecretClaims::new(namespace, text(&secret.metadata.name), account_name(secret), uid);
            data.insert(TOKEN_KEY.to_owned(), ByteString(self.signer.sign(&claims)?.into_bytes()));
        }
        Ok(filled)
    }

    /// Whether nothing is missing, as [`ServiceAccountTokens::filled`] has it.
    fn is_filled(&self, secret: &Secret) -> bool {
        let Some(data) = &secret.data else { return false };
        let trusts = |pem: &String| data.get(CA_KEY).is_some_and(|held| held.0 == pem.as_bytes());
        !annotation(secret, ACCOUNT_UID).is_empty()
            && self.root_ca.as_ref().is_none_or(trusts)
            && !is_empty(data, NAMESPACE_KEY)
            && !is_empty(data, TOKEN_KEY)
    }
}

impl Controller for ServiceAccountTokens {
    type Kind = Secret;
    const NAME: &'static str = "serviceaccount-token-controller";

    fn selection() -> ListParams {
        ListParams::default().fields(format!("type={TOKEN_SECRET}"))
    }

    fn setup(&self, setup: &mut Setup<'_, Self>) {
        setup.references::<ServiceAccount>(|secret| {
            vec![ObjectRef::new(text(&secret.metadata.namespace), account_name(secret))]
        });
    }

    async fn reconcile(&self, secret: &Secret, cx: &Context<Secret>) -> Result<Next> {
        let name = account_name(secret);
        let known = cx.get::<ServiceAccount>(name)?;
        let is_done = known.is_some_and(|account| is_of(secret, &account)) && self.is_filled(secret);
        if is_done || secret.metadata.deletion_timestamp.is_some() {
            return Ok(Next::on_change());
        }
        // What is known may be old, and neither a deletion nor a token is ever taken back.
        let accounts = Api::<ServiceAccount>::namespaced(cx.client(), text(&secret.metadata.namespace));
        let account = accounts.get_opt(name).await?.filter(|account| is_of(secret, account));
        let done = match account {
            Some(account) => {
                let filled = self.filled(secret, &account).map_err(Error::other)?;
                cx.replace(&filled).await.map(drop)
            }
            None => {
                // One that was given to another account meanwhile stays.
                let resource_version = secret.metadata.resource_version.clone();
                cx.delete(secret, DeleteParams { resource_version, ..DeleteParams::default() }).await
            }
        };
        match done {
            Err(Error::Client(error)) if error.is_not_found() => Ok(Next::on_change()),
            done => done.map(|()| Next::on_change()),
        }
    }
}

/// Whether the Secret is that of the account, and not of an earlier one of its name.
fn is_of(secret: &Secret, account: &ServiceAccount) -> bool {
    let uid = annotation(secret, ACCOUNT_UID);
    uid.is_empty() || uid == text(&account.metadata.uid)
}

fn account_name(secret: &Secret) -> &str {
    annotation(secret, ACCOUNT_NAME)
}

fn annotation<'a>(secret: &'a Secret, key: &str) -> &'a str {
    secret.metadata.annotations.as_ref().and_then(|all| all.get(key)).map_or("", String::as_str)
}

fn is_empty(data: &BTreeMap<String, ByteString>, key: &str) -> bool {
    data.get(key).is_none_or(|bytes| bytes.0.is_empty())
}

fn text(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or_default()
}
