//! Namespace lifecycle: a namespace that is being deleted takes everything in it along, of
//! whatever kind; when it is empty it is let go.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use trimtab_client::{Api, ApiResource, Client, DeleteParams, Error, ListParams, Propagation, request};
use trimtab_reconcile::{Context, Next, Result, controller};

use crate::metadata::{Seen, list};

const FINALIZER: &str = "kubernetes";
const FIRST_RECHECK: Duration = Duration::from_millis(100);
const LAST_RECHECK: Duration = Duration::from_secs(15);

/// Empties namespaces that are being deleted.
#[derive(Debug, Default)]
pub struct NamespaceLifecycle;

#[controller(
    for = Namespace,
    name = "namespace",
    crate = "trimtab_reconcile"
)]
impl NamespaceLifecycle {
    async fn reconcile(&self, namespace: &Namespace, cx: &Context<Namespace>) -> Result<Next> {
        let Some(deleted) = &namespace.metadata.deletion_timestamp else { return Ok(Next::on_change()) };
        if !finalizers(namespace).any(|finalizer| finalizer == FINALIZER) {
            return Ok(Next::on_change());
        }
        let name = namespace.metadata.name.as_deref().unwrap_or_default();
        let content = empty(cx.client(), name).await;
        let now = cx.env().now();
        if content.is_empty() {
            finalize(cx.client(), namespace).await?;
            return Ok(Next::on_change());
        }
        report(cx.client(), namespace, &content, now).await?;
        Ok(Next::after(recheck(deleted.0, now)))
    }
}

/// When to look again: soon at first, then the more seldom the longer it takes.
fn recheck(deleted: Timestamp, now: Timestamp) -> Duration {
    let waited = Duration::try_from(now.duration_since(deleted)).unwrap_or_default();
    (waited / 4).clamp(FIRST_RECHECK, LAST_RECHECK)
}

fn finalizers(namespace: &Namespace) -> impl Iterator<Item = &String> {
    namespace.spec.iter().flat_map(|spec| spec.finalizers.iter().flatten())
}

/// What is still in a namespace after everything in it was told to go.
#[derive(Debug, Default, PartialEq)]
struct Content {
    /// How many of each resource, as `pods.`.
    remaining: BTreeMap<String, usize>,
    /// How many objects each finalizer holds.
    finalizers: BTreeMap<String, usize>,
    /// What could not even be discovered.
    discovery: Option<String>,
    /// What could not be deleted.
    failures: Vec<String>,
}

impl Content {
    fn is_empty(&self) -> bool {
        self.remaining.is_empty() && self.failures.is_empty() && self.discovery.is_none()
    }

    /// The conditions that tell of it, in upstream's words.
    fn conditions(&self) -> [Verdict; 5] {
        let counted = |counts: &BTreeMap<String, usize>, verb: &str| {
            let each = counts.iter().map(|(what, count)| format!("{what} {verb} {count} resource instances"));
            each.collect::<Vec<_>>().join(", ")
        };
        let remaining = (!self.remaining.is_empty())
            .then(|| format!("Some resources are remaining: {}", counted(&self.remaining, "has")));
        let finalizers = (!self.finalizers.is_empty()).then(|| {
            format!("Some content in the namespace has finalizers remaining: {}", counted(&self.finalizers, "in"))
        });
        let failures = (!self.failures.is_empty()).then(|| {
            format!(
                "Failed to delete all resource types, {} remaining: {}",
                self.failures.len(),
                self.failures.join(", ")
            )
        });
        [
            Verdict::new(
                "NamespaceDeletionDiscoveryFailure",
                self.discovery.clone(),
                "DiscoveryFailed",
                ("ResourcesDiscovered", "All resources successfully discovered"),
            ),
            Verdict::new(
                "NamespaceDeletionGroupVersionParsingFailure",
                None,
                "GroupVersionParsingFailed",
                ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
            ),
            Verdict::new(
                "NamespaceDeletionContentFailure",
                failures,
                "ContentDeletionFailed",
                ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
            ),
            Verdict::new(
                "NamespaceContentRemaining",
                remaining,
                "SomeResourcesRemain",
                ("ContentRemoved", "All content successfully removed"),
            ),
            Verdict::new(
                "NamespaceFinalizersRemaining",
                finalizers,
                "SomeFinalizersRemain",
                ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
            ),
        ]
    }
}

/// A condition but for its time.
#[derive(Debug, PartialEq)]
struct Verdict {
    type_: &'static str,
    holds: bool,
    reason: &'static str,
    message: String,
}

