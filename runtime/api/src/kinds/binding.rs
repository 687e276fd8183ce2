//! Bindings of a pod to a node: never stored; what one does to its pod is [`super::pod::bind`].

use k8s_openapi::api::core::v1::Binding as Typed;

use crate::field::{Error, Path};
use crate::kinds::typed;
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

/// Bindings of a pod to a node.
#[derive(Clone, Copy, Debug, Default)]
pub struct Binding;

impl Strategy for Binding {
    fn admit(&self, _: Operation<'_>, object: &mut Object) -> Admission {
        typed(object, |binding: &mut Typed, checks| {
            let path = Path::new("target");
            let kind = binding.target.kind.as_deref().unwrap_or_default();
            if !matches!(kind, "" | "Node") {
                checks.push(Error::not_supported(&path.child("kind"), kind, &["Node", "<empty>"]));
            }
            if binding.target.name.as_deref().unwrap_or_default().is_empty() {
                checks.required(&path.child("name"));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::create_errors;

    #[test]
    fn a_binding_names_a_node() {
        for (target, expected) in [
            ("{kind: Node, name: n}", vec![]),
            ("{name: ''}", vec!["target.name: Required value"]),
            (
                "{kind: Rack, name: n}",
                vec!["target.kind: Unsupported value: \"Rack\": supported values: \"Node\", \"<empty>\""],
            ),
        ] {
            let yaml = format!("{{metadata: {{name: p, namespace: d}}, target: {target}}}");
            assert_eq!(create_errors(&Binding, &yaml), expected, "{target}");
        }
    }
}
