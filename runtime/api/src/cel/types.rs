//! Types of values, and what a schema declares of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The type of a value.
#[derive(Clone, Debug)]
pub enum Type {
    /// Not known until there is a value.
    Dyn,
    /// `null` alone.
    Null,
    /// `true` or `false`.
    Bool,
    /// A whole number of 64 bits.
    Int,
    /// A whole number of 64 bits that is not negative.
    Uint,
    /// A number of 64 bits.
    Double,
    /// A text.
    String,
    /// A sequence of bytes.
    Bytes,
    /// A span of time.
    Duration,
    /// A moment.
    Timestamp,
    /// A list.
    List(Arc<Type>),
    /// A map.
    Map(Arc<Type>, Arc<Type>),
    /// An object with fields of its own.
    Object(Arc<Fields>),
    /// A type of a library, such as `kubernetes.Quantity`, or `optional_type` of something.
    Opaque(&'static str, Option<Arc<Type>>),
    /// A type as a value.
    Type(Arc<Type>),
    /// What a function leaves open. Within a check each use is numbered.
    Param(char, u32),
    /// What has a mistake that has been told already.
    Error,
}

/// The fields of an object, by the names they have in expressions.
#[derive(Debug)]
pub struct Fields {
    /// What messages call the type.
    pub name: String,
    /// The fields.
    pub fields: BTreeMap<String, Arc<Declared>>,
    /// Whether a struct literal makes one, as `Object{…}` of mutating policies.
    pub constructed: bool,
}

/// What a schema says of a value.
#[derive(Debug)]
pub struct Declared {
    /// Its form.
    pub shape: Shape,
    /// The name of the field in JSON, where it differs from that in expressions.
    pub original: Option<String>,
    /// The most characters, items or entries it may have.
    pub most: u64,
    /// The fewest bytes it takes in JSON.
    pub least_bytes: u64,
    /// How items of the list are told apart.
    pub identity: Identity,
}

/// How the items of a list are told apart, which is what `==` and `+` go by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// By their place.
    #[default]
    Place,
    /// By their value.
    Set,
    /// By these fields, as JSON calls them.
    Keys(Vec<String>),
}

/// The form of a declared value.
#[derive(Clone, Debug)]
pub enum Shape {
    /// A scalar.
    Scalar(Type),
    /// A list of these.
    List(Arc<Declared>),
    /// A map from strings to these.
    Map(Arc<Declared>),
    /// An object.
    Object(Arc<Fields>),
}

impl Declared {
    /// A value of this type of which nothing else is known.
    pub fn of(type_: Type) -> Arc<Self> {
        Self::shaped(Shape::Scalar(type_))
    }

    /// A value of this form of which nothing else is known.
    pub fn shaped(shape: Shape) -> Arc<Self> {
        Arc::new(Self { shape, original: None, most: u64::MAX, least_bytes: 1, identity: Identity::Place })
    }

    /// The type of the value.
    pub fn type_(&self) -> Type {
        match &self.shape {
            Shape::Scalar(type_) => type_.clone(),
            Shape::List(items) => Type::List(Arc::new(items.type_())),
            Shape::Map(values) => Type::Map(Arc::new(Type::String), Arc::new(values.type_())),
            Shape::Object(fields) => Type::Object(Arc::clone(fields)),
        }
    }
}

impl Type {
    /// A list of these.
    pub fn list(items: Self) -> Self {
        Self::List(Arc::new(items))
    }

    /// A map between these.
    pub fn map(keys: Self, values: Self) -> Self {
        Self::Map(Arc::new(keys), Arc::new(values))
    }

    /// An optional value of this type.
    pub fn optional(of: Self) -> Self {
        Self::Opaque("optional_type", Some(Arc::new(of)))
    }
}

impl PartialEq for Type {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(a), Self::List(b)) | (Self::Type(a), Self::Type(b)) => a == b,
            (Self::Map(a, x), Self::Map(b, y)) => a == b && x == y,
            (Self::Object(a), Self::Object(b)) => a.name == b.name,
            (Self::Opaque(a, x), Self::Opaque(b, y)) => a == b && x == y,
            (Self::Param(a, x), Self::Param(b, y)) => a == b && x == y,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other) && !self.has_parts(),
        }
    }
}

impl Type {
    fn has_parts(&self) -> bool {
        matches!(
            self,
            Self::List(_) | Self::Type(_) | Self::Map(..) | Self::Object(_) | Self::Opaque(..) | Self::Param(..)
        )
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("dyn"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Duration => f.write_str("duration"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::List(items) => write!(f, "list({items})"),
            Self::Map(keys, values) => write!(f, "map({keys}, {values})"),
            Self::Object(fields) => f.write_str(&fields.name),
            Self::Opaque(name, None) => f.write_str(name),
            Self::Opaque(name, Some(of)) => write!(f, "{name}({of})"),
            Self::Type(of) => write!(f, "type({of})"),
            Self::Param(name, _) => write!(f, "{name}"),
            Self::Error => f.write_str("!error!"),
        }
    }
}
