//! Claims of devices: ResourceClaims, their templates, and DeviceClasses (`pkg/apis/resource/validation`).

use k8s_openapi::api::core::v1::NodeSelector;
use serde::Deserialize;
use serde_json::Value;

use crate::at::{self, At};
use crate::cells;
use crate::check::Checks;
use crate::field::Error;
use crate::kinds::device_selector::{self, Wrong};
use crate::kinds::persistent_volume::check_driver;
use crate::kinds::pod::check_node_selector;
use crate::kinds::ruled::Ruled;
use crate::names;
use crate::object::Object;

/// ResourceClaims. What is claimed stays.
pub const RESOURCE_CLAIM: Ruled = Ruled::printed(cells::resource_claim)
    .filled(|claim| {
        at::at_mut(claim, &["spec", "devices"]).into_iter().for_each(fill);
    })
    .created(|claim, checks| check_devices(&At::of(claim, "spec").get("devices"), checks))
    .updated(spec_stays)
    .status(check_status);

/// ResourceClaimTemplates.
pub const RESOURCE_CLAIM_TEMPLATE: Ruled = Ruled::new()
    .filled(|template| {
        at::at_mut(template, &["spec", "spec", "devices"]).into_iter().for_each(fill);
    })
    .created(|template, checks| check_devices(&At::of(template, "spec").get("spec").get("devices"), checks))
    .updated(spec_stays);

/// DeviceClasses.
pub const DEVICE_CLASS: Ruled = Ruled::new().checked(|class, checks| {
    let spec = At::of(class, "spec");
    check_selectors(&spec.get("selectors"), checks);
    let configs = spec.get("config");
    configs.at_most(MAX_ITEMS, checks);
    configs.items().for_each(|config| check_opaque(&config.get("opaque"), checks));
    let name = spec.get("extendedResourceName");
    let extended = name.text().contains('/') && !name.text().contains("kubernetes.io/");
    if name.is_set() && !(extended && names::qualified_name(name.text()).is_empty()) {
        name.invalid("must be a valid extended resource name", checks);
    }
});

/// Of requests, constraints, configurations and selectors.
const MAX_ITEMS: usize = 32;
const MAX_ALTERNATIVES: usize = 8;
const MAX_CONSUMERS: usize = 256;
/// In bytes.
const MAX_EXPRESSION: usize = 10 * 1024;
const MAX_PARAMETERS: usize = 10 * 1024;

/// One device of a kind is asked for unless told.
fn fill(devices: &mut Value) {
    let fill = |request: &mut Value| {
        at::default_in(request, "allocationMode", "ExactCount");
        if request["allocationMode"] == "ExactCount" {
            at::default_in(request, "count", 1);
        }
    };
    for request in at::items_mut(devices.get_mut("requests")) {
        request.get_mut("exactly").into_iter().for_each(fill);
        at::items_mut(request.get_mut("firstAvailable")).for_each(fill);
    }
}

fn spec_stays(new: &Object, old: &Object, checks: &mut Checks) {
    At::of(new, "spec").immutable(&At::of(old, "spec"), checks);
}

fn check_devices(devices: &At<'_>, checks: &mut Checks) {
    let requests = devices.get("requests");
    check_set(&requests, MAX_ITEMS, "name", checks);
    for request in requests.items() {
        request.get("name").named(names::dns1123_label, checks);
        let (exactly, first) = (request.get("exactly"), request.get("firstAvailable"));
        let detail = "exactly one of `exactly` or `firstAvailable` is required";
        match (exactly.is_set(), !first.is_empty()) {
            (false, false) => request.required(detail, checks),
            (true, true) => {
                checks.invalid(&request.path, (), &format!("{detail}, but multiple fields are set"));
            }
            (true, false) => check_request(&exactly, checks),
            (false, true) => {
                check_set(&first, MAX_ALTERNATIVES, "name", checks);
                for alternative in first.items() {
                    alternative.get("name").named(names::dns1123_label, checks);
                    check_request(&alternative, checks);
                }
            }
        }
    }
    let constraints = devices.get("constraints");
    constraints.at_most(MAX_ITEMS, checks);
    for constraint in constraints.items() {
        check_references(&constraint.get("requests"), &requests, checks);
        let attributes = ["matchAttribute", "distinctAttribute"].map(|field| constraint.get(field));
        match attributes.iter().find(|attribute| attribute.is_set()) {
            Some(attribute) => check_attribute_name(attribute, checks),
            None => constraint.get("matchAttribute").required("", checks),
        }
    }
    let configs = devices.get("config");
    configs.at_most(MAX_ITEMS, checks);
    for config in configs.items() {
        check_references(&config.get("requests"), &requests, checks);
        check_opaque(&config.get("opaque"), checks);
    }
}

