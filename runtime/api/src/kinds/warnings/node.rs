//! Labels of nodes that have other names by now (`pkg/api/node`).

use super::Warnings;
use crate::at::At;

/// What is said of a node's label that is deprecated.
pub(super) fn deprecated(label: &str) -> Option<&'static str> {
    Some(match label {
        "beta.kubernetes.io/arch" => r#"deprecated since v1.14; use "kubernetes.io/arch" instead"#,
        "beta.kubernetes.io/os" => r#"deprecated since v1.14; use "kubernetes.io/os" instead"#,
        "failure-domain.beta.kubernetes.io/region" => {
            r#"deprecated since v1.17; use "topology.kubernetes.io/region" instead"#
        }
        "failure-domain.beta.kubernetes.io/zone" => {
            r#"deprecated since v1.17; use "topology.kubernetes.io/zone" instead"#
        }
        "beta.kubernetes.io/instance-type" => {
            r#"deprecated since v1.17; use "node.kubernetes.io/instance-type" instead"#
        }
        "app.kubernetes.io/created-by" => "deprecated since v1.9",
        "scheduler.alpha.kubernetes.io/preferAvoidPods" => "deprecated since v1.22; use Taints and Tolerations instead",
        "node-role.kubernetes.io/master" => r#"use "node-role.kubernetes.io/control-plane" instead"#,
        _ => return None,
    })
}

fn expressions(at: &At<'_>, warnings: &mut Warnings) {
    for key in at.get("matchExpressions").items().map(|expression| expression.get("key")) {
        if let Some(text) = deprecated(key.text()) {
            warnings.at(&key, &format!("{} is {text}", key.text()));
        }
    }
}

/// Of a term of a node selector.
pub(super) fn term(term: &At<'_>, warnings: &mut Warnings) {
    expressions(term, warnings);
}

/// Of a label selector for nodes.
pub(super) fn label_selector(selector: &At<'_>, warnings: &mut Warnings) {
    expressions(selector, warnings);
    let labels = selector.get("matchLabels");
    for (label, text) in labels.entries().filter_map(|(label, _)| Some((label, deprecated(label)?))) {
        warnings.at(&labels.get(label), text);
    }
}
