//! Kinds that are stored and printed, and otherwise left as they are written.

use serde_json::{Value, json};

use crate::cells;
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

type Cell = fn(&str, &Object, i64) -> Value;

/// A kind whose own behaviour is how it is printed, and what it is filled with.
#[derive(Clone, Copy, Debug)]
pub struct Printed {
    fill: fn(&mut Object),
    cell: Cell,
}

impl Printed {
    const fn new(cell: Cell) -> Self {
        Self { fill: |_| {}, cell }
    }

    const fn filled(self, fill: fn(&mut Object)) -> Self {
        Self { fill, ..self }
    }
}

impl Strategy for Printed {
    fn admit(&self, operation: Operation<'_>, object: &mut Object) -> Admission {
        if let Operation::Create = operation {
            object.remove(&["status"]);
        }
        if !matches!(operation, Operation::UpdateStatus { .. }) {
            (self.fill)(object);
        }
        Admission::default()
    }

    fn cell(&self, name: &str, object: &Object, now: i64) -> Value {
        (self.cell)(name, object, now)
    }
}

/// Sets a field that is absent.
pub(crate) fn default(object: &mut Object, path: &[&str], value: impl Into<Value>) {
    if object.at(path).is_none_or(Value::is_null) {
        object.set(path, value);
    }
}

/// PodTemplates.
pub const POD_TEMPLATE: Printed = Printed::new(cells::pod_template);
/// ControllerRevisions.
pub const CONTROLLER_REVISION: Printed = Printed::new(cells::controller_revision);
/// ResourceQuotas.
pub const RESOURCE_QUOTA: Printed = Printed::new(cells::resource_quota);
/// PersistentVolumes.
pub const PERSISTENT_VOLUME: Printed = Printed::new(cells::volume).filled(|volume| {
    default(volume, &["spec", "persistentVolumeReclaimPolicy"], "Retain");
    default(volume, &["spec", "volumeMode"], "Filesystem");
    default(volume, &["status", "phase"], "Pending");
});
/// PersistentVolumeClaims.
pub const PERSISTENT_VOLUME_CLAIM: Printed = Printed::new(cells::claim).filled(|claim| {
    default(claim, &["spec", "volumeMode"], "Filesystem");
    default(claim, &["status", "phase"], "Pending");
});
/// HorizontalPodAutoscalers.
pub const HORIZONTAL_POD_AUTOSCALER: Printed = Printed::new(cells::autoscaler).filled(|autoscaler| {
    default(autoscaler, &["spec", "minReplicas"], 1);
    let processor = json!({"type": "Resource", "resource": {"name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 80}}});
    default(autoscaler, &["spec", "metrics"], vec![processor]);
    if autoscaler.at(&["spec", "behavior"]).is_some_and(Value::is_object) {
        let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
        let pods = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
        default(autoscaler, &["spec", "behavior", "scaleUp", "stabilizationWindowSeconds"], 0);
        for (direction, policies) in [("scaleUp", vec![pods, percent.clone()]), ("scaleDown", vec![percent])] {
            default(autoscaler, &["spec", "behavior", direction, "selectPolicy"], "Max");
            default(autoscaler, &["spec", "behavior", direction, "policies"], policies);
        }
    }
});
/// PodDisruptionBudgets.
pub const POD_DISRUPTION_BUDGET: Printed = Printed::new(cells::disruption_budget);
/// Ingresses.
pub const INGRESS: Printed = Printed::new(cells::ingress);
/// IngressClasses.
pub const INGRESS_CLASS: Printed = Printed::new(cells::ingress_class);
/// NetworkPolicies.
pub const NETWORK_POLICY: Printed = Printed::new(cells::network_policy).filled(|policy| {
    let has_egress = policy.at(&["spec", "egress"]).and_then(Value::as_array).is_some_and(|rules| !rules.is_empty());
    let types = if has_egress { &["Ingress", "Egress"][..] } else { &["Ingress"] };
    default(policy, &["spec", "policyTypes"], types);
});
/// IPAddresses.
pub const IP_ADDRESS: Printed = Printed::new(cells::ip_address);
/// ServiceCIDRs.
pub const SERVICE_CIDR: Printed = Printed::new(cells::service_cidr);
/// StorageClasses.
pub const STORAGE_CLASS: Printed = Printed::new(cells::storage_class).filled(|class| {
    default(class, &["reclaimPolicy"], "Delete");
    default(class, &["volumeBindingMode"], "Immediate");
});
/// VolumeAttachments.
pub const VOLUME_ATTACHMENT: Printed = Printed::new(cells::attachment);
/// CSIDrivers.
pub const CSI_DRIVER: Printed = Printed::new(cells::csi_driver).filled(|driver| {
    default(driver, &["spec", "attachRequired"], true);
    default(driver, &["spec", "podInfoOnMount"], false);
    default(driver, &["spec", "storageCapacity"], false);
    default(driver, &["spec", "requiresRepublish"], false);
    default(driver, &["spec", "seLinuxMount"], false);
    default(driver, &["spec", "fsGroupPolicy"], "ReadWriteOnceWithFSType");
    default(driver, &["spec", "volumeLifecycleModes"], &["Persistent"][..]);
});
/// CSINodes.
pub const CSI_NODE: Printed = Printed::new(cells::csi_node);
/// PriorityClasses.
pub const PRIORITY_CLASS: Printed =
    Printed::new(cells::priority_class).filled(|class| default(class, &["preemptionPolicy"], "PreemptLowerPriority"));
/// FlowSchemas.
pub const FLOW_SCHEMA: Printed =
    Printed::new(cells::flow_schema).filled(|schema| default(schema, &["spec", "matchingPrecedence"], 1000));
/// PriorityLevelConfigurations.
pub const PRIORITY_LEVEL_CONFIGURATION: Printed = Printed::new(cells::priority_level);
/// ResourceClaims.
pub const RESOURCE_CLAIM: Printed = Printed::new(cells::resource_claim);
/// ResourceSlices.
pub const RESOURCE_SLICE: Printed = Printed::new(cells::resource_slice);
