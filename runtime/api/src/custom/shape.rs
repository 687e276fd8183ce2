//! What types are in JSON, at compile time: a macro sees the name of a type, the compiler the type. So
//! `derive(Schema)` has it compare what it does not see itself.

use std::marker::PhantomData;

/// The JSON type of a Rust type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing is known of it.
    Unknown,
    /// A boolean.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A string.
    String,
    /// A whole number or a string.
    IntOrString,
    /// A list.
    List,
    /// An object.
    Map,
}

impl Shape {
    /// Whether a field may be of both.
    pub const fn agrees(self, other: Self) -> bool {
        self.with(other).is_some()
    }

    /// The one type that all are of; unknown, when there is none.
    pub const fn of_all(all: &[Self]) -> Self {
        let Some((mut joined, mut rest)) = all.split_first() else { return Self::Unknown };
        let mut found = *joined;
        while let Some((next, more)) = rest.split_first() {
            (joined, rest) = (next, more);
            found = match found.with(*joined) {
                Some(both) => both,
                None => return Self::Unknown,
            };
        }
        found
    }

    const fn with(self, other: Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Boolean, Self::Boolean) => Self::Boolean,
            (Self::Integer, Self::Integer) => Self::Integer,
            (Self::Integer | Self::Number, Self::Integer | Self::Number) => Self::Number,
            (Self::String, Self::String) => Self::String,
            (Self::Integer | Self::String | Self::IntOrString, Self::Integer | Self::String | Self::IntOrString) => {
                Self::IntOrString
            }
            (Self::List, Self::List) => Self::List,
            (Self::Map, Self::Map) => Self::Map,
            _ => return None,
        })
    }
}

/// A type of which `derive(Schema)` knows what it is in JSON.
pub trait Shaped {
    /// What it is.
    const SHAPE: Shape;
}

/// Asks what a type is: an associated constant of its own comes before one of a trait, so the answer of
/// [`ShapeUnknown`] is that of the types which are not [`Shaped`].
pub struct ShapeOf<T: ?Sized>(PhantomData<T>);

impl<T: ?Sized + Shaped> ShapeOf<T> {
    /// What the type is.
    pub const SHAPE: Shape = T::SHAPE;
}

/// The answer for the types of which nothing is known.
pub trait ShapeUnknown {
    /// It is unknown.
    const SHAPE: Shape = Shape::Unknown;
}

impl<T: ?Sized> ShapeUnknown for ShapeOf<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    struct Known;

    impl Shaped for Known {
        const SHAPE: Shape = Shape::Map;
    }

    #[test]
    fn types_are_asked_what_they_are() {
        assert_eq!([<ShapeOf<Known>>::SHAPE, <ShapeOf<u8>>::SHAPE], [Shape::Map, Shape::Unknown]);
    }

    #[test]
    fn a_field_is_of_one_type_or_a_number_or_a_string() {
        assert_eq!(Shape::of_all(&[Shape::String, Shape::Integer, Shape::String]), Shape::IntOrString);
        assert_eq!(Shape::of_all(&[Shape::Integer, Shape::Number]), Shape::Number);
        assert_eq!(Shape::of_all(&[Shape::Map, Shape::List]), Shape::Unknown);
        assert!(Shape::Map.agrees(Shape::Unknown) && !Shape::Map.agrees(Shape::String));
        assert!(!Shape::Number.agrees(Shape::String));
    }
}
