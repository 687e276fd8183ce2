//! Of which flow and priority level a request is: those of the first FlowSchema that it fits
//! (<https://kubernetes.io/docs/concepts/cluster-administration/flow-control/>). Nobody is made to wait;
//! who asks is told, as upstream, by headers.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use http::{HeaderMap, HeaderValue};
use k8s_openapi::api::flowcontrol::v1::{
    FlowSchema, FlowSchemaSpec, NonResourcePolicyRule, ResourcePolicyRule, Subject,
};
use trimtab_api::field::Error;
use trimtab_api::rbac::{Attributes, User, service_account};
use trimtab_api::{Kinds, Object};
use trimtab_env::{exclusive, shared};
use trimtab_store::{Entry, Page, Revision, Store};

use crate::allocate::Hook;
use crate::encode;

pub(crate) const GROUP: &str = "flowcontrol.apiserver.k8s.io";
pub(crate) const PLURALS: [&str; 2] = ["flowschemas", "prioritylevelconfigurations"];
const VERSION: &str = "v1";
const ANY: &str = "*";

/// What the answer to a request says of its flow.
#[derive(Clone)]
pub(crate) struct Flow {
    schema: HeaderValue,
    level: HeaderValue,
}

impl Flow {
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        headers.insert("x-kubernetes-pf-flowschema-uid", self.schema);
        headers.insert("x-kubernetes-pf-prioritylevel-uid", self.level);
    }
}

struct Schema {
    uid: String,
    spec: FlowSchemaSpec,
    flow: Flow,
}

/// The schemas, read again when one has changed.
#[derive(Default)]
pub(crate) struct Flows(RwLock<Known>);

#[derive(Default)]
struct Known {
    /// In the order in which they are tried; `None` when they have to be read.
    schemas: Option<Arc<Vec<Schema>>>,
    /// How often something has changed.
    changes: u64,
}

impl Flows {
    /// The flow of what `user` asks; `None` when it fits no schema, or none can be read.
    pub(crate) async fn of(
        &self,
        store: &dyn Store,
        kinds: &Kinds,
        user: User<'_>,
        asked: &Attributes<'_>,
    ) -> Option<Flow> {
        let (known, changes) = {
            let state = shared(&self.0);
            (state.schemas.clone(), state.changes)
        };
        let schemas = match known {
            Some(schemas) => schemas,
            None => {
                let schemas = Arc::new(read(store, kinds).await?);
                let mut state = exclusive(&self.0);
                // What has changed meanwhile may be missing.
                if state.changes == changes {
                    state.schemas = Some(Arc::clone(&schemas));
                }
                schemas
            }
        };
        schemas.iter().find(|schema| fits(&schema.spec, user, asked)).map(|schema| schema.flow.clone())
    }

    /// Whether what was written is a schema as it is known: of its status nobody asks here.
    fn knows(&self, entry: &Entry) -> bool {
        let known = shared(&self.0).schemas.clone();
        known.is_some_and(|schemas| {
            serde_json::from_slice::<FlowSchema>(&entry.value).is_ok_and(|written| {
                schemas.iter().any(|schema| {
                    written.metadata.uid.as_ref() == Some(&schema.uid) && written.spec.as_ref() == Some(&schema.spec)
                })
            })
        })
    }

    fn forget(&self) {
        let mut state = exclusive(&self.0);
        state.schemas = None;
        state.changes += 1;
    }
}

impl Hook for Flows {
    fn admit(&self, _old: Option<&Object>, _object: &mut Object) -> Vec<Error> {
        Vec::new()
    }

    fn release(&self, _object: &Object, _kept: Option<&Object>) {}

    fn written(&self, entry: &Entry) {
        if !self.knows(entry) {
            self.forget();
        }
    }

    fn removed(&self, _entry: &Entry, _revision: Revision) {
        self.forget();
    }
}

async fn read(store: &dyn Store, kinds: &Kinds) -> Option<Vec<Schema>> {
    let [schemas, levels] = PLURALS.map(|plural| kinds.by_resource(GROUP, VERSION, plural));
    let (schemas, levels) = (schemas?, levels?);
    let level_entries = store.list(&encode::prefix(levels, ""), Page::default()).await.ok()?.entries;
    let level = |entry: &Arc<Entry>| {
        let level = encode::to_object(levels, entry);
        Some((level.name().to_owned(), HeaderValue::from_str(level.uid()).ok()?))
    };
    let uids: BTreeMap<String, HeaderValue> = level_entries.iter().filter_map(level).collect();
    let entries = store.list(&encode::prefix(schemas, ""), Page::default()).await.ok()?.entries;
    let objects = entries.iter().filter_map(|entry| encode::to_object(schemas, entry).to_typed::<FlowSchema>().ok());
    let mut found: Vec<_> = objects
        .filter_map(|schema| {
            let spec = schema.spec?;
            // One that hangs in the air is nobody's.
            let level = uids.get(&spec.priority_level_configuration.name)?.clone();
            let uid = schema.metadata.uid?;
            let flow = Flow { schema: HeaderValue::from_str(&uid).ok()?, level };
            Some((schema.metadata.name, Schema { uid, spec, flow }))
        })
        .collect();
    found.sort_by(|(a, one), (b, other)| (one.spec.matching_precedence, a).cmp(&(other.spec.matching_precedence, b)));
    Some(found.into_iter().map(|(_, schema)| schema).collect())
}

