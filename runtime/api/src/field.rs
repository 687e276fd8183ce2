//! Field paths and field errors, in upstream's words (`k8s.io/apimachinery/pkg/util/validation/field`).

use std::fmt;

/// Where in an object a value stands: `spec.containers[0].name`, `metadata.labels[app]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Option<String>);

impl Default for Path {
    fn default() -> Self {
        Self::new(String::new())
    }
}

impl Path {
    /// The path of a top-level field, or of several joined by dots.
    pub fn new(root: impl Into<String>) -> Self {
        Self(Some(root.into()))
    }

    /// A path that says nothing, as do those below it, and costs nothing: for whoever first wants to know whether
    /// there is anything to be told.
    pub(crate) fn unnamed() -> Self {
        Self(None)
    }

    /// The field `name` of what stands here.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        // Paths are made for every field that is checked, so this is not `format!`.
        Self(self.0.as_ref().map(|own| {
            let mut path = String::with_capacity(own.len() + 1 + name.len());
            path.push_str(own);
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(name);
            path
        }))
    }

    /// The item at `index` of the list that stands here.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(self.0.as_ref().map(|own| format!("{own}[{index}]")))
    }

    /// The value under `key` of the map that stands here.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self(self.0.as_ref().map(|own| format!("{own}[{key}]")))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().filter(|path| !path.is_empty()).unwrap_or("<nil>"))
    }
}

/// What is wrong with a field. `reason` is what a `StatusCause` carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    /// A value that must be there is not.
    Required,
    /// A value does not fit the rule.
    Invalid,
    /// A value is none of those allowed.
    NotSupported,
    /// A value may not be set here.
    Forbidden,
    /// A value that must be unique is there twice.
    Duplicate,
    /// A string or list is too long.
    TooLong,
    /// A list has too many items.
    TooMany,
    /// What a value refers to does not exist.
    NotFound,
    /// A value is of the wrong type.
    TypeInvalid,
    /// The server failed to judge it.
    Internal,
}

impl ErrorType {
    /// The `reason` of the `StatusCause`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::Duplicate => "FieldValueDuplicate",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::NotFound => "FieldValueNotFound",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::Internal => "InternalError",
        }
    }
}

/// One field's error. Displays as upstream prints it: `spec.replicas: Invalid value: -1: must be …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Which field.
    pub path: Path,
    /// What is wrong with it.
    pub kind: ErrorType,
    /// The message without the path, as a `StatusCause` carries it: `Invalid value: -1: must be …`.
    pub message: String,
}

impl Error {
    fn new(kind: ErrorType, path: &Path, message: String) -> Self {
        Self { path: path.clone(), kind, message }
    }

    /// `path` must be set.
    pub fn required(path: &Path, detail: impl fmt::Display) -> Self {
        Self::new(ErrorType::Required, path, with_detail("Required value", detail))
    }

    /// `value` at `path` does not fit. Strings are quoted as upstream quotes them.
    pub fn invalid(path: &Path, value: impl serde::Serialize, detail: impl fmt::Display) -> Self {
        Self::new(ErrorType::Invalid, path, with_detail(&format!("Invalid value: {}", quoted(&value)), detail))
    }

    /// What stands at `path` does not fit together; no single value is at fault.
    pub fn invalid_whole(path: &Path, detail: impl fmt::Display) -> Self {
        Self::new(ErrorType::Invalid, path, with_detail("Invalid value", detail))
    }

    /// `value` at `path` is none of `supported`, which are listed in the order given.
    pub fn not_supported(path: &Path, value: impl serde::Serialize, supported: &[&str]) -> Self {
        let supported: Vec<_> = supported.iter().map(|s| format!("{s:?}")).collect();
        let detail =
            if supported.is_empty() { String::new() } else { format!("supported values: {}", supported.join(", ")) };
        Self::new(ErrorType::NotSupported, path, with_detail(&format!("Unsupported value: {}", quoted(&value)), detail))
    }

    /// `path` may not be set, or not be changed.
    pub fn forbidden(path: &Path, detail: impl fmt::Display) -> Self {
        Self::new(ErrorType::Forbidden, path, with_detail("Forbidden", detail))
    }

    /// `value` stands twice.
    pub fn duplicate(path: &Path, value: impl serde::Serialize) -> Self {
        Self::new(ErrorType::Duplicate, path, format!("Duplicate value: {}", quoted(&value)))
    }

    /// The value is longer than `max` bytes.
    pub fn too_long(path: &Path, max: usize) -> Self {
        Self::new(ErrorType::TooLong, path, format!("Too long: may not be more than {max} bytes"))
    }

    /// A list has `actual` items where `max` are allowed.
    pub fn too_many(path: &Path, actual: usize, max: usize) -> Self {
        let items = if max == 1 { "item" } else { "items" };
        Self::new(ErrorType::TooMany, path, format!("Too many: {actual}: must have at most {max} {items}"))
    }

    /// What `value` names does not exist.
    pub fn not_found(path: &Path, value: impl serde::Serialize) -> Self {
        Self::new(ErrorType::NotFound, path, format!("Not found: {}", quoted(&value)))
    }

    /// What stands at `path` could not be judged.
    pub fn internal(path: &Path, detail: impl fmt::Display) -> Self {
        Self::new(ErrorType::Internal, path, with_detail("Internal error", detail))
    }

    /// `value` is of the wrong type.
    pub fn type_invalid(path: &Path, value: impl serde::Serialize, detail: impl fmt::Display) -> Self {
        Self::new(ErrorType::TypeInvalid, path, with_detail(&format!("Invalid value: {}", quoted(&value)), detail))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for Error {}

fn with_detail(head: &str, detail: impl fmt::Display) -> String {
    let detail = detail.to_string();
    if detail.is_empty() { head.to_owned() } else { format!("{head}: {detail}") }
}

fn quoted(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_upstream_prints_them() {
        let path = Path::new("spec").child("containers").index(0).child("name");
        let check = |error: Error, expected: &str| assert_eq!(error.to_string(), expected);
        check(Error::required(&path, ""), "spec.containers[0].name: Required value");
        check(Error::invalid(&path, -1, "too small"), "spec.containers[0].name: Invalid value: -1: too small");
        check(
            Error::not_supported(&Path::new("p"), "x", &["b", "a"]),
            r#"p: Unsupported value: "x": supported values: "b", "a""#,
        );
        check(Error::duplicate(&Path::new("m").key("k"), "v"), r#"m[k]: Duplicate value: "v""#);
    }
}
