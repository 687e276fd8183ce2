//! What a kind needs at a write that only the server knows: Services' addresses and node ports.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};

use futures::future::BoxFuture;
use serde_json::Value;
use tokio::sync::Notify;
use trimtab_api::field::{Error, Path};
use trimtab_api::{Kind, Kinds, Object};
use trimtab_env::{Env, lock};
use trimtab_store::{Entry, Page, ReadError, Revision, Store, Write};

use crate::addresses::Addresses;
use crate::encode;
use crate::ranges::{Range, Ranges};

/// The node ports that are given out, as upstream's default range.
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30_000..=32_767;

/// What happens beside a write of one kind.
pub trait Hook: Send + Sync + 'static {
    /// Completes `object` before it is written over `old`, and takes what it needs. What is taken
    /// is given back by [`Hook::release`].
    fn admit(&self, _old: Option<&Object>, _object: &mut Object) -> Vec<Error> {
        Vec::new()
    }

    /// Completes the status of `object`, which somebody writes, with what the server itself says there.
    fn admit_status(&self, _object: &mut Object) {}

    /// Gives back what `object` holds and `kept` does not: after a delete, after a write that was
    /// not made, and after one that was.
    fn release(&self, _object: &Object, _kept: Option<&Object>) {}

    /// All objects of the kind, where they are not stored.
    fn computed<'a>(&'a self, _kind: &'a Kind) -> Option<BoxFuture<'a, Vec<Arc<Entry>>>> {
        None
    }

    /// What is written together with `new` over `old`, of other kinds. Without `new`, the object goes.
    fn beside(&self, _old: Option<&Object>, _new: Option<&Object>) -> Vec<Write> {
        Vec::new()
    }

    /// Takes note of a version that is stored, before anybody can see it: whoever hears of it finds the server as it
    /// then is. As [`removed`](Hook::removed), it must not ask the store.
    fn written(&self, _entry: &Entry) {}

    /// Takes note that `entry`, the last version of an object, went with `revision`.
    fn removed(&self, _entry: &Entry, _revision: Revision) {}
}

/// Gives Services their cluster IPs and node ports.
pub struct ServiceAddresses {
    env: Env,
    ranges: Arc<Ranges>,
    taken: Mutex<Taken>,
    addresses: Option<Addresses>,
    /// Told when an IPAddress may be missing.
    pub(crate) work: Notify,
}

#[derive(Clone, Default)]
struct Taken {
    ips: BTreeSet<Ipv4Addr>,
    ports: BTreeSet<u16>,
    /// Those that no Service has, but an IPAddress.
    others: BTreeSet<Ipv4Addr>,
    /// Those whose IPAddress went while a Service had them: with it, or alone.
    bare: BTreeSet<Ipv4Addr>,
}

impl Taken {
    /// Whether it was free.
    fn take(&mut self, ip: Ipv4Addr) -> bool {
        !self.others.contains(&ip) && self.ips.insert(ip)
    }
}