impl Verdict {
    fn new(type_: &'static str, bad: Option<String>, bad_reason: &'static str, good: (&'static str, &str)) -> Self {
        match bad {
            Some(message) => Self { type_, holds: true, reason: bad_reason, message },
            None => Self { type_, holds: false, reason: good.0, message: good.1.to_owned() },
        }
    }

    /// Puts the condition into `conditions`. Its time changes with its status alone.
    fn write(self, conditions: &mut Vec<NamespaceCondition>, now: Timestamp) {
        let status = if self.holds { "True" } else { "False" };
        let old = conditions.iter().position(|condition| condition.type_ == self.type_);
        let since = old.map(|at| conditions.remove(at)).filter(|old| old.status == status);
        let condition = NamespaceCondition {
            type_: self.type_.to_owned(),
            status: status.to_owned(),
            reason: Some(self.reason.to_owned()),
            message: Some(self.message),
            last_transition_time: since.and_then(|old| old.last_transition_time).or(Some(Time(now))),
        };
        conditions.insert(old.unwrap_or(conditions.len()), condition);
    }
}

/// Tells everything in `namespace` to go, and counts what is still there. One kind that fails
/// keeps no other from going; but while there are pods, what they depend on stays, such as the
/// policies and secrets that they live by.
async fn empty(client: &Client, namespace: &str) -> Content {
    let mut content = Content::default();
    let served = match client.discover().await {
        Ok(served) => served,
        Err(error) => {
            content.discovery = Some(format!("Discovery failed for some groups, 1 failing: {error}"));
            return content;
        }
    };
    if !served.unavailable.is_empty() {
        let failing: Vec<String> =
            served.unavailable.iter().map(|name| format!("{name}: stale GroupVersion discovery: {name}")).collect();
        content.discovery = Some(format!(
            "Discovery failed for some groups, {} failing: unable to retrieve the complete list of server APIs: {}",
            failing.len(),
            failing.join(", ")
        ));
    }
    let is_pods = |resource: &ApiResource| resource.group.is_empty() && resource.plural == "pods";
    let (pods, others): (Vec<_>, Vec<_>) = served.resources.into_iter().partition(|found| is_pods(&found.resource));
    for found in pods.into_iter().chain(others) {
        let deletable = found.can("list") && found.can("delete") && found.resource.namespaced;
        if !deletable {
            continue;
        }
        if let Err(error) =
            empty_of(client, namespace, &found.resource, found.can("deletecollection"), &mut content).await
        {
            content.failures.push(format!("{}: {error}", found.resource.resource()));
        }
        if is_pods(&found.resource) && !content.is_empty() {
            break;
        }
    }
    content
}

async fn empty_of(
    client: &Client,
    namespace: &str,
    resource: &ApiResource,
    at_once: bool,
    content: &mut Content,
) -> Result<(), Error> {
    let api = Api::<Seen>::of(client, resource.clone(), Some(namespace));
    let params = DeleteParams::default().propagation(Propagation::Background);
    let (_, present) = list(&api).await?;
    if present.is_empty() {
        return Ok(());
    }
    if at_once {
        api.delete_collection(&ListParams::default(), &params).await?;
    } else {
        for meta in present.iter().filter(|meta| meta.deletion_timestamp.is_none()) {
            api.delete(&meta.name, &params).await.map(drop).or_else(gone)?;
        }
    }
    let (_, remaining) = list(&api).await?;
    if !remaining.is_empty() {
        content.remaining.insert(format!("{}.{}", resource.plural, resource.group), remaining.len());
    }
    for finalizer in remaining.into_iter().flat_map(|meta| meta.finalizers) {
        *content.finalizers.entry(finalizer).or_default() += 1;
    }
    Ok(())
}

fn gone(error: Error) -> Result<(), Error> {
    if error.is_not_found() { Ok(()) } else { Err(error) }
}

/// Writes the conditions into the status, when that changes anything.
async fn report(client: &Client, namespace: &Namespace, content: &Content, now: Timestamp) -> Result<(), Error> {
    let mut told = namespace.clone();
    let conditions = told.status.get_or_insert_default().conditions.get_or_insert_default();
    content.conditions().into_iter().for_each(|verdict| verdict.write(conditions, now));
    if told == *namespace {
        return Ok(());
    }
    Api::<Namespace>::all(client).replace_status(&told).await.map(drop).or_else(gone)
}

/// Takes our finalizer off, which lets the namespace go.
async fn finalize(client: &Client, namespace: &Namespace) -> Result<(), Error> {
    let mut released = namespace.clone();
    released.spec.get_or_insert_default().finalizers.get_or_insert_default().retain(|finalizer| finalizer != FINALIZER);
    let api = Api::<Namespace>::all(client);
    let path = api.path(released.metadata.name.as_deref().unwrap_or_default(), "finalize", "");
    let body = serde_json::to_vec(&released).map_err(|error| Error::Request(error.to_string()))?;
    let put = request(Method::PUT, &path, Some(("application/json", Bytes::from(body))))?;
    client.bytes(put).await.map(drop).or_else(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_770_000_000 + second).unwrap()
    }

    #[test]
    fn what_remains_is_told_in_upstreams_words() {
        let content = Content {
            remaining: [("pods.".to_owned(), 2)].into(),
            finalizers: [("demo.io/wait".to_owned(), 1)].into(),
            ..Content::default()
        };
        let [discovery, _, failure, remaining, finalizers] = content.conditions();
        assert!(!discovery.holds && !failure.holds && remaining.holds && finalizers.holds);
        assert_eq!(remaining.message, "Some resources are remaining: pods. has 2 resource instances");
        assert_eq!(
            finalizers.message,
            "Some content in the namespace has finalizers remaining: demo.io/wait in 1 resource instances"
        );
    }

    #[test]
    fn a_condition_keeps_its_time_while_its_status_stays() {
        let verdict = |count: usize| {
            let remaining = [("pods.".to_owned(), count)].into();
            let [_, _, _, verdict, _] = Content { remaining, ..Content::default() }.conditions();
            verdict
        };
        let mut conditions = Vec::new();
        verdict(2).write(&mut conditions, at(0));
        verdict(1).write(&mut conditions, at(5));
        assert_eq!((conditions.len(), conditions[0].last_transition_time.clone()), (1, Some(Time(at(0)))));
        let [_, _, _, removed, _] = Content::default().conditions();
        removed.write(&mut conditions, at(9));
        assert_eq!(conditions[0].last_transition_time, Some(Time(at(9))));
    }

    #[test]
    fn the_longer_it_takes_the_more_seldom_we_look() {
        for (waited, expected) in [(0, 100), (-3, 100), (8, 2_000), (600, 15_000)] {
            assert_eq!(recheck(at(0), at(waited)), Duration::from_millis(expected));
        }
    }
}
