//! Ingresses and IngressClasses (`pkg/apis/networking/validation`).

use std::net::IpAddr;

use crate::at::{self, At};
use crate::cells;
use crate::check::Checks;
use crate::field::{Error, Path};
use crate::kinds::ruled::Ruled;
use crate::names;
use crate::object::Object;

/// Ingresses.
pub const INGRESS: Ruled = Ruled::printed(cells::ingress)
    .created(|ingress, checks| {
        let annotation = ingress.str_at(&["metadata", "annotations", OLD_CLASS]);
        if !annotation.is_empty() && At::of(ingress, "spec").get("ingressClassName").is_set() {
            let path = Path::new("annotations").child(OLD_CLASS);
            checks.invalid(&path, annotation, "can not be set when the class field is also set");
        }
    })
    .checked(|ingress, checks| check(&At::of(ingress, "spec"), checks))
    .status(|new, _, checks| {
        for at in At::of(new, "status").get("loadBalancer").get("ingress").items() {
            at.get("ip").maybe_named(names::ip_address, checks);
            at.get("hostname").maybe_named(names::dns1123_subdomain, checks);
        }
    });

/// IngressClasses.
pub const INGRESS_CLASS: Ruled = Ruled::printed(cells::ingress_class)
    .filled(|class| {
        if let Some(parameters) = at::at_mut(class, &["spec", "parameters"]) {
            at::default_in(parameters, "scope", "Cluster");
        }
    })
    .checked(check_class)
    .updated(|new, old, checks| {
        At::of(new, "spec").all_immutable(&At::of(old, "spec"), &["controller"], checks);
    });

const OLD_CLASS: &str = "kubernetes.io/ingress.class";
const MAX_CONTROLLER: usize = 250;

fn check(spec: &At<'_>, checks: &mut Checks) {
    let (backend, rules) = (spec.get("defaultBackend"), spec.get("rules"));
    if rules.is_empty() && !backend.is_set() {
        let detail = "either `defaultBackend` or `rules` must be specified";
        checks.invalid(&spec.path, rules.value, detail);
    }
    if backend.is_set() {
        check_backend(&backend, checks);
    }
    for rule in rules.items() {
        check_host(&rule.get("host"), checks);
        let http = rule.get("http");
        if http.is_set() {
            http.get("paths").present(checks);
            http.get("paths").items().for_each(|path| check_path(&path, checks));
        }
    }
    for tls in spec.get("tls").items() {
        for host in tls.get("hosts").items() {
            let host = At { path: tls.path.child("hosts"), ..host };
            check_host_name(&host, checks);
        }
        tls.get("secretName").maybe_named(names::dns1123_subdomain, checks);
    }
    spec.get("ingressClassName").maybe_named(names::dns1123_subdomain, checks);
}

fn check_host(host: &At<'_>, checks: &mut Checks) {
    if host.is_empty() {
        return;
    }
    if host.text().parse::<IpAddr>().is_ok() {
        host.invalid("must be a DNS name, not an IP address", checks);
    }
    check_host_name(host, checks);
}

fn check_host_name(host: &At<'_>, checks: &mut Checks) {
    let rule = if host.text().contains('*') { names::wildcard_subdomain } else { names::dns1123_subdomain };
    checks.follows(&host.path, host.text(), rule);
}

fn check_path(at: &At<'_>, checks: &mut Checks) {
    let (path, type_) = (at.get("path"), at.get("pathType"));
    match type_.text() {
        "" => return type_.required("pathType must be specified", checks),
        "Exact" | "Prefix" => {
            if !path.text().starts_with('/') {
                path.invalid("must be an absolute path", checks);
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"] {
                if path.text().contains(part) {
                    path.invalid(&format!("must not contain '{part}'"), checks);
                }
            }
            for end in ["/..", "/."] {
                if path.text().ends_with(end) {
                    path.invalid(&format!("cannot end with '{end}'"), checks);
                }
            }
        }
        "ImplementationSpecific" => {
            if !path.is_empty() && !path.text().starts_with('/') {
                path.invalid("must be an absolute path", checks);
            }
        }
        _ => type_.unsupported(&["Exact", "ImplementationSpecific", "Prefix"], checks),
    }
    check_backend(&at.get("backend"), checks);
}

fn check_backend(at: &At<'_>, checks: &mut Checks) {
    let (resource, service) = (at.get("resource"), at.get("service"));
    match (resource.is_set(), service.is_set()) {
        (true, true) => checks.invalid(&at.path, "", "cannot set both resource and service backends"),
        (true, false) => check_reference(&resource, checks),
        (false, true) => {
            service.get("name").named(names::dns1035_label, checks);
            let (name, number) = (service.get("port").get("name"), service.get("port").get("number"));
            match (!name.is_empty(), number.int().unwrap_or(0)) {
                (true, 0) => checks.follows(&name.path, name.text(), names::port_name),
                (true, _) => checks.invalid(&at.path, "", "cannot set both port name & port number"),
                (false, 0) => at.required("port name or number is required", checks),
                (false, port) => {
                    let problems = names::port_number(i32::try_from(port).unwrap_or(-1));
                    problems.iter().for_each(|problem| number.invalid(problem, checks));
                }
            }
        }
        (false, false) => checks.invalid(&at.path, "", "resource or service backend is required"),
    }
}

