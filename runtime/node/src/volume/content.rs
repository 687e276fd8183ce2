//! What is in the files.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, DownwardAPIVolumeFile, KeyToPath, Pod, Volume};

use super::atomic::File;
use crate::pod::env::{Sources, field, resource};
use crate::pod::spec;
use crate::pod::spec::{hostname, is_host_network};
use crate::token;

type Files = BTreeMap<String, File>;

const DEFAULT_MODE: i32 = 0o644;

/// The files of a volume that is made from objects.
///
/// # Errors
/// What is missing, in upstream's words.
pub(super) fn files(pod: &Pod, volume: &Volume, sources: &Sources) -> Result<Files, String> {
    if let Some(map) = &volume.config_map {
        return config_map(sources, &map.name, map.optional, map.items.as_deref(), map.default_mode);
    }
    if let Some(secret) = &volume.secret {
        let name = secret.secret_name.as_deref().unwrap_or_default();
        return of_secret(sources, name, secret.optional, secret.items.as_deref(), secret.default_mode);
    }
    if let Some(api) = &volume.downward_api {
        return downward(pod, sources, api.items.as_deref().unwrap_or_default(), api.default_mode);
    }
    let Some(projected) = &volume.projected else { return Err("no source that is supported".to_owned()) };
    let (mut files, mode) = (Files::new(), projected.default_mode);
    for source in projected.sources.iter().flatten() {
        if let Some(map) = &source.config_map {
            files.extend(config_map(sources, &map.name, map.optional, map.items.as_deref(), mode)?);
        } else if let Some(secret) = &source.secret {
            files.extend(of_secret(sources, &secret.name, secret.optional, secret.items.as_deref(), mode)?);
        } else if let Some(api) = &source.downward_api {
            files.extend(downward(pod, sources, api.items.as_deref().unwrap_or_default(), mode)?);
        } else if let Some(asked) = &source.service_account_token {
            let token = sources.tokens.get(&token::key(asked)).ok_or("there is no token of the service account")?;
            files.insert(asked.path.clone(), (token.clone().into_bytes(), bits(mode, None)));
        } else {
            let known = "only configMap, secret, downwardAPI and serviceAccountToken are supported";
            return Err(format!("projected.sources: {known}"));
        }
    }
    Ok(files)
}

fn config_map(
    sources: &Sources,
    name: &str,
    optional: Option<bool>,
    items: Option<&[KeyToPath]>,
    mode: Option<i32>,
) -> Result<Files, String> {
    let map = sources.config_map(name, optional)?;
    let text = map.iter().flat_map(|map| map.data.iter().flatten()).map(|(key, text)| (key, text.as_bytes()));
    let binary = map.iter().flat_map(|map| map.binary_data.iter().flatten());
    let data = text.chain(binary.map(|(key, bytes)| (key, bytes.0.as_slice()))).collect();
    select(&data, items, mode, optional == Some(true))
        .map_err(|key| format!("configmap references non-existent config key: {key}"))
}

fn of_secret(
    sources: &Sources,
    name: &str,
    optional: Option<bool>,
    items: Option<&[KeyToPath]>,
    mode: Option<i32>,
) -> Result<Files, String> {
    let secret = sources.secret(name, optional)?;
    let data = secret.iter().flat_map(|secret| secret.data.iter().flatten());
    let data = data.map(|(key, bytes)| (key, bytes.0.as_slice())).collect();
    select(&data, items, mode, optional == Some(true))
        .map_err(|key| format!("references non-existent secret key: {key}"))
}

/// All keys, or the items; the error is the key that does not exist.
fn select(
    data: &BTreeMap<&String, &[u8]>,
    items: Option<&[KeyToPath]>,
    mode: Option<i32>,
    optional: bool,
) -> Result<Files, String> {
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        return Ok(data.iter().map(|(key, bytes)| ((*key).clone(), (bytes.to_vec(), bits(mode, None)))).collect());
    };
    let mut files = Files::new();
    for item in items {
        match data.get(&item.key) {
            Some(bytes) => drop(files.insert(item.path.clone(), (bytes.to_vec(), bits(mode, item.mode)))),
            None if optional => {}
            None => return Err(item.key.clone()),
        }
    }
    Ok(files)
}

