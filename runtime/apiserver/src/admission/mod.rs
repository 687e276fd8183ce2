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
use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;
use serde_json::Value;
use trimtab_api::apply::Given;
use trimtab_api::{ApiError, Kind, Object, patch};
use trimtab_store::Page;

use crate::handler::Call;
use crate::server::ApiServer;
use crate::{decode, encode, read};
pub(crate) use namespace::Namespace;
use version::{Converted, Told};
use webhook::{Asked, Configured, Turn, configured};

/// The group of the policies and webhooks.
const GROUP: &str = "admissionregistration.k8s.io";
/// What mutating webhooks do, in audit annotations.
const MUTATION: &str = "mutation";

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
    /// How it is deleted, if it is.
    pub options: Option<&'a DeleteOptions>,
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
    let is_limited = give(server, write, object, fill).await?;
    let is_asked = is_configured && let_change(server, write, object, fill).await?;
    let given = before.map_or_else(Given::default, |mut before| {
        if is_asked || is_limited {
            fill(&mut before);
        }
        Given::between(&before, object, write.call.kind.schema.get())
    });
    Ok(Mutated { is_asked, given })
}

/// Gives `object` what the cluster gives it. Answers whether limits had a say. Doing so again changes nothing.
async fn give(
    server: &ApiServer,
    write: &Attributes<'_>,
    object: &mut Object,
    fill: Fill<'_>,
) -> Result<bool, ApiError> {
    classes::admit(server, write, object).await?;
    let is_limited = limits::admit(server, write, object, fill).await?;
    service_account::admit(server, write, object).await?;
    protection::admit(write, object);
    Ok(is_limited)
}

/// Lets the mutating policies and webhooks change `object`: each is asked about it as those before have left it.
/// Answers whether any had a say, and the object has its defaults.
async fn let_change(
    server: &ApiServer,
    write: &Attributes<'_>,
    object: &mut Object,
    fill: Fill<'_>,
) -> Result<bool, ApiError> {
    let given = gives(write).then(|| object.clone());
    let mut is_filled = policy::mutate(server, write, object, fill, false).await?;
    let of_policies = is_filled.then(|| object.clone());
    let mut left = Vec::new();
    for (index, webhook) in configured(server, "mutatingwebhookconfigurations").await?.into_iter().enumerate() {
        let Some(hook) = concerned(server, webhook, write, Some(&*object)).await? else { continue };
        if !is_filled {
            fill(object);
            is_filled = true;
        }
        if ask_to_change(server, &hook, Turn { round: 0, index }, write, object, fill).await? {
            left.push((index, hook, object.clone()));
        }
    }
    // A container that one of them has added gets what containers get.
    if given.is_some_and(|given| given != *object) {
        give(server, write, object, fill).await?;
    }
    // Once more, for those who want to see what others have made of it since.
    if of_policies.is_some_and(|left| left != *object) {
        policy::mutate(server, write, object, fill, true).await?;
    }
    for (index, hook, left) in left {
        if hook.webhook.reinvocation_policy.as_deref() == Some("IfNeeded") && left != *object {
            ask_to_change(server, &hook, Turn { round: 1, index }, write, object, fill).await?;
        }
    }
    Ok(is_filled)
}

/// Asks the webhook, if its match conditions hold. Answers whether they do.
async fn ask_to_change(
    server: &ApiServer,
    hook: &Asked,
    turn: Turn,
    write: &Attributes<'_>,
    object: &mut Object,
    fill: Fill<'_>,
) -> Result<bool, ApiError> {
    if !holds(server, hook, write, Some(&*object)).await? {
        return Ok(false);
    }
    let change = match Converted::of(server, write, &hook.version).await? {
        None => patched(server, hook, turn, write, object).await?,
        Some(converted) => {
            let mut other = converted.object(server, write, Some(object)).await?.unwrap_or_default();
            let change = patched(server, hook, turn, &converted.write(write), &mut other).await?;
            if change.is_some() {
                *object = converted.back(server, write, other).await?;
            }
            change
        }
    };
    fill(object);
    hook.note(turn, change.as_ref(), write);
    Ok(true)
}

