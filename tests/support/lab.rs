//! Networks of namespaces and virtual cables, for tests that need NATs, firewalls and several machines. Needs
//! root, iproute2 and nftables. Everything is gone when it is dropped.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// No two laboratories of a process have the same name.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// One network.
pub(crate) struct Lab {
    prefix: String,
    machines: Vec<String>,
}

impl Lab {
    /// Machines of these names, with nothing but loopback; `None`, loudly, where that can't be done.
    pub(crate) fn new(machines: &[&str]) -> Option<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut lab =
            Self { prefix: format!("p2pcall{}n{number}", std::process::id()), machines: Vec::new() };
        for tool in [["ip", "-V"], ["nft", "-v"]] {
            if Command::new(tool[0]).arg(tool[1]).output().is_err() {
                println!("SKIPPED: {} is not installed", tool[0]);
                return None;
            }
        }
        for machine in machines {
            let name = lab.namespace(machine);
            let made = Command::new("ip").args(["netns", "add", &name]).output().expect("ip runs");
            if !made.status.success() {
                println!("SKIPPED: no network namespaces: {}", String::from_utf8_lossy(&made.stderr).trim());
                return None;
            }
            lab.machines.push(name);
            // Nobody else has an address here: the detection of duplicates would only take its second.
            lab.run(
                machine,
                "ip link set lo up
                 for file in /proc/sys/net/ipv6/conf/[ad]*/accept_dad; do
                   [ ! -e $file ] || echo 0 > $file
                 done",
            );
        }
        Some(lab)
    }

    /// The namespace of a machine.
    pub(crate) fn namespace(&self, machine: &str) -> String {
        format!("{}{machine}", self.prefix)
    }

    /// Runs a command there, which must succeed.
    pub(crate) fn run(&self, machine: &str, command: &str) -> String {
        let words = ["ip", "netns", "exec", &self.namespace(machine), "sh", "-c", command].map(str::to_owned);
        let output =
            Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).output().expect("ip runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{machine}: {command}: {error}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A cable between two interfaces, `machine:interface=address/prefix`.
    pub(crate) fn cable(&self, one: &str, other: &str) {
        let ends = [one, other].map(|end| {
            let (machine, rest) = end.split_once(':').expect("machine:interface=address");
            let (interface, address) = rest.split_once('=').expect("interface=address");
            (machine, interface, address)
        });
        let [(a, a_interface, _), (b, b_interface, _)] = ends;
        let peer = self.namespace(b);
        self.run(a, &format!("ip link add {a_interface} type veth peer name {b_interface} netns {peer}"));
        for (machine, interface, address) in ends {
            // Nobody else can have an IPv6 address here: no need to wait for the detection of duplicates.
            let sure = if address.contains(':') { "nodad" } else { "" };
            self.run(machine, &format!("ip addr add {address} dev {interface} {sure}"));
        }
        for (machine, interface, _) in ends {
            self.run(machine, &format!("ip link set dev {interface} up"));
        }
    }

    /// The way out.
    pub(crate) fn default_route(&self, machine: &str, gateway: &str) {
        self.run(machine, &format!("ip route add default via {gateway}"));
    }

    /// Makes a router of a machine: everything that leaves by `wan` leaves from its address there, from the same
    /// port where it is free or from `random` ones, and nothing comes in that was not asked for.
    pub(crate) fn nat(&self, machine: &str, wan: &str, random: bool) {
        let how = if random { "masquerade fully-random" } else { "masquerade" };
        self.run(machine, "echo 1 > /proc/sys/net/ipv4/ip_forward");
        self.rules(
            machine,
            &format!(
                "table ip nat {{
                   chain outwards {{
                     type nat hook postrouting priority 100;
                     oifname {wan} {how};
                   }}
                 }}
                 table ip wall {{
                   chain here {{
                     type filter hook input priority 0;
                     iifname {wan} ct state new drop;
                   }}
                   chain through {{
                     type filter hook forward priority 0;
                     iifname {wan} ct state new drop;
                   }}
                 }}"
            ),
        );
    }

    /// Adds rules of nftables.
    pub(crate) fn rules(&self, machine: &str, rules: &str) {
        self.run(machine, &format!("nft -f - <<'RULES'\n{rules}\nRULES"));
    }

    /// Loses so many of a hundred packets that come to a machine, drawn at random.
    pub(crate) fn lose(&self, machine: &str, percent: u8) {
        self.rules(
            machine,
            &format!(
                "table ip loss {{
                   chain here {{
                     type filter hook input priority 0;
                     iifname eth0 numgen random mod 100 < {percent} drop;
                   }}
                 }}"
            ),
        );
    }

    /// Packets that a named counter of nftables has counted, `family table counter`.
    pub(crate) fn counted(&self, machine: &str, counter: &str) -> u64 {
        let said = self.run(machine, &format!("nft list counter {counter}"));
        let mut words = said.split_whitespace().skip_while(|word| *word != "packets").skip(1);
        words.next().and_then(|number| number.parse().ok()).expect("a number")
    }

    /// What stands before a command that runs there.
    pub(crate) fn before(&self, machine: &str) -> Vec<String> {
        ["ip", "netns", "exec", &self.namespace(machine)].map(str::to_owned).into()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for machine in &self.machines {
            let _ = Command::new("ip").args(["netns", "del", machine]).output();
        }
    }
}
