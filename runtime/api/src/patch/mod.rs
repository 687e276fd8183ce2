//! Patches: JSON (RFC 6902), merge (RFC 7386) and strategic merge
//! (<https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/>).
//! Server-side apply is [`crate::apply`].

mod strategic;

use serde_json::Value;

pub use strategic::strategic;

/// More operations than this are refused, as upstream does.
pub const MAX_OPERATIONS: usize = 10_000;

/// A patch that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// The patch itself is malformed.
    #[error("error decoding patch: {0}")]
    Malformed(String),
    /// The object is not what the patch expects.
    #[error("the server rejected our request due to an error in our request: {0}")]
    Rejected(String),
}

/// Applies a JSON patch.
///
/// # Errors
/// When it is malformed, too long, or an operation does not fit.
pub fn json(mut current: Value, patch: &Value) -> Result<Value, PatchError> {
    let operations = patch.as_array().map_or(0, Vec::len);
    if operations > MAX_OPERATIONS {
        let text = format!("the allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {operations}");
        return Err(PatchError::Malformed(text));
    }
    let patch: json_patch::Patch =
        serde_json::from_value(patch.clone()).map_err(|e| PatchError::Malformed(e.to_string()))?;
    json_patch::patch(&mut current, &patch).map_err(|e| PatchError::Rejected(e.to_string()))?;
    Ok(current)
}

/// Applies a merge patch.
pub fn merge(mut current: Value, patch: &Value) -> Value {
    json_patch::merge(&mut current, patch);
    current
}
