//! Patches: JSON (RFC 6902), merge (RFC 7386) and strategic merge
//! (<https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/>).
//! Server-side apply is [`crate::apply`].

mod strategic;
#[cfg(test)]
mod three_way;

use json_patch::PatchOperation;
use json_patch::jsonptr::PointerBuf;
use serde_json::Value;

use crate::object::{MAX_DEPTH, depth};

pub use strategic::strategic;

/// More operations than this are refused, as upstream does.
pub const MAX_OPERATIONS: usize = 10_000;

/// The copies that a patch makes may add up to this many bytes of JSON, as upstream: each may double what is there.
pub const MAX_COPIED: usize = 3 << 20;

/// A patch that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// The patch itself is malformed.
    #[error("error decoding patch: {0}")]
    Malformed(String),
    /// It says more than a server does for one request.
    #[error("Request entity too large: {0}")]
    TooLarge(String),
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
        let text = format!("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {operations}");
        return Err(PatchError::TooLarge(text));
    }
    let patch: json_patch::Patch =
        serde_json::from_value(patch.clone()).map_err(|e| PatchError::Malformed(e.to_string()))?;
    let (mut copied, mut depth) = (0, Depth::of(&current));
    for (index, mut operation) in patch.0.into_iter().enumerate() {
        count_from_the_end(&mut operation, &current);
        if !depth.allows(&operation, &current) {
            let text = format!("operation '/{index}' would nest the object deeper than {MAX_DEPTH} levels");
            return Err(PatchError::Rejected(text));
        }
        if let PatchOperation::Copy(copy) = &operation
            && let Ok(value) = copy.from.resolve(&current)
        {
            copied += size(value);
            if copied > MAX_COPIED {
                let text = format!(
                    "Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the limit {MAX_COPIED}"
                );
                return Err(PatchError::Rejected(text));
            }
        }
        if is_test_of_nothing(&operation, &current) {
            continue;
        }
        json_patch::patch(&mut current, &[operation]).map_err(|mut error| {
            error.operation = index;
            PatchError::Rejected(error.to_string())
        })?;
    }
    Ok(current)
}

/// Upstream takes `-1` for the last item of a list, and where one is added for the place behind it, which RFC 6902
/// does not.
fn count_from_the_end(operation: &mut PatchOperation, current: &Value) {
    let at = |path: &mut PointerBuf, is_added| {
        if let Some(plain) = counted(path, current, is_added) {
            *path = plain;
        }
    };
    match operation {
        PatchOperation::Add(add) => at(&mut add.path, true),
        PatchOperation::Remove(remove) => at(&mut remove.path, false),
        PatchOperation::Replace(replace) => at(&mut replace.path, false),
        PatchOperation::Test(test) => at(&mut test.path, false),
        PatchOperation::Move(moved) => {
            at(&mut moved.from, false);
            at(&mut moved.path, true);
        }
        PatchOperation::Copy(copy) => {
            at(&mut copy.from, false);
            at(&mut copy.path, true);
        }
    }
}

/// `path` with places in lists counted from the beginning; `None` when they are already.
fn counted(path: &PointerBuf, current: &Value, is_added: bool) -> Option<PointerBuf> {
    let back = |token: &str| token.strip_prefix('-')?.parse::<usize>().ok().filter(|back| *back > 0);
    if path.tokens().all(|token| back(&token.decoded()).is_none()) {
        return None;
    }
    let last = path.count().checked_sub(1)?;
    let (mut plain, mut here) = (PointerBuf::new(), Some(current));
    for (index, token) in path.tokens().enumerate() {
        let token = token.decoded();
        let items = here.and_then(Value::as_array).map(|items| items.len() + usize::from(is_added && index == last));
        let place = items.zip(back(&token)).and_then(|(items, back)| items.checked_sub(back));
        let token = place.map_or_else(|| token.into_owned(), |place| place.to_string());
        here = here.and_then(|here| match here {
            Value::Array(items) => items.get(token.parse::<usize>().ok()?),
            other => other.get(&token),
        });
        plain.push_back(token.as_str());
    }
    Some(plain)
}

/// Upstream takes a field that is not there for null where it is tested, which RFC 6902 does not, and clients rely on
/// it to add the first entry of a list or map.
fn is_test_of_nothing(operation: &PatchOperation, current: &Value) -> bool {
    let PatchOperation::Test(test) = operation else { return false };
    let Some((parent, field)) = test.path.split_back().filter(|_| test.value.is_null()) else { return false };
    let parent = parent.resolve(current).ok().and_then(Value::as_object);
    parent.is_some_and(|parent| !parent.contains_key(&*field.decoded()))
}

/// How deep an object is nested at most. A few copies of a copy could go a million levels deep.
struct Depth {
    bound: usize,
    /// How often the bound may yet be found to be too high: to look is not free.
    looks: usize,
}

impl Depth {
    fn of(value: &Value) -> Self {
        Self { bound: depth(value), looks: 64 }
    }

    /// Whether `current` stays within [`MAX_DEPTH`] when `operation` is done to it.
    fn allows(&mut self, operation: &PatchOperation, current: &Value) -> bool {
        let mut grown = self.after(operation);
        if grown > MAX_DEPTH && self.looks > 0 {
            self.looks -= 1;
            self.bound = depth(current);
            grown = self.after(operation);
        }
        self.bound = grown;
        grown <= MAX_DEPTH
    }

    /// How deep it is after `operation` at most.
    fn after(&self, operation: &PatchOperation) -> usize {
        let inserted = match operation {
            PatchOperation::Add(add) => add.path.count() + depth(&add.value),
            PatchOperation::Replace(replace) => replace.path.count() + depth(&replace.value),
            PatchOperation::Move(moved) => moved.path.count() + self.bound.saturating_sub(moved.from.count()),
            PatchOperation::Copy(copy) => copy.path.count() + self.bound.saturating_sub(copy.from.count()),
            PatchOperation::Remove(_) | PatchOperation::Test(_) => 0,
        };
        self.bound.max(inserted)
    }
}

/// How many bytes `value` takes as JSON.
fn size(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// Applies a merge patch.
pub fn merge(mut current: Value, patch: &Value) -> Value {
    json_patch::merge(&mut current, patch);
    current
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_counted_from_the_end_too() {
        let check = |operation: Value, expected: Option<Value>| {
            let current = json!({"a": [1, {"b": [2, 3]}], "-1": "x"});
            assert_eq!(
                json(current, &json!([operation])).ok().map(|mut found| found["a"].take()),
                expected,
                "{operation}"
            );
        };
        check(json!({"op": "add", "path": "/a/-1", "value": 9}), Some(json!([1, {"b": [2, 3]}, 9])));
        check(json!({"op": "add", "path": "/a/-2", "value": 9}), Some(json!([1, 9, {"b": [2, 3]}])));
        check(json!({"op": "remove", "path": "/a/-1"}), Some(json!([1])));
        check(json!({"op": "replace", "path": "/a/-1/b/-2", "value": 9}), Some(json!([1, {"b": [9, 3]}])));
        check(json!({"op": "move", "from": "/a/-1", "path": "/a/0"}), Some(json!([{"b": [2, 3]}, 1])));
        check(json!({"op": "test", "path": "/a/-2", "value": 1}), Some(json!([1, {"b": [2, 3]}])));
        check(json!({"op": "test", "path": "/-1", "value": "x"}), Some(json!([1, {"b": [2, 3]}])));
        check(json!({"op": "remove", "path": "/a/-3"}), None);
    }
}
