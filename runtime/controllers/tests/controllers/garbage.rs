//! Garbage collection.

use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};
use trimtab_client::{Api, ApiResource, DeleteParams, Patch, Propagation};

use crate::harness::{ControlPlane, NAMESPACE};

async fn owner(plane: &ControlPlane, name: &str) -> ConfigMap {
    plane.create(json!({"metadata": {"name": name}})).await
}

fn reference(metadata: &ObjectMeta) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": metadata.name, "uid": metadata.uid, "blockOwnerDeletion": true})
}

async fn owned(plane: &ControlPlane, name: &str, owners: &[&ConfigMap]) -> ConfigMap {
    let references: Vec<_> = owners.iter().map(|owner| reference(&owner.metadata)).collect();
    plane.create(json!({"metadata": {"name": name, "ownerReferences": references}})).await
}

async fn is_there(plane: &ControlPlane, name: &str) -> bool {
    plane.get::<ConfigMap>(name).await.is_some()
}

fn how(propagation: Propagation) -> DeleteParams {
    DeleteParams::default().propagation(propagation)
}

#[tokio::test(start_paused = true)]
async fn in_the_background_what_is_owned_goes_after_its_owner() {
    let plane = ControlPlane::new().await;
    let root = owner(&plane, "root").await;
    let branch = owned(&plane, "branch", &[&root]).await;
    owned(&plane, "leaf", &[&branch]).await;
    owner(&plane, "unrelated").await;
    plane.delete::<ConfigMap>("root", how(Propagation::Background)).await;
    plane.until("the leaf goes", async |plane| !is_there(plane, "leaf").await).await;
    assert!(!is_there(&plane, "branch").await && is_there(&plane, "unrelated").await);
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn with_one_owner_left_an_object_stays_and_forgets_the_other() {
    let plane = ControlPlane::new().await;
    let (a, b) = (owner(&plane, "a").await, owner(&plane, "b").await);
    owned(&plane, "child", &[&a, &b]).await;
    plane.delete::<ConfigMap>("a", DeleteParams::default()).await;
    plane
        .until("the reference to a goes", async |plane| {
            let owners = plane.get::<ConfigMap>("child").await.unwrap().metadata.owner_references.unwrap();
            owners.len() == 1 && owners[0].name == "b"
        })
        .await;
    plane.delete::<ConfigMap>("b", DeleteParams::default()).await;
    plane.until("the child goes", async |plane| !is_there(plane, "child").await).await;
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn in_the_foreground_the_owner_waits_for_what_it_owns() {
    let plane = ControlPlane::new().await;
    let root = owner(&plane, "root").await;
    let held = json!({"metadata": {"name": "held", "finalizers": ["demo.io/hold"], "ownerReferences": [reference(&root.metadata)]}});
    plane.create::<ConfigMap>(held).await;
    plane.delete::<ConfigMap>("root", how(Propagation::Foreground)).await;
    plane
        .until("the held one is being deleted", async |plane| {
            plane.get::<ConfigMap>("held").await.unwrap().metadata.deletion_timestamp.is_some()
        })
        .await;
    plane.settle().await;
    assert!(is_there(&plane, "root").await);
    plane.merge::<ConfigMap>("held", json!({"metadata": {"finalizers": null}})).await;
    plane.until("the root goes", async |plane| !is_there(plane, "root").await).await;
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn orphans_stay_without_their_owner() {
    let plane = ControlPlane::new().await;
    let root = owner(&plane, "root").await;
    owned(&plane, "child", &[&root]).await;
    plane.settle().await;
    plane.delete::<ConfigMap>("root", how(Propagation::Orphan)).await;
    plane.until("the root goes", async |plane| !is_there(plane, "root").await).await;
    plane.settle().await;
    assert_eq!(plane.get::<ConfigMap>("child").await.unwrap().metadata.owner_references, None);
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_never_was_is_found_missing() {
    let plane = ControlPlane::new().await;
    let never = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "no-such-uid"});
    plane.create::<ConfigMap>(json!({"metadata": {"name": "child", "ownerReferences": [never]}})).await;
    plane.until("the child goes", async |plane| !is_there(plane, "child").await).await;
    plane.end().await;
}

/// `v2` is what clients are told to prefer: an owner in `v1` was of a kind that is not served, for ever.
#[tokio::test(start_paused = true)]
async fn an_owner_may_be_named_in_any_version_that_is_served() {
    let plane = ControlPlane::new().await;
    let never = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "name": "never", "uid": "no-such-uid"});
    plane.create::<ConfigMap>(json!({"metadata": {"name": "child", "ownerReferences": [never]}})).await;
    plane.until("the child goes", async |plane| !is_there(plane, "child").await).await;
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_owner_of_a_kind_that_is_not_served_keeps_its_objects() {
    let plane = ControlPlane::new().await;
    let unknown = json!({"apiVersion": "demo.io/v1", "kind": "Website", "name": "w", "uid": "some-uid"});
    plane.create::<ConfigMap>(json!({"metadata": {"name": "child", "ownerReferences": [unknown]}})).await;
    let root = owner(&plane, "root").await;
    owned(&plane, "other", &[&root]).await;
    plane.delete::<ConfigMap>("root", DeleteParams::default()).await;
    plane.until("the others are seen to", async |plane| !is_there(plane, "other").await).await;
    assert!(is_there(&plane, "child").await);
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_owner_in_another_namespace_is_warned_of() {
    let plane = ControlPlane::new().await;
    let namespaces = Api::<Namespace>::all(&plane.client);
    let made = async |object: Value| {
        namespaces.create(&serde_json::from_value(object).unwrap()).await.unwrap();
    };
    made(json!({"metadata": {"name": "shop"}})).await;
    let elsewhere: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "root"}})).unwrap();
    let elsewhere = Api::<ConfigMap>::namespaced(&plane.client, "shop").create(&elsewhere).await.unwrap();
    // One that the collector has heard of, and one that nobody has.
    let never = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "no-such-uid"});
    plane.settle().await;
    made(json!({"metadata": {"name": "heard", "ownerReferences": [reference(&elsewhere.metadata)]}})).await;
    made(json!({"metadata": {"name": "unheard", "ownerReferences": [never]}})).await;
    owned(&plane, "child", &[&elsewhere]).await;
    plane.until("the child goes", async |plane| !is_there(plane, "child").await).await;
    let warned = async |plane: &ControlPlane| -> Vec<(String, String)> {
        let events = plane.list::<Event>().await.into_iter();
        let events = events.filter(|event| event.reason.as_deref() == Some("OwnerRefInvalidNamespace"));
        let mut warned: Vec<_> =
            events.map(|event| (event.involved_object.name.unwrap(), event.message.unwrap())).collect();
        warned.sort();
        warned
    };
    plane.until("all three are warned of", async |plane| warned(plane).await.len() == 3).await;
    let uid = elsewhere.metadata.uid.as_deref().unwrap();
    let message = |namespace: &str, name: &str, uid: &str| {
        format!(
            "ownerRef [v1/ConfigMap, namespace: {namespace}, name: {name}, uid: {uid}] does not exist in namespace {namespace:?}"
        )
    };
    let expected = [
        ("child".to_owned(), message("default", "root", uid)),
        ("heard".to_owned(), message("", "root", uid)),
        ("unheard".to_owned(), message("", "never", "no-such-uid")),
    ];
    assert_eq!(warned(&plane).await, expected);
    for name in ["heard", "unheard"] {
        let labels = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
        namespaces.patch(name, &labels).await.expect("what cannot be owned from a namespace is not collected");
    }
    plane.settle().await;
    assert_eq!(warned(&plane).await.len(), 3, "each once");
    plane.end().await;
}

