//! What a new object gets from the class that it names, or that is there for those who name none: pods
//! from PriorityClasses and RuntimeClasses, claims from StorageClasses, Ingresses from IngressClasses
//! (`plugin/pkg/admission/{priority,runtimeclass,storage/storageclass/setdefault,network/defaultingressclass}`).
//! And what a claim's class lets it do later (`storage/persistentvolume/resize`).

use std::cmp::Reverse;
use std::sync::Arc;

use serde_json::{Map, Value};
use trimtab_api::{ApiError, Object, Quantity};
use trimtab_store::Entry;

use super::{Attributes, Verb};
use crate::encode;
use crate::server::ApiServer;
use crate::stored::{self, Resource};

const PREEMPTS: &str = "PreemptLowerPriority";
const PRIORITY_CLASSES: Resource<'_> = ("scheduling.k8s.io", "v1", "priorityclasses");
const RUNTIME_CLASSES: Resource<'_> = ("node.k8s.io", "v1", "runtimeclasses");

/// Classes of which one is for those that name none.
struct Defaults {
    classes: Resource<'static>,
    /// What marks that one.
    marks: &'static [&'static str],
    /// Where a class is named: in the spec, or, the older way, by an annotation.
    field: &'static str,
    annotation: &'static str,
}

const STORAGE: Defaults = Defaults {
    classes: ("storage.k8s.io", "v1", "storageclasses"),
    marks: &["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"],
    field: "storageClassName",
    annotation: "volume.beta.kubernetes.io/storage-class",
};
const INGRESS: Defaults = Defaults {
    classes: ("networking.k8s.io", "v1", "ingressclasses"),
    marks: &["ingressclass.kubernetes.io/is-default-class"],
    field: "ingressClassName",
    annotation: "kubernetes.io/ingress.class",
};

/// Completes `object`, if `write` makes it.
///
/// # Errors
/// 403 when the class that it names is not there, or says otherwise.
pub(super) async fn admit(server: &ApiServer, write: &Attributes<'_>, object: &mut Object) -> Result<(), ApiError> {
    if write.verb != Verb::Create || !write.call.path.subresource.is_empty() {
        return Ok(());
    }
    let kind = &write.call.kind;
    let refused = |why: String| ApiError::forbidden(kind, write.name, why);
    match (&*kind.group, &*kind.plural) {
        ("", "pods") => {
            give_priority(server, object).await?.map_err(refused)?;
            give_runtime(server, object).await?.map_err(|why| refused(format!("pod rejected: {why}")))
        }
        ("", "persistentvolumeclaims") => give_default(server, &STORAGE, object).await,
        ("networking.k8s.io", "ingresses") => give_default(server, &INGRESS, object).await,
        _ => Ok(()),
    }
}

/// There is one default among the PriorityClasses, and a claim grows if its class lets it.
///
/// # Errors
/// 403 for another one, or for a claim that may not.
pub(super) async fn check(server: &ApiServer, write: &Attributes<'_>, object: Option<&Object>) -> Result<(), ApiError> {
    let kind = &write.call.kind;
    let Some(object) = object.filter(|_| write.call.path.subresource.is_empty()) else { return Ok(()) };
    let refusal = match (&*kind.group, &*kind.plural) {
        ("scheduling.k8s.io", "priorityclasses") => second_default(server, object).await?,
        ("", "persistentvolumeclaims") => growth(server, write.old, object).await?,
        _ => None,
    };
    refusal.map_or(Ok(()), |why| Err(ApiError::forbidden(kind, write.name, why)))
}

async fn second_default(server: &ApiServer, class: &Object) -> Result<Option<String>, ApiError> {
    if !is_global_default(class) {
        return Ok(None);
    }
    let all = default_priorities(server).await?;
    let other = all.iter().map(Object::name).find(|other| *other != class.name());
    Ok(other.map(|other| format!("PriorityClass {other} is already marked as default. Only one default can exist")))
}

async fn growth(server: &ApiServer, old: Option<&Object>, claim: &Object) -> Result<Option<String>, ApiError> {
    let size = |claim: &Object| Quantity::parse(claim.str_at(&["spec", "resources", "requests", "storage"])).ok();
    let Some(old) = old.filter(|old| size(claim) > size(old)) else { return Ok(None) };
    let name = class_of(claim);
    let class = if name.is_empty() || name != class_of(old) {
        None
    } else {
        stored::get(server, STORAGE.classes, "", name).await?
    };
    if class.is_some_and(|class| class.at(&["allowVolumeExpansion"]) == Some(&Value::Bool(true))) {
        return Ok(None);
    }
    let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";
    Ok(Some(why.to_owned()))
}

/// The class that a claim names; the older way goes first.
fn class_of(claim: &Object) -> &str {
    match claim.str_at(&["metadata", "annotations", STORAGE.annotation]) {
        "" => claim.str_at(&["spec", STORAGE.field]),
        annotated => annotated,
    }
}

/// The classes in whose stored form `said` stands; the others are not read, for most writes depend on none.
async fn saying(server: &ApiServer, classes: Resource<'_>, said: &str) -> Result<Vec<Object>, ApiError> {
    let kinds = server.inner.kinds();
    let (group, version, plural) = classes;
    let Some(kind) = kinds.by_resource(group, version, plural) else { return Ok(Vec::new()) };
    let entries = stored::entries(server, kind, "").await?;
    let said = |entry: &&Arc<Entry>| memchr::memmem::find(&entry.value, said.as_bytes()).is_some();
    Ok(entries.iter().filter(said).map(|entry| encode::to_object(kind, entry)).collect())
}

