//! The kernel's rules as `nft` reads them. Pure: from one table to the commands for the next.
//!
//! ```text
//! prerouting, output ─▶ lookup ─(map services)─▶ one chain per port ─▶ dnat to a backend in turn
//! forward, out       ─▶ refuse  (set refused: ports without backends)
//! postrouting        ─▶ masquerade what came for a cluster IP
//! ```
//!
//! The maps keep the cost of a packet independent of the number of Services. Replies to
//! masqueraded connections come back through the host even where both pods are on one bridge.
//! Conntrack entries of UDP flows to a backend that is gone are left to expire.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::model::{Affinity, Frontend, Table};

/// What the kernel does for one frontend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    affinity: Affinity,
    backends: Vec<SocketAddrV4>,
}

/// The rules for a [`Table`]: the part of it that the kernel serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules(BTreeMap<Frontend, Target>);

impl From<&Table> for Rules {
    fn from(table: &Table) -> Self {
        let target = |port: &crate::model::Port| Target { affinity: port.affinity, backends: port.backends.clone() };
        Self(table.ports.iter().map(|port| (port.frontend, target(port))).collect())
    }
}

impl Rules {
    fn addresses(&self) -> BTreeSet<Ipv4Addr> {
        self.0.keys().map(|frontend| frontend.ip).collect()
    }
}

/// The name of the `nft` table of a cluster.
pub(crate) fn table_name(cluster: &str) -> String {
    format!("trimtab-{cluster}")
}

/// The commands that replace whatever `table` held by `rules`, in one transaction.
pub(crate) fn replace(table: &str, rules: &Rules) -> String {
    let mut script = format!("add table ip {table}\ndelete table ip {table}\nadd table ip {table}\n");
    for line in [
        "add map ip T services { type ipv4_addr . inet_proto . inet_service : verdict; }",
        "add set ip T refused { type ipv4_addr . inet_proto . inet_service; }",
        "add set ip T addresses { type ipv4_addr; }",
        "add chain ip T lookup",
        "add rule ip T lookup ip daddr . meta l4proto . th dport vmap @services",
        "add chain ip T prerouting { type nat hook prerouting priority dstnat; policy accept; }",
        "add rule ip T prerouting jump lookup",
        "add chain ip T output { type nat hook output priority -100; policy accept; }",
        "add rule ip T output jump lookup",
        "add chain ip T postrouting { type nat hook postrouting priority srcnat; policy accept; }",
        "add rule ip T postrouting ct status dnat ct original ip daddr @addresses masquerade",
        "add chain ip T refuse",
        "add rule ip T refuse ip daddr . meta l4proto . th dport @refused meta l4proto tcp reject with tcp reset",
        "add rule ip T refuse ip daddr . meta l4proto . th dport @refused reject",
        "add chain ip T forward { type filter hook forward priority filter; policy accept; }",
        "add rule ip T forward jump refuse",
        "add chain ip T out { type filter hook output priority filter; policy accept; }",
        "add rule ip T out jump refuse",
    ] {
        script += &line.replacen(" T ", &format!(" {table} "), 1);
        script.push('\n');
    }
    script + &change(table, &Rules::default(), rules)
}

/// The commands that take the kernel from `old` to `new`, in one transaction; `""` when they are
/// the same.
pub(crate) fn change(table: &str, old: &Rules, new: &Rules) -> String {
    let mut script = String::new();
    let mut line = |text: String| {
        let _ = writeln!(script, "{text}");
    };
    for ip in new.addresses().difference(&old.addresses()) {
        line(format!("add element ip {table} addresses {{ {ip} }}"));
    }
    for (frontend, target) in &new.0 {
        match old.0.get(frontend) {
            Some(before) if before == target => {}
            before => add(&mut line, table, frontend, before, target),
        }
    }
    for (frontend, target) in old.0.iter().filter(|(frontend, _)| !new.0.contains_key(frontend)) {
        remove(&mut line, table, frontend, target);
    }
    for ip in old.addresses().difference(&new.addresses()) {
        line(format!("delete element ip {table} addresses {{ {ip} }}"));
    }
    script
}

fn add(line: &mut impl FnMut(String), table: &str, frontend: &Frontend, before: Option<&Target>, target: &Target) {
    let (key, chain) = (key(frontend), chain(frontend));
    let had_backends = before.map(|before| !before.backends.is_empty());
    match (had_backends, target.backends.is_empty()) {
        // Only the backends differ: the chain stays, so the map's element stays too.
        (Some(true), false) => line(format!("flush chain ip {table} {chain}")),
        (Some(false), true) => return,
        (_, true) => {
            if let Some(before) = before {
                remove(line, table, frontend, before);
            }
            return line(format!("add element ip {table} refused {{ {key} }}"));
        }
        (_, false) => {
            if let Some(before) = before {
                remove(line, table, frontend, before);
            }
            line(format!("add chain ip {table} {chain}"));
            line(format!("add element ip {table} services {{ {key} : goto {chain} }}"));
        }
    }
    line(format!("add rule ip {table} {chain} {}", dnat(frontend, target)));
}