/// Not too many, and each with another value of `key`.
pub(super) fn check_set(list: &At<'_>, max: usize, key: &str, checks: &mut Checks) {
    list.at_most(max, checks);
    let mut known = Vec::new();
    for item in list.items() {
        let name = item.get(key).text();
        if known.contains(&name) {
            checks.push(Error::duplicate(&item.path, name));
        }
        known.push(name);
    }
}

fn check_request(request: &At<'_>, checks: &mut Checks) {
    request.get("deviceClassName").named(names::dns1123_subdomain, checks);
    check_selectors(&request.get("selectors"), checks);
    let (mode, count) = (request.get("allocationMode"), request.get("count"));
    let wanted = count.int().unwrap_or(0);
    match mode.text() {
        "All" if wanted != 0 => count.invalid("must not be specified when allocationMode is 'All'", checks),
        "All" => {}
        "ExactCount" if wanted <= 0 => checks.invalid(&count.path, wanted, "must be greater than zero"),
        "ExactCount" => {}
        _ => mode.unsupported(&["All", "ExactCount"], checks),
    }
    for toleration in request.get("tolerations").items() {
        let (key, value) = (toleration.get("key"), toleration.get("value"));
        key.maybe_named(names::qualified_name, checks);
        match toleration.get("operator").text() {
            "Exists" if !value.is_empty() => {
                value.invalid("must be empty for operator `Exists`", checks);
            }
            "Exists" => {}
            "" | "Equal" => checks.follows(&value.path, value.text(), names::label_value),
            _ => toleration.get("operator").unsupported(&["Equal", "Exists"], checks),
        }
        toleration.get("effect").maybe_one_of(&["NoExecute", "NoSchedule", "None"], checks);
    }
}

fn check_selectors(selectors: &At<'_>, checks: &mut Checks) {
    selectors.at_most(MAX_ITEMS, checks);
    for cel in selectors.items().map(|selector| selector.get("cel")) {
        let expression = cel.get("expression");
        if !cel.is_set() {
            checks.required(&cel.path);
        } else if expression.text().len() > MAX_EXPRESSION {
            checks.push(Error::too_long(&expression.path, MAX_EXPRESSION));
        } else if expression.is_empty() {
            expression.present(checks);
        } else {
            match device_selector::check(expression.text()) {
                Ok(()) => {}
                Err(Wrong::Invalid(why)) => expression.invalid(&why, checks),
                Err(Wrong::TooComplex) => checks.forbidden(&expression.path, "too complex, exceeds cost limit"),
            }
        }
    }
}

/// Each names a request of the claim, or one of a request's alternatives.
fn check_references(references: &At<'_>, requests: &At<'_>, checks: &mut Checks) {
    references.at_most(MAX_ITEMS, checks);
    let is_there = |name: &str| {
        let (name, alternative) = name.split_once('/').map_or((name, None), |(name, rest)| (name, Some(rest)));
        let request = requests.items().find(|request| request.get("name").text() == name);
        request.is_some_and(|request| {
            let mut alternatives = request.get("firstAvailable").items();
            alternative.is_none_or(|wanted| alternatives.any(|one| one.get("name").text() == wanted))
        })
    };
    for reference in references.items().filter(|reference| !is_there(reference.text())) {
        let detail =
            "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
        reference.invalid(detail, checks);
    }
}

