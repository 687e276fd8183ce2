//! A number of pods, or a percentage of them: `2`, `"25%"` (`pkg/apis/apps/validation`).

use serde_json::Value;

use crate::at::At;
use crate::check::Checks;

const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

/// A number that is not negative, or a percentage.
pub(super) fn check(at: &At<'_>, checks: &mut Checks) {
    match at.value {
        Value::String(_) if percent(at).is_none() => at.invalid(PERCENT, checks),
        Value::Number(_) => at.non_negative(checks),
        _ => {}
    }
}

/// A percentage is not more than all of them.
pub(super) fn check_whole(at: &At<'_>, checks: &mut Checks) {
    if percent(at).is_some_and(|percent| percent > 100) {
        at.invalid("must not be greater than 100%", checks);
    }
}

/// Whether it is none, as 0 or 0%.
pub(super) fn is_none(at: &At<'_>) -> bool {
    at.int().or_else(|| percent(at)).unwrap_or(0) == 0
}

fn percent(at: &At<'_>) -> Option<i64> {
    let digits = at.text().strip_suffix('%')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // More digits than an integer has are many percent, and no fault of the form.
    is_number.then(|| digits.parse().unwrap_or(i64::MAX))
}