fn bits(default: Option<i32>, own: Option<i32>) -> u32 {
    u32::try_from(own.or(default).unwrap_or(DEFAULT_MODE)).unwrap_or(0o644)
}

fn downward(pod: &Pod, sources: &Sources, items: &[DownwardAPIVolumeFile], mode: Option<i32>) -> Result<Files, String> {
    let mut files = Files::new();
    for item in items {
        let text = match (&item.field_ref, &item.resource_field_ref) {
            (Some(reference), _) => field(pod, reference, None, sources.host_ip)?,
            (None, Some(reference)) => resource(pod, &Container::default(), reference, sources.capacity)?,
            (None, None) => return Err(format!("downwardAPI item {}: no source", item.path)),
        };
        files.insert(item.path.clone(), (text.into_bytes(), bits(mode, item.mode)));
    }
    Ok(files)
}

/// `/etc/hosts` of a pod, in the kubelet's form.
pub(super) fn hosts(pod: &Pod, ip: Option<IpAddr>) -> String {
    let mut text = if is_host_network(pod) {
        let own = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
        format!("# Kubernetes-managed hosts file (host network).\n{own}")
    } else {
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
            .to_owned()
    };
    if let Some(ip) = ip.filter(|_| !is_host_network(pod)) {
        let name = hostname(pod);
        let full = spec(pod).subdomain.as_ref().filter(|subdomain| !subdomain.is_empty()).map(|subdomain| {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            format!("{name}.{subdomain}.{namespace}.svc.cluster.local\t")
        });
        text += &format!("{ip}\t{}{name}\n", full.unwrap_or_default());
    }
    let aliases = spec(pod).host_aliases.as_deref().unwrap_or_default();
    if !aliases.is_empty() {
        text += "\n# Entries added by HostAliases.\n";
    }
    for alias in aliases {
        text += &format!("{}\t{}\n", alias.ip, alias.hostnames.as_deref().unwrap_or_default().join("\t"));
    }
    text
}

/// `/etc/resolv.conf` of a pod: by its `dnsPolicy`, and what its `dnsConfig` adds.
pub(super) fn resolv_conf(pod: &Pod, dns: Option<IpAddr>, domain: &str, of_host: &str) -> String {
    let spec = spec(pod);
    let mut config = Resolver::default();
    let policy = spec.dns_policy.as_deref().unwrap_or("ClusterFirst");
    let cluster = match policy {
        "ClusterFirst" => !is_host_network(pod),
        "ClusterFirstWithHostNet" => true,
        _ => false,
    };
    match (policy, cluster.then_some(dns).flatten()) {
        ("None", _) => {}
        (_, Some(dns)) => {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            config.servers.push(dns.to_string());
            config.searches = vec![format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.to_owned()];
            config.searches.extend(Resolver::parse(of_host).searches);
            config.options.push("ndots:5".to_owned());
        }
        (_, None) => config = Resolver::parse(of_host),
    }
    if let Some(more) = &spec.dns_config {
        config.servers.extend(more.nameservers.iter().flatten().cloned());
        config.searches.extend(more.searches.iter().flatten().cloned());
        for option in more.options.iter().flatten() {
            let name = option.name.clone().unwrap_or_default();
            config.options.retain(|old| old.split(':').next() != Some(name.as_str()));
            config.options.push(option.value.as_ref().map_or(name.clone(), |value| format!("{name}:{value}")));
        }
    }
    config.text()
}

#[derive(Default)]
struct Resolver {
    servers: Vec<String>,
    searches: Vec<String>,
    options: Vec<String>,
}