/// A name with the domain of the driver that tells it.
fn check_attribute_name(at: &At<'_>, checks: &mut Checks) {
    let Some((domain, name)) = at.text().split_once('/') else {
        return at.invalid("must include a domain", checks);
    };
    checks.maybe_named(&at.path, domain, names::dns1123_subdomain);
    check_identifier(at, name, checks);
}

/// A name as C has them, of at most 32 characters.
pub(super) fn check_identifier(at: &At<'_>, name: &str, checks: &mut Checks) {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if name.is_empty() {
        at.required("the name must not be empty", checks);
    } else if name.len() > 32 {
        checks.push(Error::too_long(&at.path, 32));
    } else if !starts || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        let detail = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')";
        checks.invalid(&at.path, name, detail);
    }
}

fn check_opaque(opaque: &At<'_>, checks: &mut Checks) {
    if !opaque.is_set() {
        return checks.required(&opaque.path);
    }
    opaque.get("driver").present(checks);
    check_driver(&opaque.get("driver"), checks);
    let parameters = opaque.get("parameters");
    match parameters.value {
        Value::Null => checks.required(&parameters.path),
        Value::Object(_) if parameters.value.to_string().len() > MAX_PARAMETERS => {
            checks.push(Error::too_long(&parameters.path, MAX_PARAMETERS));
        }
        Value::Object(_) => {}
        _ => parameters.invalid("must be a valid JSON object", checks),
    }
}

fn check_status(new: &Object, old: &Object, checks: &mut Checks) {
    let (status, was) = (At::of(new, "status"), At::of(old, "status"));
    let (reserved, allocation) = (status.get("reservedFor"), status.get("allocation"));
    check_set(&reserved, MAX_CONSUMERS, "uid", checks);
    for consumer in reserved.items() {
        ["resource", "name", "uid"].iter().for_each(|field| consumer.get(field).present(checks));
    }
    if !reserved.is_empty() && !allocation.is_set() {
        reserved.forbidden("may not be specified when `allocated` is not set", checks);
    } else if new.deletion_timestamp().is_some() {
        let before = was.get("reservedFor");
        if reserved.items().any(|new| !before.items().any(|old| old.same(&new))) {
            let detail = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set";
            reserved.forbidden(detail, checks);
        }
    }
    if was.get("allocation").is_set() && allocation.is_set() {
        allocation.immutable(&was.get("allocation"), checks);
    } else if allocation.is_set() {
        check_allocation(&allocation, &At::of(new, "spec").get("devices").get("requests"), checks);
    }
}

fn check_allocation(allocation: &At<'_>, requests: &At<'_>, checks: &mut Checks) {
    let results = allocation.get("devices").get("results");
    results.at_most(MAX_ITEMS, checks);
    for result in results.items() {
        let request = [result.get("request").value.clone()];
        let list = Value::Array(request.to_vec());
        check_references(&At { path: result.path.child("request"), value: &list }, requests, checks);
        result.get("driver").present(checks);
        check_driver(&result.get("driver"), checks);
        check_pool_name(&result.get("pool"), checks);
        result.get("device").named(names::dns1123_label, checks);
    }
    let selector = allocation.get("nodeSelector");
    if let Ok(typed) = NodeSelector::deserialize(selector.value) {
        check_node_selector(&selector.path, &typed, checks);
    }
}

