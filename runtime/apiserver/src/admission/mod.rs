//! Admission: what is configured to look at a write may change or refuse it before it is made
//! (<https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/>).

mod asking;
pub(crate) mod certificates;
mod classes;
mod limits;
mod namespace;
mod node_restriction;
mod notes;
mod pod_security;
mod policy;
mod protection;
pub(crate) mod quota;
mod review;
mod rule;
mod service_account;
mod version;
mod webhook;

use futures::FutureExt;
use futures::future::join_all;
use serde_json::Value;
use trimtab_api::apply::Given;
use trimtab_api::{ApiError, Kind, Object, patch};
use trimtab_store::Page;

use crate::handler::Call;
use crate::server::ApiServer;
use crate::{encode, read};
pub(crate) use namespace::Namespace;
use version::{Converted, Told};
use webhook::{Asked, configured};

/// The group of the policies and webhooks.
const GROUP: &str = "admissionregistration.k8s.io";

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Create,
    Update,
    Delete,
    Connect,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

/// Gives an object its kind's defaults.
pub(crate) type Fill<'a> = &'a (dyn Fn(&mut Object) + Sync);

/// A write, as those see it who admit it.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a> {
    pub call: &'a Call<'a>,
    pub verb: Verb,
    /// The version of the resource that it is told as, when that is another than it is made in.
    pub version: Option<&'a Kind>,
    /// `apiVersion` and `kind` of what is sent: of a subresource, not those of its resource.
    pub kind: (&'a str, &'a str),
    pub name: &'a str,
    /// What is stored.
    pub old: Option<&'a Object>,
    pub dry_run: bool,
}

impl<'a> Attributes<'a> {
    /// The resource that it is told as.
    fn resource(&self) -> &'a Kind {
        self.version.unwrap_or(&self.call.kind)
    }

    /// Whether it is objects of the resource that are written, not something that is sent to a subresource.
    fn is_whole(&self) -> bool {
        self.kind.1 == self.resource().kind
    }
}

/// Whether the cluster gives something to what `write` makes: the kinds that `classes`, `limits`, `service_account`
/// and `protection` look at.
fn gives(write: &Attributes<'_>) -> bool {
    const KINDS: [(&str, &str); 4] =
        [("", "pods"), ("", "persistentvolumeclaims"), ("", "persistentvolumes"), ("networking.k8s.io", "ingresses")];
    let kind = &write.call.kind;
    let is_new = write.verb == Verb::Create && write.call.path.subresource.is_empty();
    is_new && KINDS.contains(&(&*kind.group, &*kind.plural))
}

/// What has come of letting others change an object.
pub(crate) struct Mutated {
    /// Whether any policy or webhook was asked.
    pub(crate) is_asked: bool,
    /// What was changed, besides defaults.
    pub(crate) given: Given,
}

/// Gives `object` what the cluster gives it, and lets the mutating policies and webhooks
/// change it, which `fill` gives its defaults before and after each.
///
/// # Errors
/// When one refuses the write, or fails and its failure policy says so.
pub(crate) async fn mutate(
    server: &ApiServer,
    write: &Attributes<'_>,
    object: &mut Object,
    fill: Fill<'_>,
) -> Result<Mutated, ApiError> {
    let is_configured = is_configured(server, write).await?;
    let before = (is_configured || gives(write)).then(|| object.clone());
    classes::admit(server, write, object).await?;
    let is_limited = limits::admit(server, write, object, fill).await?;
    service_account::admit(server, write, object).await?;
    protection::admit(write, object);
    let is_asked = is_configured && let_change(server, write, object, fill).await?;
    let given = before.map_or_else(Given::default, |mut before| {
        if is_asked || is_limited {
            fill(&mut before);
        }
        Given::between(&before, object, write.call.kind.schema.get())
    });
    Ok(Mutated { is_asked, given })
}

/// Lets the mutating policies and webhooks change `object`. Answers whether any was asked.
async fn let_change(
    server: &ApiServer,
    write: &Attributes<'_>,
    object: &mut Object,
    fill: Fill<'_>,
) -> Result<bool, ApiError> {
    let by_policy = policy::mutate(server, write, object, fill, false).await?;
    let hooks = concerned(server, "mutatingwebhookconfigurations", write, Some(&*object)).await?;
    if hooks.is_empty() {
        return Ok(by_policy);
    }
    fill(object);
    let of_policies = by_policy.then(|| object.clone());
    let mut left = Vec::with_capacity(hooks.len());
    for hook in &hooks {
        ask_to_change(server, hook, write, object, fill).await?;
        left.push(object.clone());
    }
    // Once more, for those who want to see what others have made of it since.
    if of_policies.is_some_and(|left| left != *object) {
        policy::mutate(server, write, object, fill, true).await?;
    }
    for (hook, left) in hooks.iter().zip(left) {
        if hook.webhook.reinvocation_policy.as_deref() == Some("IfNeeded") && left != *object {
            ask_to_change(server, hook, write, object, fill).await?;
        }
    }
    Ok(true)
}

async fn ask_to_change(
    server: &ApiServer,
    hook: &Asked,
    write: &Attributes<'_>,
    object: &mut Object,
    fill: Fill<'_>,
) -> Result<(), ApiError> {
    let converted = Converted::of(server, write, &hook.version).await?;
    let Some(converted) = converted else { return patched(server, hook, write, object).await.map(|_| fill(object)) };
    let mut other = converted.object(server, write, Some(object)).await?.unwrap_or_default();
    if patched(server, hook, &converted.write(write), &mut other).await? {
        *object = converted.back(server, write, other).await?;
    }
    fill(object);
    Ok(())
}

