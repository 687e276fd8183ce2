//! Whether a write concerns a webhook.

use std::sync::Arc;

use k8s_openapi::api::admissionregistration::v1::RuleWithOperations;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use trimtab_api::{Kind, Object, Selector};

use super::webhook::Webhook;
use super::{Attributes, version};
use crate::server::ApiServer;

/// As which version of its kind the write concerns the webhook; `None` when it does not.
pub(super) fn concerns(
    server: &ApiServer,
    hook: &Webhook,
    write: &Attributes<'_>,
    object: Option<&Object>,
    namespace: Option<&Object>,
) -> Option<Arc<Kind>> {
    let selected = namespace.is_none_or(|namespace| selects(hook.namespace_selector.as_ref(), namespace))
        && [object, write.old].into_iter().flatten().any(|object| selects(hook.object_selector.as_ref(), object));
    let rules = hook.rules.as_deref().unwrap_or_default();
    let equivalent = hook.match_policy.as_deref() == Some("Equivalent");
    let version = || version::matched(server, write, rules, equivalent, |rule, kind| matches(rule, write, kind));
    if selected { version() } else { None }
}

pub(super) fn selects(selector: Option<&LabelSelector>, object: &Object) -> bool {
    let Some(Ok(selector)) = selector.map(Selector::try_from) else { return true };
    selector.matches(|key| object.labels().find(|(have, _)| *have == key).map(|(_, value)| value))
}

/// Whether a rule names the write, were it made in the version `kind`.
pub(super) fn matches(rule: &RuleWithOperations, write: &Attributes<'_>, kind: &Kind) -> bool {
    let path = &write.call.path;
    let among =
        |list: &Option<Vec<String>>, wanted: &str| list.iter().flatten().any(|item| item == "*" || item == wanted);
    let scope = match rule.scope.as_deref() {
        Some("Namespaced") => kind.namespaced(),
        Some("Cluster") => !kind.namespaced(),
        _ => true,
    };
    scope
        && among(&rule.operations, write.verb.name())
        && among(&rule.api_groups, &kind.group)
        && among(&rule.api_versions, &kind.version)
        && rule.resources.iter().flatten().any(|resource| names(resource, &kind.plural, path.subresource))
}

/// Whether a rule's `resource`, such as `pods`, `pods/*` or `*/scale`, names this one. `*` is all
/// resources, but no subresource.
fn names(resource: &str, plural: &str, subresource: &str) -> bool {
    let (main, sub) = resource.split_once('/').unwrap_or((resource, ""));
    (main == "*" || main == plural) && (sub == "*" || sub == subresource)
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn resources_and_subresources_are_told_apart() {
        for (resource, main, status) in [
            ("pods", true, false),
            ("*", true, false),
            ("pods/status", false, true),
            ("pods/*", true, true),
            ("*/*", true, true),
            ("*/status", false, true),
            ("services", false, false),
            ("services/*", false, false),
        ] {
            assert_eq!((names(resource, "pods", ""), names(resource, "pods", "status")), (main, status), "{resource}");
        }
    }
}
