//! Trimtab for programs of your own: one crate to name in `Cargo.toml`.
//!
//! Begin with the [`guide`]. This crate re-exports, and holds nothing of its own. Declare a kind with [`macro@Resource`], write its
//! reconciler with [`macro@controller`], and run both against Trimtab or any Kubernetes through a
//! [`Client`].
//!
//! # A kind
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use trimtab::{Resource, Schema};
//!
//! /// A website.
//! #[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
//! #[resource(group = "demo.io", version = "v1", kind = "Website", short = "web", column("Image", ".spec.image"))]
//! struct WebsiteSpec {
//!     image: String,
//!     #[resource(default = 1, rule = "self <= 100")]
//!     replicas: i32,
//!     /// Where it listens.
//!     #[resource(map_keys = "name")]
//!     ports: Vec<Port>,
//!     source: Option<Source>,
//! }
//!
//! #[derive(Schema, Serialize, Deserialize, Clone, Debug)]
//! #[resource(rule("self.port != 22", message = "22 is for ssh"))]
//! struct Port {
//!     name: String,
//!     #[schemars(range(min = 1))]
//!     port: u16,
//! }
//!
//! /// One of them: the schema says so.
//! #[derive(Schema, Serialize, Deserialize, Clone, Debug)]
//! #[serde(rename_all = "camelCase")]
//! enum Source {
//!     Git { url: String },
//!     Folder(String),
//! }
//!
//! let website = Website::new("home", WebsiteSpec { image: "hello".into(), replicas: 3, ports: vec![], source: None });
//! assert_eq!(website.metadata.name.as_deref(), Some("home"));
//! assert!(Website::crd_yaml().contains("name: websites.demo.io"));
//! Website::check().unwrap();
//! ```
//!
//! An enum of which no schema can say what it is does not compile, and says what to write instead:
//!
//! ```compile_fail
//! #[derive(trimtab::Schema)]
//! enum Source {
//!     Nowhere,        // "Nowhere" is a string where other variants are objects
//!     Folder(String),
//! }
//! ```
//!
//! # Several versions of it
//!
//! ```
//! # use serde::{Deserialize, Serialize};
//! # use trimtab::{Resource, Schema};
//! #[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
//! #[resource(group = "demo.io", version = "v1", kind = "Website", versions(WebsiteV1Beta1Spec))]
//! struct WebsiteSpec {
//!     image: String,
//! }
//!
//! #[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
//! #[resource(version = "v1beta1", converts = WebsiteSpec, deprecated = "use demo.io/v1")]
//! struct WebsiteV1Beta1Spec {
//!     picture: String,
//! }
//!
//! impl From<WebsiteV1Beta1Spec> for WebsiteSpec {
//!     fn from(old: WebsiteV1Beta1Spec) -> Self {
//!         Self { image: old.picture }
//!     }
//! }
//!
//! impl From<WebsiteSpec> for WebsiteV1Beta1Spec {
//!     fn from(new: WebsiteSpec) -> Self {
//!         Self { picture: new.image }
//!     }
//! }
//!
//! let old = WebsiteV1Beta1::new("home", WebsiteV1Beta1Spec { picture: "hello".into() });
//! assert_eq!(Website::from(old).spec.image, "hello");
//!
//! // The API server's webhook is answered by:
//! let review = serde_json::json!({"request": {"uid": "1", "desiredAPIVersion": "demo.io/v1", "objects": []}});
//! assert_eq!(Website::convert(&review)["response"]["result"]["status"], "Success");
//! ```
//!
//! A version that the kind does not list is missed by its definition, so it does not compile:
//!
//! ```compile_fail
//! # use serde::{Deserialize, Serialize};
//! # use trimtab::{Resource, Schema};
//! # #[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
//! # #[resource(group = "demo.io", version = "v1", kind = "Website")]
//! # struct WebsiteSpec { image: String }
//! #[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
//! #[resource(version = "v1beta1", converts = WebsiteSpec)]
//! struct WebsiteV1Beta1Spec { image: String }
//! # impl From<WebsiteV1Beta1Spec> for WebsiteSpec { fn from(old: WebsiteV1Beta1Spec) -> Self { Self { image: old.image } } }
//! # impl From<WebsiteSpec> for WebsiteV1Beta1Spec { fn from(new: WebsiteSpec) -> Self { Self { image: new.image } } }
//! ```
//!
//! # Kinds that files declare
//!
//! ```
//! trimtab::resources_from!("tests/crds/certificate.yaml");
//!
//! let issuer_ref = CertificateIssuerRef { name: "issuer".into(), ..Default::default() };
//! let spec = CertificateSpec { secret_name: "tls".into(), issuer_ref, ..Default::default() };
//! assert_eq!(Certificate::new("home", spec).spec.unwrap().issuer_ref.name, "issuer");
//! ```
//!
//! # A whole cluster inside a test
//!
//! With the feature `testing` (`cargo add --dev trimtab --features testing`), a test has a cluster of its own,
//! with API server, controllers, scheduler and simulated nodes, in virtual time:
//!
//! ```
//! # macro_rules! and_run { (#[$test:meta] $item:item) => { $item } }
//! use trimtab::testing::TestCluster;
//!
//! # and_run! {
//! #[trimtab::test(seeds = 3)]
//! async fn what_is_declared_runs(cluster: &TestCluster) {
//!     cluster
//!         .apply("{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: web, image: web}]}}")
//!         .await;
//!     let pods = cluster.api::<k8s_openapi::api::core::v1::Pod>("default");
//!     let phase = async || pods.get("web").await.unwrap().status.and_then(|status| status.phase);
//!     cluster.until("the pod runs", async |_| phase().await.as_deref() == Some("Running")).await;
//! }
//! # }
//! # trimtab::testing::run(trimtab::testing::Seeds(3), TestCluster::builder, what_is_declared_runs);
//! ```

#[doc = include_str!("guide.md")]
pub mod guide {}

pub use trimtab_api::{self as api, Kind, Kinds, Object, ObjectRef, Resource, Schema, resources_from};
pub use trimtab_client::{self as client, Api, Client};
#[cfg(feature = "testing")]
pub use trimtab_cluster::testing::{self, test};
#[cfg(feature = "operator")]
pub use trimtab_operator::{Operator, operator};
pub use trimtab_reconcile::{
    self as reconcile, Cache, Compose, Composition, Conditions, Context, Controlled, Controller, Error, EventType,
    LeaderElection, Manager, Meta, Named, Next, Of, Reconcile, Rehearsal, Result, Setup, View, World, controller,
    named,
};

#[doc(hidden)]
pub use trimtab_api::__private;
