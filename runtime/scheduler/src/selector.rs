//! Which nodes a node selector selects.

use k8s_openapi::api::core::v1::{NodeSelector, NodeSelectorRequirement, NodeSelectorTerm};

use crate::node_info::Facts;

/// Whether one of the terms selects the node.
pub(crate) fn selects(selector: &NodeSelector, name: &str, facts: &Facts) -> bool {
    selector.node_selector_terms.iter().any(|term| term_selects(term, name, facts))
}

/// Whether all of a term holds for the node. An empty term selects nothing.
pub(crate) fn term_selects(term: &NodeSelectorTerm, name: &str, facts: &Facts) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let label = |key: &str| facts.labels.get(key).map(String::as_str);
    // `metadata.name` is the one field that the API lets in.
    (!expressions.is_empty() || !fields.is_empty())
        && expressions.iter().all(|requirement| holds(requirement, label(&requirement.key)))
        && fields.iter().all(|requirement| holds(requirement, Some(name)))
}

fn holds(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let listed = |value: &str| values.iter().any(|listed| listed == value);
    let number = |text: &str| text.parse::<i64>().ok();
    let limit = values.first().and_then(|text| number(text));
    match requirement.operator.as_str() {
        "In" => value.is_some_and(listed),
        "NotIn" => value.is_none_or(|value| !listed(value)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => value.and_then(number).zip(limit).is_some_and(|(value, limit)| value > limit),
        "Lt" => value.and_then(number).zip(limit).is_some_and(|(value, limit)| value < limit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_hold_or_not() {
        let facts = Facts {
            labels: [("zone", "a"), ("cores", "8")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            ..Facts::default()
        };
        for (key, operator, values, expected) in [
            ("zone", "In", vec!["a", "b"], true),
            ("zone", "NotIn", vec!["a"], false),
            ("rack", "NotIn", vec!["a"], true),
            ("rack", "Exists", vec![], false),
            ("rack", "DoesNotExist", vec![], true),
            ("cores", "Gt", vec!["4"], true),
            ("cores", "Lt", vec!["8"], false),
            ("zone", "Gt", vec!["1"], false),
        ] {
            let requirement = NodeSelectorRequirement {
                key: key.to_owned(),
                operator: operator.to_owned(),
                values: Some(values.into_iter().map(str::to_owned).collect()),
            };
            let term = NodeSelectorTerm { match_expressions: Some(vec![requirement]), match_fields: None };
            assert_eq!(term_selects(&term, "n", &facts), expected, "{key} {operator}");
        }
        assert!(!term_selects(&NodeSelectorTerm::default(), "n", &facts), "an empty term selects nothing");
    }
}
