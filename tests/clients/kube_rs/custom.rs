//! Kinds of one's own: a CustomResourceDefinition, and its objects as a Rust type.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::delete::delete_and_finalize;
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use trimtab::Resource;

use super::refused;
use crate::harness::{Running, object, within};

/// What people look at. Our macro makes the type, `kube` uses it.
#[derive(Resource, Serialize, Deserialize, JsonSchema, Clone, Debug)]
#[resource(
    group = "clients.demo.io",
    version = "v1",
    kind = "Site",
    short = "st",
    status = SiteStatus,
    scale(replicas = ".spec.replicas", status = ".status.replicas"),
    column("Image", ".spec.image")
)]
pub(super) struct SiteSpec {
    pub(super) image: String,
    #[serde(default)]
    #[resource(default = 1)]
    #[schemars(range(max = 10))]
    pub(super) replicas: i32,
}

/// How far it is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
pub(super) struct SiteStatus {
    pub(super) replicas: i32,
}

/// What is declared in a file, as a type for `kube`.
mod of_file {
    trimtab::resources_from!("../trimtab/tests/crds/certificate.yaml");
}

/// Defines the kind and waits until it can be used.
pub(super) async fn define(client: &Client) -> Api<Site> {
    establish(client, Site::crd()).await;
    Api::default_namespaced(client.clone())
}

async fn establish(client: &Client, definition: Value) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition: CustomResourceDefinition = object(definition);
    let name = definition.name_any();
    definitions.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&definition)).await.unwrap();
    let established = await_condition(definitions, &name, conditions::is_crd_established());
    within("the kind is established", established).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_of_ones_own_is_defined_used_and_removed() {
    let cluster = Running::start().await;
    let client = cluster.kube().await;
    let sites = define(&client).await;
    let post = PostParams::default();
    let site = Site::new("home", SiteSpec { image: "i".to_owned(), replicas: 2 });
    let made = sites.create(&post, &site).await.unwrap();
    assert_eq!((made.metadata.generation, made.spec.replicas), (Some(1), 2));

    let too_many = Site::new("many", SiteSpec { image: "i".to_owned(), replicas: 11 });
    let error = refused(sites.create(&post, &too_many).await, 422, "Invalid");
    assert_eq!(error.details.unwrap().causes[0].field, "spec.replicas");
    let params = PatchParams::default();
    let strategic = Patch::Strategic(json!({"spec": {"image": "j"}}));
    refused(sites.patch("home", &params, &strategic).await, 415, "UnsupportedMediaType");
    let patched = sites.patch("home", &params, &Patch::Merge(json!({"spec": {"image": "j"}}))).await.unwrap();
    assert_eq!((patched.spec.image.as_str(), patched.metadata.generation), ("j", Some(2)));

    let status = json!({"status": {"replicas": 2}, "spec": {"image": "k"}});
    let reported = sites.patch_status("home", &params, &Patch::Merge(&status)).await.unwrap();
    assert_eq!(reported.status, Some(SiteStatus { replicas: 2 }));
    assert_eq!((reported.spec.image.as_str(), reported.metadata.generation), ("j", Some(2)), "the spec stays");
    let mut stale = sites.get_status("home").await.unwrap();
    stale.status = Some(SiteStatus { replicas: 1 });
    assert_eq!(sites.replace_status("home", &post, &stale).await.unwrap().status, stale.status);
    refused(sites.replace_status("home", &post, &stale).await, 409, "Conflict");

    let scale = sites.get_scale("home").await.unwrap();
    assert_eq!((scale.spec.unwrap().replicas, scale.status.unwrap().replicas), (Some(2), 1));
    let scaled = sites.patch_scale("home", &params, &Patch::Merge(json!({"spec": {"replicas": 3}}))).await.unwrap();
    assert_eq!(scaled.spec.unwrap().replicas, Some(3));
    assert_eq!(sites.get("home").await.unwrap().spec.replicas, 3);

    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    let params = DeleteParams::default();
    let gone = delete_and_finalize(definitions, "sites.clients.demo.io", &params);
    within("the kind is gone", gone).await.unwrap();
    // As upstream, whoever watches may hear of the end before what is served follows.
    let served = async {
        while sites.list(&ListParams::default()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within("it is no longer served", served).await;
    refused(sites.list(&ListParams::default()).await, 404, "NotFound");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_of_a_file_is_one_as_others_are() {
    use of_file::{Certificate, CertificateIssuerRef, CertificateSpec, CertificateUsage};
    let cluster = Running::start().await;
    let client = cluster.kube().await;
    establish(&client, Certificate::crd()).await;
    let certificates: Api<Certificate> = Api::default_namespaced(client);
    let issuer_ref = CertificateIssuerRef { name: "i".to_owned(), ..CertificateIssuerRef::default() };
    let spec = CertificateSpec { secret_name: "s".to_owned(), issuer_ref, ..CertificateSpec::default() };
    let made = certificates.create(&PostParams::default(), &Certificate::new("a", spec)).await.unwrap();
    let usages = [CertificateUsage::DigitalSignature, CertificateUsage::KeyEncipherment];
    assert_eq!(made.spec.unwrap().usages.unwrap(), usages, "the server fills defaults");
    let moved = Patch::Merge(json!({"spec": {"secretName": "t"}}));
    let error = refused(certificates.patch("a", &PatchParams::default(), &moved).await, 422, "Invalid");
    assert_eq!(
        error.message,
        r#"Certificate.certs.demo.io "a" is invalid: spec.secretName: Forbidden: the Secret stays"#
    );
    cluster.end().await;
}
