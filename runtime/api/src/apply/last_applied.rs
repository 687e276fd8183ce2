//! Objects that `kubectl apply` wrote by itself before it applied on the server: what it applied then is in an
//! annotation, and is still kubectl's own (KEP-555, "Upgrading from client-side to server-side apply").

use serde_json::Value;

use super::Writer;
use super::set::{Difference, FieldSet};
use crate::object::Object;
use crate::schema::Schema;

const PATH: [&str; 3] = ["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"];
/// Who means it. Other managers are others, also where a person stands behind both.
const MANAGER: &str = "kubectl";
/// What all annotations of an object may come to, in bytes.
const MAX_ANNOTATIONS: usize = 256 << 10;

/// The fields of `live` that `writer` applied by itself, and that are still as it applied them.
pub(super) fn own(live: &Object, writer: Writer<'_>, schema: &Schema) -> FieldSet {
    let nothing = FieldSet::default();
    if writer.manager != MANAGER {
        return nothing;
    }
    let Some(text) = live.at(&PATH).and_then(Value::as_str) else { return nothing };
    let Ok(applied) = serde_json::from_str::<Object>(text) else { return nothing };
    if applied.api_version() != writer.api_version {
        return nothing;
    }
    let Difference { changed, removed } = Difference::of_objects(&applied.0, &live.0, schema);
    FieldSet::of_object(&applied.0, schema).minus(&changed).minus(&removed)
}

/// Keeps the annotation of `result`, if it has one, true to what `writer` has applied: the next client-side apply
/// begins with it.
pub(super) fn renew(result: &mut Object, applied: &Object, writer: Writer<'_>) {
    if writer.manager != MANAGER || result.at(&PATH).is_none() {
        return;
    }
    let mut kept = applied.clone();
    kept.remove(&PATH);
    let text = Value::Object(kept.0).to_string() + "\n";
    let annotations = result.at(&PATH[..2]).and_then(Value::as_object);
    let others = annotations.into_iter().flatten().filter(|(name, _)| *name != PATH[2]);
    let size: usize = others.map(|(name, value)| name.len() + value.as_str().map_or(0, str::len)).sum();
    // Without room for it there is none, rather than an old one.
    let fits = size + PATH[2].len() + text.len() <= MAX_ANNOTATIONS;
    result.set(&PATH, if fits { text } else { String::new() });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Conflicts, Given, apply, track};
    use super::*;

    fn writer(manager: &str) -> Writer<'_> {
        Writer { manager, api_version: "v1", subresource: "", time: "2026-01-01T00:00:00Z" }
    }

    fn map(data: Value) -> Object {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data});
        serde_json::from_value(map).unwrap()
    }

    #[test]
    fn what_kubectl_applied_by_itself_is_its_own() {
        let schema = crate::schema::of("io.k8s.api.core.v1.ConfigMap");
        let first = map(json!({"a": "1", "b": "1"}));
        let mut written = first.clone();
        written.set(&PATH, Value::Object(first.0.clone()).to_string());
        let live = track(None, written, &Given::default(), writer("kubectl-client-side-apply"), &schema);
        let mut edited = live.clone();
        edited.set(&["data", "b"], "2");
        let live = track(Some(&live), edited, &Given::default(), writer("editor"), &schema);

        let wanted = map(json!({"a": "3", "b": "3"}));
        let Conflicts(conflicts) = apply(Some(&live), &wanted, writer("kubectl"), false, &schema).unwrap_err();
        let editor = ("\"editor\" using v1".to_owned(), ".data.b".to_owned());
        assert_eq!(conflicts, [editor], "what somebody else has changed since is not");
        let Conflicts(conflicts) = apply(Some(&live), &wanted, writer("other"), false, &schema).unwrap_err();
        assert_eq!(conflicts.len(), 2, "it is nobody else's");

        let wanted = map(json!({"a": "3"}));
        let applied = apply(Some(&live), &wanted, writer("kubectl"), false, &schema).unwrap();
        assert_eq!(applied.at(&["data"]), Some(&json!({"a": "3", "b": "2"})));
        let kept: Value = serde_json::from_str(applied.at(&PATH).unwrap().as_str().unwrap()).unwrap();
        assert_eq!(kept, Value::Object(wanted.0.clone()));
        let again = apply(Some(&applied), &wanted, writer("kubectl"), false, &schema).unwrap();
        assert_eq!(again, applied);
    }
}