impl ServiceAddresses {
    /// Knows what the stored Services hold, and sees that each address has its IPAddress.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn load(
        kinds: &Kinds,
        store: &dyn Store,
        env: &Env,
        ranges: Arc<Ranges>,
    ) -> Result<Self, ReadError> {
        let this = Self {
            env: env.clone(),
            ranges,
            taken: Mutex::default(),
            addresses: Addresses::new(kinds, env),
            work: Notify::new(),
        };
        let Some(services) = kinds.by_resource("", "v1", "services") else { return Ok(this) };
        for entry in store.list(&encode::prefix(services, ""), Page::default()).await?.entries {
            let (ips, ports) = held(&encode::to_object(services, &entry));
            let mut taken = this.taken();
            taken.ips.extend(ips);
            taken.ports.extend(ports);
        }
        this.mend(store).await?;
        Ok(this)
    }

    /// Sees that each Service's address has its IPAddress, and no other that this server made is left.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn mend(&self, store: &dyn Store) -> Result<(), ReadError> {
        let Some(addresses) = &self.addresses else { return Ok(()) };
        let others = addresses.mend(store).await?;
        let mut taken = self.taken();
        let others = others.into_iter().filter(|ip| !taken.ips.contains(ip)).collect();
        taken.others = others;
        Ok(())
    }

    /// Takes note that somebody has written the IPAddress of `ip`, or deleted it.
    pub(crate) fn note(&self, ip: Option<Ipv4Addr>, there: bool) {
        let Some(ip) = ip else { return };
        let mut taken = self.taken();
        match (taken.ips.contains(&ip), there) {
            (false, true) => drop(taken.others.insert(ip)),
            (false, false) => drop(taken.others.remove(&ip)),
            (true, true) => {}
            (true, false) => {
                taken.bare.insert(ip);
                self.work.notify_one();
            }
        }
    }

    /// Whether a Service still has an address whose IPAddress went.
    pub(crate) fn is_bare(&self) -> bool {
        let mut taken = self.taken();
        std::mem::take(&mut taken.bare).iter().any(|ip| taken.ips.contains(ip))
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        lock(&self.taken)
    }

    fn in_range(&self, ip: Ipv4Addr) -> bool {
        self.ranges.all().into_iter().any(|range| range.contains(ip))
    }

    /// Of the server's own range, as long as it has one.
    fn free_ip(&self, taken: &Taken) -> Option<Ipv4Addr> {
        self.ranges.all().into_iter().find_map(|Range { first, count }| {
            let start = u32::try_from(self.env.below(u64::from(count))).unwrap_or(0);
            let at = |offset: u32| Ipv4Addr::from(first + (start + offset) % count.max(1));
            (0..count).map(at).find(|ip| !taken.ips.contains(ip) && !taken.others.contains(ip))
        })
    }

    fn free_port(&self, taken: &Taken) -> Option<u16> {
        let (first, count) = (*NODE_PORTS.start(), NODE_PORTS.end() - NODE_PORTS.start() + 1);
        let start = u16::try_from(self.env.below(u64::from(count))).unwrap_or(0);
        (0..count).map(|offset| first + (start + offset) % count).find(|port| !taken.ports.contains(port))
    }

    fn give_ip(&self, taken: &mut Taken, old: Option<&Object>, object: &mut Object, errors: &mut Vec<Error>) {
        let path = Path::new("spec").child("clusterIPs");
        if object.str_at(&["spec", "type"]) == "ExternalName" {
            object.remove(&["spec", "clusterIP"]);
            object.remove(&["spec", "clusterIPs"]);
            return;
        }
        // An update that leaves it out keeps it.
        if object.str_at(&["spec", "clusterIP"]).is_empty()
            && let Some(ip) = old.map(|old| old.str_at(&["spec", "clusterIP"])).filter(|ip| !ip.is_empty())
        {
            object.set(&["spec", "clusterIP"], ip);
        }
        let asked = object.str_at(&["spec", "clusterIP"]).to_owned();
        let mine = old.is_some_and(|old| old.str_at(&["spec", "clusterIP"]) == asked);
        let ip = match asked.as_str() {
            "None" => "None".to_owned(),
            "" => match self.free_ip(taken) {
                Some(ip) => {
                    taken.take(ip);
                    ip.to_string()
                }
                None => {
                    errors.push(Error::invalid(&path, &asked, "failed to allocate IP: range is full"));
                    return;
                }
            },
            text => match text.parse::<Ipv4Addr>() {
                Ok(ip) if mine || (self.in_range(ip) && taken.take(ip)) => text.to_owned(),
                Ok(ip) if !self.in_range(ip) => {
                    let Range { first, count } = self.ranges.own();
                    let range =
                        format!("{}-{}", Ipv4Addr::from(first), Ipv4Addr::from(first + count.saturating_sub(1)));
                    errors.push(Error::invalid(
                        &path,
                        [text],
                        format!("failed to allocate IP {ip}: the provided IP is not in the valid range {range}"),
                    ));
                    return;
                }
                Ok(ip) => {
                    errors.push(Error::invalid(
                        &path,
                        [text],
                        format!("failed to allocate IP {ip}: provided IP is already allocated"),
                    ));
                    return;
                }
                Err(_) => {
                    errors.push(Error::invalid(&path.index(0), text, "must be a valid IPv4 address, or 'None'"));
                    return;
                }
            },
        };
        object.set(&["spec", "clusterIP"], ip.as_str());
        object.set(&["spec", "clusterIPs"], vec![Value::from(ip)]);
    }

    fn give_ports(&self, taken: &mut Taken, old: Option<&Object>, object: &mut Object, errors: &mut Vec<Error>) {
        let exposed = matches!(object.str_at(&["spec", "type"]), "NodePort" | "LoadBalancer");
        // A load balancer that reaches pods by itself needs none but those that are asked for.
        let frugal = object.str_at(&["spec", "type"]) == "LoadBalancer"
            && object.at(&["spec", "allocateLoadBalancerNodePorts"]) == Some(&Value::Bool(false));
        let before = old.map(|old| ports(old).cloned().collect::<Vec<_>>()).unwrap_or_default();
        let mine: BTreeSet<u16> = before.iter().filter_map(node_port).collect();
        let Some(list) = object.0.get_mut("spec").and_then(|spec| spec.get_mut("ports")).and_then(Value::as_array_mut)
        else {
            return;
        };
        for (index, port) in list.iter_mut().enumerate() {
            if !exposed {
                port.as_object_mut().map(|port| port.remove("nodePort"));
                continue;
            }
            let same = |other: &&Value| other["port"] == port["port"] && other["protocol"] == port["protocol"];
            let kept = before.iter().find(same).and_then(node_port);
            let path = Path::new("spec").child("ports").index(index).child("nodePort");
            match node_port(port).or(kept) {
                None if frugal => {}
                Some(number) if mine.contains(&number) => port["nodePort"] = number.into(),
                Some(number) if !NODE_PORTS.contains(&number) => {
                    let detail = format!(
                        "provided port is not in the valid range. The range of valid ports is {}-{}",
                        NODE_PORTS.start(),
                        NODE_PORTS.end()
                    );
                    errors.push(Error::invalid(&path, number, detail));
                }
                Some(number) if !taken.ports.insert(number) => {
                    errors.push(Error::invalid(&path, number, "provided port is already allocated"));
                }
                Some(_) => {}
                None => match self.free_port(taken) {
                    Some(number) => {
                        taken.ports.insert(number);
                        port["nodePort"] = number.into();
                    }
                    None => errors.push(Error::invalid(&path, 0, "failed to allocate a nodePort: range is full")),
                },
            }
        }
    }
}

