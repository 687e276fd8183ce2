//! IPAddresses and ServiceCIDRs (`pkg/apis/networking/validation`).

use std::net::IpAddr;

use crate::at::At;
use crate::cells;
use crate::check::Checks;
use crate::kinds::cidr;
use crate::kinds::ruled::Ruled;
use crate::names;
use crate::object::Object;

/// IPAddresses. One is called what it is.
pub const IP_ADDRESS: Ruled = Ruled::printed(cells::ip_address)
    .named(|name| match name.parse::<IpAddr>() {
        Ok(ip) if ip.to_string() == name => Vec::new(),
        Ok(ip) => vec![format!("must be in canonical form ({:?})", ip.to_string())],
        Err(_) => names::ip_address(name),
    })
    .checked(|address, checks| {
        let parent = At::of(address, "spec").get("parentRef");
        if !parent.is_set() {
            return parent.required("", checks);
        }
        parent.get("group").maybe_named(names::dns1123_subdomain, checks);
        parent.get("resource").named(names::path_segment, checks);
        parent.get("name").named(names::path_segment, checks);
        parent.get("namespace").maybe_named(names::path_segment, checks);
    })
    .updated(|new, old, checks| {
        At::of(new, "spec").all_immutable(&At::of(old, "spec"), &["parentRef"], checks);
    });

/// ServiceCIDRs.
pub const SERVICE_CIDR: Ruled = Ruled::printed(cells::service_cidr).checked(check_ranges).updated(check_ranges_update);

fn check_ranges(object: &Object, checks: &mut Checks) {
    let ranges = At::of(object, "spec").get("cidrs");
    if ranges.is_empty() {
        return ranges.required("at least one CIDR required", checks);
    }
    if ranges.len() > 2 {
        return ranges.invalid("may only hold up to 2 values", checks);
    }
    let found: Vec<_> = ranges.items().filter_map(|range| cidr::check(&range, checks)).collect();
    if let [first, second] = found[..]
        && first.is_ipv6() == second.is_ipv6()
    {
        let detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96";
        ranges.invalid(detail, checks);
    }
}

/// A range stays; a second one, of the other family, may come.
fn check_ranges_update(new: &Object, old: &Object, checks: &mut Checks) {
    let (new, old) = (At::of(new, "spec").get("cidrs"), At::of(old, "spec").get("cidrs"));
    if new.len() != old.len() && (old.len(), new.len()) != (1, 2) {
        return new.invalid("field is immutable", checks);
    }
    for (new, old) in new.items().zip(old.items()) {
        new.immutable(&old, checks);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::fixture::{create_errors, update_errors};
    use crate::strategy::Strategy;

    #[test]
    fn an_address_belongs_to_something() {
        assert_eq!(IP_ADDRESS.check_name("fd00::0"), ["must be in canonical form (\"fd00::\")"]);
        assert_eq!(IP_ADDRESS.check_name("10.0.0.1"), [""; 0]);
        let found = create_errors(&IP_ADDRESS, "{metadata: {name: 10.0.0.1}}");
        assert_eq!(found, ["spec.parentRef: Required value"]);
        let yaml = "{metadata: {name: 10.0.0.1}, spec: {parentRef: {resource: services, name: a, namespace: n}}}";
        let found = update_errors(&IP_ADDRESS, yaml, |new| new.set(&["spec", "parentRef", "name"], "b"));
        assert!(found[0].starts_with("spec.parentRef: Invalid value: {"), "{found:?}");
    }

    #[test]
    fn a_range_stays() {
        let range = |cidrs: &str| format!("{{metadata: {{name: r}}, spec: {{cidrs: {cidrs}}}}}");
        for (cidrs, expected) in [
            ("[]", "spec.cidrs: Required value: at least one CIDR required"),
            (
                "[10.0.0.0]",
                "spec.cidrs[0]: Invalid value: \"10.0.0.0\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
            ),
            (
                "[10.0.0.0/8, 11.0.0.0/8]",
                "spec.cidrs: Invalid value: [\"10.0.0.0/8\",\"11.0.0.0/8\"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96",
            ),
        ] {
            assert_eq!(create_errors(&SERVICE_CIDR, &range(cidrs)), [expected], "{cidrs}");
        }
        let change = |to: serde_json::Value| {
            update_errors(&SERVICE_CIDR, &range("[10.0.0.0/8]"), |new| new.set(&["spec", "cidrs"], to))
        };
        assert_eq!(change(json!(["10.0.0.0/8", "fd00::/64"])), [""; 0]);
        assert_eq!(change(json!(["11.0.0.0/8"])), ["spec.cidrs[0]: Invalid value: \"11.0.0.0/8\": field is immutable"]);
    }
}
