//! PodTemplates (`pkg/registry/core/podtemplate`).

use crate::at::At;
use crate::cells;
use crate::kinds::pod::check_template;
use crate::kinds::ruled::Ruled;
use crate::kinds::workload;

/// PodTemplates.
pub const POD_TEMPLATE: Ruled = Ruled::printed(cells::pod_template)
    .filled(|object| workload::fill_template(object, &["template"]))
    .checked(|object, checks| {
        let at = At::of(object, "template");
        let template = workload::template(&at, checks);
        check_template(&at.path, &template, checks);
    });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, created};

    #[test]
    fn a_template_is_filled_and_checked() {
        let yaml = "{metadata: {name: t}, template: {spec: {containers: [{name: c, image: i}]}}}";
        assert_eq!(created(&POD_TEMPLATE, yaml).str_at(&["template", "spec", "dnsPolicy"]), "ClusterFirst");
        let found = create_errors(&POD_TEMPLATE, &yaml.replace(", image: i", ""));
        assert_eq!(found, ["template.spec.containers[0].image: Required value"]);
    }
}
