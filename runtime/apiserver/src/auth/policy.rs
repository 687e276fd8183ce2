//! The roles and bindings of the store, in memory.
//!
//! Nobody is told of a change: whoever decides looks first whether the store has moved on, and
//! takes in what its watch holds. The store hands an event to its watchers before its revision
//! rises past it, so a decision knows every write that was answered before it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{RwLock, RwLockReadGuard};

use futures::{FutureExt, StreamExt};
use k8s_openapi::api::rbac::v1::{PolicyRule, RoleRef, Subject};
use serde::Deserialize;
use tokio::sync::Mutex;
use trimtab_api::rbac::{Binding, GROUP, Policy};
use trimtab_env::{exclusive, shared};
use trimtab_store::{Entry, Page, ReadError, Store, Watch};

use crate::encode;

/// The policy as of the store's newest revision.
#[derive(Default)]
pub(crate) struct Followed {
    policy: RwLock<Policy>,
    /// The revision up to which everything is taken in, and 1.
    seen: AtomicU64,
    feed: Mutex<Option<Watch>>,
}

impl Followed {
    /// Takes in what has happened in `store`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn catch_up(&self, store: &dyn Store) -> Result<(), ReadError> {
        if self.seen.load(Ordering::Acquire) == store.revision() + 1 {
            return Ok(());
        }
        let mut feed = self.feed.lock().await;
        let revision = store.revision();
        let mut news = Vec::new();
        let whole = loop {
            // Only what is there already: nobody waits.
            match feed.as_mut().map(|watch| watch.next().now_or_never()) {
                Some(None) => break true,
                Some(Some(Some(Ok(events)))) => news.extend(events),
                // There is no watch yet, or it has ended or fallen behind.
                None | Some(Some(None | Some(Err(_)))) => break false,
            }
        };
        if whole {
            if !news.is_empty() {
                let mut policy = exclusive(&self.policy);
                for event in &news {
                    take(&mut policy, event.key(), event.entry.as_deref());
                }
            }
        } else {
            let prefix = encode::registry(&format!("{GROUP}/"));
            let page = store.list(&prefix, Page::default()).await?;
            *feed = Some(store.watch(&prefix, page.revision).await?);
            let mut policy = Policy::default();
            page.entries.iter().for_each(|entry| take(&mut policy, &entry.key, Some(entry)));
            *exclusive(&self.policy) = policy;
        }
        self.seen.store(revision + 1, Ordering::Release);
        Ok(())
    }

    /// What is known.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Policy> {
        shared(&self.policy)
    }
}

/// Of a role, all that counts.
#[derive(Deserialize)]
struct Role {
    #[serde(default)]
    rules: Option<Vec<PolicyRule>>,
}

/// Of a binding, all that counts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bound {
    role_ref: RoleRef,
    #[serde(default)]
    subjects: Option<Vec<Subject>>,
}

fn take(policy: &mut Policy, key: &str, entry: Option<&Entry>) {
    let mut parts = key.rsplitn(3, '/');
    let (Some(name), Some(above)) = (parts.next(), parts.next()) else { return };
    let role = || entry.and_then(read::<Role>).map(|role| role.rules.unwrap_or_default());
    let binding = || {
        let bound = entry.and_then(read::<Bound>)?;
        Some(Binding { role: bound.role_ref, subjects: bound.subjects.unwrap_or_default() })
    };
    let rest = parts.next().unwrap_or_default();
    match (above, rest.rsplit('/').next()) {
        ("clusterroles", Some(GROUP)) => policy.set_role("", name, role()),
        ("clusterrolebindings", Some(GROUP)) => policy.set_binding("", name, binding()),
        (namespace, Some("roles")) => policy.set_role(namespace, name, role()),
        (namespace, Some("rolebindings")) => policy.set_binding(namespace, name, binding()),
        _ => {}
    }
}

