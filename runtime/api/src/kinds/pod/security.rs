//! Security contexts, of pods and of containers.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{AppArmorProfile, PodSecurityContext, PodSpec, SeccompProfile, SecurityContext};

use crate::check::{Checks, text};
use crate::field::{Error, Path};

use super::volume;

/// The longest path that Linux takes, less its end.
const MAX_PROFILE: usize = 4095;

/// What is wrong with the security context and the host namespaces of a pod.
pub(super) fn check_pod(path: &Path, spec: &PodSpec, checks: &mut Checks) {
    if spec.host_users == Some(false) {
        let shared = [("hostNetwork", spec.host_network), ("HostPID", spec.host_pid), ("HostIPC", spec.host_ipc)];
        for (field, _) in shared.into_iter().filter(|(_, on)| *on == Some(true)) {
            checks.forbidden(&path.child(field), "when `pod.Spec.HostUsers` is false");
        }
    }
    let path = path.child("securityContext");
    if spec.share_process_namespace == Some(true) && spec.host_pid == Some(true) {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        checks.invalid(&path.child("shareProcessNamespace"), true, detail);
    }
    let Some(context) = &spec.security_context else { return };
    let ids = [("fsGroup", context.fs_group), ("runAsUser", context.run_as_user), ("runAsGroup", context.run_as_group)];
    check_ids(&path, &ids, checks);
    for (index, group) in context.supplemental_groups.iter().flatten().enumerate() {
        checks.within(&path.child("supplementalGroups").index(index), *group, 0, i32::MAX.into());
    }
    for (field, policy, supported) in [
        ("fsGroupChangePolicy", &context.fs_group_change_policy, ["Always", "OnRootMismatch"]),
        ("supplementalGroupsPolicy", &context.supplemental_groups_policy, ["Merge", "Strict"]),
        ("seLinuxChangePolicy", &context.se_linux_change_policy, ["MountOption", "Recursive"]),
    ] {
        if policy.is_some() {
            checks.one_of(&path.child(field), text(policy), &supported);
        }
    }
    check_sysctls(&path.child("sysctls"), context, checks);
    check_seccomp(&path.child("seccompProfile"), context.seccomp_profile.as_ref(), checks);
    check_app_armor(&path.child("appArmorProfile"), context.app_armor_profile.as_ref(), checks);
}

/// What is wrong with the security context of a container.
pub(super) fn check_container(path: &Path, context: &SecurityContext, spec: &PodSpec, checks: &mut Checks) {
    check_ids(path, &[("runAsUser", context.run_as_user), ("runAsGroup", context.run_as_group)], checks);
    if let Some(mount) = &context.proc_mount {
        let path = path.child("procMount");
        checks.one_of(&path, mount, &["Default", "Unmasked"]);
        if mount == "Unmasked" && spec.host_users != Some(false) {
            checks.invalid(&path, mount, "`hostUsers` must be false to use `Unmasked`");
        }
    }
    check_seccomp(&path.child("seccompProfile"), context.seccomp_profile.as_ref(), checks);
    check_app_armor(&path.child("appArmorProfile"), context.app_armor_profile.as_ref(), checks);
    if context.allow_privilege_escalation == Some(false) {
        if context.privileged == Some(true) {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            checks.invalid(path, context, detail);
        }
        let added = context.capabilities.as_ref().and_then(|capabilities| capabilities.add.as_ref());
        if added.is_some_and(|added| added.iter().any(|capability| capability == "CAP_SYS_ADMIN")) {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            checks.invalid(path, context, detail);
        }
    }
}

fn check_ids(path: &Path, ids: &[(&str, Option<i64>)], checks: &mut Checks) {
    for (field, id) in ids {
        if let Some(id) = id {
            checks.within(&path.child(field), *id, 0, i32::MAX.into());
        }
    }
}

fn check_sysctls(path: &Path, context: &PodSecurityContext, checks: &mut Checks) {
    let mut seen = BTreeSet::new();
    for (index, sysctl) in context.sysctls.iter().flatten().enumerate() {
        let path = path.index(index).child("name");
        if sysctl.name.is_empty() {
            checks.required(&path);
        } else if !is_sysctl(&sysctl.name) {
            let detail = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            checks.invalid(&path, &sysctl.name, detail);
        } else if !seen.insert(&sysctl.name) {
            checks.push(Error::duplicate(&path, &sysctl.name));
        }
    }
}

fn is_sysctl(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= 253
        && name.split(['.', '/']).all(|part| {
            let ends = [part.bytes().next(), part.bytes().next_back()];
            ends.into_iter().all(|b| b.is_some_and(inner)) && part.bytes().all(|b| inner(b) || b"-_".contains(&b))
        })
}

fn check_seccomp(path: &Path, profile: Option<&SeccompProfile>, checks: &mut Checks) {
    let Some(profile) = profile else { return };
    let types = ["Localhost", "RuntimeDefault", "Unconfined"];
    if profile.type_.is_empty() {
        checks.push(Error::required(&path.child("type"), "type is required when seccompProfile is set"));
    } else {
        checks.one_of(&path.child("type"), &profile.type_, &types);
    }
    let path = path.child("localhostProfile");
    match (&profile.localhost_profile, profile.type_ == "Localhost") {
        (Some(local), true) => volume::descending(&path, local, checks),
        (None, true) => checks.push(Error::required(&path, "must be set when seccomp type is Localhost")),
        (Some(_), false) => {
            checks.invalid(&path, profile, "can only be set when seccomp type is Localhost");
        }
        (None, false) => {}
    }
}

fn check_app_armor(path: &Path, profile: Option<&AppArmorProfile>, checks: &mut Checks) {
    let Some(profile) = profile else { return };
    let local = path.child("localhostProfile");
    match (profile.type_.as_str(), profile.localhost_profile.as_deref()) {
        ("Localhost", None | Some("")) => {
            checks.push(Error::required(&local, "must be set when AppArmor type is Localhost"));
        }
        ("Localhost", Some(name)) => {
            if name.trim() != name {
                checks.invalid(&local, name, "must not be padded with whitespace");
            }
            if name.len() > MAX_PROFILE {
                checks.push(Error::too_long(&local, MAX_PROFILE));
            }
        }
        ("RuntimeDefault" | "Unconfined", Some(name)) => {
            checks.invalid(&local, name, "can only be set when AppArmor type is Localhost");
        }
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("", _) => {
            let detail = "type is required when appArmorProfile is set";
            checks.push(Error::required(&path.child("type"), detail));
        }
        (other, _) => {
            let types = ["Localhost", "RuntimeDefault", "Unconfined"];
            checks.push(Error::not_supported(&path.child("type"), other, &types));
        }
    }
}