/// Lets the webhook change `object`, which is in the version that it knows. Answers whether it did.
async fn patched(
    server: &ApiServer,
    hook: &Asked,
    write: &Attributes<'_>,
    object: &mut Object,
) -> Result<bool, ApiError> {
    let Some(change) = webhook::ask(server, &hook.webhook, write, Some(&*object)).await? else { return Ok(false) };
    let failed = |error: String| ApiError::internal(format!("admission webhook {:?}: {error}", hook.webhook.name));
    let current = Value::Object(std::mem::take(&mut object.0));
    match patch::json(current, &change).map_err(|error| failed(error.to_string()))? {
        Value::Object(changed) => object.0 = changed,
        _ => return Err(failed("the patched object is not an object".to_owned())),
    }
    // Of a subresource, the resource's schema says nothing.
    if write.is_whole() {
        let schema = write.resource().schema.get();
        schema.check(&mut object.0).map_err(|error| failed(error.to_string()))?;
    }
    Ok(true)
}

/// Asks the webhook about the write in the version that it knows; the patch that it wants made, if any.
async fn ask(
    server: &ApiServer,
    hook: &Asked,
    write: &Attributes<'_>,
    object: Option<&Object>,
) -> Result<Option<Value>, ApiError> {
    let told = Told::of(server, write, object, &hook.version).await?;
    webhook::ask(server, &hook.webhook, &told.write(), told.object()).await
}

/// Asks whether the write may be made as it now is. `object` is absent from a delete.
///
/// # Errors
/// When anything refuses it, or fails and its failure policy says so.
pub(crate) async fn validate(
    server: &ApiServer,
    write: &Attributes<'_>,
    object: Option<&Object>,
) -> Result<(), ApiError> {
    node_restriction::check(server, write, object).await?;
    limits::check(server, write, object).await?;
    classes::check(server, write, object).await?;
    pod_security::check(server, write, object).await?;
    if !is_configured(server, write).await? {
        return Ok(());
    }
    policy::validate(server, write, object).await?;
    let hooks = concerned(server, "validatingwebhookconfigurations", write, object).await?;
    let mut asked = Vec::with_capacity(hooks.len());
    for hook in &hooks {
        asked.push(ask(server, hook, write, object).boxed());
    }
    join_all(asked).await.into_iter().try_for_each(|answer| answer.map(drop))
}

/// As [`mutate`] and [`validate`], of a write whose object is gone or belongs to no kind: nothing
/// that a webhook would change of it is kept.
///
/// # Errors
/// As [`validate`].
pub(crate) async fn admit(server: &ApiServer, write: &Attributes<'_>, object: Option<&Object>) -> Result<(), ApiError> {
    protection::may_go(write)?;
    if !is_configured(server, write).await? {
        return validate(server, write, object).await;
    }
    for hook in concerned(server, "mutatingwebhookconfigurations", write, object).await? {
        if ask(server, &hook, write, object).await?.is_some() {
            return Err(ApiError::bad_request(format!(
                "admission webhook {:?} attempted to modify the object, which is not supported for this operation",
                hook.webhook.name
            )));
        }
    }
    validate(server, write, object).await
}

/// Whether any policy or webhook may have a say in the write: where there is none, it is not to pay for
/// them. None has a say in their own kinds: one that refuses everything could not be taken away again.
async fn is_configured(server: &ApiServer, write: &Attributes<'_>) -> Result<bool, ApiError> {
    if write.call.kind.group == GROUP {
        return Ok(false);
    }
    let one = Page { limit: 1, ..Page::default() };
    let page = server.inner.store.list(&encode::registry(&format!("{GROUP}/")), one).await;
    Ok(!page.map_err(read::read_error)?.entries.is_empty())
}

async fn concerned(
    server: &ApiServer,
    plural: &str,
    write: &Attributes<'_>,
    object: Option<&Object>,
) -> Result<Vec<Asked>, ApiError> {
    let hooks = configured(server, plural).await?;
    if hooks.is_empty() {
        return Ok(Vec::new());
    }
    let namespace = namespace::labels(server, write, object).await?;
    let mut concerned = Vec::with_capacity(hooks.len());
    for webhook in hooks {
        let version = rule::concerns(server, &webhook, write, object, namespace.as_deref());
        let Some(hook) = version.map(|version| Asked { webhook, version }) else { continue };
        if holds(server, &hook, write, object).await? {
            concerned.push(hook);
        }
    }
    Ok(concerned)
}

/// Whether the webhook's match conditions hold.
async fn holds(
    server: &ApiServer,
    hook: &Asked,
    write: &Attributes<'_>,
    object: Option<&Object>,
) -> Result<bool, ApiError> {
    let Asked { webhook: hook, version } = hook;
    if hook.match_conditions.as_ref().is_none_or(Vec::is_empty) {
        return Ok(true);
    }
    let json = serde_json::to_value(hook).map_err(|error| ApiError::internal(error.to_string()))?;
    let told = Told::of(server, write, object, version).await?;
    match policy::conditions_hold(server, &json, &told.write(), told.object()) {
        Ok(holds) => Ok(holds),
        Err(why) if hook.failure_policy.as_deref() == Some("Ignore") => {
            tracing::warn!(webhook = hook.name, why, "failing open: the match conditions could not be evaluated");
            Ok(false)
        }
        Err(why) => Err(ApiError::forbidden(&write.call.kind, write.name, why)),
    }
}