fn remove(line: &mut impl FnMut(String), table: &str, frontend: &Frontend, target: &Target) {
    let (key, chain) = (key(frontend), chain(frontend));
    if target.backends.is_empty() {
        return line(format!("delete element ip {table} refused {{ {key} }}"));
    }
    line(format!("delete element ip {table} services {{ {key} : goto {chain} }}"));
    line(format!("flush chain ip {table} {chain}"));
    line(format!("delete chain ip {table} {chain}"));
}

fn key(frontend: &Frontend) -> String {
    format!("{} . {} . {}", frontend.ip, frontend.protocol, frontend.port)
}

fn chain(frontend: &Frontend) -> String {
    format!("svc-{}-{}-{}", frontend.ip, frontend.protocol, frontend.port)
}

fn dnat(frontend: &Frontend, target: &Target) -> String {
    let count = target.backends.len();
    let pick = match target.affinity {
        Affinity::None => format!("numgen inc mod {count}"),
        Affinity::ClientIp => format!("jhash ip saddr mod {count}"),
    };
    let places = target.backends.iter().enumerate().map(|(n, to)| format!("{n} : {} . {}", to.ip(), to.port()));
    let places = places.collect::<Vec<_>>().join(", ");
    format!("meta l4proto {} dnat ip to {pick} map {{ {places} }}", frontend.protocol)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Protocol;

    pub(crate) fn rules(of: &[(&str, u16, &[&str])]) -> Rules {
        let entry = |(ip, port, backends): &(&str, u16, &[&str])| {
            let frontend = Frontend { ip: ip.parse().unwrap(), protocol: Protocol::Tcp, port: *port };
            let backends = backends.iter().map(|backend| backend.parse().unwrap()).collect();
            (frontend, Target { affinity: Affinity::None, backends })
        };
        Rules(of.iter().map(entry).collect())
    }

    #[test]
    fn only_changes_are_written() {
        let one = rules(&[("10.96.0.1", 80, &["10.0.0.1:8080"]), ("10.96.0.2", 80, &["10.0.0.9:1"])]);
        let two = rules(&[("10.96.0.1", 80, &["10.0.0.1:8080", "10.0.0.2:8080"]), ("10.96.0.2", 80, &["10.0.0.9:1"])]);
        assert_eq!(change("t", &one, &one), "");
        assert_eq!(
            change("t", &one, &two),
            "flush chain ip t svc-10.96.0.1-tcp-80\nadd rule ip t svc-10.96.0.1-tcp-80 meta l4proto tcp dnat ip to \
             numgen inc mod 2 map { 0 : 10.0.0.1 . 8080, 1 : 10.0.0.2 . 8080 }\n"
        );
    }

    #[test]
    fn a_port_without_backends_is_refused_and_comes_back() {
        let full = rules(&[("10.96.0.1", 80, &["10.0.0.1:8080"])]);
        let empty = rules(&[("10.96.0.1", 80, &[])]);
        let emptied = change("t", &full, &empty);
        assert!(emptied.contains("delete chain ip t svc-10.96.0.1-tcp-80"), "{emptied}");
        assert!(emptied.ends_with("add element ip t refused { 10.96.0.1 . tcp . 80 }\n"), "{emptied}");
        let filled = change("t", &empty, &full);
        assert!(filled.starts_with("delete element ip t refused { 10.96.0.1 . tcp . 80 }\n"), "{filled}");
        assert_eq!(change("t", &empty, &empty), "");
    }

    /// Runs the commands in a network namespace that ends with the process that reads them, so
    /// nothing of the machine is touched. Every step of a Service's life must be accepted.
    #[test]
    fn the_kernel_accepts_every_step() {
        let steps = [
            rules(&[]),
            rules(&[("10.96.0.1", 80, &["10.0.0.1:8080"]), ("10.96.0.1", 443, &[])]),
            rules(&[("10.96.0.1", 80, &[]), ("10.96.0.1", 443, &["10.0.0.1:1", "10.0.0.2:1"])]),
            rules(&[("10.96.0.1", 443, &["10.0.0.1:1"]), ("10.96.0.2", 443, &["10.0.0.2:1"])]),
            rules(&[]),
        ];
        // One transaction per step: `nft` reads several only when run several times.
        let mut shell = format!("nft -f - <<'X'\n{}X\n", replace("trimtab-test", &steps[0]));
        for pair in steps.windows(2) {
            shell += &format!("nft -f - <<'X' || exit 1\n{}X\n", change("trimtab-test", &pair[0], &pair[1]));
        }
        shell += "nft list table ip trimtab-test\n";
        let probe = std::process::Command::new("unshare").args(["-n", "nft", "list", "ruleset"]).output();
        if !probe.is_ok_and(|output| output.status.success()) {
            #[expect(clippy::print_stdout, reason = "says what is left out")]
            {
                println!("left out: the_kernel_accepts_every_step (needs root, unshare and nft)");
            }
            return;
        }
        let output = std::process::Command::new("unshare").args(["-n", "sh", "-c", &shell]).output().unwrap();
        let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && errors.is_empty(), "{errors}");
        assert!(out.contains("chain lookup") && !out.contains("svc-"), "all Services are gone again: {out}");
    }
}
