//! ControllerRevisions (`pkg/apis/apps/validation`).

use crate::at::At;
use crate::cells;
use crate::kinds::ruled::Ruled;

/// ControllerRevisions. What one holds stays.
pub const CONTROLLER_REVISION: Ruled = Ruled::printed(cells::controller_revision)
    .checked(|revision, checks| {
        let data = At::of(revision, "data");
        if !data.is_set() {
            data.required("data is mandatory", checks);
        }
        At::of(revision, "revision").non_negative(checks);
    })
    .updated(|new, old, checks| {
        At::of(new, "data").immutable(&At::of(old, "data"), checks);
    });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, update_errors};

    #[test]
    fn a_revision_stays() {
        let found = create_errors(&CONTROLLER_REVISION, "{metadata: {name: r}, revision: -1}");
        let negative = "revision: Invalid value: -1: must be greater than or equal to 0";
        assert_eq!(found, ["data: Required value: data is mandatory", negative]);
        let yaml = "{metadata: {name: r}, revision: 1, data: {a: b}}";
        let found = update_errors(&CONTROLLER_REVISION, yaml, |new| new.set(&["data", "a"], "c"));
        assert_eq!(found, ["data: Invalid value: {\"a\":\"c\"}: field is immutable"]);
        assert_eq!(update_errors(&CONTROLLER_REVISION, yaml, |new| new.set(&["revision"], 2)), [""; 0]);
    }
}
