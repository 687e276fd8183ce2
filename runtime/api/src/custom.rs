//! Kinds that are declared in Rust: what `derive(Resource)` expands to stands on this.

mod condition;
mod shape;
mod version;

use std::sync::Arc;

use k8s_openapi::Resource;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use crate::cel::RUNTIME_BUDGET;
use crate::field::{Error, ErrorType, Path};
use crate::kind::{Column, Kind, ScalePaths, Scope};
use crate::object::Object;
use crate::schema::{self, Lazy, Limits, Rules, Schema, Type};
use crate::strategy::{Admission, Operation, Strategy};

pub use condition::IsCondition;
pub use shape::{Shape, ShapeOf, ShapeUnknown, Shaped};
pub use version::{Declared, HasStatus, NoStatus, Parts, Spec, Version, VersionOf, contains, converted, joined, text};

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
/// With one of these a value is not even what the rules expect it to be.
const BLOCKING: [ErrorType; 5] =
    [ErrorType::NotSupported, ErrorType::Required, ErrorType::TooLong, ErrorType::TooMany, ErrorType::TypeInvalid];
const AGE: DeclaredColumn = DeclaredColumn {
    name: "Age",
    json_path: ".metadata.creationTimestamp",
    type_: "date",
    priority: 0,
    description: "",
};

/// What all versions of a kind are called.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// The API group.
    pub group: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// The kind of a list.
    pub list_kind: &'static str,
    /// The resource name in paths.
    pub plural: &'static str,
    /// The name in the singular.
    pub singular: &'static str,
    /// Short names.
    pub short_names: &'static [&'static str],
    /// Categories.
    pub categories: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub scope: Scope,
}

/// What a program says of a version of a kind of its own.
pub struct Declaration {
    /// What the kind is called.
    pub names: Names,
    /// The version.
    pub version: &'static str,
    /// Whether the version is served.
    pub served: bool,
    /// Whether objects are stored in this version. Where none of several says so, in the one that
    /// knows of the others.
    pub storage: bool,
    /// What whoever uses the version is warned with, if it is deprecated; `""` for the usual text.
    pub deprecated: Option<&'static str>,
    /// Whether `status` is a subresource.
    pub status: bool,
    /// The `scale` subresource.
    pub scale: Option<DeclaredScale>,
    /// Printer columns besides `Name` and `Age`, which every kind has.
    pub columns: &'static [DeclaredColumn],
    /// The paths of the fields that a field selector may name.
    pub selectable: &'static [&'static str],
    /// The `openAPIV3Schema` of the whole object.
    pub openapi: fn() -> Value,
    /// The same, read.
    pub schema: Lazy,
    /// [`definitions`] of this declaration. A function of its own, for a [`Kind`] holds no closure.
    pub definitions: fn() -> Map<String, Value>,
    /// The kind's other versions.
    pub versions: &'static [Version],
    /// The definition that this comes from, when it is a file's.
    pub exact: Option<Exact>,
}

/// What a file says of a kind, but what its types say: in JSON.
#[derive(Clone, Copy, Debug)]
pub struct Exact {
    /// The definition, of its versions only the names.
    pub definition: &'static str,
    /// The version, without the schemas of its parts.
    pub version: &'static str,
}

/// A declaration that the API server would refuse.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the definition of {kind} is wrong: {}", .errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct WrongDeclaration {
    /// The kind.
    pub kind: &'static str,
    /// What is wrong, as the API server says it.
    pub errors: Vec<Error>,
}

/// A printer column.
#[derive(Clone, Copy, Debug)]
pub struct DeclaredColumn {
    /// The heading.
    pub name: &'static str,
    /// Where the value stands.
    pub json_path: &'static str,
    /// The type; `""` for that of the field in the schema.
    pub type_: &'static str,
    /// 0 is always shown; more only with `-o wide`.
    pub priority: i32,
    /// What the column shows.
    pub description: &'static str,
}