/// Lets the webhook change `object`, which is in the version that it knows. Answers the patch, if there was one.
async fn patched(
    server: &ApiServer,
    hook: &Asked,
    turn: Turn,
    write: &Attributes<'_>,
    object: &mut Object,
) -> Result<Option<Value>, ApiError> {
    let asked = webhook::ask(server, &hook.webhook, (MUTATION, turn), write, Some(&*object));
    let Some(change) = asked.await? else { return Ok(None) };
    let failed = |error: String| ApiError::internal(format!("admission webhook {:?}: {error}", hook.webhook.name));
    let current = Value::Object(std::mem::take(&mut object.0));
    match patch::json(current, &change).map_err(|error| failed(error.to_string()))? {
        Value::Object(changed) => object.0 = changed,
        _ => return Err(failed("the patched object is not an object".to_owned())),
    }
    check_changed(write, object).map_err(failed)?;
    Ok(Some(change))
}

/// Whether what a webhook or policy has made of an object can be read. Of a defined kind it is judged as what clients
/// send is, later; of a subresource, the resource's schema says nothing.
fn check_changed(write: &Attributes<'_>, object: &mut Object) -> Result<(), String> {
    if !write.is_whole() {
        return Ok(());
    }
    decode::check(write.resource(), object).map_err(|error| error.to_string())
}

/// Asks the webhook about the write in the version that it knows, if its match conditions hold; the patch that it wants
/// made, if any.
async fn ask(
    server: &ApiServer,
    hook: &Asked,
    turn: (&str, Turn),
    write: &Attributes<'_>,
    object: Option<&Object>,
) -> Result<Option<Value>, ApiError> {
    if !holds(server, hook, write, object).await? {
        return Ok(None);
    }
    let told = Told::of(server, write, object, &hook.version).await?;
    webhook::ask(server, &hook.webhook, turn, &told.write(), told.object()).await
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
    let mut hooks = Vec::new();
    for (index, webhook) in configured(server, "validatingwebhookconfigurations").await?.into_iter().enumerate() {
        let hook = concerned(server, webhook, write, object).await?;
        hooks.extend(hook.map(|hook| (hook, Turn { round: 0, index })));
    }
    let asked = hooks.iter().map(|(hook, turn)| ask(server, hook, ("validating", *turn), write, object).boxed());
    join_all(asked).await.into_iter().try_for_each(|answer| answer.map(drop))
}

/// As [`mutate`] and [`validate`], of what is sent to a subresource.
///
/// # Errors
/// As [`validate`].
pub(crate) async fn admit_sent(server: &ApiServer, write: &Attributes<'_>, sent: &mut Object) -> Result<(), ApiError> {
    if is_configured(server, write).await? {
        let_change(server, write, sent, &|_| ()).await?;
    }
    validate(server, write, Some(sent)).await
}

/// As [`mutate`] and [`validate`], of a write that changes no object, as a delete: a webhook that would change one is an
/// error.
///
/// # Errors
/// As [`validate`].
pub(crate) async fn admit(server: &ApiServer, write: &Attributes<'_>, object: Option<&Object>) -> Result<(), ApiError> {
    protection::may_go(write)?;
    if is_configured(server, write).await? {
        for (index, webhook) in configured(server, "mutatingwebhookconfigurations").await?.into_iter().enumerate() {
            let Some(hook) = concerned(server, webhook, write, object).await? else { continue };
            if ask(server, &hook, (MUTATION, Turn { round: 0, index }), write, object).await?.is_some() {
                return Err(ApiError::bad_request(format!(
                    "admission webhook {:?} attempted to modify the object, which is not supported for this operation",
                    hook.webhook.name
                )));
            }
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

/// The webhook, if its rules and selectors name the write.
async fn concerned(
    server: &ApiServer,
    hook: Configured,
    write: &Attributes<'_>,
    object: Option<&Object>,
) -> Result<Option<Asked>, ApiError> {
    let namespace = namespace::labels(server, write, object).await?;
    let version = rule::concerns(server, &hook.webhook, write, object, namespace.as_deref());
    Ok(version.map(|version| hook.asked_as(version)))
}

/// Whether the webhook's match conditions hold.
async fn holds(
    server: &ApiServer,
    hook: &Asked,
    write: &Attributes<'_>,
    object: Option<&Object>,
) -> Result<bool, ApiError> {
    let (hook, version) = (&hook.webhook, &hook.version);
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
