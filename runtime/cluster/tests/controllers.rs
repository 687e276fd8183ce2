//! What the controller runtime promises, on a cluster of the test's own.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use trimtab_api::{ObjectRef, Resource, Schema};
use trimtab_client::{Api, DeleteParams, Patch};
use trimtab_cluster::testing::{TestCluster, in_virtual_time, sweep};
use trimtab_env::Tasks;
use trimtab_reconcile::{
    Composition, Conditions, Context, Error, EventType, LeaderElection, LeadershipLost, Manager, Meta, Next, Of,
    Rehearsal, Result, View, World, controller,
};

/// A site, of which each page is a ConfigMap.
#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(group = "demo.io", version = "v1", kind = "Site", status = SiteStatus, crate = "trimtab_api")]
#[serde(rename_all = "camelCase")]
struct SiteSpec {
    #[serde(default)]
    pages: BTreeMap<String, String>,
    /// The Secret without which it is not served.
    key: Option<String>,
    /// Whether it waits before its pages are made.
    #[serde(default)]
    wait: bool,
    #[serde(default)]
    wrong: bool,
}

#[derive(Schema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[resource(crate = "trimtab_api")]
struct SiteStatus {
    #[serde(default)]
    pages: usize,
    #[serde(default)]
    conditions: Vec<Condition>,
}

impl Site {
    fn keys(&self) -> Vec<ObjectRef> {
        let namespace = self.metadata.namespace.as_deref().unwrap_or_default();
        self.spec.key.iter().map(|name| ObjectRef::new(namespace, name.as_str())).collect()
    }

    fn page(name: &str, text: &str) -> ConfigMap {
        let data = BTreeMap::from([("text".to_owned(), text.to_owned())]);
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        ConfigMap { metadata, data: Some(data), ..ConfigMap::default() }
    }
}

#[controller(owns(ConfigMap), references(Secret => Site::keys), crate = "trimtab_reconcile")]
impl Reconcile for Site {
    async fn reconcile(&self, cx: &Context<Self>) -> Result<Next> {
        if self.spec.wrong {
            return Err(Error::terminal("it is wrong"));
        }
        if self.spec.wait {
            return Ok(Next::on_change().unfinished());
        }
        for (name, text) in &self.spec.pages {
            cx.apply(Self::page(name, text)).await?;
        }
        let key = match &self.spec.key {
            Some(name) => cx.get::<Secret>(name)?,
            None => None,
        };
        let condition = match key {
            Some(key) => cx.condition("Served", true, "KeyFound", format!("with {}", ObjectRef::of(&*key))),
            None => cx.condition("Served", false, "KeyMissing", ""),
        };
        cx.status(|status| {
            status.pages = self.spec.pages.len();
            status.conditions.put(condition);
        })
        .await?;
        Ok(Next::on_change())
    }
}

async fn cluster() -> TestCluster {
    TestCluster::builder(1).kinds([Site::kind(), Album::kind()]).start().await
}

async fn put(cluster: &TestCluster, spec: Value) {
    let site = json!({"apiVersion": "demo.io/v1", "kind": "Site", "metadata": {"name": "home"}, "spec": spec});
    cluster.apply(&site.to_string()).await;
}

async fn status(cluster: &TestCluster) -> SiteStatus {
    let sites: Api<Site> = Api::namespaced(&cluster.client(), "default");
    sites.get("home").await.unwrap().status.unwrap_or_default()
}

async fn maps(cluster: &TestCluster) -> Vec<String> {
    let maps: Api<ConfigMap> = Api::namespaced(&cluster.client(), "default");
    let listed = maps.list(&Default::default()).await.unwrap().items;
    let names = listed.into_iter().filter_map(|map| map.metadata.name);
    names.filter(|name| name != "kube-root-ca.crt").collect()
}