fn fits(spec: &FlowSchemaSpec, user: User<'_>, asked: &Attributes<'_>) -> bool {
    spec.rules.iter().flatten().any(|rule| {
        rule.subjects.iter().any(|subject| is(subject, user))
            && match asked {
                Attributes::Resource { .. } => {
                    rule.resource_rules.iter().flatten().any(|rule| covers_resource(rule, asked))
                }
                Attributes::Path { verb, path } => {
                    rule.non_resource_rules.iter().flatten().any(|rule| covers_path(rule, verb, path))
                }
            }
    })
}

fn is(subject: &Subject, user: User<'_>) -> bool {
    match (subject.kind.as_str(), &subject.user, &subject.group, &subject.service_account) {
        ("User", Some(known), _, _) => known.name == ANY || known.name == user.name,
        ("Group", _, Some(known), _) => known.name == ANY || user.groups.contains(&known.name),
        ("ServiceAccount", _, _, Some(known)) => service_account(user.name)
            .is_some_and(|(namespace, name)| known.namespace == namespace && (known.name == ANY || known.name == name)),
        _ => false,
    }
}

fn one_of(list: &[String], value: &str) -> bool {
    list.iter().any(|item| item == ANY || item == value)
}

fn covers_resource(rule: &ResourcePolicyRule, asked: &Attributes<'_>) -> bool {
    let Attributes::Resource { verb, namespace, group, resource, subresource, .. } = *asked else { return false };
    let resource = if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") };
    let is_placed = if namespace.is_empty() {
        rule.cluster_scope == Some(true)
    } else {
        one_of(rule.namespaces.as_deref().unwrap_or_default(), namespace)
    };
    is_placed && one_of(&rule.verbs, verb) && one_of(&rule.api_groups, group) && one_of(&rule.resources, &resource)
}

fn covers_path(rule: &NonResourcePolicyRule, verb: &str, path: &str) -> bool {
    one_of(&rule.verbs, verb)
        && rule.non_resource_urls.iter().any(|url| match url.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => path == url,
        })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_request_is_of_the_schema_that_it_fits() {
        let check = |rule: Value, user: &str, asked: Attributes<'_>, expected: bool| {
            let spec = json!({"priorityLevelConfiguration": {"name": "l"}, "rules": [rule]});
            let groups = ["system:authenticated".to_owned()];
            let found = fits(&serde_json::from_value(spec).unwrap(), User { name: user, groups: &groups }, &asked);
            assert_eq!(found, expected, "{rule} {user} {asked:?}");
        };
        let pods = |namespace, subresource| Attributes::Resource {
            verb: "list",
            namespace,
            group: "",
            version: "v1",
            resource: "pods",
            subresource,
            name: "",
        };
        let resources = json!([{"verbs": ["list"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["shop"]}]);
        let of = |subject: Value| json!({"subjects": [subject], "resourceRules": resources});
        let anna = json!({"kind": "User", "user": {"name": "anna"}});
        check(of(anna.clone()), "anna", pods("shop", ""), true);
        check(of(anna.clone()), "bert", pods("shop", ""), false);
        check(of(anna.clone()), "anna", pods("other", ""), false);
        check(of(anna.clone()), "anna", pods("", ""), false);
        check(of(anna.clone()), "anna", pods("shop", "status"), false);
        check(of(anna.clone()), "anna", Attributes::Path { verb: "get", path: "/api" }, false);
        check(of(json!({"kind": "Group", "group": {"name": "system:authenticated"}})), "x", pods("shop", ""), true);
        let account = json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": "*"}});
        check(of(account.clone()), "system:serviceaccount:a:b", pods("shop", ""), true);
        check(of(account), "system:serviceaccount:b:b", pods("shop", ""), false);
        let paths = json!({"subjects": [anna], "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["/api/*"]}]});
        check(paths.clone(), "anna", Attributes::Path { verb: "get", path: "/api/v1" }, true);
        check(paths, "anna", Attributes::Path { verb: "get", path: "/apis" }, false);
    }
}
