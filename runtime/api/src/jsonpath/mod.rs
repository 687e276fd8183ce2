//! JSONPath in the dialect of Kubernetes: printer columns and `-o jsonpath`.
//!
//! The dialect is client-go's `util/jsonpath`
//! (<https://kubernetes.io/docs/reference/kubectl/jsonpath/>): fields, `\.` escapes, quoted keys,
//! indices, slices, unions, wildcards, recursive descent, filters, `range` and `end`. `$` and `@`
//! both stand for the current object, as there.

mod eval;
mod parse;

use serde_json::Value;

/// Why a template cannot be parsed or applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonPathError {
    /// The template is malformed.
    #[error("error parsing jsonpath {template}, {message} at column {column}")]
    Syntax {
        /// The whole template.
        template: String,
        /// What is wrong.
        message: String,
        /// Where, in characters, from 1.
        column: usize,
    },
    /// A list is shorter than an index says.
    #[error("array index out of bounds: index {index}, length {length}")]
    OutOfBounds {
        /// The index.
        index: i64,
        /// How many items there are.
        length: usize,
    },
    /// An index stands on what is no list.
    #[error("{0} is not array or slice")]
    NotAList(String),
}

/// A parsed template, or a single path.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath(Vec<Node>);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    Path(Vec<Step>),
    Range(Vec<Step>, Vec<Node>),
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Wildcard,
    /// The value and everything below it.
    Recursive,
    Index(i64),
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: i64,
    },
    Union(Vec<Vec<Step>>),
    Filter(Box<Filter>),
}

#[derive(Clone, Debug, PartialEq)]
struct Filter {
    left: Operand,
    test: Option<(Comparison, Operand)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Path(Vec<Step>),
    Literal(Value),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl JsonPath {
    /// Parses a template: text, with paths in braces, as `-o jsonpath` takes it.
    ///
    /// # Errors
    /// When the template is malformed.
    pub fn template(text: &str) -> Result<Self, JsonPathError> {
        parse::template(text).map(Self)
    }

    /// Parses a single path, with or without braces and the dot in front: `{.spec.replicas}`,
    /// `.spec.replicas` and `spec.replicas` are the same. What printer columns carry.
    ///
    /// # Errors
    /// When the path is malformed.
    pub fn path(text: &str) -> Result<Self, JsonPathError> {
        let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
        let dot = if inner.starts_with(['.', '[', '$', '@']) { "" } else { "." };
        Self::template(&format!("{{{dot}{inner}}}"))
    }

    /// The values that the template's paths select. A field that is not there selects nothing.
    ///
    /// # Errors
    /// When a list is too short for an index, or an index stands on what is no list.
    pub fn find<'a>(&self, root: &'a Value) -> Result<Vec<&'a Value>, JsonPathError> {
        let mut found = Vec::new();
        eval::visit(&self.0, root, &mut |piece| {
            if let eval::Piece::Values(values) = piece {
                found.extend(values);
            }
        })?;
        Ok(found)
    }

    /// The template with what its paths select in place of them: several values with a space
    /// between, strings bare, lists and maps as JSON.
    ///
    /// # Errors
    /// As [`JsonPath::find`].
    pub fn render(&self, root: &Value) -> Result<String, JsonPathError> {
        let mut text = String::new();
        eval::visit(&self.0, root, &mut |piece| match piece {
            eval::Piece::Text(literal) => text.push_str(literal),
            eval::Piece::Values(values) => {
                text.push_str(&values.into_iter().map(printed).collect::<Vec<_>>().join(" "));
            }
        })?;
        Ok(text)
    }
}

