//! Admission policies in force: which concern a write, with which parameters, and what comes of it.

use std::convert::Infallible;
use std::sync::Arc;

use k8s_openapi::api::admissionregistration::v1::{MatchResources, NamedRuleWithOperations, RuleWithOperations};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, StatusCause};
use serde_json::Value;
use trimtab_api::cel::Check;
use trimtab_api::kinds::policies;
use trimtab_api::policy::{Change, Input, Policy, Refusal};
use trimtab_api::{ApiError, Kind, MAX_DEPTH, Object, Selector, apply, depth, patch};

use super::asking::Asker;
use super::notes::Notes;
use super::version::{self, Converted, Told};
use super::{Attributes, Fill, namespace, review, rule};
use crate::server::ApiServer;
use crate::stored;

/// A policy as one binding puts it in force, and what it is told.
struct InForce {
    name: String,
    /// The version of the kind that it knows.
    version: Arc<Kind>,
    binding: Object,
    policy: Arc<Policy>,
    fails_open: bool,
    /// Whether it looks again at what others have made of the object since.
    again: bool,
    /// One evaluation for each.
    params: Result<Vec<Value>, String>,
}

/// What a write is, for expressions.
struct Seen {
    object: Value,
    old: Value,
    request: Value,
    namespace: Value,
}

impl Seen {
    fn of(write: &Attributes<'_>, object: Option<&Object>, namespace: Option<&Object>) -> Self {
        let json = |object: Option<&Object>| object.map_or(Value::Null, |object| Value::Object(object.0.clone()));
        Self {
            object: json(object),
            old: json(write.old),
            request: review::attributes(write),
            namespace: json(namespace.filter(|_| write.call.kind.namespaced())),
        }
    }

