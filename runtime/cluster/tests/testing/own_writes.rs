//! A reconcile never acts on a version that is older than what its own controller wrote last, however late, silent or
//! broken the watches are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::json;
use trimtab_api::ObjectRef;
use trimtab_client::{Api, DeleteParams, Patch};
use trimtab_cluster::testing::{Faults, TestCluster};
use trimtab_reconcile::{
    Cache, Context, ListParams, Manager, Meta, Named, Next, Result, View, controller, predicates, revision,
};

/// How often each map is counted up.
const ROUNDS: usize = 6;

/// The last write of an object by one process of the controller.
#[derive(Clone)]
struct Write {
    version: u64,
    /// Whether it is there; not known while another write of it is under way, whose answer may be lost.
    there: Option<bool>,
    /// Whether it is among those that are selected.
    selected: bool,
}

#[derive(Default)]
struct Written(BTreeMap<(&'static str, ObjectRef), Write>);

impl Written {
    fn note<K: View>(&mut self, object: &K, there: bool) {
        let selected =
            object.metadata().labels.as_ref().is_some_and(|labels| labels.get("turn").is_some_and(|t| t == "even"));
        self.0.insert(
            (K::KIND, ObjectRef::of(object)),
            Write { version: revision(object), there: Some(there), selected },
        );
    }

    /// What a cache shows that is older.
    fn stale<K: View>(&self, cache: &Cache<K>, selects: bool) -> Vec<String> {
        let listed: BTreeMap<_, _> = cache.list().into_iter().map(|object| (ObjectRef::of(&*object), object)).collect();
        let own = self.0.iter().filter(|((kind, _), _)| *kind == K::KIND);
        let older = own.filter(|((_, key), write)| {
            let expected = write.there.map(|there| there && (write.selected || !selects));
            let shown = [listed.get(key).cloned(), cache.get(key)].map(|shown| shown.map(|shown| revision(&*shown)));
            shown.into_iter().any(|shown| match shown {
                Some(shown) => shown < write.version || (shown == write.version && expected == Some(false)),
                // Nobody else deletes anything.
                None => expected == Some(true),
            })
        });
        older.map(|((kind, key), write)| format!("{kind} {key}, written at {}", write.version)).collect()
    }
}

#[derive(Default)]
struct Seen {
    looks: usize,
    stale: Vec<String>,
}

/// Counts a map up, and holds two Secrets with its count, of which it makes one anew each time. Every other time they
/// are selected.
struct Counter {
    written: Arc<Mutex<Written>>,
    seen: Arc<Mutex<Seen>>,
}

/// All that it may look at.
struct Caches {
    maps: Cache<ConfigMap>,
    secrets: Cache<Secret>,
    selected: Cache<Secret>,
    metadata: Cache<Meta<Secret>>,
}

impl Caches {
    fn of(manager: &Manager) -> Self {
        Self {
            maps: manager.cache_of(ListParams::default().labels("count")),
            secrets: manager.cache(),
            selected: manager.cache_of(selected()),
            metadata: manager.cache(),
        }
    }

    fn look(&self, written: &Mutex<Written>, seen: &Mutex<Seen>) {
        let (written, mut seen) = (written.lock().unwrap(), seen.lock().unwrap());
        let stale = [
            written.stale(&self.maps, false),
            written.stale(&self.secrets, false),
            written.stale(&self.selected, true),
            written.stale(&self.metadata, false),
        ];
        seen.looks += 1;
        seen.stale.extend(stale.into_iter().flatten());
    }
}

fn selected() -> ListParams {
    ListParams::default().labels("turn=even")
}

#[controller(for = ConfigMap, labels = "count", owns(Secret), uses(ConfigMap: update), concurrency = 2, crate = "trimtab_reconcile")]
impl Counter {
    fn setup(&self, setup: &mut trimtab_reconcile::Setup<'_, Self>) {
        setup.watches_when::<Secret>(selected(), predicates::anything, |_| Vec::new());
        setup.watches::<Meta<Secret>>(|_| Vec::new());
        // Whenever a reconcile may come, it must not see less.
        let caches = Caches::of(setup.manager());
        let (env, written, seen) = (setup.manager().env().clone(), Arc::clone(&self.written), Arc::clone(&self.seen));
        setup.runs(move |_| async move {
            loop {
                caches.look(&written, &seen);
                env.sleep(Duration::from_millis(5)).await;
            }
        });
    }

    async fn reconcile(&self, map: &ConfigMap, cx: &Context<ConfigMap>) -> Result<Next> {
        self.look(map);
        let count: usize = map.data.as_ref().and_then(|data| data.get("count")?.parse().ok()).unwrap_or(0);
        let secret = |name: &str| -> Secret {
            let name = format!("{}-{name}", map.name());
            let labels =
                json!({"count": count.to_string(), "turn": if count.is_multiple_of(2) { "even" } else { "odd" }});
            let metadata = json!({"name": name, "namespace": "default", "labels": labels});
            serde_json::from_value(json!({"metadata": metadata})).unwrap()
        };
        let is_of_before = |old: &Secret| {
            let labels = old.metadata.labels.as_ref();
            labels.and_then(|labels| labels.get("count")).is_some_and(|made| *made != count.to_string())
        };
        if let Some(old) = cx.get::<Secret>(&format!("{}-anew", map.name()))?.filter(|old| is_of_before(old)) {
            self.begins(&*old);
            cx.delete(&*old, DeleteParams::default()).await?;
            self.wrote(&*old, false);
        }
        for name in ["anew", "kept"] {
            let wanted = secret(name);
            let known = cx.get::<Secret>(wanted.name())?.map(|known| revision(&*known));
            let before = self.begins(&wanted);
            let applied = cx.apply(wanted).await?;
            // What is as it was applied is not written again.
            if known != Some(revision(&*applied)) {
                self.wrote(&*applied, true);
            } else if let Some(before) = before {
                self.written.lock().unwrap().0.insert(("Secret", ObjectRef::of(&*applied)), before);
            }
        }
        if count >= ROUNDS {
            return Ok(Next::on_change());
        }
        let mut counted = map.clone();
        counted.data.get_or_insert_default().insert("count".to_owned(), (count + 1).to_string());
        let counted = cx.replace(&counted).await?;
        self.wrote(&counted, true);
        Ok(Next::after(Duration::from_millis(100)))
    }
}

impl Counter {
    /// The watch may tell of a write before the answer does.
    fn begins<K: View>(&self, object: &K) -> Option<Write> {
        let mut written = self.written.lock().unwrap();
        let write = written.0.get_mut(&(K::KIND, ObjectRef::of(object)))?;
        let before = write.clone();
        write.there = None;
        Some(before)
    }

    fn wrote<K: View>(&self, object: &K, is_there: bool) {
        self.written.lock().unwrap().note(object, is_there);
    }

    /// What a reconcile is given.
    fn look(&self, map: &ConfigMap) {
        let own = self.written.lock().unwrap().0.get(&("ConfigMap", ObjectRef::of(map))).cloned();
        if own.is_some_and(|write| revision(map) < write.version) {
            self.seen.lock().unwrap().stale.push(format!("{} @{} is reconciled", map.name(), revision(map)));
        }
    }
}

fn news_is_bad() -> Faults {
    Faults::none().watches(0.9).writes(0.1).at_most(40).of("counter")
}

#[trimtab_cluster::testing::test(seeds = 12, faults = news_is_bad(), crate = "trimtab_cluster::testing")]
async fn no_reconcile_acts_on_less_than_its_own_last_write(cluster: &TestCluster) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let of_a_process = Arc::clone(&seen);
    cluster.run(move || Counter { written: Arc::default(), seen: Arc::clone(&of_a_process) });
    let names = ["one", "two", "three"];
    for name in names {
        cluster
            .apply(&format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}, labels: {{count: up}}}}}}"))
            .await;
    }
    // Somebody else writes as well, so that there is older and newer news of the same objects.
    let maps = cluster.api::<ConfigMap>("default");
    let secrets: Api<Secret> = cluster.api("default");
    for step in 0..40 {
        let note = Patch::Merge(json!({"metadata": {"annotations": {"note": step.to_string()}}}));
        let name = names[step % 3];
        maps.patch(name, &note).await.unwrap();
        for secret in ["anew", "kept"] {
            let _ = secrets.patch(&format!("{name}-{secret}"), &note).await;
        }
        cluster.advance(Duration::from_millis(300)).await;
    }
    let counted = async |name: &str| {
        let data = maps.get(name).await.unwrap().data.unwrap_or_default();
        data.get("count").is_some_and(|count| *count == ROUNDS.to_string())
    };
    for name in names {
        cluster.until("it is counted up", async |_| counted(name).await).await;
    }
    cluster.settle().await;
    let end = Patch::Merge(json!({"metadata": {"annotations": {"note": "end"}}}));
    for name in names {
        secrets.patch(&format!("{name}-anew"), &end).await.unwrap();
    }
    let seen = seen.lock().unwrap();
    assert!(seen.looks > names.len() * ROUNDS * 4, "{}", seen.looks);
    assert!(seen.stale.is_empty(), "older than its own last write: {:#?}", seen.stale);
}
