//! What can be asked of a kind, as OpenAPI documents tell it: the paths, and what each operation there takes, is sent
//! and answers. The two versions of documents write it down each in their own way.

use serde_json::{Map, Value, json};
use trimtab_api::{Kind, schema};

use crate::discovery::below;
use crate::openapi::document_path;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// A path, and what is asked there.
struct Item {
    path: String,
    /// What stands in braces in the path.
    variables: Vec<&'static str>,
    operations: Vec<Operation>,
}

/// What a method does at a path.
pub(crate) struct Operation {
    /// As documents write it.
    pub(crate) method: &'static str,
    /// `x-kubernetes-action`.
    pub(crate) action: &'static str,
    pub(crate) id: String,
    pub(crate) description: String,
    pub(crate) tag: String,
    pub(crate) gvk: Value,
    pub(crate) query: Vec<&'static Parameter>,
    pub(crate) sent: Option<Sent>,
    /// The schema of the answer.
    pub(crate) answer: Value,
}

/// What a request's body is.
pub(crate) enum Sent {
    /// What this schema says.
    Object(Value),
    Patch,
    /// Options, or nothing.
    Options(Value),
}

/// A parameter of the query.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    /// A JSON schema's type.
    pub(crate) type_: &'static str,
    pub(crate) description: &'static str,
}

impl Operation {
    /// The codes of what is no error, with what they mean.
    pub(crate) fn codes(&self) -> &'static [(&'static str, &'static str)] {
        match self.action {
            "post" => &[("200", "OK"), ("201", "Created"), ("202", "Accepted")],
            "put" | "patch" => &[("200", "OK"), ("201", "Created")],
            "delete" => &[("200", "OK"), ("202", "Accepted")],
            _ => &[("200", "OK")],
        }
    }
}

const fn parameter(name: &'static str, type_: &'static str, description: &'static str) -> Parameter {
    Parameter { name, type_, description }
}

static PRETTY: Parameter = parameter("pretty", "string", "If 'true', then the output is pretty printed.");
static DRY_RUN: Parameter = parameter(
    "dryRun",
    "string",
    "When present, indicates that modifications should not be persisted. Valid values are: All.",
);
static SELECTS: [Parameter; 8] = [
    parameter(
        "continue",
        "string",
        "Where to go on, as the answer to an earlier request with the same parameters says. An expired token is \
         answered with 410.",
    ),
    parameter(
        "fieldSelector",
        "string",
        "A selector to restrict the list of returned objects by their fields. Defaults to everything.",
    ),
    parameter(
        "labelSelector",
        "string",
        "A selector to restrict the list of returned objects by their labels. Defaults to everything.",
    ),
    parameter("limit", "integer", "How many objects are returned at most."),
    parameter("resourceVersion", "string", "Which resource versions a request may be served from."),
    parameter("resourceVersionMatch", "string", "How resourceVersion is applied to list calls."),
    parameter(
        "sendInitialEvents",
        "boolean",
        "Whether a watch begins with what is there, and a bookmark when all of it was told.",
    ),
    parameter("timeoutSeconds", "integer", "After how many seconds the call ends, whatever happens."),
];
static WATCHES: [Parameter; 2] = [
    parameter("allowWatchBookmarks", "boolean", "Whether a watch has events of type BOOKMARK."),
    parameter(
        "watch",
        "boolean",
        "Watch for changes to the described resources and return them as a stream of add, update, and remove \
         notifications. Specify resourceVersion.",
    ),
];
static WRITES: [Parameter; 2] = [
    parameter("fieldManager", "string", "Who makes these changes."),
    parameter(
        "fieldValidation",
        "string",
        "What becomes of unknown and duplicate fields: Ignore, Warn (the default) or Strict.",
    ),
];
static FORCE: Parameter =
    parameter("force", "boolean", "Whether an apply takes over the fields that others own. Of other patches, unset.");
static DELETES: [Parameter; 4] = [
    parameter("gracePeriodSeconds", "integer", "After how many seconds the object goes; 0 is at once."),
    parameter(
        "ignoreStoreReadErrorWithClusterBreakingPotential",
        "boolean",
        "Whether an object goes that cannot be read.",
    ),
    parameter("orphanDependents", "boolean", "Deprecated: please use propagationPolicy."),
    parameter("propagationPolicy", "string", "What becomes of what the object owns: Orphan, Background or Foreground."),
];

fn query(action: &str) -> Vec<&'static Parameter> {
    let mut all: Vec<&Parameter> = match action {
        "list" => SELECTS.iter().chain(&WATCHES).collect(),
        "post" | "put" => [&DRY_RUN].into_iter().chain(&WRITES).collect(),
        "patch" => [&DRY_RUN, &FORCE].into_iter().chain(&WRITES).collect(),
        "delete" => [&DRY_RUN].into_iter().chain(&DELETES).collect(),
        "deletecollection" => [&DRY_RUN].into_iter().chain(&SELECTS).chain(&DELETES).collect(),
        _ => Vec::new(),
    };
    all.push(&PRETTY);
    all.sort_by_key(|parameter| parameter.name);
    all
}

