//! Trimtab for programs of your own: one crate to name in `Cargo.toml`.
//!
//! It re-exports and holds nothing of its own. Declare a kind with [`macro@Resource`], write its
//! reconciler with [`macro@controller`], and run both against Trimtab or any Kubernetes through a
//! [`Client`].
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! use trimtab::Resource;
//!
//! #[derive(Resource, Serialize, Deserialize, JsonSchema, Clone, Debug)]
//! #[resource(group = "demo.io", version = "v1", kind = "Website", short = "web")]
//! struct WebsiteSpec {
//!     image: String,
//!     #[resource(default = 1)]
//!     replicas: i32,
//! }
//!
//! let website = Website::new("home", WebsiteSpec { image: "hello".into(), replicas: 3 });
//! assert_eq!(website.metadata.name.as_deref(), Some("home"));
//! assert!(Website::crd_yaml().contains("name: websites.demo.io"));
//! ```

pub use trimtab_api::{self as api, Kind, Kinds, Object, ObjectRef, Resource};
pub use trimtab_client::{self as client, Api, Client};
pub use trimtab_reconcile::{
    self as reconcile, Cache, Context, Controller, Error, Manager, Next, Of, Reconcile, Result, Setup, controller,
};

#[doc(hidden)]
pub use trimtab_api::__private;