/// What cannot be read gives nothing to anybody.
fn read<T: for<'a> Deserialize<'a>>(entry: &Entry) -> Option<T> {
    let read = serde_json::from_slice(&entry.value);
    read.inspect_err(|error| tracing::error!(key = &*entry.key, %error, "a role or binding cannot be read")).ok()
}

#[cfg(test)]
mod tests {
    use trimtab_api::rbac::{Attributes, User};
    use trimtab_store::{Memory, Precondition, Write};

    use super::*;

    async fn put(store: &Memory, path: &str, value: Option<&str>) {
        let value = value.map(|text| text.to_owned().into());
        let write = Write { key: encode::registry(path), value, precondition: Precondition::None };
        store.commit(write).await.unwrap();
    }

    async fn may_list(followed: &Followed, store: &Memory, namespace: &str) -> bool {
        followed.catch_up(store).await.unwrap();
        let asked = Attributes::Resource {
            verb: "list",
            namespace,
            group: "",
            version: "v1",
            resource: "pods",
            subresource: "",
            name: "",
        };
        followed.read().decide(User { name: "jane", groups: &[] }, &asked).is_ok()
    }

    const RULES: &str = r#"{"rules":[{"verbs":["list"],"apiGroups":[""],"resources":["pods"]}]}"#;

    fn bound(kind: &str) -> String {
        format!(
            r#"{{"roleRef":{{"apiGroup":"{GROUP}","kind":"{kind}","name":"r"}},"subjects":[{{"kind":"User","name":"jane"}}]}}"#
        )
    }

    #[tokio::test]
    async fn a_write_is_known_to_the_next_decision() {
        let (store, followed) = (Memory::new(), Followed::default());
        put(&store, &format!("{GROUP}/clusterroles/r"), Some(RULES)).await;
        assert!(!may_list(&followed, &store, "a").await);
        put(&store, &format!("{GROUP}/rolebindings/a/b"), Some(&bound("ClusterRole"))).await;
        assert!(may_list(&followed, &store, "a").await && !may_list(&followed, &store, "b").await);
        put(&store, &format!("{GROUP}/clusterrolebindings/b"), Some(&bound("ClusterRole"))).await;
        assert!(may_list(&followed, &store, "b").await && may_list(&followed, &store, "").await);
        put(&store, &format!("{GROUP}/clusterrolebindings/b"), None).await;
        assert!(!may_list(&followed, &store, "b").await);
        put(&store, &format!("{GROUP}/roles/b/r"), Some(RULES)).await;
        put(&store, &format!("{GROUP}/rolebindings/b/x"), Some(&bound("Role"))).await;
        assert!(may_list(&followed, &store, "b").await);
        put(&store, "pods/a/p", Some("{}")).await;
        put(&store, &format!("{GROUP}/clusterroles/r"), None).await;
        assert!(!may_list(&followed, &store, "a").await);
    }

    #[tokio::test]
    async fn a_watch_that_was_overtaken_begins_anew() {
        let (store, followed) = (Memory::new(), Followed::default());
        put(&store, &format!("{GROUP}/clusterroles/r"), Some(RULES)).await;
        assert!(!may_list(&followed, &store, "a").await);
        for _ in 0..2_000 {
            put(&store, &format!("{GROUP}/roles/a/other"), Some(RULES)).await;
        }
        put(&store, &format!("{GROUP}/rolebindings/a/b"), Some(&bound("ClusterRole"))).await;
        store.compact(store.revision()).await.unwrap();
        assert!(may_list(&followed, &store, "a").await);
    }

    #[tokio::test]
    async fn what_cannot_be_read_gives_nothing() {
        let (store, followed) = (Memory::new(), Followed::default());
        put(&store, &format!("{GROUP}/clusterroles/r"), Some(r#"{"rules": 3}"#)).await;
        put(&store, &format!("{GROUP}/clusterrolebindings/b"), Some(&bound("ClusterRole"))).await;
        assert!(!may_list(&followed, &store, "a").await);
    }
}
