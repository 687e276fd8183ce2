//! What a type is in JSON, as far as its name tells.

use std::fmt;

use syn::{GenericArgument, PathArguments, PathSegment, Type};

/// The JSON type of a Rust type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Boolean,
    Integer,
    Number,
    String,
    List,
    Map,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "a boolean",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::String => "a string",
            Self::List => "a list",
            Self::Map => "a map",
        })
    }
}

impl Shape {
    /// The shape of a type of the standard library; `None` for others, which may be anything.
    pub(crate) fn of(type_: &Type) -> Option<Self> {
        Self::seen(type_).ok()
    }

    /// The same; of another type, that type, out of what it is wrapped in.
    pub(crate) fn seen(type_: &Type) -> Result<Self, &Type> {
        let path = match type_ {
            Type::Path(path) if path.qself.is_none() => &path.path,
            Type::Reference(reference) => return Self::seen(&reference.elem),
            Type::Slice(_) | Type::Array(_) => return Ok(Self::List),
            Type::Tuple(tuple) if !tuple.elems.is_empty() => return Ok(Self::List),
            Type::Paren(inner) => return Self::seen(&inner.elem),
            Type::Group(inner) => return Self::seen(&inner.elem),
            _ => return Err(type_),
        };
        let Some(last) = path.segments.last() else { return Err(type_) };
        Ok(match last.ident.to_string().as_str() {
            "bool" => Self::Boolean,
            "i8" | "i16" | "i32" | "i64" | "i128" | "isize" | "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => {
                Self::Integer
            }
            "f32" | "f64" => Self::Number,
            "String" | "str" | "char" => Self::String,
            "Vec" | "VecDeque" | "BTreeSet" | "HashSet" => Self::List,
            "BTreeMap" | "HashMap" => Self::Map,
            "Option" | "Box" | "Arc" | "Rc" | "Cow" => {
                return arguments(last).next().map_or(Err(type_), Self::seen);
            }
            _ => return Err(type_),
        })
    }
}

/// Whether a type is a map whose values are of some type.
pub(crate) fn is_map_of_one_type(type_: &Type) -> bool {
    let Type::Path(path) = type_ else { return false };
    let value = path.path.segments.last().and_then(|last| arguments(last).nth(1));
    let is_any = |value: &Type| matches!(value, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Value"));
    Shape::of(type_) == Some(Shape::Map) && value.is_some_and(|value| !is_any(value))
}

fn arguments(segment: &PathSegment) -> impl Iterator<Item = &Type> {
    let arguments = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
        _ => None,
    };
    arguments.into_iter().flatten().filter_map(|argument| match argument {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    })
}

/// Whether a type is an `Option`.
pub(crate) fn is_option(type_: &Type) -> bool {
    matches!(type_, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"))
}
