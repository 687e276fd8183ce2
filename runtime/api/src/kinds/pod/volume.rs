//! The volumes of a pod, and where its containers mount them.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    Container, DownwardAPIVolumeFile, KeyToPath, PodSpec, ProjectedVolumeSource, Volume, VolumeMount, VolumeProjection,
};

use crate::check::{Checks, text};
use crate::field::{Error, Path};
use crate::names;
use crate::quantity::Quantity;

use super::env;
use super::spec::Of;

/// The volumes of a pod by name.
pub(super) type Volumes<'a> = BTreeMap<&'a str, &'a Volume>;

/// What a path of the host may be asked to be.
pub(crate) const HOST_PATH_TYPES: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// What is wrong with the volumes of a pod, and those that containers may mount.
pub(super) fn check_all<'a>(path: &Path, spec: &'a PodSpec, of: Of, checks: &mut Checks) -> Volumes<'a> {
    let mut volumes = Volumes::new();
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        let path = path.index(index);
        checks.named(&path.child("name"), &volume.name, names::dns1123_label);
        if volumes.contains_key(volume.name.as_str()) {
            checks.push(Error::duplicate(&path.child("name"), &volume.name));
        }
        check_source(&path, volume, checks);
        check_tokens(&path, volume, spec, of, checks);
        volumes.insert(&volume.name, volume);
    }
    volumes
}

/// The names of the sources that `volume` has; one is right.
pub(super) fn sources(volume: &Volume) -> Vec<&'static str> {
    let all = [
        ("emptyDir", volume.empty_dir.is_some()),
        ("hostPath", volume.host_path.is_some()),
        ("gitRepo", volume.git_repo.is_some()),
        ("gcePersistentDisk", volume.gce_persistent_disk.is_some()),
        ("awsElasticBlockStore", volume.aws_elastic_block_store.is_some()),
        ("secret", volume.secret.is_some()),
        ("nfs", volume.nfs.is_some()),
        ("iscsi", volume.iscsi.is_some()),
        ("glusterfs", volume.glusterfs.is_some()),
        ("flocker", volume.flocker.is_some()),
        ("persistentVolumeClaim", volume.persistent_volume_claim.is_some()),
        ("rbd", volume.rbd.is_some()),
        ("cinder", volume.cinder.is_some()),
        ("cephfs", volume.cephfs.is_some()),
        ("quobyte", volume.quobyte.is_some()),
        ("downwardAPI", volume.downward_api.is_some()),
        ("fc", volume.fc.is_some()),
        ("flexVolume", volume.flex_volume.is_some()),
        ("configMap", volume.config_map.is_some()),
        ("azureFile", volume.azure_file.is_some()),
        ("vsphereVolume", volume.vsphere_volume.is_some()),
        ("photonPersistentDisk", volume.photon_persistent_disk.is_some()),
        ("portworxVolume", volume.portworx_volume.is_some()),
        ("azureDisk", volume.azure_disk.is_some()),
        ("storageos", volume.storageos.is_some()),
        ("scaleIO", volume.scale_io.is_some()),
        ("projected", volume.projected.is_some()),
        ("csi", volume.csi.is_some()),
        ("ephemeral", volume.ephemeral.is_some()),
        ("image", volume.image.is_some()),
    ];
    all.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect()
}

fn check_source(path: &Path, volume: &Volume, checks: &mut Checks) {
    let sources = sources(volume);
    if sources.is_empty() {
        checks.push(Error::required(path, "must specify a volume type"));
    }
    for further in sources.iter().skip(1) {
        checks.forbidden(&path.child(further), "may not specify more than 1 volume type");
    }
    check_directories(path, volume, checks);
    if let Some(secret) = &volume.secret {
        let path = path.child("secret");
        if text(&secret.secret_name).is_empty() {
            checks.required(&path.child("secretName"));
        }
        check_files(&path, secret.default_mode, secret.items.as_deref(), checks);
    }
    if let Some(map) = &volume.config_map {
        let path = path.child("configMap");
        if map.name.is_empty() {
            checks.required(&path.child("name"));
        }
        check_files(&path, map.default_mode, map.items.as_deref(), checks);
    }
    if let Some(source) = &volume.downward_api {
        let path = path.child("downwardAPI");
        check_mode(&path.child("defaultMode"), source.default_mode, checks);
        check_downward(&path.child("items"), source.items.as_deref().unwrap_or_default(), checks);
    }
    if let Some(projected) = &volume.projected {
        check_projected(&path.child("projected"), projected, checks);
    }
}