/// The name of the definition of a kind's lists, by that of its objects.
fn list_definition(kind: &Kind, own: &str) -> String {
    let package = own.rsplit_once('.').map_or("", |(package, _)| package);
    format!("{package}.{}", kind.list_kind)
}

/// The definitions that operations refer to, beside those of the kind's own objects, whose definition is `own`.
pub(crate) fn definitions(kind: &Kind, own: &str) -> Map<String, Value> {
    let mut found = Map::new();
    let names = below(kind).into_iter().filter_map(|(_, response, _)| definition(&response));
    let shared = ["Status", "DeleteOptions", "ListMeta"].map(|name| format!("{META}.{name}"));
    for name in names.chain(shared).filter(|name| name != own) {
        found.extend(schema::definitions(&name));
    }
    if kind.can("list") {
        let (list_kind, plural) = (&kind.list_kind, &kind.plural);
        let text = |description: &str| json!({"type": "string", "description": description});
        let list = json!({
            "description": format!("{list_kind} is a list of {}", kind.kind), "type": "object", "required": ["items"],
            "properties": {
                "apiVersion": text("The version of the schema of this list."),
                "items": {"description": format!("List of {plural}"), "type": "array",
                    "items": {"$ref": format!("#/$defs/{own}")}},
                "kind": text("What is listed."),
                "metadata": {"description": "Standard list metadata.", "allOf": [{"$ref": format!("#/$defs/{META}.ListMeta")}]},
            },
            "x-kubernetes-group-version-kind":
                [{"group": kind.group, "version": kind.version, "kind": list_kind}],
        });
        found.insert(list_definition(kind, own), list);
    }
    found
}

/// The definition of a built-in kind; `None` for what has none, such as the options of a connection.
fn definition((group, version, kind): &(String, String, String)) -> Option<String> {
    let group = if group.is_empty() { "core" } else { group.split('.').next().unwrap_or_default() };
    let name = format!("io.k8s.api.{group}.{version}.{kind}");
    schema::is_defined(&name).then_some(name)
}

fn reference(definition: Option<&str>) -> Value {
    definition.map_or_else(|| json!({"type": "object"}), |name| json!({"$ref": format!("#/$defs/{name}")}))
}

/// Each part of a name with a capital letter: of `rbac.authorization`, `RbacAuthorization`.
fn capital(name: &str) -> String {
    let part = |part: &str| part[..1].to_uppercase() + &part[1..];
    name.split(['.', '-']).filter(|word| !word.is_empty() && word.is_char_boundary(1)).map(part).collect()
}

/// The paths at which `kind` is asked for something, each with what stands there: a version of documents writes what is
/// `in_path` and each `operation` in its own way.
pub(crate) fn paths(
    kind: &Kind,
    own: Option<&str>,
    in_path: impl Fn(&str) -> Value,
    operation: impl Fn(Operation) -> Value,
) -> impl Iterator<Item = (String, Value)> {
    of(kind, own).into_iter().map(move |Item { path, variables, operations }| {
        let mut all: Map<String, Value> =
            operations.into_iter().map(|found| (found.method.to_owned(), operation(found))).collect();
        if !variables.is_empty() {
            all.insert("parameters".to_owned(), variables.into_iter().map(&in_path).collect());
        }
        (path, all.into())
    })
}