/// A conversion webhook that cannot be asked stopped the collection of everything.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_listed_holds_nothing_up() {
    let plane = ControlPlane::new().await;
    let version = |name: &str| json!({"name": name, "served": true, "storage": name == "v1", "schema": {"openAPIV3Schema": {"type": "object"}}});
    let config = json!({"service": {"name": "nobody", "namespace": "default"}});
    let definition = json!({"metadata": {"name": "sites.demo.io"}, "spec": {
        "group": "demo.io", "scope": "Namespaced", "names": {"plural": "sites", "kind": "Site"},
        "versions": [version("v1"), version("v2")],
        "conversion": {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": config}},
    }});
    let definitions = Api::<CustomResourceDefinition>::all(&plane.client);
    definitions.create(&serde_json::from_value(definition).unwrap()).await.unwrap();
    let served = |version: &'static str| {
        let resource = ApiResource {
            group: "demo.io".into(),
            version: version.into(),
            kind: "Site".into(),
            plural: "sites".into(),
            namespaced: true,
        };
        Api::dynamic(&plane.client, &resource, Some(NAMESPACE))
    };
    let object = json!({"apiVersion": "demo.io/v1", "kind": "Site", "metadata": {"name": "first"}});
    let apply = Patch::Apply { object, manager: "test".to_owned(), force: false };
    let site = served("v1").patch("first", &apply).await.unwrap();
    served("v2").list(&Default::default()).await.unwrap_err();
    let of_site = json!({"apiVersion": "demo.io/v2", "kind": "Site", "name": "first", "uid": site.uid()});
    plane.create::<ConfigMap>(json!({"metadata": {"name": "kept", "ownerReferences": [of_site]}})).await;
    plane.settle().await;

    let root = owner(&plane, "root").await;
    owned(&plane, "leaf", &[&root]).await;
    plane.delete::<ConfigMap>("root", DeleteParams::default()).await;
    plane.until("the leaf goes", async |plane| !is_there(plane, "leaf").await).await;
    assert!(is_there(&plane, "kept").await, "nobody can tell whether its owner is there");
    plane.end().await;
}