#[test]
fn what_is_not_applied_any_more_is_pruned_and_what_was_never_applied_stays() {
    in_virtual_time(async {
        let cluster = cluster().await;
        let _site = cluster.run(Of::<Site>::new);
        put(&cluster, json!({"pages": {"a": "1", "b": "2"}})).await;
        cluster.settle().await;
        assert_eq!((maps(&cluster).await, status(&cluster).await.pages), (vec!["a".into(), "b".into()], 2));

        // Owned, but made by somebody else.
        let sites: Api<Site> = Api::namespaced(&cluster.client(), "default");
        let owner = sites.get("home").await.unwrap().metadata.uid;
        let owner =
            json!({"apiVersion": "demo.io/v1", "kind": "Site", "name": "home", "uid": owner, "controller": true});
        let other =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "ownerReferences": [owner]}});
        cluster.apply(&other.to_string()).await;
        put(&cluster, json!({"pages": {"b": "2"}})).await;
        cluster.settle().await;
        assert_eq!(maps(&cluster).await, ["b", "other"]);

        // A reconcile that stopped half-way tells nothing of what is unwanted.
        put(&cluster, json!({"pages": {}, "wait": true})).await;
        cluster.settle().await;
        assert_eq!(maps(&cluster).await, ["b", "other"]);
        put(&cluster, json!({"pages": {}})).await;
        cluster.settle().await;
        assert_eq!(maps(&cluster).await, ["other"]);
        cluster.stop().await;
    });
}

#[test]
fn at_rest_nothing_is_asked_and_drift_is_repaired() {
    in_virtual_time(async {
        let cluster = cluster().await;
        let _site = cluster.run(Of::<Site>::new);
        put(&cluster, json!({"pages": {"a": "1"}, "key": "k"})).await;
        cluster.settle().await;
        let writes = cluster.writes_of("site");
        let maps: Api<ConfigMap> = Api::namespaced(&cluster.client(), "default");
        let sites: Api<Site> = Api::namespaced(&cluster.client(), "default");
        for round in 0..5 {
            // Both wake it, and change nothing that it set.
            let note = Patch::Merge(json!({"metadata": {"annotations": {"round": round.to_string()}}}));
            sites.patch("home", &note).await.unwrap();
            maps.patch("a", &Patch::Merge(json!({"data": {"more": round.to_string()}}))).await.unwrap();
            cluster.settle().await;
        }
        // What the server answered is not what is there any more: it looks once at each of those.
        let asked = cluster.writes_of("site") - writes;
        assert!(asked <= 5, "{asked}");
        assert_eq!(maps.get("a").await.unwrap().data.unwrap()["more"], "4");
        let writes = cluster.writes_of("site");
        for round in 0..5 {
            let note = Patch::Merge(json!({"metadata": {"annotations": {"round": format!("again {round}")}}}));
            sites.patch("home", &note).await.unwrap();
            cluster.settle().await;
        }
        assert_eq!(cluster.writes_of("site"), writes);

        maps.patch("a", &Patch::Merge(json!({"data": {"text": "another"}}))).await.unwrap();
        cluster.settle().await;
        assert_eq!(maps.get("a").await.unwrap().data.unwrap()["text"], "1");
        maps.delete("a", &DeleteParams::default()).await.unwrap();
        cluster.settle().await;
        assert_eq!(maps.get("a").await.unwrap().data.unwrap()["text"], "1");
        cluster.stop().await;
    });
}

#[test]
fn what_it_refers_to_wakes_it_and_a_condition_keeps_its_time() {
    in_virtual_time(async {
        let cluster = cluster().await;
        let _site = cluster.run(Of::<Site>::new);
        put(&cluster, json!({"key": "k"})).await;
        cluster.settle().await;
        let missing = status(&cluster).await.conditions.remove(0);
        assert_eq!((missing.status.as_str(), missing.reason.as_str()), ("False", "KeyMissing"));
        assert_eq!(missing.observed_generation, Some(1));
        put(&cluster, json!({"key": "l"})).await;
        cluster.settle().await;
        let still = status(&cluster).await.conditions.remove(0);
        assert_eq!((still.observed_generation, &still.last_transition_time), (Some(2), &missing.last_transition_time));

        cluster.apply("{apiVersion: v1, kind: Secret, metadata: {name: l}}").await;
        cluster.settle().await;
        let found = status(&cluster).await.conditions.remove(0);
        assert_eq!((found.status.as_str(), found.message.as_str()), ("True", "with default/l"));
        assert!(found.last_transition_time > missing.last_transition_time);
        cluster.stop().await;
    });
}