impl Resolver {
    fn parse(text: &str) -> Self {
        let mut config = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let list = match words.next() {
                Some("nameserver") => &mut config.servers,
                Some("search") => &mut config.searches,
                Some("options") => &mut config.options,
                _ => continue,
            };
            list.extend(words.map(str::to_owned));
        }
        config
    }

    fn text(mut self) -> String {
        let mut seen = std::collections::HashSet::new();
        self.searches.retain(|search| seen.insert(search.clone()));
        let mut text = String::new();
        if !self.searches.is_empty() {
            text += &format!("search {}\n", self.searches.join(" "));
        }
        for server in &self.servers {
            text += &format!("nameserver {server}\n");
        }
        if !self.options.is_empty() {
            text += &format!("options {}\n", self.options.join(" "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(spec: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec})).unwrap()
    }

    #[test]
    fn cluster_first_asks_the_cluster() {
        let dns = Some("10.244.0.1".parse().unwrap());
        let host = "nameserver 192.0.2.53\nsearch lan\noptions timeout:1\n";
        let conf = |spec| resolv_conf(&pod(spec), dns, "cluster.local", host);
        let expected = "search shop.svc.cluster.local svc.cluster.local cluster.local lan\nnameserver 10.244.0.1\noptions ndots:5\n";
        assert_eq!(conf(json!({"containers": []})), expected);
        let default = "search lan\nnameserver 192.0.2.53\noptions timeout:1\n";
        assert_eq!(conf(json!({"containers": [], "dnsPolicy": "Default"})), default);
        assert_eq!(conf(json!({"containers": [], "hostNetwork": true})), default);
        let own = json!({"containers": [], "dnsPolicy": "None",
            "dnsConfig": {"nameservers": ["9.9.9.9"], "options": [{"name": "ndots", "value": "2"}]}});
        assert_eq!(conf(own), "nameserver 9.9.9.9\noptions ndots:2\n");
    }

    #[test]
    fn hosts_name_the_pod_and_its_aliases() {
        let pod = pod(json!({"containers": [], "subdomain": "sub",
            "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a", "b"]}]}));
        let text = hosts(&pod, Some("10.0.0.9".parse().unwrap()));
        assert!(text.contains("\n10.0.0.9\tweb.sub.shop.svc.cluster.local\tweb\n"), "{text}");
        assert!(text.ends_with("\n1.2.3.4\ta\tb\n"), "{text}");
    }

    #[test]
    fn what_a_pod_shows_itself_with_is_in_one_folder() {
        let volume: Volume =
            serde_json::from_value(json!({"name": "kube-api-access-x", "projected": {"defaultMode": 0o644,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
            ]}}))
            .unwrap();
        let map = serde_json::from_value(json!({"data": {"ca.crt": "PEM"}})).unwrap();
        let config_maps = [("kube-root-ca.crt".to_owned(), map)].into();
        let pod = pod(json!({"containers": []}));
        let mut sources = Sources { config_maps, ..Sources::default() };
        assert_eq!(files(&pod, &volume, &sources).unwrap_err(), "there is no token of the service account");
        sources.tokens.insert((String::new(), 3607), "a.b.c".to_owned());
        let file = |text: &str| (text.as_bytes().to_vec(), 0o644);
        let expected = [("ca.crt", "PEM"), ("namespace", "shop"), ("token", "a.b.c")];
        let expected: Files = expected.into_iter().map(|(name, text)| (name.to_owned(), file(text))).collect();
        assert_eq!(files(&pod, &volume, &sources).unwrap(), expected);
    }

    #[test]
    fn items_choose_keys_paths_and_modes() {
        let volume = |items: Value, optional: bool| {
            serde_json::from_value::<Volume>(json!({"name": "v", "configMap":
                {"name": "c", "items": items, "defaultMode": 0o600, "optional": optional}}))
            .unwrap()
        };
        let map = serde_json::from_value(json!({"data": {"k": "1", "l": "2"}})).unwrap();
        let sources = Sources { config_maps: [("c".to_owned(), map)].into(), ..Sources::default() };
        let pod = pod(json!({"containers": []}));
        let all = files(&pod, &volume(json!([]), false), &sources).unwrap();
        assert_eq!(
            all,
            Files::from([("k".to_owned(), (b"1".to_vec(), 0o600)), ("l".to_owned(), (b"2".to_vec(), 0o600))])
        );
        let one = json!([{"key": "k", "path": "deep/k", "mode": 0o400}]);
        let one = files(&pod, &volume(one, false), &sources).unwrap();
        assert_eq!(one, Files::from([("deep/k".to_owned(), (b"1".to_vec(), 0o400))]));
        let error = files(&pod, &volume(json!([{"key": "x", "path": "x"}]), false), &sources).unwrap_err();
        assert_eq!(error, "configmap references non-existent config key: x");
    }
}