/// The paths of the `scale` subresource.
#[derive(Clone, Copy, Debug)]
pub struct DeclaredScale {
    /// The desired count.
    pub replicas: &'static str,
    /// The observed count.
    pub status: &'static str,
    /// The selector, as a string; `""` when there is none.
    pub selector: &'static str,
}

impl Declaration {
    /// The kind, for a registry.
    ///
    /// # Panics
    /// When the definition is wrong: of a rule that cannot be read, nothing would be heard again.
    pub fn kind(&'static self) -> Kind {
        let owned = |names: &[&'static str]| names.iter().map(|name| (*name).into()).collect();
        let (openapi, names) = ((self.openapi)(), &self.names);
        if let Err(wrong) = self.check() {
            panic!("{wrong}");
        }
        Kind {
            group: names.group.into(),
            version: self.version.into(),
            kind: names.kind.into(),
            list_kind: names.list_kind.into(),
            plural: names.plural.into(),
            singular: names.singular.into(),
            short_names: owned(names.short_names),
            categories: owned(names.categories),
            scope: names.scope,
            verbs: owned(&VERBS),
            status: self.status,
            scale: self.scale.map(|scale| ScalePaths {
                spec_replicas: scale.replicas.into(),
                status_replicas: scale.status.into(),
                label_selector: scale.selector.into(),
            }),
            subresources: Vec::new(),
            columns: match &self.exact {
                Some(exact) => crate::crd::columns(&read(exact.version)["additionalPrinterColumns"]),
                None => std::iter::once(name_column()).chain(self.columns().map(|c| c.column(&openapi))).collect(),
            },
            selectable_fields: owned(self.selectable),
            schema: Arc::new(Lazy::ready(Arc::clone(self.schema.get()))),
            definitions: Box::new(self.definitions),
            strategy: Box::new(self),
            built_in: false,
            inert: false,
            deprecation: self.deprecated.map(|own| match own {
                "" => format!("{}/{} {} is deprecated", names.group, self.version, names.kind).into(),
                own => own.into(),
            }),
            generations: true,
            orphans: false,
            created_by_update: false,
            unconditional_update: false,
            answers_deleted: false,
            status_metadata: false,
            view: None,
            defined: None,
        }
    }

    /// The CustomResourceDefinition, to be applied to any Kubernetes. It has all versions; what
    /// converts between them, [`Declaration::converted_by`] adds.
    pub fn definition(&self) -> Value {
        if let Some(exact) = &self.exact {
            return self.exact_definition(exact);
        }
        let own = &self.names;
        let mut names =
            json!({"kind": own.kind, "listKind": own.list_kind, "plural": own.plural, "singular": own.singular});
        for (field, list) in [("shortNames", own.short_names), ("categories", own.categories)] {
            if !list.is_empty() {
                names[field] = json!(list);
            }
        }
        let others = || self.versions.iter().map(|version| (version.declaration)());
        let is_stored = self.storage || !others().any(|other| other.storage);
        let others = others().map(|other| other.version(other.storage));
        let versions: Vec<_> = std::iter::once(self.version(is_stored)).chain(others).collect();
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{}.{}", own.plural, own.group)},
            "spec": {"group": own.group, "names": names, "scope": format!("{:?}", own.scope), "versions": versions},
        })
    }

    // Of versions that this one does not know of, the one that objects are stored in does.
    fn exact_definition(&self, exact: &Exact) -> Value {
        let mut definition = read(exact.definition);
        let all: Vec<&Self> = self.versions.iter().map(|version| (version.declaration)()).chain([self]).collect();
        let named = definition["spec"]["versions"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let known = named.iter().filter_map(|version| all.iter().find(|known| version["name"] == known.version));
        let versions = known.map(|declared| {
            let mut version = declared.exact.map(|exact| read(exact.version)).unwrap_or_default();
            version["schema"]["openAPIV3Schema"] = (declared.openapi)();
            version["storage"] = (declared.storage || !self.storage).into();
            version
        });
        definition["spec"]["versions"] = versions.collect();
        definition
    }

    fn version(&self, is_stored: bool) -> Value {
        let openapi = (self.openapi)();
        let columns: Vec<_> = self.columns().map(|column| column.definition(&openapi)).collect();
        let mut version = json!({
            "name": self.version, "served": self.served, "storage": is_stored, "additionalPrinterColumns": columns});
        if let Some(warning) = self.deprecated {
            version["deprecated"] = true.into();
            if !warning.is_empty() {
                version["deprecationWarning"] = warning.into();
            }
        }
        if let Some(subresources) = self.subresources() {
            version["subresources"] = subresources;
        }
        if !self.selectable.is_empty() {
            version["selectableFields"] = self.selectable.iter().map(|path| json!({"jsonPath": path})).collect();
        }
        version["schema"] = json!({"openAPIV3Schema": openapi});
        version
    }

    /// Checks the definition as the API server does.
    ///
    /// # Errors
    /// All that it would refuse the definition for; of what no schema can say, why.
    pub fn check(&self) -> Result<(), WrongDeclaration> {
        let definition = self.definition();
        let versions = definition["spec"]["versions"].as_array().into_iter().flatten().enumerate();
        let path = |index| Path::new("spec").child("versions").index(index).child("schema").child("openAPIV3Schema");
        let mut errors: Vec<_> = versions
            .flat_map(|(index, version)| schema::all_unsaid(&version["schema"]["openAPIV3Schema"], &path(index)))
            .collect();
        // What else is wrong there follows from it. That path may begin otherwise: upstream names the schema of an
        // only version by its old place.
        let tail =
            |error: &Error| error.path.to_string().split_once("openAPIV3Schema").map(|(_, tail)| tail.to_owned());
        let unsaid: Vec<String> = errors.iter().filter_map(tail).collect();
        let within = |tail: String| unsaid.iter().any(|unsaid| tail.starts_with(unsaid.trim_end_matches("type")));
        let others = crate::crd::check(&definition);
        errors.extend(others.into_iter().filter(|error| !tail(error).is_some_and(within)));
        if errors.is_empty() { Ok(()) } else { Err(WrongDeclaration { kind: self.names.kind, errors }) }
    }

    fn subresources(&self) -> Option<Value> {
        let mut subresources = Map::new();
        if self.status {
            subresources.insert("status".to_owned(), json!({}));
        }
        if let Some(scale) = self.scale {
            let mut paths = json!({"specReplicasPath": scale.replicas, "statusReplicasPath": scale.status});
            if !scale.selector.is_empty() {
                paths["labelSelectorPath"] = scale.selector.into();
            }
            subresources.insert("scale".to_owned(), paths);
        }
        (!subresources.is_empty()).then_some(Value::Object(subresources))
    }

    fn columns(&self) -> impl Iterator<Item = &DeclaredColumn> {
        let age = self.columns.iter().all(|column| column.name != AGE.name).then_some(&AGE);
        self.columns.iter().chain(age)
    }
}

