//! Fuzz targets: one plain function for each decoder of bytes from outside, with what must hold of
//! whatever it reads.
//!
//! `cargo test` replays the seeds (`seeds/`) and some bent and random inputs, so that the targets
//! work. To fuzz, with `cargo install cargo-fuzz`:
//!
//! ```text
//! cd tests/fuzz; export RUSTC_BOOTSTRAP=1 CARGO_PROFILE_RELEASE_LTO=off   # linking each target whole takes minutes
//! cargo fuzz run --fuzz-dir . --features libfuzzer -s none json corpus/json seeds/json
//! ```
//!
//! A find becomes a seed, so that it is replayed ever after.

mod apply;
mod audit_policy;
mod cel;
mod definition;
mod dns;
mod json;
mod jsonpath;
mod kubeconfig;
mod make;
mod object;
mod patch;
mod policy;
mod protobuf;
mod quantity;
mod request;
mod selector;
mod signing_request;
mod source;
mod watch_events;
mod yaml;

use std::sync::{Arc, LazyLock};

use trimtab_api::{Kind, Kinds};

use source::Source;

pub use apply::apply;
pub use audit_policy::audit_policy;
pub use cel::cel;
pub use definition::{custom_object, definition};
pub use dns::dns;
pub use json::json;
pub use jsonpath::jsonpath;
pub use kubeconfig::kubeconfig;
pub use object::object;
pub use patch::{patch, patch_made};
pub use policy::policy;
pub use protobuf::protobuf;
pub use quantity::quantity;
pub use request::request;
pub use selector::selector;
pub use signing_request::{schedule, signing_request};
pub use trimtab_node::fuzz::spdy;
pub use watch_events::watch_events;
pub use yaml::yaml;

/// A target.
pub type Target = fn(&[u8]);

/// Every target, under the name of its binary and of its seeds' folder.
pub const TARGETS: [(&str, Target); 22] = [
    ("apply", apply),
    ("audit_policy", audit_policy),
    ("cel", cel),
    ("custom_object", custom_object),
    ("definition", definition),
    ("dns", dns),
    ("json", json),
    ("jsonpath", jsonpath),
    ("kubeconfig", kubeconfig),
    ("object", object),
    ("patch", patch),
    ("patch_made", patch_made),
    ("policy", policy),
    ("protobuf", protobuf),
    ("quantity", quantity),
    ("request", request),
    ("schedule", schedule),
    ("selector", selector),
    ("signing_request", signing_request),
    ("spdy", spdy),
    ("watch_events", watch_events),
    ("yaml", yaml),
];

static KINDS: LazyLock<Kinds> = LazyLock::new(trimtab_api::builtin);

fn kind(group: &str, version: &str, plural: &str) -> &'static Arc<Kind> {
    KINDS.by_resource(group, version, plural).expect("the kind is built in")
}

fn any_kind(source: &mut Source<'_>) -> &'static Arc<Kind> {
    static ALL: LazyLock<Vec<&Arc<Kind>>> = LazyLock::new(|| KINDS.iter().collect());
    source.choose::<&Arc<Kind>>(&ALL)
}
