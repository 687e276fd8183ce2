//! Kinds that are stored and printed, and otherwise left as they are written.

use serde_json::{Value, json};

use crate::cells;
use crate::kinds::ruled::{Ruled, default};

/// PodTemplates.
pub const POD_TEMPLATE: Ruled = Ruled::printed(cells::pod_template);
/// ResourceQuotas.
pub const RESOURCE_QUOTA: Ruled = Ruled::printed(cells::resource_quota);
/// PersistentVolumes.
pub const PERSISTENT_VOLUME: Ruled = Ruled::printed(cells::volume).filled(|volume| {
    default(volume, &["spec", "persistentVolumeReclaimPolicy"], "Retain");
    default(volume, &["spec", "volumeMode"], "Filesystem");
    default(volume, &["status", "phase"], "Pending");
});
/// HorizontalPodAutoscalers.
pub const HORIZONTAL_POD_AUTOSCALER: Ruled = Ruled::printed(cells::autoscaler).filled(|autoscaler| {
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
pub const POD_DISRUPTION_BUDGET: Ruled = Ruled::printed(cells::disruption_budget);
/// Ingresses.
pub const INGRESS: Ruled = Ruled::printed(cells::ingress);
/// IngressClasses.
pub const INGRESS_CLASS: Ruled = Ruled::printed(cells::ingress_class);
/// NetworkPolicies.
pub const NETWORK_POLICY: Ruled = Ruled::printed(cells::network_policy).filled(|policy| {
    let has_egress = policy.at(&["spec", "egress"]).and_then(Value::as_array).is_some_and(|rules| !rules.is_empty());
    let types = if has_egress { &["Ingress", "Egress"][..] } else { &["Ingress"] };
    default(policy, &["spec", "policyTypes"], types);
});
/// IPAddresses.
pub const IP_ADDRESS: Ruled = Ruled::printed(cells::ip_address);
/// ServiceCIDRs.
pub const SERVICE_CIDR: Ruled = Ruled::printed(cells::service_cidr);
/// StorageClasses.
pub const STORAGE_CLASS: Ruled = Ruled::printed(cells::storage_class).filled(|class| {
    default(class, &["reclaimPolicy"], "Delete");
    default(class, &["volumeBindingMode"], "Immediate");
});
/// VolumeAttachments.
pub const VOLUME_ATTACHMENT: Ruled = Ruled::printed(cells::attachment);
/// CSIDrivers.
pub const CSI_DRIVER: Ruled = Ruled::printed(cells::csi_driver).filled(|driver| {
    default(driver, &["spec", "attachRequired"], true);
    default(driver, &["spec", "podInfoOnMount"], false);
    default(driver, &["spec", "storageCapacity"], false);
    default(driver, &["spec", "requiresRepublish"], false);
    default(driver, &["spec", "seLinuxMount"], false);
    default(driver, &["spec", "fsGroupPolicy"], "ReadWriteOnceWithFSType");
    default(driver, &["spec", "volumeLifecycleModes"], &["Persistent"][..]);
});
/// CSINodes.
pub const CSI_NODE: Ruled = Ruled::printed(cells::csi_node);
/// PriorityClasses.
pub const PRIORITY_CLASS: Ruled =
    Ruled::printed(cells::priority_class).filled(|class| default(class, &["preemptionPolicy"], "PreemptLowerPriority"));
/// FlowSchemas.
pub const FLOW_SCHEMA: Ruled =
    Ruled::printed(cells::flow_schema).filled(|schema| default(schema, &["spec", "matchingPrecedence"], 1000));
/// PriorityLevelConfigurations.
pub const PRIORITY_LEVEL_CONFIGURATION: Ruled = Ruled::printed(cells::priority_level);
/// ResourceClaims.
pub const RESOURCE_CLAIM: Ruled = Ruled::printed(cells::resource_claim);
/// ResourceSlices.
pub const RESOURCE_SLICE: Ruled = Ruled::printed(cells::resource_slice);