/// Fills the schema's defaults and holds the object to the rest of it.
impl Strategy for &'static Declaration {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        admit(self.schema.get(), operation, object)
    }
}

/// Fills the defaults of a custom object and holds it to its kind's schema.
pub(crate) fn admit(schema: &Schema, operation: Operation<'_>, object: &mut Object) -> Admission {
    let old = match operation {
        Operation::Create => None,
        Operation::Update { old } | Operation::UpdateStatus { old } => Some(old),
    };
    // What metadata must be is the same for every kind, and has been judged; a definition can only
    // restrict the name.
    let metadata = object.0.remove("metadata");
    let mut value = Value::Object(std::mem::take(&mut object.0));
    schema.fill_defaults(&mut value);
    let before = old.map(without_metadata);
    let mut errors = schema.validate(&value, before.as_ref(), &Path::default());
    if let Value::Object(map) = value {
        object.0 = map;
    }
    if let Some(metadata) = metadata {
        let limits = schema.properties.get("metadata").and_then(|schema| schema.limits.as_ref());
        for restriction in limits.iter().flat_map(|limits| &limits.all_of) {
            errors.extend(restriction.validate(&metadata, None, &Path::new("metadata")));
        }
        object.0.insert("metadata".to_owned(), metadata);
    }
    let mut warnings = Vec::new();
    if let Some(rules) = &schema.rules {
        if errors.iter().any(|error| BLOCKING.contains(&error.kind)) {
            let detail = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
            errors.push(Error::invalid(&Path::default(), Value::Null, detail));
        } else {
            let found = with_value(object, |value| match old {
                None => rules.validate(value, None, RUNTIME_BUDGET),
                Some(old) => rules.validate(value, Some(&Value::Object(old.0.clone())), RUNTIME_BUDGET),
            });
            errors.extend(found.errors);
            warnings = found.warnings;
        }
    }
    Admission { errors, warnings, ..Admission::default() }
}