    fn with<T>(
        &self,
        server: &ApiServer,
        write: &Attributes<'_>,
        params: &Value,
        look: impl FnOnce(&Input<'_>) -> T,
    ) -> T {
        let asker = Asker { server, identity: write.call.identity };
        let path = &write.call.path;
        let resource = Check {
            group: path.group.to_owned(),
            resource: path.plural.to_owned(),
            subresource: path.subresource.to_owned(),
            namespace: path.namespace.to_owned(),
            name: write.name.to_owned(),
            ..Check::of(&asker)
        };
        look(&Input {
            object: &self.object,
            old: &self.old,
            request: &self.request,
            params,
            namespace: &self.namespace,
            authorizer: Check::of(&asker),
            resource,
        })
    }
}

/// Whether the match conditions of a webhook hold; its JSON is `hook`.
///
/// # Errors
/// What fails.
pub(super) fn conditions_hold(
    server: &ApiServer,
    hook: &Value,
    write: &Attributes<'_>,
    object: Option<&Object>,
) -> Result<bool, String> {
    let key = hook["matchConditions"].to_string();
    let policy = compiled(server, &key, hook);
    let seen = Seen::of(write, object, None);
    seen.with(server, write, &Value::Null, |input| policy.matches(input))
}

/// The policy that `spec` says, compiled if that of `key` is not kept.
fn compiled(server: &ApiServer, key: &str, spec: &Value) -> Arc<Policy> {
    let compile = || Ok::<_, Infallible>(Policy::read(spec, &trimtab_api::field::Path::default()).0);
    server.inner.policies.get(key, compile).unwrap_or_else(|never| match never {})
}

/// Refuses what the validating policies refuse.
///
/// # Errors
/// When one does, and its binding says that this denies the write.
pub(super) async fn validate(
    server: &ApiServer,
    write: &Attributes<'_>,
    object: Option<&Object>,
) -> Result<(), ApiError> {
    let namespace = namespace::labels(server, write, object);
    let kinds = ("validatingadmissionpolicies", "validatingadmissionpolicybindings");
    let Some((in_force, namespace)) = concerned(server, kinds, write, object, namespace).await? else { return Ok(()) };
    let own = Seen::of(write, object, namespace.as_deref());
    let (mut denied, mut notes) = (None, Notes::default());
    for policy in &in_force {
        let told = Told::of(server, write, object, &policy.version).await?;
        let other = told.is_converted().then(|| Seen::of(&told.write(), told.object(), namespace.as_deref()));
        for refusal in refusals(server, policy, write, other.as_ref().unwrap_or(&own), &mut notes) {
            let (name, binding) = (&policy.name, policy.binding.name());
            let actions = policy.binding.at(&["spec", "validationActions"]).and_then(Value::as_array);
            let has = |action: &str| actions.into_iter().flatten().any(|has| has == action);
            let configured = policy.params.is_ok();
            if has("Warn") && configured {
                let text = format!(
                    "Validation failed for ValidatingAdmissionPolicy '{name}' with binding '{binding}': {}",
                    refusal.message
                );
                write.call.warnings.add(text);
            }
            if has("Audit") && configured {
                notes.failed(name, &policy.binding, &refusal);
            }
            if (has("Deny") || !configured) && denied.is_none() {
                denied = Some(denial("ValidatingAdmissionPolicy", policy, write, &refusal));
            }
        }
    }
    if let Some(record) = write.call.record {
        notes.publish(record);
    }
    denied.map_or(Ok(()), Err)
}

fn failed(message: String) -> Refusal {
    Refusal { message, reason: String::new(), failed: true, index: 0 }
}

fn refusals(
    server: &ApiServer,
    policy: &InForce,
    write: &Attributes<'_>,
    seen: &Seen,
    notes: &mut Notes,
) -> Vec<Refusal> {
    let found = match &policy.params {
        Err(why) => vec![failed(why.clone())],
        Ok(params) => {
            let each = params.iter().flat_map(|params| {
                seen.with(server, write, params, |input| match policy.policy.matches(input) {
                    Ok(false) => Vec::new(),
                    Err(why) => vec![failed(why)],
                    Ok(true) => {
                        let mut refusals = policy.policy.refusals(input);
                        // As upstream, what cannot be noted is a failure of the policy.
                        match policy.policy.annotations(input) {
                            Ok(found) => found.into_iter().for_each(|(key, note)| notes.add(&policy.name, &key, note)),
                            Err(why) => refusals.push(failed(why)),
                        }
                        refusals
                    }
                })
            });
            each.collect()
        }
    };
    found.into_iter().filter(|refusal| !(refusal.failed && policy.fails_open)).collect()
}

fn denial(kind: &str, policy: &InForce, write: &Attributes<'_>, refusal: &Refusal) -> ApiError {
    let (name, binding) = (&policy.name, policy.binding.name());
    let message = format!("{kind} '{name}' with binding '{binding}' denied request: {}", refusal.message);
    let error = ApiError::forbidden(&write.call.kind, write.name, &message);
    let (code, reason) = match refusal.reason.as_str() {
        "Unauthorized" => (401, "Unauthorized"),
        "Forbidden" => (403, "Forbidden"),
        "RequestEntityTooLarge" => (413, "RequestEntityTooLarge"),
        _ => (422, "Invalid"),
    };
    let mut status = error.status().clone();
    status.code = Some(code);
    status.reason = Some(reason.to_owned());
    let cause = StatusCause { message: Some(message), ..StatusCause::default() };
    ApiError::from_status(status).with_details(|details| details.causes.get_or_insert_default().push(cause))
}

/// Lets the mutating policies change `object`; with `again` those alone that look again. Answers
/// whether any is about it.
///
/// # Errors
/// When one fails, and is not to be ignored then.
pub(super) async fn mutate(
    server: &ApiServer,
    write: &Attributes<'_>,
    object: &mut Object,
    fill: Fill<'_>,
    again: bool,
) -> Result<bool, ApiError> {
    // Of a subresource, the resource's schema says nothing.
    if !write.is_whole() {
        return Ok(false);
    }
    let namespace = namespace::labels(server, write, Some(&*object));
    let kinds = ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings");
    let found = concerned(server, kinds, write, Some(&*object), namespace).await?;
    let Some((in_force, namespace)) = found else { return Ok(false) };
    fill(object);
    for policy in in_force.iter().filter(|policy| policy.again || !again) {
        let before = object.clone();
        let changed = match Converted::of(server, write, &policy.version).await? {
            None => change(server, policy, write, object, namespace.as_deref(), fill),
            Some(converted) => {
                let mut other = converted.object(server, write, Some(object)).await?.unwrap_or_default();
                // It gets its defaults in the version that it is written in.
                let changed =
                    change(server, policy, &converted.write(write), &mut other, namespace.as_deref(), &|_| ());
                *object = converted.back(server, write, other).await?;
                fill(object);
                changed
            }
        };
        let Err(message) = changed else { continue };
        *object = before;
        if !policy.fails_open {
            return Err(denial("MutatingAdmissionPolicy", policy, write, &failed(message)));
        }
        tracing::warn!(policy = policy.name, message, "failing open: the policy could not be applied");
    }
    Ok(true)
}

fn change(
    server: &ApiServer,
    policy: &InForce,
    write: &Attributes<'_>,
    object: &mut Object,
    namespace: Option<&Object>,
    fill: Fill<'_>,
) -> Result<(), String> {
    let schema = write.resource().schema.get();
    for params in policy.params.as_ref().map_err(Clone::clone)? {
        for index in 0..policy.policy.changes() {
            let seen = Seen::of(write, Some(&*object), namespace);
            let change = seen.with(server, write, params, |input| match index {
                0 if !policy.policy.matches(input)? => Ok(None),
                _ => policy.policy.change(index, input).map(Some),
            })?;
            let Some(change) = change else { break };
            let changed = match change {
                Change::Apply(configuration) => apply::configure(&seen.object, &configuration, schema)?,
                Change::JsonPatch(operations) => {
                    patch::json(seen.object, &operations).map_err(|error| format!("JSON Patch: {error}"))?
                }
            };
            if depth(&changed) > MAX_DEPTH {
                return Err(format!("the changed object is nested deeper than {MAX_DEPTH} levels"));
            }
            let Value::Object(changed) = changed else {
                return Err("the changed object is not an object".to_owned());
            };
            object.0 = changed;
            super::check_changed(write, object)?;
            fill(object);
        }
    }
    Ok(())
}

/// The policies in force for this write, and its namespace; `None` when there are none.
async fn concerned(
    server: &ApiServer,
    (policies, bindings): (&str, &str),
    write: &Attributes<'_>,
    object: Option<&Object>,
    namespace: impl Future<Output = Result<Option<Arc<Object>>, ApiError>>,
) -> Result<Option<(Vec<InForce>, Option<Arc<Object>>)>, ApiError> {
    let policies = stored::list(server, (super::GROUP, "v1", policies), "").await?;
    if policies.is_empty() {
        return Ok(None);
    }
    let namespace = namespace.await?;
    let about = |of: &Object, field: &str, must: bool| match policies::matched(of, field) {
        Ok(None) => Ok((!must).then(|| Arc::clone(&write.call.kind))),
        Ok(Some(matched)) => Ok(concerns(server, &matched, write, object, namespace.as_deref())),
        Err(error) => Err(ApiError::internal(format!("{}: {error}", of.name()))),
    };
    let mut found = Vec::new();
    let mut all = None;
    for policy in policies {
        let Some(version) = about(&policy, "matchConstraints", true)? else { continue };
        let all = match &mut all {
            Some(all) => all,
            none => none.insert(stored::list(server, (super::GROUP, "v1", bindings), "").await?),
        };
        let spec = policy.0.get("spec").unwrap_or(&Value::Null);
        let key = format!("{} {} {}", policy.uid(), policy.name(), policy.resource_version());
        let compiled = compiled(server, &key, spec);
        for binding in all.iter().filter(|binding| binding.str_at(&["spec", "policyName"]) == policy.name()) {
            if about(binding, "matchResources", false)?.is_some() {
                found.push(InForce {
                    name: policy.name().to_owned(),
                    version: Arc::clone(&version),
                    policy: Arc::clone(&compiled),
                    fails_open: spec["failurePolicy"] == "Ignore",
                    again: spec["reinvocationPolicy"] == "IfNeeded",
                    params: params(server, spec, binding, write).await?,
                    binding: binding.clone(),
                });
            }
        }
    }
    Ok((!found.is_empty()).then_some((found, namespace)))
}

/// As which version of its kind the write is what is matched; `None` when it is not.
fn concerns(
    server: &ApiServer,
    matched: &MatchResources,
    write: &Attributes<'_>,
    object: Option<&Object>,
    namespace: Option<&Object>,
) -> Option<Arc<Kind>> {
    let equivalent = matched.match_policy.as_deref() == Some("Equivalent");
    let among = |rules: &Option<Vec<NamedRuleWithOperations>>| {
        let rules = rules.as_deref().unwrap_or_default();
        version::matched(server, write, rules, equivalent, |rule: &NamedRuleWithOperations, kind| {
            let names = rule.resource_names.as_deref().unwrap_or_default();
            let plain = RuleWithOperations {
                api_groups: rule.api_groups.clone(),
                api_versions: rule.api_versions.clone(),
                operations: rule.operations.clone(),
                resources: rule.resources.clone(),
                scope: rule.scope.clone(),
            };
            rule::matches(&plain, write, kind) && (names.is_empty() || names.iter().any(|name| name == write.name))
        })
    };
    let selected = namespace.is_none_or(|namespace| rule::selects(matched.namespace_selector.as_ref(), namespace))
        && [object, write.old]
            .into_iter()
            .flatten()
            .any(|object| rule::selects(matched.object_selector.as_ref(), object));
    if !selected || among(&matched.exclude_resource_rules).is_some() {
        return None;
    }
    match matched.resource_rules.as_ref().is_none_or(Vec::is_empty) {
        true => Some(Arc::clone(&write.call.kind)),
        false => among(&matched.resource_rules),
    }
}

/// What the binding gives the policy: one value for each evaluation; or why there is none.
///
/// # Errors
/// When the store cannot be read.
async fn params(
    server: &ApiServer,
    spec: &Value,
    binding: &Object,
    write: &Attributes<'_>,
) -> Result<Result<Vec<Value>, String>, ApiError> {
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let (wanted, reference) = (&spec["paramKind"], binding.at(&["spec", "paramRef"]));
    let Some(reference) = reference.filter(|_| !wanted.is_null()) else { return Ok(Ok(vec![Value::Null])) };
    let (api_version, kind) = (text(wanted, "apiVersion"), text(wanted, "kind"));
    let kinds = server.inner.kinds();
    let Some(kind) = kinds.by_kind(&api_version, &kind) else {
        let why = format!(
            "failed to configure policy: failed to find resource referenced by paramKind: '{api_version}, Kind={kind}'"
        );
        return Ok(Err(why));
    };
    let failed = |why: &str| Ok(Err(format!("failed to configure binding: {why}")));
    let own = text(reference, "namespace");
    let namespace = match (kind.namespaced(), own.is_empty()) {
        (true, true) if write.call.path.namespace.is_empty() => {
            return failed("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources");
        }
        (true, true) => write.call.path.namespace.to_owned(),
        (false, false) => return failed("paramRef.namespace must not be provided for a cluster-scoped `paramKind`"),
        _ => own,
    };
    let name = text(reference, "name");
    let found: Vec<Object> = if name.is_empty() {
        let selector = serde_json::from_value(reference["selector"].clone()).ok();
        let selector: Option<LabelSelector> = selector;
        let Some(Ok(selector)) = selector.as_ref().map(Selector::try_from) else {
            return failed("paramRef.selector cannot be read");
        };
        let all = stored::list_of(server, kind, &namespace).await?;
        let fits = |object: &Object| {
            selector.matches(|key| object.labels().find(|(have, _)| *have == key).map(|(_, value)| value))
        };
        all.into_iter().filter(fits).collect()
    } else {
        stored::get_of(server, kind, &namespace, &name).await?.into_iter().collect()
    };
    if found.is_empty() && reference["parameterNotFoundAction"] == "Deny" {
        return failed("no params found for policy binding with `Deny` parameterNotFoundAction");
    }
    Ok(Ok(found.into_iter().map(|object| Value::Object(object.0)).collect()))
}
