//! What a type is in JSON, as far as its name tells.

use std::fmt;

use syn::{GenericArgument, PathArguments, Type};

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
        let path = match type_ {
            Type::Path(path) if path.qself.is_none() => &path.path,
            Type::Reference(reference) => return Self::of(&reference.elem),
            Type::Slice(_) | Type::Array(_) => return Some(Self::List),
            Type::Tuple(tuple) if !tuple.elems.is_empty() => return Some(Self::List),
            Type::Paren(inner) => return Self::of(&inner.elem),
            Type::Group(inner) => return Self::of(&inner.elem),
            _ => return None,
        };
        let last = path.segments.last()?;
        Some(match last.ident.to_string().as_str() {
            "bool" => Self::Boolean,
            "i8" | "i16" | "i32" | "i64" | "i128" | "isize" | "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => {
                Self::Integer
            }
            "f32" | "f64" => Self::Number,
            "String" | "str" | "char" => Self::String,
            "Vec" | "VecDeque" | "BTreeSet" | "HashSet" => Self::List,
            "BTreeMap" | "HashMap" => Self::Map,
            "Option" | "Box" | "Arc" | "Rc" | "Cow" => {
                let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
                let inner = arguments.args.iter().find_map(|argument| match argument {
                    GenericArgument::Type(inner) => Some(inner),
                    _ => None,
                });
                return Self::of(inner?);
            }
            _ => return None,
        })
    }
}

/// Whether a type is an `Option`.
pub(crate) fn is_option(type_: &Type) -> bool {
    matches!(type_, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"))
}