fn with_value<T>(object: &mut Object, look: impl FnOnce(&Value) -> T) -> T {
    let value = Value::Object(std::mem::take(&mut object.0));
    let seen = look(&value);
    if let Value::Object(map) = value {
        object.0 = map;
    }
    seen
}

fn without_metadata(object: &Object) -> Value {
    Value::Object(
        object.0.iter().filter(|(name, _)| *name != "metadata").map(|(n, v)| (n.clone(), v.clone())).collect(),
    )
}

impl DeclaredColumn {
    fn type_in(&self, openapi: &Value) -> String {
        if !self.type_.is_empty() {
            return self.type_.to_owned();
        }
        let names = self.json_path.trim_start_matches('.').split('.');
        let field = names.fold(openapi, |schema, name| &schema["properties"][name]);
        match (field["type"].as_str(), field["format"].as_str()) {
            (Some("string"), Some("date-time")) => "date".to_owned(),
            (Some(type_ @ ("integer" | "number" | "boolean")), _) => type_.to_owned(),
            _ => "string".to_owned(),
        }
    }

    fn column(&self, openapi: &Value) -> Column {
        Column {
            name: self.name.into(),
            type_: self.type_in(openapi).into(),
            format: "".into(),
            description: self.description.into(),
            priority: self.priority,
            json_path: self.json_path.into(),
        }
    }

    fn definition(&self, openapi: &Value) -> Value {
        let mut column = json!({"name": self.name, "type": self.type_in(openapi), "jsonPath": self.json_path});
        if self.priority != 0 {
            column["priority"] = self.priority.into();
        }
        if !self.description.is_empty() {
            column["description"] = self.description.into();
        }
        column
    }
}

pub(crate) fn name_column() -> Column {
    Column {
        name: "Name".into(),
        type_: "string".into(),
        format: "name".into(),
        description: "Name must be unique within a namespace.".into(),
        priority: 0,
        json_path: ".metadata.name".into(),
    }
}

/// Upstream's descriptions of what every kind has.
const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const METADATA: &str = "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// The definition of `metadata`.
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The `openAPIV3Schema` of an object with this spec and, if it has one, this status. `keywords` are
/// the spec's own, as [`schema::annotate`] takes them, `rules` those of the whole object.
pub fn openapi<Spec: JsonSchema>(
    description: &str,
    status: Option<fn() -> Value>,
    keywords: &Value,
    rules: &Value,
) -> Value {
    let spec = schema::annotated::<Spec>(keywords);
    let mut object = json!({
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
        },
    });
    if !description.is_empty() {
        object["description"] = description.into();
    }
    if rules.as_array().is_some_and(|rules| !rules.is_empty()) {
        object["x-kubernetes-validations"] = rules.clone();
    }
    if let Some(status) = status {
        object["properties"]["status"] = status();
        // Absent until it is first written, and then null to whoever takes it away.
        object["properties"]["status"]["nullable"] = true.into();
    }
    object
}

/// The `openAPIV3Schema` of an object as a file has it in `version`, with the schemas of its types.
pub fn exact_openapi(version: &str, parts: Vec<(&str, Value)>) -> Value {
    let mut object = read(version)["schema"]["openAPIV3Schema"].take();
    for (name, schema) in parts {
        object["properties"][name] = schema;
    }
    object
}

