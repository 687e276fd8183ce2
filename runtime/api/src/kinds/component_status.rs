//! ComponentStatuses, which are computed when they are read.

use crate::cells;
use crate::kinds::ruled::Ruled;

/// ComponentStatuses.
pub const COMPONENT_STATUS: Ruled = Ruled::printed(cells::component_status);