impl Hook for ServiceAddresses {
    fn admit(&self, old: Option<&Object>, object: &mut Object) -> Vec<Error> {
        // All or nothing, and nobody in between.
        let mut taken = self.taken();
        let (mut wanted, mut errors) = (taken.clone(), Vec::new());
        self.give_ip(&mut wanted, old, object, &mut errors);
        self.give_ports(&mut wanted, old, object, &mut errors);
        if errors.is_empty() {
            *taken = wanted;
        }
        errors
    }

    fn release(&self, object: &Object, kept: Option<&Object>) {
        let (ips, ports) = held(object);
        let (kept_ips, kept_ports) = kept.map(held).unwrap_or_default();
        let mut taken = self.taken();
        for ip in ips.difference(&kept_ips) {
            taken.ips.remove(ip);
        }
        for port in ports.difference(&kept_ports) {
            taken.ports.remove(port);
        }
    }

    fn beside(&self, old: Option<&Object>, new: Option<&Object>) -> Vec<Write> {
        let Some(addresses) = &self.addresses else { return Vec::new() };
        let ip = |service: Option<&Object>| service?.str_at(&["spec", "clusterIP"]).parse::<Ipv4Addr>().ok();
        let (before, after) = (ip(old), ip(new));
        if before == after {
            return Vec::new();
        }
        let made = after.zip(new).map(|(ip, new)| addresses.made(ip, (new.namespace(), new.name())));
        before.map(|ip| addresses.gone(ip)).into_iter().chain(made).collect()
    }
}

fn ports(object: &Object) -> impl Iterator<Item = &Value> {
    object.at(&["spec", "ports"]).and_then(Value::as_array).into_iter().flatten()
}

fn node_port(port: &Value) -> Option<u16> {
    port["nodePort"].as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0)
}

fn held(object: &Object) -> (BTreeSet<Ipv4Addr>, BTreeSet<u16>) {
    let ip = object.str_at(&["spec", "clusterIP"]).parse().ok();
    (ip.into_iter().collect(), ports(object).filter_map(node_port).collect())
}