/// DNS names joined by slashes.
pub(super) fn check_pool_name(pool: &At<'_>, checks: &mut Checks) {
    if pool.is_empty() {
        return checks.required(&pool.path);
    }
    if pool.text().len() > 253 {
        checks.push(Error::too_long(&pool.path, 253));
    }
    for part in pool.text().split('/') {
        checks.follows(&pool.path, part, names::dns1123_subdomain);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::fixture::{create_errors, created, status_errors, update_errors};

    const FINE: &str = "{metadata: {name: c, namespace: n}, spec: {devices: {requests: [{name: r, exactly: {deviceClassName: gpu}}]}}}";

    #[test]
    fn what_does_not_fit_is_named() {
        let made = created(&RESOURCE_CLAIM, FINE);
        let exactly = json!({"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1});
        assert_eq!(made.0["spec"]["devices"]["requests"][0]["exactly"], exactly);
        let claim = |devices: &str| format!("{{metadata: {{name: c, namespace: n}}, spec: {{devices: {devices}}}}}");
        let at = "spec.devices.requests[0]";
        let one = "exactly one of `exactly` or `firstAvailable` is required";
        for (devices, expected) in [
            ("{requests: [{name: r}]}", format!("{at}: Required value: {one}")),
            ("{requests: [{name: r, exactly: {}}]}", format!("{at}.exactly.deviceClassName: Required value")),
            (
                "{requests: [{name: r, exactly: {deviceClassName: g}, firstAvailable: [{name: s, deviceClassName: g}]}]}",
                format!("{at}: Invalid value: null: {one}, but multiple fields are set"),
            ),
            (
                "{requests: [{name: r, exactly: {deviceClassName: g, allocationMode: All, count: 2}}]}",
                format!("{at}.exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'"),
            ),
            (
                "{requests: [{name: r, exactly: {deviceClassName: g, allocationMode: Some}}]}",
                format!("{at}.exactly.allocationMode: Unsupported value: \"Some\": supported values: \"All\", \"ExactCount\""),
            ),
            (
                "{requests: [{name: r, exactly: {deviceClassName: g, selectors: [{}]}}]}",
                format!("{at}.exactly.selectors[0].cel: Required value"),
            ),
            (
                "{requests: [{name: r, exactly: {deviceClassName: g, selectors: [{cel: {expression: device.driver}}]}}]}",
                format!("{at}.exactly.selectors[0].cel.expression: Invalid value: \"device.driver\": must evaluate to bool or the unknown type, not string"),
            ),
            (
                "{requests: [{name: r, exactly: {deviceClassName: g}}, {name: r, exactly: {deviceClassName: g}}]}",
                "spec.devices.requests[1]: Duplicate value: \"r\"".to_owned(),
            ),
            (
                "{requests: [{name: r, exactly: {deviceClassName: g}}], constraints: [{requests: [x], matchAttribute: a.b/c}]}",
                "spec.devices.constraints[0].requests[0]: Invalid value: \"x\": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'".to_owned(),
            ),
            (
                "{constraints: [{matchAttribute: c}]}",
                "spec.devices.constraints[0].matchAttribute: Invalid value: \"c\": must include a domain".to_owned(),
            ),
            ("{config: [{}]}", "spec.devices.config[0].opaque: Required value".to_owned()),
            (
                "{config: [{opaque: {driver: d, parameters: 1}}]}",
                "spec.devices.config[0].opaque.parameters: Invalid value: 1: must be a valid JSON object".to_owned(),
            ),
        ] {
            assert_eq!(create_errors(&RESOURCE_CLAIM, &claim(devices)), [expected], "{devices}");
        }
        let found = create_errors(&DEVICE_CLASS, "{metadata: {name: c}, spec: {extendedResourceName: gpu}}");
        assert_eq!(
            found,
            ["spec.extendedResourceName: Invalid value: \"gpu\": must be a valid extended resource name"]
        );
    }

    #[test]
    fn a_claim_stays_and_is_allocated_once() {
        let change = |new: &mut Object| new.set(&["spec", "devices"], json!({}));
        let found = update_errors(&RESOURCE_CLAIM, FINE, change);
        assert_eq!(found, ["spec: Invalid value: {\"devices\":{}}: field is immutable"]);
        let consumer = json!([{"resource": "pods", "name": "p", "uid": "u"}]);
        let found = status_errors(&RESOURCE_CLAIM, FINE, json!({"reservedFor": consumer}));
        assert_eq!(found, ["status.reservedFor: Forbidden: may not be specified when `allocated` is not set"]);
        let result = json!([{"request": "r", "driver": "d", "pool": "p", "device": "x"}]);
        let status = json!({"reservedFor": consumer, "allocation": {"devices": {"results": result}}});
        assert_eq!(status_errors(&RESOURCE_CLAIM, FINE, status), [""; 0]);
    }
}
