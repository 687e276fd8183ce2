//! What a request may ask for together: a list or a watch (`meta/v1.ListOptions`;
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>), and a write
//! (`CreateOptions` and its like).

use http::Method;
use trimtab_api::ApiError;
use trimtab_api::field::{Error, Path};

use crate::handler::Call;
use crate::path::Query;

const EXACT: &str = "Exact";
const NOT_OLDER_THAN: &str = "NotOlderThan";
/// How long the name of a field manager may be, in bytes.
const MAX_MANAGER: usize = 128;
const AFTER_CONTINUE: &str = "resourceVersionMatch is forbidden when continue is provided";

/// Whether the objects that are there come first in a watch: `None` when the client does not say.
pub(crate) fn initial_events(query: &Query<'_>) -> Option<bool> {
    (!query.get("sendInitialEvents").is_empty()).then(|| query.flag("sendInitialEvents"))
}

/// The most objects that a list is to give at once; 0 for all of them. As upstream, where such a list is
/// answered from memory, whoever takes any version is given all of it at once.
///
/// # Errors
/// 400 for what is no number.
pub(crate) fn limit(query: &Query<'_>) -> Result<usize, ApiError> {
    let text = query.get("limit");
    let limit: i64 = match text {
        "" => 0,
        text => text
            .parse()
            .map_err(|_| ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))?,
    };
    // A limit below nothing is none, too.
    Ok(if query.get("resourceVersion") == "0" { 0 } else { usize::try_from(limit).unwrap_or(0) })
}

/// Whether a list is to be of the one moment that its resourceVersion names: asked for, or in pages,
/// as the API had it before `resourceVersionMatch`.
///
/// # Errors
/// As [`limit`].
pub(crate) fn is_exact(query: &Query<'_>) -> Result<bool, ApiError> {
    Ok(match query.get("resourceVersionMatch") {
        EXACT => true,
        "" => !query.get("resourceVersion").is_empty() && limit(query)? > 0,
        _ => false,
    })
}

/// # Errors
/// 422 for what cannot be asked of a list.
pub(crate) fn check_list(call: &Call<'_>) -> Result<(), ApiError> {
    let (query, mut errors) = (&call.query, Vec::new());
    let (matched, version) = (query.get("resourceVersionMatch"), query.get("resourceVersion"));
    let path = Path::new("resourceVersionMatch");
    if !matched.is_empty() {
        if version.is_empty() {
            errors
                .push(Error::forbidden(&path, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
        }
        if !query.get("continue").is_empty() {
            errors.push(Error::forbidden(&path, AFTER_CONTINUE));
        }
        if !matches!(matched, EXACT | NOT_OLDER_THAN) {
            errors.push(Error::not_supported(&path, matched, &[EXACT, NOT_OLDER_THAN, ""]));
        }
        if matched == EXACT && version == "0" {
            let detail = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            errors.push(Error::forbidden(&path, detail));
        }
    }
    if initial_events(query).is_some() {
        errors.push(Error::forbidden(&Path::new("sendInitialEvents"), "sendInitialEvents is forbidden for list"));
    }
    refused(&errors)
}

/// # Errors
/// 422 for what cannot be asked of a watch.
pub(crate) fn check_watch(call: &Call<'_>) -> Result<(), ApiError> {
    let (query, mut errors) = (&call.query, Vec::new());
    let (matched, initial) = (query.get("resourceVersionMatch"), initial_events(query));
    let path = Path::new("resourceVersionMatch");
    if initial.is_some() && matched != NOT_OLDER_THAN {
        let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        errors.push(Error::forbidden(&path, detail));
    }
    if !matched.is_empty() {
        if initial.is_none() {
            let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            errors.push(Error::forbidden(&path, detail));
        }
        if matched != NOT_OLDER_THAN {
            errors.push(Error::not_supported(&path, matched, &[NOT_OLDER_THAN]));
        }
        if !query.get("continue").is_empty() {
            errors.push(Error::forbidden(&path, AFTER_CONTINUE));
        }
    }
    refused(&errors)
}

/// # Errors
/// 422 for what cannot be asked of a write.
pub(crate) fn check_write(call: &Call<'_>) -> Result<(), ApiError> {
    let kind = match *call.method {
        Method::POST => "CreateOptions",
        Method::PUT => "UpdateOptions",
        Method::PATCH => "PatchOptions",
        Method::DELETE => "DeleteOptions",
        _ => return Ok(()),
    };
    let (query, mut errors) = (&call.query, Vec::new());
    let dry_run: Vec<&str> = query.pairs().filter(|(name, _)| *name == "dryRun").map(|(_, value)| value).collect();
    if dry_run.iter().any(|value| *value != "All") {
        errors.push(Error::not_supported(&Path::new("dryRun"), dry_run.join(","), &["All"]));
    }
    if kind != "DeleteOptions" {
        let (path, manager) = (Path::new("fieldManager"), query.get("fieldManager"));
        if manager.is_empty() && *call.method == Method::PATCH && call.is_apply() {
            errors.push(Error::required(&path, "is required for apply patch"));
        }
        if manager.len() > MAX_MANAGER {
            errors.push(Error::too_long(&path, MAX_MANAGER));
        }
        if manager.chars().any(char::is_control) {
            errors.push(Error::invalid(&path, manager, "should only contain printable characters"));
        }
        let (path, asked) = (Path::new("fieldValidation"), query.get("fieldValidation"));
        if !matches!(asked, "" | "Ignore" | "Warn" | "Strict") {
            errors.push(Error::not_supported(&path, asked, &["Ignore", "Strict", "Warn"]));
        }
    }
    if *call.method == Method::PATCH && !query.get("force").is_empty() && !call.is_apply() {
        errors.push(Error::forbidden(&Path::new("force"), "may not be specified for non-apply patch"));
    }
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid_as("meta.k8s.io", kind, "", &errors)) }
}

fn refused(errors: &[Error]) -> Result<(), ApiError> {
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid_as("meta.k8s.io", "ListOptions", "", errors)) }
}
