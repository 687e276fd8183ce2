//! Pod templates, as controllers hold them.

use k8s_openapi::api::core::v1::PodTemplateSpec;

use crate::check::Checks;
use crate::field::Path;

use super::{canonical_quantities, defaults, spec};

/// Fills a template as upstream does.
pub(crate) fn default_template(template: &mut PodTemplateSpec) {
    let spec = template.spec.get_or_insert_default();
    defaults::default_spec(spec);
    canonical_quantities(spec);
}

/// What is wrong with a template that has been filled.
pub(crate) fn check_template(path: &Path, template: &PodTemplateSpec, checks: &mut Checks) {
    let metadata = template.metadata.as_ref();
    checks.labels(&path.child("labels"), metadata.and_then(|meta| meta.labels.as_ref()));
    let annotations = metadata.and_then(|meta| meta.annotations.as_ref());
    checks.annotations(&path.child("annotations"), annotations);
    let Some(pod) = &template.spec else { return };
    spec::check(&path.child("spec"), pod, spec::Of::Template, checks);
    if pod.ephemeral_containers.as_ref().is_some_and(|containers| !containers.is_empty()) {
        let path = path.child("spec").child("ephemeralContainers");
        checks.forbidden(&path, "ephemeral containers not allowed in pod template");
    }
}