/// All that can be asked of `kind`, whose objects' definition is `own`.
fn of(kind: &Kind, own: Option<&str>) -> Vec<Item> {
    let of_kind = OfKind::new(kind, own);
    let root = format!("/{}", document_path(kind));
    let (namespace, variables): (_, &[&'static str]) =
        if kind.namespaced() { ("/namespaces/{namespace}", &["namespace"]) } else { ("", &[]) };
    let collection = format!("{root}{namespace}/{}", kind.plural);
    let mut items = Vec::new();
    if kind.namespaced() && kind.can("list") {
        let mut list = of_kind.operation("list");
        list.id = format!("list{}{}ForAllNamespaces", of_kind.prefix, kind.kind);
        let path = format!("{root}/{}", kind.plural);
        items.push(Item { path, variables: Vec::new(), operations: vec![list] });
    }
    let can = |pairs: &[(&str, &'static str)]| -> Vec<Operation> {
        let served = pairs.iter().filter(|(verb, _)| kind.can(verb));
        served.map(|(_, action)| of_kind.operation(action)).collect()
    };
    let whole = can(&[("list", "list"), ("create", "post"), ("deletecollection", "deletecollection")]);
    let one = can(&[("get", "get"), ("update", "put"), ("patch", "patch"), ("delete", "delete")]);
    let named: Vec<&'static str> = ["name"].into_iter().chain(variables.iter().copied()).collect();
    let path = format!("{collection}/{{name}}");
    items.push(Item { path: collection, variables: variables.to_vec(), operations: whole });
    if one.is_empty() {
        return items;
    }
    items.push(Item { path: path.clone(), variables: named.clone(), operations: one });
    for (name, response, verbs) in below(kind) {
        let operations = verbs.iter().filter_map(|verb| of_kind.below(&name, &response, verb)).collect();
        items.push(Item { path: format!("{path}/{name}"), variables: named.clone(), operations });
    }
    items
}

struct OfKind<'a> {
    kind: &'a Kind,
    own: Option<&'a str>,
    /// Of the operations' ids.
    prefix: String,
    scope: &'static str,
    tag: String,
}

impl<'a> OfKind<'a> {
    fn new(kind: &'a Kind, own: Option<&'a str>) -> Self {
        let group = if kind.group.is_empty() { "core" } else { kind.group.trim_end_matches(".k8s.io") };
        let capital_group = capital(group);
        let tag = capital_group.chars().next().into_iter().flat_map(char::to_lowercase).collect::<String>()
            + capital_group.get(1..).unwrap_or_default();
        Self {
            kind,
            own,
            prefix: format!("{capital_group}{}", capital(&kind.version)),
            scope: if kind.namespaced() { "Namespaced" } else { "" },
            tag: format!("{tag}_{}", kind.version),
        }
    }

    fn operation(&self, action: &'static str) -> Operation {
        let (kind, prefix, scope) = (&self.kind.kind, &self.prefix, self.scope);
        let own = || reference(self.own);
        let (method, verb, of, description) = match action {
            "list" => ("get", "list", "", format!("list or watch objects of kind {kind}")),
            "post" => ("post", "create", "", format!("create {kind}")),
            "deletecollection" => ("delete", "delete", "Collection", format!("delete collection of {kind}")),
            "get" => ("get", "read", "", format!("read the specified {kind}")),
            "put" => ("put", "replace", "", format!("replace the specified {kind}")),
            "patch" => ("patch", "patch", "", format!("partially update the specified {kind}")),
            _ => ("delete", "delete", "", format!("delete {kind}")),
        };
        let options = || Sent::Options(reference(Some(&format!("{META}.DeleteOptions"))));
        let status = || reference(Some(&format!("{META}.Status")));
        Operation {
            method,
            action,
            id: format!("{verb}{prefix}{of}{scope}{kind}"),
            description,
            tag: self.tag.clone(),
            gvk: json!({"group": self.kind.group, "version": self.kind.version, "kind": kind}),
            query: query(action),
            sent: match action {
                "post" | "put" => Some(Sent::Object(own())),
                "patch" => Some(Sent::Patch),
                "delete" | "deletecollection" => Some(options()),
                _ => None,
            },
            answer: match action {
                "list" => reference(self.own.map(|own| list_definition(self.kind, own)).as_deref()),
                "delete" if !self.kind.answers_deleted => status(),
                "deletecollection" => status(),
                _ => own(),
            },
        }
    }

    /// What `verb` is of the subresource `name`, which answers with `response`.
    fn below(&self, name: &str, response: &(String, String, String), verb: &str) -> Option<Operation> {
        let action = match verb {
            "get" => "get",
            "create" => "post",
            "update" => "put",
            "patch" => "patch",
            "delete" => "delete",
            _ => return None,
        };
        let mut operation = self.operation(action);
        let (group, version, kind) = response;
        let part = capital(name);
        operation.gvk = json!({"group": group, "version": version, "kind": kind});
        if kind.ends_with("Options") {
            let (prefix, scope, method) = (&self.prefix, self.scope, capital(operation.method));
            let described =
                format!("connect {} requests to {name} of {}", operation.method.to_uppercase(), self.kind.kind);
            return Some(Operation {
                action: "connect",
                id: format!("connect{prefix}{method}{scope}{}{part}", self.kind.kind),
                description: described,
                query: Vec::new(),
                sent: None,
                answer: json!({"type": "string"}),
                ..operation
            });
        }
        operation.id += &part;
        operation.description = match action {
            "post" => format!("create {name} of {}", self.kind.kind),
            _ => operation.description.replacen("the specified", &format!("{name} of the specified"), 1),
        };
        let is_own = *kind == *self.kind.kind && *group == *self.kind.group;
        let answer = if is_own { reference(self.own) } else { reference(definition(response).as_deref()) };
        if let Some(Sent::Object(sent)) = &mut operation.sent {
            *sent = answer.clone();
        }
        // A log is plain text.
        operation.answer = if name == "log" { json!({"type": "string"}) } else { answer };
        Some(operation)
    }
}
