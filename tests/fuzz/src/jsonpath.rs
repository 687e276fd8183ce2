//! JSON paths: of printer columns, which clients write into definitions, and of `-o jsonpath`.

use std::sync::LazyLock;

use serde_json::{Value, json};
use trimtab_api::jsonpath::JsonPath;

static ROOT: LazyLock<Value> = LazyLock::new(|| {
    json!({"kind": "List", "n": 3, "items": [
        {"metadata": {"name": "a", "labels": {"a.b/c": "x"}}, "status": {"ready": true, "n": 1}},
        {"metadata": {"name": "b", "labels": {}}, "status": {"ready": false, "n": 2.5, "deep": [[[1], [2, [3]]]]}},
        {"metadata": {"name": "c"}, "status": {"capacity": {"cpu": "4"}, "n": -7}}]})
});

/// A path selects what is there, and a template prints no more than that as often as it says.
pub fn jsonpath(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for path in [JsonPath::template(text), JsonPath::path(text)].into_iter().flatten() {
        let (found, rendered) = (path.find(&ROOT), path.render(&ROOT));
        assert_eq!(found.is_ok(), rendered.is_ok());
        let _ = path.find(&Value::Null);
    }
}