#[test]
fn a_terminal_error_is_told_and_not_tried_again() {
    in_virtual_time(async {
        let cluster = cluster().await;
        let manager = Manager::new(cluster.client(), cluster.env().clone());
        manager.add(Of::<Site>::new());
        let (tasks, runs) = (Tasks::new(), manager.clone());
        let token = tasks.token().clone();
        tasks.spawn("manager", async move { runs.run(token).await });
        put(&cluster, json!({"wrong": true})).await;
        cluster.settle().await;
        cluster.advance(Duration::from_secs(600)).await;
        assert!(manager.failing().starts_with("site default/home failed 1 times"), "{}", manager.failing());
        let state = manager.controllers().remove(0);
        assert_eq!(state.reconciles.get("terminal_error"), Some(&1), "{state:?}");
        let events: Api<k8s_openapi::api::core::v1::Event> = Api::namespaced(&cluster.client(), "default");
        let told = events.list(&Default::default()).await.unwrap().items;
        assert!(told.iter().any(|event| event.reason.as_deref() == Some("ReconcileFailed")), "{told:?}");
        put(&cluster, json!({"wrong": false})).await;
        cluster.settle().await;
        assert_eq!(manager.failing(), "");
        tasks.shutdown().await;
        cluster.stop().await;
    });
}

#[test]
fn a_controller_may_die_at_each_of_its_writes() {
    let runs = sweep(
        "site",
        || TestCluster::builder(3).kinds([Site::kind()]),
        async |cluster| {
            cluster.run(Of::<Site>::new);
            cluster.apply("{apiVersion: v1, kind: Secret, metadata: {name: k}}").await;
            put(cluster, json!({"pages": {"a": "1", "b": "2"}, "key": "k"})).await;
            cluster.settle().await;
            put(cluster, json!({"pages": {"b": "3"}, "key": "k"})).await;
        },
    );
    // Two pages and a status; another page, a prune, and a status.
    assert!(runs > 3 * 6, "{runs}");
}

/// An album, whose Service is there once it has pictures.
#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(group = "demo.io", version = "v1", kind = "Album", status = AlbumStatus, crate = "trimtab_api")]
struct AlbumSpec {
    title: String,
}

#[derive(Schema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[resource(crate = "trimtab_api")]
struct AlbumStatus {
    pictures: usize,
}

fn pictures(album: &Album) -> Vec<ObjectRef> {
    vec![ObjectRef::new(album.metadata.namespace.as_deref().unwrap_or_default(), "pictures")]
}

#[controller(owns(Service if generation), references(ConfigMap => pictures), when = generation, crate = "trimtab_reconcile")]
impl Compose for Album {
    fn compose(&self, world: &World<'_, Self>) -> Result<Composition<Self>> {
        let count = world.get::<ConfigMap>("pictures")?.and_then(|map| Some(map.data.as_ref()?.len())).unwrap_or(0);
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": self.metadata.name, "labels": {"title": self.spec.title}}, "spec": {"ports": [{"port": 80}]}
        }))
        .map_err(Error::other)?;
        let composed = Composition::of(self).status(move |status| status.pictures = count);
        Ok(match count {
            0 => composed.event(EventType::Warning, "Empty", "no pictures").again(Next::after(Duration::from_secs(60))),
            _ => composed.child(service),
        })
    }
}

#[test]
fn a_composition_is_rehearsed_without_a_server() {
    let mut album = Album::new("summer", AlbumSpec { title: "Summer".to_owned() });
    album.metadata.namespace = Some("default".to_owned());
    let empty = Rehearsal::of(album.clone()).compose().unwrap();
    assert_eq!((empty.len(), empty.next()), (0, Next::after(Duration::from_secs(60))));
    assert_eq!(empty.events().collect::<Vec<_>>(), [(EventType::Warning, "Empty", "no pictures")]);
    let pictures: ConfigMap = serde_json::from_value(json!({
        "metadata": {"name": "pictures", "namespace": "default"}, "data": {"a.png": "…"}
    }))
    .unwrap();
    let composed = Rehearsal::of(album).with(pictures).compose().unwrap();
    assert_eq!(composed.find::<Service>("summer").unwrap().metadata.labels.as_ref().unwrap()["title"], "Summer");
    assert_eq!(composed.status_after(None).pictures, 1);
}