/// A value as `-o jsonpath` prints it.
pub(crate) fn printed(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(template: &str, expected: &str) {
        let root = json!({
            "kind": "List",
            "n": 3,
            "items": [
                {"metadata": {"name": "a", "labels": {"app.kubernetes.io/name": "x"}}, "status": {"ready": true, "n": 1}},
                {"metadata": {"name": "b", "labels": {}}, "status": {"ready": false, "n": 2.5}},
                {"metadata": {"name": "c"}, "status": {"capacity": {"cpu": "4"}, "n": 7}},
            ],
            "users": [{"name": "myself"}, {"name": "e2e", "user": {"username": "admin"}}],
        });
        let rendered = JsonPath::template(template).and_then(|path| path.render(&root));
        assert_eq!(rendered.unwrap_or_else(|error| error.to_string()), expected, "{template}");
    }

    #[test]
    fn the_examples_of_kubectl_s_reference() {
        check("{.kind}", "List");
        check("{['kind']}", "List");
        check("kind is {$.kind}\\n", "kind is List\\n");
        check("{..name}", "a b c myself e2e");
        check("{.items[*].metadata.name}", "a b c");
        check("{.users[0].name}", "myself");
        check("{.items[*]['metadata.name', 'status.capacity']}", r#"a b c {"cpu":"4"}"#);
        check(r#"{.users[?(@.name=="e2e")].user.username}"#, "admin");
        check(r#"{range .items[*]}[{.metadata.name}, {.status.capacity}] {end}"#, r#"[a, ] [b, ] [c, {"cpu":"4"}] "#);
        check(r#"{range .items[*]}{.metadata.name}{"\t"}{end}"#, "a\tb\tc\t");
        check(r"{.items[0].metadata.labels.app\.kubernetes\.io/name}", "x");
    }

    #[test]
    fn indices_slices_and_unions() {
        check("{.items[-1].metadata.name}", "c");
        check("{.items[0:2].metadata.name}", "a b");
        check("{.items[::2].metadata.name}", "a c");
        check("{.items[-2:].metadata.name}", "b c");
        check("{.items[0,2].metadata.name}", "a c");
        check("{.items[7]}", "array index out of bounds: index 7, length 3");
        check("{.kind[0]}", "\"List\" is not array or slice");
        check("{.users.*.name}", "myself e2e");
    }

    #[test]
    fn filters_compare_numbers_booleans_paths_and_presence() {
        check("{.items[?(@.status.ready==true)].metadata.name}", "a");
        check("{.items[?(@.status.n>2)].metadata.name}", "b c");
        check("{.items[?(@.status.n <= 2.5)].metadata.name}", "a b");
        check("{.items[?(@.status.capacity)].metadata.name}", "c");
        check("{.items[?(@.metadata.name!='a')].metadata.name}", "b c");
        check("{.items[?(@.status.n==@.status.n)].metadata.name}", "a b c");
        check("{.items[?(@.metadata.name=='it\\'s')].metadata.name}", "");
    }

    #[test]
    fn a_missing_field_is_nothing_and_a_range_may_nest() {
        check("<{.nothing.here}>", "<>");
        check("{range .items[*]}{range .metadata.labels.*}{@}{end};{end}", "x;;;");
        check("{.n}", "3");
    }

    #[test]
    fn a_path_needs_neither_braces_nor_dot() {
        let root = json!({"a": {"b": [1, 2]}});
        for path in ["{.a.b[1]}", ".a.b[1]", "a.b[1]", "{a.b[1]}", "$.a.b[1]"] {
            assert_eq!(JsonPath::path(path).unwrap().find(&root), Ok(vec![&json!(2)]), "{path}");
        }
    }

    #[test]
    fn mistakes_are_named_with_their_column() {
        let check = |template: &str, expected: &str| {
            let error = JsonPath::template(template).unwrap_err().to_string();
            assert_eq!(error, format!("error parsing jsonpath {template}, {expected}"));
        };
        check("{.a", "unclosed action, expected } at column 4");
        check("{.a[}", "expected an index, a quoted name, *, a slice or ?( at column 5");
        check("{.a[0}", "expected ] at column 6");
        check("{end}", "not in range, nothing to end at column 5");
        check("{range .a[*]}x", "unterminated range, expected {end} at column 15");
        check("{.a[?(@.x=~'y')]}", "expected a value at column 11");
        check("{\"x}", "unterminated quoted string at column 5");
        check("{.a..}", "expected a field name after .. at column 6");
        check("{.a[::0]}", "slice step must be positive at column 8");
    }
}
