//! Probes, and what runs after a container starts and before it stops.

use k8s_openapi::api::core::v1::{Container, ExecAction, HTTPGetAction, PodSpec, Probe, SleepAction, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::check::{Checks, text};
use crate::field::{Error, Path};
use crate::names;

/// What a probe or hook does; one of these.
#[derive(Default)]
struct Handler<'a> {
    exec: Option<&'a ExecAction>,
    http_get: Option<&'a HTTPGetAction>,
    tcp_socket: Option<&'a TCPSocketAction>,
    grpc: Option<i32>,
    sleep: Option<&'a SleepAction>,
}

/// What is wrong with the probes and hooks of a container that keeps running.
pub(super) fn check_all(path: &Path, container: &Container, spec: &PodSpec, checks: &mut Checks) {
    if let Some(lifecycle) = &container.lifecycle {
        let hooks = [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)];
        for (field, handler) in hooks.into_iter().filter_map(|(field, hook)| Some((field, hook.as_ref()?))) {
            let handler = Handler {
                exec: handler.exec.as_ref(),
                http_get: handler.http_get.as_ref(),
                tcp_socket: handler.tcp_socket.as_ref(),
                grpc: None,
                sleep: handler.sleep.as_ref(),
            };
            check_handler(&path.child("lifecycle").child(field), &handler, spec, checks);
        }
    }
    check_liveness(&path.child("livenessProbe"), container.liveness_probe.as_ref(), spec, checks);
    if let Some(probe) = &container.readiness_probe {
        let path = path.child("readinessProbe");
        check_probe(&path, probe, spec, checks);
        if let Some(seconds) = probe.termination_grace_period_seconds {
            let path = path.child("terminationGracePeriodSeconds");
            checks.invalid(&path, seconds, "must not be set for readinessProbes");
        }
    }
    check_liveness(&path.child("startupProbe"), container.startup_probe.as_ref(), spec, checks);
}

fn check_liveness(path: &Path, probe: Option<&Probe>, spec: &PodSpec, checks: &mut Checks) {
    let Some(probe) = probe else { return };
    check_probe(path, probe, spec, checks);
    if let Some(threshold) = probe.success_threshold.filter(|threshold| *threshold != 1) {
        checks.invalid(&path.child("successThreshold"), threshold, "must be 1");
    }
}

fn check_probe(path: &Path, probe: &Probe, spec: &PodSpec, checks: &mut Checks) {
    let handler = Handler {
        exec: probe.exec.as_ref(),
        http_get: probe.http_get.as_ref(),
        tcp_socket: probe.tcp_socket.as_ref(),
        grpc: probe.grpc.as_ref().map(|grpc| grpc.port),
        sleep: None,
    };
    check_handler(path, &handler, spec, checks);
    for (field, value) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        checks.non_negative(&path.child(field), value);
    }
    if let Some(seconds) = probe.termination_grace_period_seconds.filter(|seconds| *seconds <= 0) {
        checks.invalid(&path.child("terminationGracePeriodSeconds"), seconds, "must be greater than 0");
    }
}

fn check_handler(path: &Path, handler: &Handler<'_>, spec: &PodSpec, checks: &mut Checks) {
    let set = [
        ("exec", handler.exec.is_some()),
        ("httpGet", handler.http_get.is_some()),
        ("tcpSocket", handler.tcp_socket.is_some()),
        ("grpc", handler.grpc.is_some()),
        ("sleep", handler.sleep.is_some()),
    ];
    let mut set = set.iter().filter(|(_, is_set)| *is_set).map(|(field, _)| *field);
    let Some(first) = set.next() else {
        return checks.push(Error::required(path, "must specify a handler type"));
    };
    check_first(&path.child(first), handler, spec, checks);
    for further in set {
        checks.forbidden(&path.child(further), "may not specify more than 1 handler type");
    }
}

fn check_first(path: &Path, handler: &Handler<'_>, spec: &PodSpec, checks: &mut Checks) {
    if let Some(exec) = handler.exec {
        if exec.command.as_ref().is_none_or(Vec::is_empty) {
            checks.required(&path.child("command"));
        }
    } else if let Some(get) = handler.http_get {
        check_http_get(path, get, checks);
    } else if let Some(socket) = handler.tcp_socket {
        checks.port_or_name(&path.child("port"), &socket.port);
    } else if let Some(port) = handler.grpc {
        checks.port_or_name(&path.child("port"), &IntOrString::Int(port));
    } else if let Some(sleep) = handler.sleep {
        check_sleep(path, sleep, spec, checks);
    }
}

fn check_http_get(path: &Path, get: &HTTPGetAction, checks: &mut Checks) {
    if text(&get.path).is_empty() {
        checks.required(&path.child("path"));
    }
    checks.port_or_name(&path.child("port"), &get.port);
    let schemes = ["HTTP", "HTTPS"];
    if !schemes.contains(&text(&get.scheme)) {
        checks.push(Error::not_supported(&path.child("scheme"), text(&get.scheme), &schemes));
    }
    for header in get.http_headers.iter().flatten() {
        checks.follows(&path.child("httpHeaders"), &header.name, names::http_header);
    }
}

fn check_sleep(path: &Path, sleep: &SleepAction, spec: &PodSpec, checks: &mut Checks) {
    let Some(grace) = spec.termination_grace_period_seconds else { return };
    if !(0..=grace).contains(&sleep.seconds) {
        let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        checks.invalid(path, sleep.seconds, &detail);
    }
}
