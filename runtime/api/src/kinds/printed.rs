//! Kinds that are stored and printed, and otherwise left as they are written.

use crate::cells;
use crate::kinds::ruled::{Ruled, default};

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
/// FlowSchemas.
pub const FLOW_SCHEMA: Ruled =
    Ruled::printed(cells::flow_schema).filled(|schema| default(schema, &["spec", "matchingPrecedence"], 1000));
/// PriorityLevelConfigurations.
pub const PRIORITY_LEVEL_CONFIGURATION: Ruled = Ruled::printed(cells::priority_level);
/// ResourceClaims.
pub const RESOURCE_CLAIM: Ruled = Ruled::printed(cells::resource_claim);
/// ResourceSlices.
pub const RESOURCE_SLICE: Ruled = Ruled::printed(cells::resource_slice);
