//! What files do: apply, apply again, prune, repair, report.

use serde_json::json;
use trimtab_api::Object;
use trimtab_client::{Api, ApiResource};

use crate::harness::{World, config_map, replace};

#[tokio::test]
async fn a_file_is_applied_edited_and_pruned() {
    let world = World::new().await;
    world.write("sub/a.yaml", &format!("{}---\n{}", config_map("a", "one"), config_map("b", "two")));
    world
        .eventually("both are there", || async { world.value("a").await == "one" && world.value("b").await == "two" })
        .await;
    world.eventually("the file is ready", || world.is_ready("sub/a.yaml")).await;
    let status = world.status("sub/a.yaml").await.unwrap();
    let objects: Vec<_> = status.objects.iter().map(|o| (&*o.kind, &*o.namespace, &*o.name, o.created)).collect();
    assert_eq!(objects, [("ConfigMap", "default", "a", true), ("ConfigMap", "default", "b", true)]);

    replace(&world.path("sub/a.yaml"), &config_map("a", "three"));
    world.eventually("the edit is applied", || async { world.value("a").await == "three" }).await;
    world.eventually("what left the file is pruned", || async { world.value("b").await.is_empty() }).await;
    world.eventually("and forgotten", || async { world.status("sub/a.yaml").await.unwrap().object_count == 1 }).await;

    world.remove("sub/a.yaml");
    world.eventually("the file's object is pruned", || async { world.value("a").await.is_empty() }).await;
    world.eventually("the file is forgotten", || async { world.files().await.is_empty() }).await;
}

#[tokio::test]
async fn json_and_lists_are_applied_in_the_order_they_depend_on_each_other() {
    let world = World::new().await;
    let own = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}, "data": {"key": "one"}},
    ]});
    world.write("a.json", &own.to_string());
    world.write("z.yml", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n");
    world
        .eventually("both are ready", || async { world.is_ready("a.json").await && world.is_ready("z.yml").await })
        .await;
    assert!(world.get("ConfigMap", "shop", "a").await.is_some());
}

#[tokio::test]
async fn what_went_while_nobody_looked_is_pruned_at_the_next_start() {
    let mut world = World::new().await;
    world.write("a.yaml", &config_map("a", "one"));
    world.write("b.yaml", &format!("{}---\n{}", config_map("b", "two"), config_map("c", "three")));
    world
        .eventually("all are ready", || async { world.is_ready("a.yaml").await && world.is_ready("b.yaml").await })
        .await;
    world.stop().await;
    world.remove("a.yaml");
    replace(&world.path("b.yaml"), &config_map("b", "four"));
    assert_eq!(world.value("a").await, "one");
    world.start();
    world.eventually("the file's object is pruned", || async { world.value("a").await.is_empty() }).await;
    world.eventually("the document's is", || async { world.value("c").await.is_empty() }).await;
    world.eventually("the rest is applied", || async { world.value("b").await == "four" }).await;
}

#[tokio::test]
async fn a_change_behind_the_files_back_is_repaired_and_other_fields_are_let_be() {
    let world = World::new().await;
    world.write("a.yaml", &config_map("a", "one"));
    world.eventually("the file is ready", || world.is_ready("a.yaml")).await;
    world.patch("a", json!({"data": {"key": "by hand", "other": "mine"}})).await;
    world.eventually("the value is back", || async { world.value("a").await == "one" }).await;
    let object = world.get("ConfigMap", "default", "a").await.unwrap();
    assert_eq!(object.str_at(&["data", "other"]), "mine");

    world.patch("a", json!({"data": {"key": null}})).await;
    world.eventually("a removed field is back", || async { world.value("a").await == "one" }).await;

    world.api("ConfigMap", "default").delete("a", &Default::default()).await.unwrap();
    world.eventually("a deleted object is back", || async { world.value("a").await == "one" }).await;
    let object = world.get("ConfigMap", "default", "a").await.unwrap();
    assert!(object.at(&["data", "other"]).is_none());
}

#[tokio::test]
async fn at_rest_nothing_is_written() {
    let mut world = World::new().await;
    world.write("a.yaml", &config_map("a", "one"));
    world.write("b.yaml", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n");
    world
        .eventually("both are ready", || async { world.is_ready("a.yaml").await && world.is_ready("b.yaml").await })
        .await;
    world.stop().await;
    let versions = async || {
        let config_map = world.get("ConfigMap", "default", "a").await.unwrap();
        let files = world.files().await.into_iter().map(|file| file.metadata.resource_version.unwrap());
        (config_map.resource_version().to_owned(), files.collect::<Vec<_>>())
    };
    let before = versions().await;
    // A third file shows that the others, before it in order, have been looked at again.
    world.write("c.yaml", &config_map("c", "three"));
    let mut world = world;
    world.start();
    world.eventually("the new file is ready", || world.is_ready("c.yaml")).await;
    let config_map = world.get("ConfigMap", "default", "a").await.unwrap();
    let files: Vec<_> = world.files().await;
    let old = files.iter().filter(|file| !file.spec.path.ends_with("c.yaml"));
    let after: Vec<_> = old.map(|file| file.metadata.resource_version.clone().unwrap()).collect();
    assert_eq!((config_map.resource_version().to_owned(), after), before);
}

#[tokio::test]
async fn an_object_that_was_there_before_outlives_its_file() {
    let world = World::new().await;
    let own = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"mine": "yes"}});
    world.apply_as("someone", "ConfigMap", "default", "a", own).await;
    world.write("a.yaml", &config_map("a", "one"));
    world.eventually("the file is ready", || world.is_ready("a.yaml")).await;
    world.remove("a.yaml");
    world.eventually("what the file set is gone", || async { world.value("a").await.is_empty() }).await;
    let object = world.get("ConfigMap", "default", "a").await.expect("the object is not the file's");
    assert_eq!(object.str_at(&["data", "mine"]), "yes");
}