fn check_directories(path: &Path, volume: &Volume, checks: &mut Checks) {
    if let Some(limit) = volume.empty_dir.as_ref().and_then(|source| source.size_limit.as_ref())
        && Quantity::try_from(limit).is_ok_and(|limit| limit.is_negative())
    {
        let detail = "SizeLimit field must be a valid resource quantity";
        checks.forbidden(&path.child("emptyDir").child("sizeLimit"), detail);
    }
    if let Some(source) = &volume.host_path {
        let path = path.child("hostPath");
        check_present(&path.child("path"), &source.path, no_backsteps, checks);
        if !HOST_PATH_TYPES.contains(&text(&source.type_)) {
            checks.push(Error::not_supported(&path.child("type"), text(&source.type_), &HOST_PATH_TYPES));
        }
    }
    if let Some(source) = &volume.nfs {
        let path = path.child("nfs");
        check_present(&path.child("server"), &source.server, |_, _, _| (), checks);
        check_present(&path.child("path"), &source.path, absolute, checks);
    }
    if let Some(claim) = &volume.persistent_volume_claim {
        let path = path.child("persistentVolumeClaim").child("claimName");
        check_present(&path, &claim.claim_name, |_, _, _| (), checks);
    }
}

type PathRule = fn(&Path, &str, &mut Checks);

fn check_present(path: &Path, value: &str, rule: PathRule, checks: &mut Checks) {
    if value.is_empty() { checks.required(path) } else { rule(path, value, checks) }
}

fn absolute(path: &Path, value: &str, checks: &mut Checks) {
    if !value.starts_with('/') {
        checks.invalid(path, value, "must be an absolute path");
    }
}

fn no_backsteps(path: &Path, value: &str, checks: &mut Checks) {
    if value.split('/').any(|part| part == "..") {
        checks.invalid(path, value, "must not contain '..'");
    }
}

/// A path below a directory: relative, and not out of it.
pub(super) fn descending(path: &Path, value: &str, checks: &mut Checks) {
    if value.starts_with('/') {
        checks.invalid(path, value, "must be a relative path");
    }
    no_backsteps(path, value, checks);
}

/// As [`descending`], and no name that the node uses itself.
fn not_reserved(path: &Path, value: &str, checks: &mut Checks) {
    descending(path, value, checks);
    if value.starts_with("..") && !value.starts_with("../") && value != ".." {
        checks.invalid(path, value, "must not start with '..'");
    }
}

fn check_mode(path: &Path, mode: Option<i32>, checks: &mut Checks) {
    if let Some(mode) = mode.filter(|mode| !(0..=0o777).contains(mode)) {
        checks.invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive");
    }
}

fn check_files(path: &Path, default_mode: Option<i32>, items: Option<&[KeyToPath]>, checks: &mut Checks) {
    check_mode(&path.child("defaultMode"), default_mode, checks);
    for (index, item) in items.into_iter().flatten().enumerate() {
        let path = path.child("items").index(index);
        check_present(&path.child("key"), &item.key, |_, _, _| (), checks);
        check_present(&path.child("path"), &item.path, not_reserved, checks);
        check_mode(&path.child("mode"), item.mode, checks);
    }
}

fn check_downward(path: &Path, files: &[DownwardAPIVolumeFile], checks: &mut Checks) {
    for (index, file) in files.iter().enumerate() {
        let path = path.index(index);
        check_present(&path.child("path"), &file.path, not_reserved, checks);
        match (&file.field_ref, &file.resource_field_ref) {
            (Some(field), resource) => {
                env::check_field(&path.child("fieldRef"), field, &env::FILE_FIELDS, checks);
                if resource.is_some() {
                    let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
                    checks.invalid(&path, "resource", detail);
                }
            }
            (None, Some(resource)) => {
                env::check_resource(&path.child("resourceFieldRef"), resource, true, checks);
            }
            (None, None) => {
                checks.push(Error::required(&path, "one of fieldRef and resourceFieldRef is required"));
            }
        }
        check_mode(&path.child("mode"), file.mode, checks);
    }
}

fn check_projected(path: &Path, projected: &ProjectedVolumeSource, checks: &mut Checks) {
    check_mode(&path.child("defaultMode"), projected.default_mode, checks);
    for (index, source) in projected.sources.iter().flatten().enumerate() {
        check_projection(&path.child("sources").index(index), source, checks);
    }
}

fn check_projection(path: &Path, source: &VolumeProjection, checks: &mut Checks) {
    let mut kinds = Vec::new();
    let secret = source.secret.as_ref().map(|secret| ("secret", &secret.name, secret.items.as_deref()));
    let map = source.config_map.as_ref().map(|map| ("configMap", &map.name, map.items.as_deref()));
    for (kind, name, items) in secret.into_iter().chain(map) {
        kinds.push(kind);
        check_present(&path.child(kind).child("name"), name, |_, _, _| (), checks);
        check_files(&path.child(kind), None, items, checks);
    }
    if let Some(downward) = &source.downward_api {
        kinds.push("downwardAPI");
        let items = downward.items.as_deref().unwrap_or_default();
        check_downward(&path.child("downwardAPI").child("items"), items, checks);
    }
    if let Some(token) = &source.service_account_token {
        kinds.push("serviceAccountToken");
        let path = path.child("serviceAccountToken");
        if token.expiration_seconds.is_some_and(|seconds| seconds < 10 * 60) {
            let detail = "may not specify a duration less than 10 minutes";
            checks.invalid(&path.child("expirationSeconds"), token.expiration_seconds, detail);
        }
        check_present(&path.child("path"), &token.path, not_reserved, checks);
    }
    let others = [
        ("clusterTrustBundle", source.cluster_trust_bundle.is_some()),
        ("podCertificate", source.pod_certificate.is_some()),
    ];
    kinds.extend(others.into_iter().filter(|(_, is_set)| *is_set).map(|(kind, _)| kind));
    for further in kinds.iter().skip(1) {
        checks.forbidden(&path.child(further), "may not specify more than 1 volume type");
    }
}