/// A reference to an object of any kind.
fn check_reference(at: &At<'_>, checks: &mut Checks) {
    let group = at.get("apiGroup");
    if group.is_set() {
        checks.follows(&group.path, group.text(), names::dns1123_subdomain);
    }
    for field in ["kind", "name"] {
        let at = at.get(field);
        if at.is_empty() {
            at.required(&format!("{field} is required"), checks);
        }
        checks.follows(&at.path, at.text(), names::path_segment);
    }
}

fn check_class(class: &Object, checks: &mut Checks) {
    let spec = At::of(class, "spec");
    let controller = spec.get("controller");
    if controller.text().len() > MAX_CONTROLLER {
        checks.push(Error::too_long(&controller.path, MAX_CONTROLLER));
    }
    controller.named(names::domain_prefixed_path, checks);
    let parameters = spec.get("parameters");
    if !parameters.is_set() {
        return;
    }
    check_reference(&parameters, checks);
    let namespace = parameters.get("namespace");
    match parameters.get("scope").text() {
        "Cluster" if namespace.is_set() => namespace.forbidden("`parameters.scope` is set to 'Cluster'", checks),
        "Cluster" => {}
        "Namespace" if !namespace.is_set() => {
            namespace.required("`parameters.scope` is set to 'Namespace'", checks);
        }
        "Namespace" => checks.follows(&namespace.path, namespace.text(), names::dns1123_label),
        _ => parameters.get("scope").unsupported(&["Cluster", "Namespace"], checks),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{create_errors, created, update_errors};

    #[test]
    fn what_does_not_fit_is_named() {
        const BACKEND: &str = "backend: {service: {name: s, port: {number: 80}}}";
        let ingress = |spec: &str| format!("{{metadata: {{name: i, namespace: n}}, spec: {spec}}}");
        let path = |path: &str| ingress(&format!("{{rules: [{{http: {{paths: [{{{path}}}]}}}}]}}"));
        created(&INGRESS, &path(&format!("path: /, pathType: Prefix, {BACKEND}")));
        let at = "spec.rules[0].http.paths[0]";
        for (yaml, expected) in [
            (
                ingress("{}"),
                "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified".to_owned(),
            ),
            (path(BACKEND), format!("{at}.pathType: Required value: pathType must be specified")),
            (
                path(&format!("path: x, pathType: Exact, {BACKEND}")),
                format!("{at}.path: Invalid value: \"x\": must be an absolute path"),
            ),
            (
                path(&format!("path: /a//b, pathType: Prefix, {BACKEND}")),
                format!("{at}.path: Invalid value: \"/a//b\": must not contain '//'"),
            ),
            (
                path(&format!("path: /a, pathType: Regex, {BACKEND}")),
                format!(
                    "{at}.pathType: Unsupported value: \"Regex\": supported values: \"Exact\", \"ImplementationSpecific\", \"Prefix\""
                ),
            ),
            (
                path("path: /a, pathType: Prefix, backend: {service: {name: s, port: {}}}"),
                format!("{at}.backend: Required value: port name or number is required"),
            ),
            (
                path("path: /a, pathType: Prefix, backend: {service: {name: s, port: {name: a, number: 1}}}"),
                format!("{at}.backend: Invalid value: \"\": cannot set both port name & port number"),
            ),
            (
                path("path: /a, pathType: Prefix, backend: {service: {port: {number: 1}}}"),
                format!("{at}.backend.service.name: Required value"),
            ),
            (
                path("path: /a, pathType: Prefix, backend: {}"),
                format!("{at}.backend: Invalid value: \"\": resource or service backend is required"),
            ),
            (
                ingress("{rules: [{host: 1.2.3.4}]}"),
                "spec.rules[0].host: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address".to_owned(),
            ),
            (ingress("{rules: [{http: {}}]}"), "spec.rules[0].http.paths: Required value".to_owned()),
        ] {
            assert_eq!(create_errors(&INGRESS, &yaml), [expected], "{yaml}");
        }
        let found = create_errors(&INGRESS, &ingress("{rules: [{host: 'a.*.b'}]}"));
        assert!(found[0].contains("a wildcard DNS-1123 subdomain must start with '*.'"), "{found:?}");
    }

    #[test]
    fn a_class_has_a_controller_and_keeps_it() {
        let class = |spec: &str| format!("{{metadata: {{name: c}}, spec: {spec}}}");
        for (spec, expected) in [
            ("{}", "spec.controller: Required value"),
            (
                "{controller: x}",
                "spec.controller: Invalid value: \"x\": must be a domain-prefixed path (such as \"acme.io/foo\")",
            ),
            ("{controller: a.b/c, parameters: {kind: K}}", "spec.parameters.name: Required value: name is required"),
            (
                "{controller: a.b/c, parameters: {kind: K, name: n, namespace: x}}",
                "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'",
            ),
            (
                "{controller: a.b/c, parameters: {kind: K, name: n, scope: Namespace}}",
                "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
            ),
        ] {
            assert_eq!(create_errors(&INGRESS_CLASS, &class(spec)), [expected], "{spec}");
        }
        let change = |new: &mut Object| new.set(&["spec", "controller"], "a.b/d");
        let found = update_errors(&INGRESS_CLASS, &class("{controller: a.b/c}"), change);
        assert_eq!(found, ["spec.controller: Invalid value: \"a.b/d\": field is immutable"]);
    }
}