/// The schema of a type with these keywords besides, in JSON.
pub fn exact_schema<T: JsonSchema>(keywords: &str) -> Value {
    schema::annotated::<T>(&read(keywords))
}

fn read(json: &str) -> Value {
    serde_json::from_str(json).expect("the macro wrote it")
}

/// Reads the `openAPIV3Schema` of an object; `metadata` is that of all kinds, with what the schema
/// demands of it besides.
pub fn schema(openapi: &Value) -> Schema {
    let mut schema = Schema { rules: Rules::of(openapi), ..Schema::from_openapi(openapi) };
    let mut metadata = schema::object_meta();
    if let Some(restriction) = schema.properties.get("metadata").filter(|own| !own.properties.is_empty()) {
        let limits = Limits { all_of: vec![Schema::clone(restriction)], ..Limits::default() };
        Arc::make_mut(&mut metadata).limits = Some(Box::new(limits));
    }
    schema.properties.insert("metadata".into(), metadata);
    // It is always there.
    schema.required.retain(|name| name != "metadata");
    for name in ["apiVersion", "kind"] {
        let text = || Arc::new(Schema { type_: Type::String, ..Schema::default() });
        schema.properties.entry(name.into()).or_insert_with(text);
    }
    schema
}

/// The definitions that OpenAPI documents are made of: the kind's own, called as upstream calls it
/// (`io.demo.v1.Website`), and those of `metadata`.
pub fn definitions(declaration: &Declaration) -> Map<String, Value> {
    documents(declaration.names.group, declaration.version, declaration.names.kind, (declaration.openapi)())
}

/// As [`definitions`], of a kind whose `openAPIV3Schema` is at hand.
pub(crate) fn documents(group: &str, version: &str, kind: &str, mut own: Value) -> Map<String, Value> {
    own["properties"]["apiVersion"] = json!({"type": "string", "description": API_VERSION});
    own["properties"]["kind"] = json!({"type": "string", "description": KIND});
    // Beside a reference nothing else counts, so the description wraps it.
    own["properties"]["metadata"] =
        json!({"allOf": [{"$ref": format!("#/$defs/{OBJECT_META}")}], "description": METADATA});
    let reversed: Vec<_> = group.rsplit('.').collect();
    let mut definitions = schema::definitions(OBJECT_META);
    definitions.insert(format!("{}.{version}.{kind}", reversed.join(".")), own);
    definitions
}

/// Adds keywords to the schema of a type or field, as [`schema::annotate`] does.
pub struct Keywords(
    /// The keywords.
    pub Value,
);

impl Keywords {
    /// Those that are written so, in JSON.
    pub fn read(keywords: &str) -> Self {
        Self(read(keywords))
    }
}

impl schemars::transform::Transform for Keywords {
    fn transform(&mut self, schema: &mut schemars::Schema) {
        let mut value = std::mem::take(schema).to_value();
        schema::annotate(&mut value, &self.0);
        // It was an object, or has become one.
        *schema = schemars::Schema::try_from(value).unwrap_or_default();
    }
}

/// The status schema of a kind, for [`openapi`].
pub fn status_of<Status: JsonSchema>() -> Value {
    schema::structural::<Status>()
}

/// A document as YAML.
pub fn yaml(value: &Value) -> String {
    crate::to_yaml(value)
}

/// Refuses an object of another kind than `K`; an absent `apiVersion` or `kind` says nothing.
///
/// # Errors
/// When either is that of another kind.
pub fn same_kind<K: Resource, E: serde::de::Error>(api_version: Option<&str>, kind: Option<&str>) -> Result<(), E> {
    for (found, expected) in [(api_version, K::API_VERSION), (kind, K::KIND)] {
        if let Some(found) = found.filter(|found| *found != expected) {
            return Err(E::invalid_value(serde::de::Unexpected::Str(found), &expected));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