fn check_tokens(path: &Path, volume: &Volume, spec: &PodSpec, of: Of, checks: &mut Checks) {
    if of == Of::Template || !text(&spec.service_account_name).is_empty() {
        return;
    }
    let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    for (index, _) in sources.enumerate().filter(|(_, source)| source.service_account_token.is_some()) {
        let path = path.child("projected").child("sources").index(index).child("serviceAccountToken");
        checks.forbidden(&path, "must not be specified when serviceAccountName is not set");
    }
}

/// What is wrong with where `container` mounts its volumes.
pub(super) fn check_mounts(path: &Path, container: &Container, volumes: &Volumes<'_>, checks: &mut Checks) {
    let mut mounted = BTreeSet::new();
    let list = path.child("volumeMounts");
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let path = list.index(index);
        if mount.name.is_empty() {
            checks.required(&path.child("name"));
        }
        if !volumes.contains_key(mount.name.as_str()) {
            checks.push(Error::not_found(&path.child("name"), &mount.name));
        }
        if mount.mount_path.is_empty() {
            checks.required(&path.child("mountPath"));
        }
        if !mounted.insert(&mount.mount_path) {
            checks.invalid(&path.child("mountPath"), &mount.mount_path, "must be unique");
        }
        check_sub_paths(&list, &path, mount, volumes, checks);
        check_propagation(&list, mount, container, checks);
    }
    check_devices(&path.child("volumeDevices"), container, volumes, checks);
}

// Upstream reports these at the list, without the index.
fn check_sub_paths(list: &Path, path: &Path, mount: &VolumeMount, volumes: &Volumes<'_>, checks: &mut Checks) {
    let (sub_path, expression) = (text(&mount.sub_path), text(&mount.sub_path_expr));
    let of_image = volumes.get(mount.name.as_str()).is_some_and(|volume| volume.image.is_some());
    for (field, value) in [("subPath", sub_path), ("subPathExpr", expression)] {
        if of_image && !value.is_empty() {
            checks.invalid(&path.child(field), value, "not allowed in image volume sources");
        }
        descending(&list.child(field), value, checks);
    }
    if !sub_path.is_empty() && !expression.is_empty() {
        let detail = "subPathExpr and subPath are mutually exclusive";
        checks.invalid(&path.child("subPathExpr"), expression, detail);
    }
}

fn check_propagation(list: &Path, mount: &VolumeMount, container: &Container, checks: &mut Checks) {
    let privileged = container.security_context.as_ref().and_then(|context| context.privileged) == Some(true);
    let path = list.child("mountPropagation");
    match mount.mount_propagation.as_deref() {
        Some("Bidirectional") if !privileged => {
            let detail = "Bidirectional mount propagation is available only to privileged containers";
            checks.forbidden(&path, detail);
        }
        None | Some("Bidirectional" | "HostToContainer" | "None") => {}
        Some(other) => {
            checks.push(Error::not_supported(&path, other, &["Bidirectional", "HostToContainer", "None"]));
        }
    }
    let recursive = text(&mount.recursive_read_only);
    if matches!(recursive, "IfPossible" | "Enabled") && mount.read_only != Some(true) {
        let detail = "may only be specified when readOnly is true";
        checks.forbidden(&list.child("recursiveReadOnly"), detail);
    }
}

fn check_devices(path: &Path, container: &Container, volumes: &Volumes<'_>, checks: &mut Checks) {
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for (index, device) in container.volume_devices.iter().flatten().enumerate() {
        let path = path.index(index);
        checks.named(&path.child("name"), &device.name, |_| Vec::new());
        if !names.insert(&device.name) {
            checks.invalid(&path.child("name"), &device.name, "must be unique");
        }
        match volumes.get(device.name.as_str()) {
            None => checks.push(Error::not_found(&path.child("name"), &device.name)),
            Some(volume) if volume.persistent_volume_claim.is_none() && volume.ephemeral.is_none() => {
                let detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                checks.invalid(&path.child("name"), &device.name, detail);
            }
            Some(_) => {}
        }
        checks.named(&path.child("devicePath"), &device.device_path, |_| Vec::new());
        if !paths.insert(&device.device_path) {
            checks.invalid(&path.child("devicePath"), &device.device_path, "must be unique");
        }
        if device.device_path.split('/').any(|part| part == "..") {
            let detail = "can not contain backsteps ('..')";
            checks.invalid(&path.child("devicePath"), &device.device_path, detail);
        }
    }
}
