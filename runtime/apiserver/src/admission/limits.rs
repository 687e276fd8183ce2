//! LimitRanges: containers get what they do not say, and what asks for too little or too much is refused
//! (`plugin/pkg/admission/limitranger`).

use k8s_openapi::api::core::v1::LimitRange;
use trimtab_api::{ApiError, Object, limits};

use super::{Attributes, Fill, Verb, namespace};
use crate::server::ApiServer;

/// What is limited, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Limited {
    Pod,
    Claim,
}

impl Limited {
    /// A pod's resources change by way of its resize alone.
    fn by(write: &Attributes<'_>) -> Option<Self> {
        let (kind, part) = (&write.call.kind, write.call.path.subresource);
        let is_new = write.verb == Verb::Create && part.is_empty();
        let is_changed = write.verb == Verb::Update;
        match (&*kind.group, &*kind.plural) {
            ("", "pods") if is_new || (is_changed && part == "resize") => Some(Self::Pod),
            ("", "persistentvolumeclaims") if is_new || (is_changed && part.is_empty()) => Some(Self::Claim),
            _ => None,
        }
    }
}

/// Gives a new pod's containers what the namespace's ranges say, if there are any, and its defaults before. Answers
/// whether there are.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn admit(
    server: &ApiServer,
    write: &Attributes<'_>,
    object: &mut Object,
    complete: Fill<'_>,
) -> Result<bool, ApiError> {
    if Limited::by(write) != Some(Limited::Pod) {
        return Ok(false);
    }
    let ranges = namespace::ranges(server, write).await?;
    if ranges.is_empty() {
        return Ok(false);
    }
    // A container that has a limit asks for as much by itself.
    complete(object);
    let Ok(mut pod) = object.to_typed() else { return Ok(true) };
    ranges.iter().for_each(|range| limits::fill(&mut pod, range));
    let filled = Object::from_typed(&pod).map_err(ApiError::internal)?;
    for field in ["spec", "metadata"] {
        object.0.extend(filled.0.get(field).map(|value| (field.to_owned(), value.clone())));
    }
    Ok(true)
}

/// # Errors
/// 403 when the object asks for less or for more than it may.
pub(super) async fn check(server: &ApiServer, write: &Attributes<'_>, object: Option<&Object>) -> Result<(), ApiError> {
    let (Some(limited), Some(object)) = (Limited::by(write), object) else { return Ok(()) };
    let ranges = namespace::ranges(server, write).await?;
    if ranges.is_empty() {
        return Ok(());
    }
    let errors = match limited {
        Limited::Pod => object.to_typed().map(|pod| each(ranges, |range| limits::check_pod(&pod, range))),
        Limited::Claim => object.to_typed().map(|claim| each(ranges, |range| limits::check_claim(&claim, range))),
    };
    let errors = errors.unwrap_or_default();
    let why = match errors.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    Err(ApiError::forbidden(&write.call.kind, write.name, why))
}

fn each(ranges: &[LimitRange], check: impl Fn(&LimitRange) -> Vec<String>) -> Vec<String> {
    ranges.iter().flat_map(check).collect()
}
