//! What expressions about writes may look at.

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use crate::cel::{Declared, Env, Fields, Shape, Type, declared};

/// `request`: the review that a webhook would be sent, but the objects.
pub(super) static REQUEST: LazyLock<Arc<Declared>> = LazyLock::new(|| {
    let text = || json!({"type": "string"});
    let of = |properties: Value| json!({"type": "object", "properties": properties});
    let kind = of(json!({"group": text(), "version": text(), "kind": text()}));
    let resource = of(json!({"group": text(), "version": text(), "resource": text()}));
    let texts = json!({"type": "array", "items": text()});
    made(&of(json!({
        "kind": kind, "resource": resource, "subResource": text(),
        "requestKind": kind, "requestResource": resource, "requestSubResource": text(),
        "name": text(), "namespace": text(), "operation": text(),
        "userInfo": of(json!({"username": text(), "uid": text(), "groups": texts,
            "extra": {"type": "object", "additionalProperties": texts}})),
        "dryRun": {"type": "boolean"},
        // Of whatever type.
        "options": {"x-kubernetes-int-or-string": true},
    })))
});

/// `namespaceObject`: of a namespace, all but its owners and managers.
pub(super) static NAMESPACE: LazyLock<Arc<Declared>> = LazyLock::new(|| {
    let text = || json!({"type": "string"});
    let of = |properties: Value| json!({"type": "object", "properties": properties});
    let texts = || json!({"type": "object", "additionalProperties": text()});
    let list = json!({"type": "array", "items": text()});
    let time = || json!({"type": "string", "format": "date-time"});
    let metadata = of(json!({
        "name": text(), "generateName": text(), "namespace": text(), "labels": texts(), "annotations": texts(),
        "UID": text(), "uid": text(), "creationTimestamp": time(), "deletionTimestamp": time(),
        "deletionGracePeriodSeconds": {"type": "integer"}, "generation": {"type": "integer"},
        "resourceVersion": text(), "finalizers": list,
    }));
    made(&of(
        json!({"metadata": metadata, "spec": of(json!({"finalizers": list})), "status": of(json!({"phase": text()}))}),
    ))
});

fn made(schema: &Value) -> Arc<Declared> {
    declared(schema, false).unwrap_or_else(|| Declared::of(Type::Dyn))
}

/// What an expression looks at besides the object.
#[derive(Clone, Copy, Default)]
pub(super) struct Offers {
    pub params: bool,
    pub authorizer: bool,
    pub mutates: bool,
}

pub(super) fn environment(offers: Offers, variables: &[(String, Type)]) -> Env {
    let env = Env::default().with("object", Type::Dyn).with("oldObject", Type::Dyn);
    let env = env.declaring("request", &REQUEST).declaring("namespaceObject", &NAMESPACE);
    let env = if offers.params { env.with("params", Type::Dyn) } else { env };
    let env = if offers.mutates { env.mutating() } else { env };
    let env = match offers.authorizer {
        false => env,
        true => {
            let of = |name| Type::Opaque(name, None);
            env.with("authorizer", of("kubernetes.authorization.Authorizer"))
                .with("authorizer.requestResource", of("kubernetes.authorization.ResourceCheck"))
        }
    };
    let fields = variables.iter().map(|(name, type_)| (name.clone(), Declared::of(type_.clone()))).collect();
    let fields = Fields { name: "kubernetes.variables".to_owned(), fields, constructed: false };
    env.with("variables", Declared::shaped(Shape::Object(Arc::new(fields))).type_())
}