#[test]
fn a_composition_is_realised_and_undone() {
    in_virtual_time(async {
        let cluster = cluster().await;
        let _album = cluster.run(Of::<Album>::new);
        cluster.apply("{apiVersion: demo.io/v1, kind: Album, metadata: {name: summer}, spec: {title: Summer}}").await;
        cluster
            .apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: pictures}, data: {a.png: x, b.png: y}}")
            .await;
        cluster.settle().await;
        let services: Api<Service> = Api::namespaced(&cluster.client(), "default");
        let albums: Api<Album> = Api::namespaced(&cluster.client(), "default");
        let service = services.get("summer").await.unwrap();
        assert_eq!(service.metadata.labels.unwrap()["app.kubernetes.io/managed-by"], "album");
        assert_eq!(albums.get("summer").await.unwrap().status.unwrap().pictures, 2);
        Api::<ConfigMap>::namespaced(&cluster.client(), "default")
            .delete("pictures", &DeleteParams::default())
            .await
            .unwrap();
        cluster.settle().await;
        assert!(services.get_opt("summer").await.unwrap().is_none());
        assert_eq!(albums.get("summer").await.unwrap().status.unwrap().pictures, 0);
        cluster.stop().await;
    });
}

#[test]
fn a_role_follows_from_what_is_declared() {
    let rules = Manager::needs_of(|manager| manager.add(Of::<Album>::new())).rules();
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    let expected = json!([
        rule("", &["configmaps"], &["list", "watch"]),
        rule("", &["events"], &["create", "patch"]),
        rule("", &["services"], &["list", "watch", "create", "patch", "delete"]),
        rule("demo.io", &["albums"], &["get", "list", "watch"]),
        rule("demo.io", &["albums/finalizers"], &["update"]),
        rule("demo.io", &["albums/status"], &["patch"]),
    ]);
    assert_eq!(serde_json::to_value(rules).unwrap(), expected);
}

#[test]
fn a_manager_of_some_namespaces_sees_no_others_and_metadata_is_enough() {
    in_virtual_time(async {
        let cluster = cluster().await;
        for namespace in ["a", "b", "c"] {
            cluster
                .apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}).to_string())
                .await;
            let metadata = json!({"name": "m", "namespace": namespace});
            cluster
                .apply(
                    &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"x": "y"}})
                        .to_string(),
                )
                .await;
        }
        let namespaces = ["a".to_owned(), "b".to_owned()];
        let manager = Manager::in_namespaces(cluster.client(), cluster.env().clone(), namespaces);
        let (whole, bare) = (manager.cache::<ConfigMap>(), manager.cache::<Meta<ConfigMap>>());
        tokio::join!(whole.synced(), bare.synced());
        let in_c = ObjectRef::new("c", "m");
        assert!(whole.get(&in_c).is_none() && bare.get(&in_c).is_none());
        let in_b = ObjectRef::new("b", "m");
        assert!(whole.get(&in_b).is_some_and(|map| map.data.is_some()));
        assert_eq!(bare.get(&in_b).unwrap().metadata.name.as_deref(), Some("m"));
        let seen = |cache: Vec<String>| cache.iter().filter(|name| *name == "m").count();
        assert_eq!(seen(bare.list().iter().filter_map(|map| map.metadata.name.clone()).collect()), 2);
        cluster.stop().await;
    });
}

/// How far a pod is, and nothing else of it.
#[derive(View, Deserialize, Clone, Debug)]
#[view(of = Pod, crate = "trimtab_reconcile")]
struct PodPhase {
    metadata: ObjectMeta,
    #[serde(default)]
    status: Phase,
}

#[test]
fn what_is_told_again_is_one_event() {
    in_virtual_time(async {
        let cluster = cluster().await;
        let manager = Manager::new(cluster.client(), cluster.env().clone());
        let (recorder, tasks, runs) = (manager.recorder("teller"), Tasks::new(), manager.clone());
        let token = tasks.token().clone();
        tasks.spawn("manager", async move { runs.run(token).await });
        let maps: Api<ConfigMap> = Api::namespaced(&cluster.client(), "default");
        let map = maps.create(&Site::page("a", "x")).await.unwrap();
        for _ in 0..3 {
            recorder.event(&map, EventType::Normal, "Seen", "it is there");
            cluster.advance(Duration::from_secs(10)).await;
        }
        let events: Api<k8s_openapi::api::core::v1::Event> = Api::namespaced(&cluster.client(), "default");
        let mut told = events.list(&Default::default()).await.unwrap().items;
        told.retain(|event| event.reason.as_deref() == Some("Seen"));
        assert!(matches!(&told[..], [event] if event.count == Some(3)), "{told:?}");
        tasks.shutdown().await;
        cluster.stop().await;
    });
}