async fn default_priorities(server: &ApiServer) -> Result<Vec<Object>, ApiError> {
    let mut classes = saying(server, PRIORITY_CLASSES, "\"globalDefault\":true").await?;
    classes.retain(is_global_default);
    Ok(classes)
}

fn is_global_default(class: &Object) -> bool {
    class.at(&["globalDefault"]) == Some(&Value::Bool(true))
}

/// Names the default class, if `object` names none: the newest that is marked, of those the first by name.
async fn give_default(server: &ApiServer, defaults: &Defaults, object: &mut Object) -> Result<(), ApiError> {
    let Defaults { classes, marks, field, annotation } = *defaults;
    if object.at(&["spec", field]).is_some_and(Value::is_string)
        || object.at(&["metadata", "annotations", annotation]).is_some()
    {
        return Ok(());
    }
    let mut marked = saying(server, classes, "/is-default-class\":\"true\"").await?;
    marked.retain(|class| marks.iter().any(|mark| class.str_at(&["metadata", "annotations", mark]) == "true"));
    let made = |class: &Object| class.str_at(&["metadata", "creationTimestamp"]).to_owned();
    marked.sort_by_key(|class| (Reverse(made(class)), class.name().to_owned()));
    if let Some(class) = marked.first() {
        object.set(&["spec", field], class.name());
    }
    Ok(())
}

async fn give_priority(server: &ApiServer, pod: &mut Object) -> Result<Result<(), String>, ApiError> {
    let named = pod.str_at(&["spec", "priorityClassName"]).to_owned();
    let class = if named.is_empty() {
        let defaults = default_priorities(server).await?.into_iter();
        defaults.min_by_key(|class| class.at(&["value"]).and_then(Value::as_i64))
    } else {
        match stored::get(server, PRIORITY_CLASSES, "", &named).await? {
            None => return Ok(Err(format!("no PriorityClass with name {named} was found"))),
            found => found,
        }
    };
    let value = class.as_ref().and_then(|class| class.at(&["value"])?.as_i64()).unwrap_or(0);
    let policy = class.as_ref().map(|class| class.str_at(&["preemptionPolicy"])).filter(|policy| !policy.is_empty());
    let policy = policy.unwrap_or(PREEMPTS);
    if let Some(given) = pod.at(&["spec", "priority"]).and_then(Value::as_i64).filter(|given| *given != value) {
        return Ok(Err(format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {value} from the given PriorityClass name"
        )));
    }
    let given = pod.str_at(&["spec", "preemptionPolicy"]);
    if !given.is_empty() && given != policy {
        return Ok(Err(format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
        )));
    }
    if let Some(class) = class.as_ref().filter(|_| named.is_empty()) {
        pod.set(&["spec", "priorityClassName"], class.name());
    }
    pod.set(&["spec", "priority"], value);
    pod.set(&["spec", "preemptionPolicy"], policy);
    Ok(Ok(()))
}

async fn give_runtime(server: &ApiServer, pod: &mut Object) -> Result<Result<(), String>, ApiError> {
    let name = pod.str_at(&["spec", "runtimeClassName"]).to_owned();
    let class = if name.is_empty() { None } else { stored::get(server, RUNTIME_CLASSES, "", &name).await? };
    if class.is_none() && !name.is_empty() {
        return Ok(Err(format!("RuntimeClass {name:?} not found")));
    }
    let fixed = class.as_ref().and_then(|class| class.at(&["overhead", "podFixed"])).filter(|fixed| fixed.is_object());
    let given = pod.at(&["spec", "overhead"]).filter(|given| given.as_object().is_some_and(|map| !map.is_empty()));
    match (fixed, given) {
        (Some(fixed), None) => pod.set(&["spec", "overhead"], fixed.clone()),
        (Some(fixed), Some(given)) if !are_same(fixed, given) => {
            return Ok(Err("Pod's Overhead doesn't match RuntimeClass's defined Overhead".to_owned()));
        }
        (None, Some(_)) => {
            return Ok(Err("Pod Overhead set without corresponding RuntimeClass defined Overhead".to_owned()));
        }
        _ => {}
    }
    let scheduling = class.as_ref().and_then(|class| class.at(&["scheduling"]));
    for (key, value) in scheduling.and_then(|all| all["nodeSelector"].as_object()).into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        match pod.at(&["spec", "nodeSelector", key]).and_then(Value::as_str).filter(|own| *own != value) {
            Some(own) => {
                return Ok(Err(format!(
                    "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {own}"
                )));
            }
            None => pod.set(&["spec", "nodeSelector", key], value),
        }
    }
    let tolerations = scheduling.and_then(|all| all["tolerations"].as_array()).cloned().unwrap_or_default();
    if !tolerations.is_empty() {
        let mut own = pod.at(&["spec", "tolerations"]).and_then(Value::as_array).cloned().unwrap_or_default();
        own.extend(tolerations.into_iter().filter(|more| !own.contains(more)).collect::<Vec<_>>());
        pod.set(&["spec", "tolerations"], own);
    }
    Ok(Ok(()))
}

/// Whether two lists of amounts say the same, however it is written.
fn are_same(one: &Value, other: &Value) -> bool {
    let empty = Map::new();
    let (one, other) = (one.as_object().unwrap_or(&empty), other.as_object().unwrap_or(&empty));
    let amount = |value: &Value| trimtab_api::Quantity::parse(value.as_str()?).ok();
    one.len() == other.len()
        && one.iter().all(|(name, value)| other.get(name).is_some_and(|o| amount(o) == amount(value)))
}
