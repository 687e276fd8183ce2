//! Tells whether the priority level that a FlowSchema names is there
//! (`k8s.io/apiserver/pkg/util/flowcontrol`).

use std::sync::Arc;

use k8s_openapi::api::flowcontrol::v1::{
    FlowSchema, FlowSchemaCondition, FlowSchemaStatus, PriorityLevelConfiguration,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use trimtab_api::ObjectRef;
use trimtab_reconcile::{Context, Next, Result, Setup, controller};

const DANGLING: &str = "Dangling";

/// Keeps the condition `Dangling` of FlowSchemas.
#[derive(Debug, Default)]
pub struct FlowSchemaStatusController;

#[controller(for = FlowSchema, name = "flowschema-status", crate = "trimtab_reconcile")]
impl FlowSchemaStatusController {
    fn setup(&self, setup: &mut Setup<'_, Self>) {
        let schemas = setup.manager().cache::<FlowSchema>();
        setup.watches::<PriorityLevelConfiguration>(move |level| {
            let names = |schema: &&Arc<FlowSchema>| level.metadata.name.as_deref() == Some(level_of(schema));
            schemas.list().iter().filter(names).map(|schema| ObjectRef::of(&**schema)).collect()
        });
    }

    async fn reconcile(&self, schema: &FlowSchema, cx: &Context<FlowSchema>) -> Result<Next> {
        let level = level_of(schema);
        let is_there = cx.cache::<PriorityLevelConfiguration>().get(&ObjectRef::new("", level)).is_some();
        let (status, reason, text) = if is_there {
            ("False", "Found", "and it exists")
        } else {
            ("True", "NotFound", "but there is no such object")
        };
        let message =
            format!("This FlowSchema references the PriorityLevelConfiguration object named {level:?} {text}");
        let mut conditions = schema.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
        let old = conditions.iter().position(|condition| condition.type_.as_deref() == Some(DANGLING));
        let old = old.map(|at| conditions.remove(at));
        let is_told = |old: &FlowSchemaCondition| {
            (old.status.as_deref(), old.message.as_deref()) == (Some(status), Some(message.as_str()))
        };
        if old.as_ref().is_some_and(is_told) {
            return Ok(Next::on_change());
        }
        let since = old.filter(|old| old.status.as_deref() == Some(status)).and_then(|old| old.last_transition_time);
        conditions.push(FlowSchemaCondition {
            type_: Some(DANGLING.to_owned()),
            status: Some(status.to_owned()),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_transition_time: since.or_else(|| Some(Time(cx.env().now()))),
        });
        let status = Some(FlowSchemaStatus { conditions: Some(conditions) });
        cx.replace_status(&FlowSchema { status, ..schema.clone() }).await?;
        Ok(Next::on_change())
    }
}

fn level_of(schema: &FlowSchema) -> &str {
    schema.spec.as_ref().map(|spec| spec.priority_level_configuration.name.as_str()).unwrap_or_default()
}