#[derive(Deserialize, Clone, Debug, Default)]
struct Phase {
    #[serde(default)]
    phase: String,
}

/// Gives each ConfigMap a pod, and marks those whose pod runs.
struct Runner;

#[controller(for = ConfigMap, labels = "runs", watches(PodPhase => map_of), uses(Pod: create), crate = "trimtab_reconcile")]
impl Runner {
    async fn reconcile(&self, map: &ConfigMap, cx: &Context<ConfigMap>) -> Result<Next> {
        let name = map.metadata.name.as_deref().unwrap_or_default();
        if cx.get::<PodPhase>(name)?.is_none() {
            let pod: Pod = serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": "default"}, "spec": {"containers": [{"name": "c", "image": "c:1"}]}
            }))
            .map_err(Error::other)?;
            cx.create(&pod).await?;
            // What was written is in the caches, whatever they hold of it.
            let seen = cx.get::<PodPhase>(name)?.map(|pod| pod.status.phase.clone());
            assert_eq!(seen.as_deref(), Some("Pending"));
        }
        Ok(Next::on_change())
    }
}

fn map_of(pod: &PodPhase) -> Vec<ObjectRef> {
    vec![ObjectRef::of(pod)]
}

#[test]
fn a_cache_may_hold_a_part_of_its_objects() {
    in_virtual_time(async {
        let cluster = cluster().await;
        let _runner = cluster.run(|| Runner);
        let map = |name: &str, labels: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}});
        cluster.apply(&map("a", json!({"runs": "yes"})).to_string()).await;
        cluster.apply(&map("b", json!({})).to_string()).await;
        cluster.settle().await;
        assert_eq!(cluster.writes_of("runner"), 1);
        let pods: Api<Pod> = Api::namespaced(&cluster.client(), "default");
        assert!(pods.get("a").await.is_ok() && pods.get_opt("b").await.unwrap().is_none());
        cluster.stop().await;
    });
}

/// Declares more than it does.
struct Modest;

#[controller(for = ConfigMap, owns(Service), uses(Secret: create | patch | delete, Pod/eviction: create), crate = "trimtab_reconcile")]
impl Modest {
    async fn reconcile(&self, map: &ConfigMap, cx: &Context<ConfigMap>) -> Result<Next> {
        if map.metadata.name.as_deref() == Some("wish") {
            let name = ObjectMeta { name: Some("made".to_owned()), ..ObjectMeta::default() };
            Api::<Secret>::namespaced(cx.client(), "default")
                .apply(&Secret { metadata: name, ..Secret::default() }, "modest", true)
                .await?;
        }
        Ok(Next::on_change())
    }
}

#[test]
fn who_declares_more_than_it_does_can_be_told() {
    in_virtual_time(async {
        let cluster = cluster().await;
        let _modest = cluster.run(|| Modest);
        cluster.settle().await;
        let declared = [
            "modest: owns(Service)",
            "modest: uses(Secret: create | patch | delete)",
            "modest: uses(Pod/eviction: create)",
        ];
        assert_eq!(cluster.unused(), declared);
        cluster.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: wish}}").await;
        cluster.settle().await;
        // An apply may make what is not there.
        assert_eq!(cluster.unused()[1], "modest: uses(Secret: delete)");
        cluster.stop().await;
    });
}

/// Makes what it did not declare.
struct Greedy;

#[controller(for = ConfigMap, crate = "trimtab_reconcile")]
impl Greedy {
    async fn reconcile(&self, map: &ConfigMap, cx: &Context<ConfigMap>) -> Result<Next> {
        if map.metadata.name.as_deref() == Some("wish") {
            let name = ObjectMeta { name: Some("made".to_owned()), ..ObjectMeta::default() };
            Api::<Secret>::namespaced(cx.client(), "default")
                .create(&Secret { metadata: name, ..Secret::default() })
                .await?;
        }
        Ok(Next::on_change())
    }
}

#[test]
fn who_does_more_than_it_declares_is_denied_and_told_the_rule() {
    let told = std::panic::catch_unwind(|| {
        in_virtual_time(async {
            let cluster = cluster().await;
            let _greedy = cluster.run(|| Greedy);
            cluster.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: wish}}").await;
            cluster.settle().await;
        });
    });
    let expected = "greedy may not create secrets: its role follows from what it declares.