/// Nobody told the collector of the kind when it began.
#[tokio::test(start_paused = true)]
async fn an_owner_of_a_kind_that_is_defined_later_takes_its_objects_with_it() {
    let plane = ControlPlane::new().await;
    // It has looked at what is served.
    let root = owner(&plane, "root").await;
    owned(&plane, "leaf", &[&root]).await;
    plane.delete::<ConfigMap>("root", DeleteParams::default()).await;
    plane.until("the leaf goes", async |plane| !is_there(plane, "leaf").await).await;

    let definition = json!({"metadata": {"name": "sites.demo.io"}, "spec": {
        "group": "demo.io", "scope": "Namespaced", "names": {"plural": "sites", "kind": "Site"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
    }});
    let definitions = Api::<CustomResourceDefinition>::all(&plane.client);
    definitions.create(&serde_json::from_value(definition).unwrap()).await.unwrap();
    let resource = ApiResource {
        group: "demo.io".into(),
        version: "v1".into(),
        kind: "Site".into(),
        plural: "sites".into(),
        namespaced: true,
    };
    let sites = Api::dynamic(&plane.client, &resource, Some(NAMESPACE));
    for (name, propagation) in [("first", Propagation::Background), ("second", Propagation::Foreground)] {
        let object = json!({"apiVersion": "demo.io/v1", "kind": "Site", "metadata": {"name": name}});
        let apply = Patch::Apply { object, manager: "test".to_owned(), force: false };
        let made = sites.patch(name, &apply).await.unwrap();
        let reference = json!({"apiVersion": "demo.io/v1", "kind": "Site", "name": name, "uid": made.uid()});
        plane.create::<ConfigMap>(json!({"metadata": {"name": name, "ownerReferences": [reference]}})).await;
        // It has seen that the owner is there.
        plane.settle().await;
        assert!(is_there(&plane, name).await);
        sites.delete(name, &how(propagation)).await.unwrap();
        plane.until("the dependent goes", async |plane| !is_there(plane, name).await).await;
        plane.until("its owner goes", async |_| sites.get_opt(name).await.unwrap().is_none()).await;
    }
    plane.end().await;
}
