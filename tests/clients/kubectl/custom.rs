//! A kind of one's own, defined and used.

use super::{Kubectl, words};

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: sites.demo.io}
spec:
  group: demo.io
  scope: Namespaced
  names: {plural: sites, kind: Site, shortNames: [st], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    additionalPrinterColumns:
    - {name: Image, type: string, jsonPath: .spec.image}
    schema:
      openAPIV3Schema:
        description: A site is what people look at.
        type: object
        properties:
          spec:
            type: object
            required: [image]
            properties:
              image: {type: string, description: What to run.}
              replicas: {type: integer, default: 1, maximum: 10}
          status: {type: object, properties: {replicas: {type: integer}}}
"#;
const SITE: &str = "apiVersion: demo.io/v1\nkind: Site\nmetadata: {name: a}\nspec: {image: x}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_kind_is_like_any_other() {
    let Some(kubectl) = Kubectl::new().await else { return };
    let apply = "apply -f -";
    let created = "customresourcedefinition.apiextensions.k8s.io/sites.demo.io created\n";
    assert_eq!(kubectl.feed(apply, DEFINITION).await, created);
    kubectl.run("wait --for=condition=Established crd/sites.demo.io --timeout=100s").await;
    assert_eq!(kubectl.feed(apply, SITE).await, "site.demo.io/a created\n");
    assert_eq!(kubectl.feed(apply, SITE).await, "site.demo.io/a unchanged\n");
    assert!(kubectl.feed(apply, DEFINITION).await.ends_with(" unchanged\n"));
    assert_eq!(words(&kubectl.run("get st").await), ["NAME", "IMAGE", "a", "x"]);
    kubectl.tells("get all", &["site.demo.io/a"]).await;
    kubectl.tells("get crd", &["sites.demo.io"]).await;
    let table = kubectl.run("get apiservice v1.apps").await;
    assert_eq!(words(&table)[..7], ["NAME", "SERVICE", "AVAILABLE", "AGE", "v1.apps", "Local", "True"]);
    kubectl.run("wait --for=condition=Available apiservice --all --timeout=100s").await;
    kubectl.tells("explain site.spec.image", &["What to run.", "KIND:       Site"]).await;
    kubectl.tells("explain site", &["A site is what people look at."]).await;
    let twice = "apply --server-side --force-conflicts -f -";
    assert_eq!(kubectl.feed(twice, SITE).await, "site.demo.io/a serverside-applied\n");
    kubectl.prints("scale st a --replicas=3", "site.demo.io/a scaled\n").await;
    kubectl.prints("get site a -o jsonpath={.spec.replicas}", "3").await;
    let many = r#"patch st a --type=merge -p {"spec":{"replicas":11}}"#;
    let error = kubectl.refuses(many, "").await;
    assert!(error.contains("spec.replicas in body should be less than or equal to 10"), "{error}");
    let error = kubectl.refuses(r#"patch st a -p {"spec":{"replicas":2}}"#, "").await;
    assert!(
        error.contains("application/strategic-merge-patch+json is not supported by demo.io/v1, Kind=Site"),
        "{error}"
    );
    let mut edit = kubectl.command("edit site a");
    edit.env("KUBE_EDITOR", kubectl.editor("s/replicas: 3/replicas: 4/"));
    let ended = kubectl.end_of(edit, "").await;
    assert_eq!(ended.out, "site.demo.io/a edited\n", "{ended:?}");
    kubectl.tells("describe site a", &["Kind:         Site", "Replicas:  4"]).await;
    let ended = kubectl.end_of(kubectl.command("diff -f -"), &SITE.replace("image: x", "image: z")).await;
    assert!(ended.code == 1 && ended.out.contains("+  image: z"), "{ended:?}");
    let error = kubectl.refuses(apply, &SITE.replace("image", "imag")).await;
    assert!(error.contains("unknown field \"spec.imag\""), "{error}");
    kubectl.run("delete crd sites.demo.io --timeout=100s").await;
    let error = kubectl.refuses("get sites", "").await;
    assert!(error.contains("the server doesn't have a resource type") || error.contains("could not find"), "{error}");
    kubectl.end().await;
}