Add to #[controller]: uses(Secret: create)
The rule is:
- apiGroups: [\"\"]
  resources: [\"secrets\"]
  verbs: [\"create\"]
";
    assert_eq!(*told.unwrap_err().downcast::<String>().unwrap(), expected);
}

struct Candidate {
    manager: Manager,
    tasks: Tasks,
    ended: tokio::sync::oneshot::Receiver<Result<(), LeadershipLost>>,
}

fn candidate(cluster: &TestCluster, identity: &str) -> Candidate {
    let manager = Manager::new(cluster.client(), cluster.env().clone());
    manager.add(Of::<Site>::new());
    let (tasks, runs) = (Tasks::new(), manager.clone());
    let (token, election) = (tasks.token().clone(), LeaderElection::new("default", "sites", identity));
    let (sender, ended) = tokio::sync::oneshot::channel();
    tasks.spawn("candidate", async move {
        // Whoever does not ask does not need to know.
        let _ = sender.send(runs.run_as_leader(election, token).await);
    });
    Candidate { manager, tasks, ended }
}

async fn holder(cluster: &TestCluster) -> Option<String> {
    let leases: Api<Lease> = Api::namespaced(&cluster.client(), "default");
    leases.get_opt("sites").await.unwrap()?.spec?.holder_identity
}

fn reconciled(candidate: &Candidate) -> bool {
    !candidate.manager.controllers()[0].reconciles.is_empty()
}

#[test]
fn one_leads_and_another_takes_over_at_once_when_it_ends() {
    in_virtual_time(async {
        let cluster = cluster().await;
        put(&cluster, json!({"pages": {"a": "1"}})).await;
        let first = candidate(&cluster, "first");
        cluster.advance(Duration::from_secs(5)).await;
        let second = candidate(&cluster, "second");
        cluster.advance(Duration::from_secs(60)).await;
        assert_eq!(holder(&cluster).await.as_deref(), Some("first"));
        assert!(reconciled(&first) && !reconciled(&second));

        first.tasks.shutdown().await;
        assert_eq!(first.ended.await, Ok(Ok(())));
        cluster.advance(Duration::from_secs(4)).await;
        assert_eq!(holder(&cluster).await.as_deref(), Some("second"));
        assert!(reconciled(&second));
        let lease: Api<Lease> = Api::namespaced(&cluster.client(), "default");
        assert_eq!(lease.get("sites").await.unwrap().spec.unwrap().lease_transitions, Some(1));
        second.tasks.shutdown().await;
        cluster.stop().await;
    });
}

#[test]
fn a_leader_that_was_writes_nothing_more() {
    in_virtual_time(async {
        let cluster = cluster().await;
        put(&cluster, json!({"pages": {"a": "1"}})).await;
        let first = candidate(&cluster, "first");
        cluster.advance(Duration::from_secs(5)).await;
        // Somebody takes the lease away from it.
        let leases: Api<Lease> = Api::namespaced(&cluster.client(), "default");
        let usurp = json!({"spec": {"holderIdentity": "usurper", "leaseDurationSeconds": 1000}});
        leases.patch("sites", &Patch::Merge(usurp)).await.unwrap();
        cluster.advance(Duration::from_secs(11)).await;
        assert_eq!(first.ended.await, Ok(Err(LeadershipLost)));
        let late = first.manager.client().clone();
        let error = Api::<Pod>::namespaced(&late, "default").delete("x", &DeleteParams::default()).await.unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(cause.as_deref(), Some("the leader's lease could not be renewed in time; another may lead now"));
        Api::<Site>::namespaced(&late, "default").get("home").await.unwrap();
        first.tasks.shutdown().await;
        cluster.stop().await;
    });
}

#[test]
fn whoever_is_ended_before_it_leads_was_no_leader() {
    in_virtual_time(async {
        let cluster = cluster().await;
        let first = candidate(&cluster, "first");
        cluster.advance(Duration::from_secs(5)).await;
        let second = candidate(&cluster, "second");
        cluster.advance(Duration::from_secs(5)).await;
        second.tasks.shutdown().await;
        assert_eq!(second.ended.await, Ok(Ok(())));
        assert_eq!(holder(&cluster).await.as_deref(), Some("first"));
        first.tasks.shutdown().await;
        cluster.stop().await;
    });
}