#[tokio::test]
async fn an_annotated_object_outlives_its_file() {
    let world = World::new().await;
    let text = config_map("a", "one").replace("name: a", "name: a\n  annotations: {trimtab.dev/prune: \"false\"}");
    world.write("a.yaml", &text);
    world.write("b.yaml", &config_map("b", "two"));
    world
        .eventually("both are ready", || async { world.is_ready("a.yaml").await && world.is_ready("b.yaml").await })
        .await;
    world.remove("a.yaml");
    world.remove("b.yaml");
    world.eventually("the files are forgotten", || async { world.files().await.is_empty() }).await;
    assert_eq!((world.value("a").await, world.value("b").await), ("one".to_owned(), String::new()));
}

#[tokio::test]
async fn an_object_that_moves_to_another_file_is_not_pruned() {
    let world = World::new().await;
    world.write("a.yaml", &config_map("a", "one"));
    world.eventually("the file is ready", || world.is_ready("a.yaml")).await;
    let uid = world.get("ConfigMap", "default", "a").await.unwrap().uid().to_owned();
    std::fs::rename(world.path("a.yaml"), world.path("b.yaml")).unwrap();
    world
        .eventually("one file is left", || async { world.is_ready("b.yaml").await && world.files().await.len() == 1 })
        .await;
    assert_eq!(world.get("ConfigMap", "default", "a").await.unwrap().uid(), uid);
    world.remove("b.yaml");
    world.eventually("it is pruned with its new file", || async { world.value("a").await.is_empty() }).await;
}

#[tokio::test]
async fn two_files_do_not_fight_over_an_object() {
    let world = World::new().await;
    world.write("a.yaml", &config_map("a", "one"));
    world.eventually("the first is ready", || world.is_ready("a.yaml")).await;
    world.write("b.yaml", &config_map("a", "two"));
    world
        .eventually("the second says who holds it", || async {
            world.error("b.yaml").await.contains("a.yaml holds it already")
        })
        .await;
    assert_eq!(world.value("a").await, "one");
    world.remove("a.yaml");
    world.eventually("the second takes over", || async { world.value("a").await == "two" }).await;
}

#[tokio::test]
async fn a_definition_and_its_object_stand_in_one_file() {
    let world = World::new().await;
    let site = |image: &str| {
        format!(
            "apiVersion: demo.io/v1\nkind: Site\nmetadata: {{name: a}}\nspec: {{image: {image}}}\n---\n\
             apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: sites.demo.io}}\n\
             spec:\n  group: demo.io\n  scope: Namespaced\n  names: {{plural: sites, kind: Site}}\n  versions:\n  \
             - name: v1\n    served: true\n    storage: true\n    schema:\n      openAPIV3Schema:\n        type: object\n        \
             properties: {{spec: {{type: object, properties: {{image: {{type: string}}}}}}}}\n"
        )
    };
    world.write("a.yaml", &site("x"));
    world.eventually("the file is ready", || world.is_ready("a.yaml")).await;
    let status = world.status("a.yaml").await.unwrap();
    let kinds: Vec<_> = status.objects.iter().map(|object| &*object.kind).collect();
    assert_eq!(kinds, ["CustomResourceDefinition", "Site"]);
    let sites = ApiResource {
        group: "demo.io".into(),
        version: "v1".into(),
        kind: "Site".into(),
        plural: "sites".into(),
        namespaced: true,
    };
    let sites = Api::<Object>::dynamic(&world.client, &sites, Some("default"));
    let image =
        || async { sites.get_opt("a").await.ok().flatten().map(|site| site.str_at(&["spec", "image"]).to_owned()) };
    assert_eq!(image().await.as_deref(), Some("x"));
    replace(&world.path("a.yaml"), &site("two"));
    world.eventually("the edit is applied", || async { image().await.as_deref() == Some("two") }).await;
    world.remove("a.yaml");
    world.eventually("both are pruned", || async { image().await.is_none() }).await;
    world.eventually("the file is forgotten", || async { world.files().await.is_empty() }).await;
}
