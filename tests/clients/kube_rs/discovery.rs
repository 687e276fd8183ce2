//! Discovery, and objects whose kind is known at run time alone.

use std::collections::BTreeSet;

use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{GroupVersion, GroupVersionKind, TypeMeta};
use kube::discovery::{Discovery, Scope, oneshot, verbs};
use serde_json::json;

use crate::harness::Running;

/// Each resource there is, with what it can do.
fn resources(discovery: &Discovery) -> BTreeSet<String> {
    let all =
        discovery.groups().flat_map(|group| group.versions().flat_map(|version| group.versioned_resources(version)));
    all.map(|(resource, capabilities)| {
        let mut verbs = capabilities.operations.clone();
        verbs.sort();
        let mut subresources: Vec<_> =
            capabilities.subresources.iter().map(|(sub, _)| format!("{}={}", sub.plural, sub.kind)).collect();
        subresources.sort();
        let (version, plural, kind) = (&resource.api_version, &resource.plural, &resource.kind);
        format!("{version} {plural} {kind} {:?} {verbs:?} {subresources:?}", capabilities.scope)
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_resource_is_discovered_in_both_ways() {
    let cluster = Running::start().await;
    let client = cluster.kube().await;
    let one_by_one = Discovery::new(client.clone()).run().await.unwrap();
    let aggregated = Discovery::new(client.clone()).run_aggregated().await.unwrap();
    assert_eq!(resources(&one_by_one), resources(&aggregated));
    assert!(one_by_one.has_group("apps") && one_by_one.has_group(""));

    let gvk = GroupVersionKind::gvk("", "v1", "ReplicationController");
    let (resource, capabilities) = aggregated.resolve_gvk(&gvk).unwrap();
    assert_eq!((resource.plural.as_str(), &capabilities.scope), ("replicationcontrollers", &Scope::Namespaced));
    assert!(capabilities.supports_operation(verbs::WATCH) && capabilities.supports_operation(verbs::PATCH));
    let (_, capabilities) = one_by_one.resolve_gvk(&gvk).unwrap();
    let (scale, _) = capabilities.subresources.iter().find(|(sub, _)| sub.plural == "scale").unwrap();
    assert_eq!((scale.kind.as_str(), scale.group.as_str(), scale.version.as_str()), ("Scale", "autoscaling", "v1"));
    let node = TypeMeta { api_version: "v1".to_owned(), kind: "Node".to_owned() };
    assert_eq!(aggregated.resolve_typemeta(&node).unwrap().1.scope, Scope::Cluster);

    let only = Discovery::new(client.clone()).filter(&["apps"]).run().await.unwrap();
    assert_eq!(only.groups().map(kube::discovery::ApiGroup::name).collect::<Vec<_>>(), ["apps"]);
    let autoscaling = oneshot::group(&client, "autoscaling").await.unwrap();
    assert_eq!(autoscaling.preferred_version(), Some("v2"));
    assert_eq!(autoscaling.versions().collect::<BTreeSet<_>>(), BTreeSet::from(["v1", "v2"]));
    let pinned = oneshot::pinned_group(&client, &GroupVersion::gv("batch", "v1")).await.unwrap();
    assert!(pinned.recommended_kind("CronJob").is_some());

    let version = client.apiserver_version().await.unwrap();
    assert_eq!((version.major.as_str(), version.minor.as_str()), ("1", "36"));
    cluster.end().await;
}

/// Whatever can be listed and watched is, through the kind that discovery names.
#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_discovered_is_listed() {
    let cluster = Running::start().await;
    let client = cluster.kube().await;
    let discovery = Discovery::new(client.clone()).run_aggregated().await.unwrap();
    let mut listed = 0;
    for group in discovery.groups() {
        for (resource, capabilities) in group.versions().flat_map(|version| group.versioned_resources(version)) {
            if !capabilities.supports_operation(verbs::LIST) {
                continue;
            }
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            let list = api.list(&ListParams::default().limit(3)).await.unwrap_or_else(|e| panic!("{resource:?}: {e}"));
            assert_eq!(list.types.kind, format!("{}List", resource.kind));
            assert_eq!(list.types.api_version, resource.api_version);
            listed += 1;
        }
    }
    assert!(listed > 40, "{listed}");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dynamic_object_is_an_object_like_any_other() {
    let cluster = Running::start().await;
    let client = cluster.kube().await;
    let gvk = GroupVersionKind::gvk("batch", "v1", "CronJob");
    let (resource, capabilities) = oneshot::pinned_kind(&client, &gvk).await.unwrap();
    assert_eq!(capabilities.scope, Scope::Namespaced);
    let api: Api<DynamicObject> = Api::default_namespaced_with(client, &resource);
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "sim"}]}});
    let spec = json!({"schedule": "@daily", "jobTemplate": {"spec": {"template": template}}});
    let wanted = DynamicObject::new("nightly", &resource).data(json!({"spec": spec}));
    let made = api.create(&PostParams::default(), &wanted).await.unwrap();
    assert_eq!(made.types.unwrap(), TypeMeta { api_version: "batch/v1".to_owned(), kind: "CronJob".to_owned() });
    assert_eq!(made.data["spec"]["concurrencyPolicy"], "Allow", "it is defaulted");
    let patch = Patch::Merge(json!({"spec": {"suspend": true}}));
    assert_eq!(api.patch("nightly", &PatchParams::default(), &patch).await.unwrap().data["spec"]["suspend"], true);
    let listed = api.list(&ListParams::default()).await.unwrap();
    assert_eq!(listed.items[0].metadata.name.as_deref(), Some("nightly"));
    api.delete("nightly", &DeleteParams::default()).await.unwrap();
    assert!(api.get_opt("nightly").await.unwrap().is_none());
    cluster.end().await;
}
