//! The Rust types of a version: structs and enums, each named and there once.

use serde_json::Value;

/// The types of one version.
pub(super) struct Types {
    /// The fields of an object besides its metadata: the spec and the status first, if the kind has them.
    pub parts: Vec<Field>,
    /// The name of the field for what the schema does not know, if that is kept.
    pub rest: Option<String>,
    /// The structs and enums.
    pub items: Vec<Item>,
}

/// A Rust type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Anything,
    Boolean,
    Int32,
    Int64,
    Number,
    Text,
    Bytes,
    Time,
    Quantity,
    IntOrString,
    List(Box<Type>),
    Map(Box<Type>),
    /// Of which `null` is a value.
    Nullable(Box<Type>),
    Named(String),
}

impl Type {
    /// Whether bytes are of it, or in it.
    pub(super) fn has_bytes(&self) -> bool {
        match self {
            Self::Bytes => true,
            Self::List(inner) | Self::Map(inner) | Self::Nullable(inner) => inner.has_bytes(),
            _ => false,
        }
    }
}

/// A struct or an enum.
pub(super) struct Item {
    pub name: String,
    pub doc: String,
    /// What its schema has besides what its fields or variants say.
    pub keywords: Value,
    pub body: Body,
    /// Whether every condition of Kubernetes can be read as one of it.
    pub is_condition: bool,
}

pub(super) enum Body {
    /// A struct; with the name of the field for what the schema does not know, if that is kept.
    Struct(Vec<Field>, Option<String>),
    /// One of several texts.
    Choice(Vec<(String, String)>),
    /// An object with one of several fields.
    Union(Vec<Field>),
}

/// A field of a struct, or a variant of a union.
pub(super) struct Field {
    pub name: String,
    pub ident: String,
    pub type_: Type,
    pub optional: bool,
    pub doc: String,
    /// What its schema has besides what its type says.
    pub keywords: Value,
}
