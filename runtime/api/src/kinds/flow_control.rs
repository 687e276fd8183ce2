//! The levels and schemas of flow control that every cluster has, from `manifests/defaults/`
//! (<https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#defaults>).

use std::sync::LazyLock;

use serde_json::Value;

use crate::at::At;
use crate::check::Checks;
use crate::manifest;
use crate::object::Object;

/// Those whose spec nobody can have otherwise.
const MANDATORY: [&str; 2] = ["catch-all", "exempt"];

/// The annotation that says whether the server keeps an object's spec as it is by default.
pub const AUTOUPDATE: &str = "apf.kubernetes.io/autoupdate-spec";

/// The levels and schemas that every cluster has.
pub static DEFAULTS: LazyLock<Vec<Object>> = LazyLock::new(|| {
    let text = include_str!("../../../../manifests/defaults/flow-control.yaml");
    let mut all = manifest::read(text).expect("the file is read by a test");
    for object in &mut all {
        object.set(&["metadata", "annotations", AUTOUPDATE], "true");
    }
    all
});

/// Whether the level or schema `name` has to be as it is by default.
#[must_use]
pub fn is_mandatory(name: &str) -> bool {
    MANDATORY.contains(&name)
}

/// What is mandatory says what it says by default, but for its field `free`, which anybody may set
/// (`pkg/apis/flowcontrol/validation`).
pub(super) fn check_mandatory(object: &Object, free: Option<&str>, checks: &mut Checks) {
    let is_fixed = |default: &&Object| default.kind() == object.kind() && default.name() == object.name();
    let Some(fixed) = DEFAULTS.iter().filter(|_| is_mandatory(object.name())).find(is_fixed) else { return };
    let spec = |of: &Object| {
        let mut spec = of.0.get("spec").cloned().unwrap_or_default();
        if let (Value::Object(fields), Some(free)) = (&mut spec, free) {
            fields.remove(free);
        }
        spec
    };
    if spec(object) == spec(fixed) {
        return;
    }
    let except = free.map(|free| format!(" except the 'spec.{free}' field")).unwrap_or_default();
    At::of(object, "spec").invalid(&format!("spec of '{}'{except} must equal the fixed value", object.name()), checks);
}
