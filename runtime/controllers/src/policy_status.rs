//! Tells whoever writes a ValidatingAdmissionPolicy which of its expressions do not fit the kinds that it is about
//! (`pkg/controller/validatingadmissionpolicystatus`).

use std::sync::{Arc, LazyLock};

use k8s_openapi::api::admissionregistration::v1::{
    ExpressionWarning, TypeChecking, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyStatus,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;
use trimtab_api::policy::{expression_warnings, named_resources};
use trimtab_api::{Kinds, Object, crd};
use trimtab_client::{Api, ListParams};
use trimtab_reconcile::{Context, Next, Result, controller};

/// Checks the types of admission policies' expressions, once for each of a policy's generations.
#[derive(Debug, Default)]
pub struct ValidatingAdmissionPolicyStatusController;

#[controller(
    for = ValidatingAdmissionPolicy,
    name = "validatingadmissionpolicy-status",
    crate = "trimtab_reconcile"
)]
impl ValidatingAdmissionPolicyStatusController {
    async fn reconcile(
        &self,
        policy: &ValidatingAdmissionPolicy,
        cx: &Context<ValidatingAdmissionPolicy>,
    ) -> Result<Next> {
        let observed = policy.status.as_ref().and_then(|status| status.observed_generation);
        if policy.metadata.generation.unwrap_or(0) <= observed.unwrap_or(0) {
            return Ok(Next::on_change());
        }
        let spec = serde_json::to_value(&policy.spec).unwrap_or_default();
        let found = expression_warnings(&spec, &kinds(&spec, cx).await?).into_iter();
        let warnings: Vec<_> =
            found.map(|found| ExpressionWarning { field_ref: found.field_ref, warning: found.warning }).collect();
        let checked = ValidatingAdmissionPolicy {
            status: Some(ValidatingAdmissionPolicyStatus {
                observed_generation: policy.metadata.generation,
                type_checking: Some(TypeChecking { expression_warnings: Some(warnings).filter(|all| !all.is_empty()) }),
                ..policy.status.clone().unwrap_or_default()
            }),
            ..policy.clone()
        };
        cx.replace_status(&checked).await?;
        Ok(Next::on_change())
    }
}

/// The built-in kinds, and the custom ones that the policy names: they are not followed, for as upstream a policy is
/// looked at when it is written.
async fn kinds(spec: &Value, cx: &Context<ValidatingAdmissionPolicy>) -> Result<Kinds> {
    static BUILT_IN: LazyLock<Kinds> = LazyLock::new(trimtab_api::builtin);
    let mut kinds = BUILT_IN.clone();
    let definitions = Api::<CustomResourceDefinition>::all(cx.client()).read_as::<Object>();
    let named = named_resources(spec).into_iter();
    let custom = named.filter(|(group, version, plural)| BUILT_IN.by_resource(group, version, plural).is_none());
    for (group, _, plural) in custom.filter(|(group, ..)| !group.is_empty()) {
        let named = ListParams::default().fields(format!("metadata.name={plural}.{group}"));
        for definition in definitions.list(&named).await?.items {
            let stored: Arc<[u8]> = serde_json::to_vec(&definition).unwrap_or_default().into();
            kinds = kinds.with(crd::kinds(&definition, &stored, 0));
        }
    }
    Ok(kinds)
}
