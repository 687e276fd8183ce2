//! NetworkPolicies (`pkg/apis/networking/validation`).

use serde_json::Value;

use crate::at::{self, At};
use crate::cells;
use crate::check::Checks;
use crate::kinds::cidr;
use crate::kinds::ruled::{Ruled, default};
use crate::names;
use crate::object::Object;

/// NetworkPolicies.
pub const NETWORK_POLICY: Ruled =
    Ruled::printed(cells::network_policy).filled(fill).checked(|policy, checks| check(&At::of(policy, "spec"), checks));

const DIRECTIONS: [(&str, &str); 2] = [("ingress", "from"), ("egress", "to")];

fn fill(policy: &mut Object) {
    let has_egress = !At::of(policy, "spec").get("egress").is_empty();
    let types = if has_egress { &["Ingress", "Egress"][..] } else { &["Ingress"] };
    default(policy, &["spec", "policyTypes"], types);
    for (direction, _) in DIRECTIONS {
        for rule in at::items_mut(at::at_mut(policy, &["spec", direction])) {
            for port in at::items_mut(rule.get_mut("ports")) {
                at::default_in(port, "protocol", "TCP");
            }
        }
    }
}

fn check(spec: &At<'_>, checks: &mut Checks) {
    spec.get("podSelector").label_selector(checks);
    for (direction, peers) in DIRECTIONS {
        for rule in spec.get(direction).items() {
            rule.get("ports").items().for_each(|port| check_port(&port, checks));
            rule.get(peers).items().for_each(|peer| check_peer(&peer, checks));
        }
    }
    let types = spec.get("policyTypes");
    if types.len() > 2 {
        return types.invalid("may not specify more than two policyTypes", checks);
    }
    for type_ in types.items() {
        type_.maybe_one_of(&["Ingress", "Egress"], checks);
    }
}

fn check_port(at: &At<'_>, checks: &mut Checks) {
    at.get("protocol").maybe_one_of(&["TCP", "UDP", "SCTP"], checks);
    let (port, end) = (at.get("port"), at.get("endPort"));
    let number = |at: &At<'_>, checks: &mut Checks| {
        let number = at.int().and_then(|number| i32::try_from(number).ok()).unwrap_or(-1);
        names::port_number(number).iter().for_each(|problem| at.invalid(problem, checks));
    };
    match port.value {
        Value::Number(_) => {
            number(&port, checks);
            if end.is_set() {
                if end.int() < port.int() {
                    checks.invalid(&end.path, port.value, "must be greater than or equal to `port`");
                }
                number(&end, checks);
            }
        }
        Value::Null if end.is_set() => end.invalid("may not be specified when `port` is not specified", checks),
        Value::Null => {}
        _ => {
            if end.is_set() {
                end.invalid("may not be specified when `port` is non-numeric", checks);
            }
            checks.follows(&port.path, port.text(), names::port_name);
        }
    }
}

fn check_peer(peer: &At<'_>, checks: &mut Checks) {
    let selectors = ["podSelector", "namespaceSelector"].map(|field| peer.get(field));
    let selected = selectors.iter().filter(|selector| selector.is_set()).count();
    for selector in selectors.iter().filter(|selector| selector.is_set()) {
        selector.label_selector(checks);
    }
    let block = peer.get("ipBlock");
    if block.is_set() {
        check_block(&block, checks);
        if selected > 0 {
            peer.forbidden("may not specify both ipBlock and another peer", checks);
        }
    } else if selected == 0 {
        peer.required("must specify a peer", checks);
    }
}

fn check_block(block: &At<'_>, checks: &mut Checks) {
    let at = block.get("cidr");
    if at.is_empty() {
        return checks.required(&at.path);
    }
    let Some(whole) = cidr::check(&at, checks) else { return };
    for except in block.get("except").items() {
        let Some(part) = cidr::check(&except, checks) else { return };
        if !whole.contains(part) || whole.prefix >= part.prefix {
            except.invalid("must be a strict subset of `cidr`", checks);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::fixture::{create_errors, created};

    #[test]
    fn what_does_not_fit_is_named() {
        let policy =
            |rest: &str| format!("{{metadata: {{name: p, namespace: n}}, spec: {{podSelector: {{}}, {rest}}}}}");
        let made = created(&NETWORK_POLICY, &policy("egress: [{ports: [{port: 80}]}]"));
        assert_eq!(made.at(&["spec", "policyTypes"]), Some(&json!(["Ingress", "Egress"])));
        assert_eq!(made.0["spec"]["egress"][0]["ports"][0]["protocol"], "TCP");
        for (rest, expected) in [
            (
                "ingress: [{ports: [{port: 80, endPort: 70}]}]",
                "spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`",
            ),
            (
                "ingress: [{ports: [{port: web, endPort: 70}]}]",
                "spec.ingress[0].ports[0].endPort: Invalid value: 70: may not be specified when `port` is non-numeric",
            ),
            (
                "ingress: [{ports: [{endPort: 70}]}]",
                "spec.ingress[0].ports[0].endPort: Invalid value: 70: may not be specified when `port` is not specified",
            ),
            (
                "ingress: [{ports: [{port: 0}]}]",
                "spec.ingress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            ),
            (
                "ingress: [{ports: [{protocol: ICMP}]}]",
                "spec.ingress[0].ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"TCP\", \"UDP\", \"SCTP\"",
            ),
            ("ingress: [{from: [{}]}]", "spec.ingress[0].from[0]: Required value: must specify a peer"),
            (
                "egress: [{to: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]",
                "spec.egress[0].to[0]: Forbidden: may not specify both ipBlock and another peer",
            ),
            (
                "egress: [{to: [{ipBlock: {cidr: 10.0.0.0/33}}]}]",
                "spec.egress[0].to[0].ipBlock.cidr: Invalid value: \"10.0.0.0/33\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
            ),
            (
                "egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]",
                "spec.egress[0].to[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`",
            ),
            (
                "policyTypes: [In]",
                "spec.policyTypes[0]: Unsupported value: \"In\": supported values: \"Ingress\", \"Egress\"",
            ),
        ] {
            assert_eq!(create_errors(&NETWORK_POLICY, &policy(rest)), [expected], "{rest}");
        }
    }
}
