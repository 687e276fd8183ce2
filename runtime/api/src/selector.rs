//! Label and field selectors
//! (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>).

mod parse;

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

/// What one label must be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    /// As a number, larger than this.
    Above(String, i64),
    Below(String, i64),
}

/// A label selector: all its requirements must hold. The empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

/// The text of a `LabelSelector` (or of a plain map), as `metav1.FormatLabelSelector` writes it: `a=b,c in (d,e),!f`.
pub fn label_selector_text(selector: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let is_structured = ["matchLabels", "matchExpressions"]
        .iter()
        .any(|field| selector[field].is_object() || selector[field].is_array());
    let pairs = if is_structured { &selector["matchLabels"] } else { selector };
    let pairs = pairs.as_object().into_iter().flatten().map(|(key, value)| format!("{key}={}", text(value)));
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten().map(|expression| {
        let key = text(&expression["key"]);
        let values: Vec<_> = expression["values"].as_array().into_iter().flatten().map(text).collect();
        match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({})", values.join(",")),
            Some("NotIn") => format!("{key} notin ({})", values.join(",")),
            Some("Exists") => key,
            _ => format!("!{key}"),
        }
    });
    pairs.chain(expressions).collect::<Vec<_>>().join(",")
}

/// A selector's text, or a `LabelSelector`, that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(String);

impl Selector {
    /// Reads `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a>1`, `a<1`, `a`, `!a`, joined by commas.
    ///
    /// # Errors
    /// When the text is none of these.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse::requirements(text).map(Self)
    }

    /// All the pairs of a map, as a ReplicationController's or Service's selector.
    pub fn from_map<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        Self(pairs.into_iter().map(|(key, value)| Requirement::In(key.clone(), vec![value.clone()])).collect())
    }

    /// Whether `labels` are selected.
    pub fn matches<'a>(&self, labels: impl Fn(&str) -> Option<&'a str>) -> bool {
        let number = |key: &str| labels(key)?.parse::<i64>().ok();
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => labels(key).is_some_and(|value| values.iter().any(|v| v == value)),
            Requirement::NotIn(key, values) => labels(key).is_none_or(|value| values.iter().all(|v| v != value)),
            Requirement::Exists(key) => labels(key).is_some(),
            Requirement::Absent(key) => labels(key).is_none(),
            Requirement::Above(key, bound) => number(key).is_some_and(|number| number > *bound),
            Requirement::Below(key, bound) => number(key).is_some_and(|number| number < *bound),
        })
    }

    /// Whether the labels of typed metadata are selected.
    pub fn matches_map(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        self.matches(|key| labels?.get(key).map(String::as_str))
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<&LabelSelector> for Selector {
    type Error = ParseError;

    fn try_from(selector: &LabelSelector) -> Result<Self, ParseError> {
        let mut all = Self::from_map(selector.match_labels.iter().flatten());
        for expression in selector.match_expressions.iter().flatten() {
            let (key, values) = (expression.key.clone(), expression.values.clone().unwrap_or_default());
            all.0.push(match expression.operator.as_str() {
                "In" => Requirement::In(key, values),
                "NotIn" => Requirement::NotIn(key, values),
                "Exists" => Requirement::Exists(key),
                "DoesNotExist" => Requirement::Absent(key),
                other => return Err(ParseError(format!("{other:?} is not a valid label selector operator"))),
            });
        }
        Ok(all)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match requirement {
                Requirement::In(key, values) if values.len() == 1 => write!(f, "{key}={}", values[0])?,
                Requirement::NotIn(key, values) if values.len() == 1 => write!(f, "{key}!={}", values[0])?,
                Requirement::In(key, values) => write!(f, "{key} in ({})", values.join(","))?,
                Requirement::NotIn(key, values) => write!(f, "{key} notin ({})", values.join(","))?,
                Requirement::Exists(key) => f.write_str(key)?,
                Requirement::Absent(key) => write!(f, "!{key}")?,
                Requirement::Above(key, bound) => write!(f, "{key}>{bound}")?,
                Requirement::Below(key, bound) => write!(f, "{key}<{bound}")?,
            }
        }
        Ok(())
    }
}

/// A field selector: `metadata.name=a,spec.nodeName!=b`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<(String, bool, String)>);

impl FieldSelector {
    /// Reads `field=value`, `field==value` and `field!=value`, joined by commas.
    ///
    /// # Errors
    /// When the text is none of these.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut requirements = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let requirement = if let Some((field, value)) = part.split_once("!=") {
                (field.to_owned(), false, value.to_owned())
            } else if let Some((field, value)) = part.split_once('=') {
                (field.to_owned(), true, value.strip_prefix('=').unwrap_or(value).to_owned())
            } else {
                return Err(ParseError(format!("invalid selector: '{text}'; can't understand '{part}'")));
            };
            requirements.push(requirement);
        }
        Ok(Self(requirements))
    }

    /// The fields that are named.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(field, _, _)| field.as_str())
    }

    /// The value that `field` must have, if it must have one.
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(name, equal, _)| name == field && *equal).map(|(_, _, value)| value.as_str())
    }

    /// Whether an object is selected whose fields `value` gives (`""` for an absent one).
    pub fn matches<'a>(&self, value: impl Fn(&str) -> &'a str) -> bool {
        self.0.iter().all(|(field, equal, wanted)| (value(field) == wanted) == *equal)
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_selectors_read_match_and_print() {
        let check = |text: &str, labels: &[(&str, &str)], expected: bool| {
            let selector = Selector::parse(text).unwrap();
            let found = selector.matches(|key| labels.iter().find(|(k, _)| *k == key).map(|(_, v)| *v));
            assert_eq!(found, expected, "{text} on {labels:?}");
            assert_eq!(Selector::parse(&selector.to_string()).unwrap(), selector);
        };
        let labels = &[("app", "web"), ("tier", "front")];
        check("", labels, true);
        check("app=web,tier==front", labels, true);
        check("app!=web", labels, false);
        check("missing!=x", labels, true);
        check("app in (web, db),!gone", labels, true);
        check("app notin (web,db)", labels, false);
        check("tier", labels, true);
        check("!tier", labels, false);
        let labels = &[("size", "7")];
        check("size>6,size<8", labels, true);
        check("size>7", labels, false);
        check("other<7", labels, false);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["a b", "a in b", "=x", "a in (b", "a=b c", "!"] {
            assert!(Selector::parse(text).is_err(), "{text}");
        }
        assert!(FieldSelector::parse("metadata.name").is_err());
    }

    #[test]
    fn field_selectors_match() {
        let selector = FieldSelector::parse("metadata.name=a,spec.nodeName!=b").unwrap();
        assert!(selector.matches(|field| if field == "metadata.name" { "a" } else { "" }));
        assert!(!selector.matches(|field| if field == "metadata.name" { "a" } else { "b" }));
        assert_eq!(selector.exact("metadata.name"), Some("a"));
        assert_eq!(selector.exact("spec.nodeName"), None);
    }
}
