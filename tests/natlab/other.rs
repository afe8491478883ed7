//! Another tool's opinion: coturn's `turnutils_natdiscovery`, asked of the same network.

use super::world::{SERVER, SERVER_SECOND, World};
use crate::support::coturn::Coturn;
use std::process::Command;

/// Mapping and filtering in the words of `diagnose --json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opinion {
    pub(crate) mapping: &'static str,
    pub(crate) filtering: &'static str,
}

/// A coturn with two addresses, whom both can ask. Our relay names, as RFC 5780 §7.4 has it, the address that is another
/// than the one asked, which this tool takes for another than the first one's: it then asks the wrong port.
pub(crate) fn server(world: &World) -> Option<Coturn> {
    let before = world.lab.before("server");
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let second = format!("--listening-ip={SERVER_SECOND}");
    let address = SERVER.parse().expect("an address");
    Coturn::start_in(&before, address, (3478, 5349), &[second.as_str()])
}

/// What it says on alice's machine of that server; `None`, loudly, where it is not installed.
pub(crate) fn opinion(world: &World) -> Option<Opinion> {
    let local = world.lab.run("alice", "ip -4 -o addr show dev eth0 | awk '{print $4}' | cut -d/ -f1");
    let before = world.lab.before("alice");
    if Command::new("turnutils_natdiscovery").output().is_err() {
        println!("SKIPPED: turnutils_natdiscovery (package coturn) is not installed");
        return None;
    }
    let output = Command::new(&before[0])
        .args(&before[1..])
        .args(["turnutils_natdiscovery", "-m", "-f", "-L", local.trim(), SERVER])
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let of = |what: &str| {
        // An endpoint without a NAT is told of twice, in both ways.
        let said = |kind: &str| text.contains(&format!("NAT with {kind} {what}!"));
        match () {
            () if said("Endpoint Independent") => "endpoint_independent",
            () if said("Address Dependent") => "address_dependent",
            () if said("Address and Port Dependent") => "address_and_port_dependent",
            () => "unknown",
        }
    };
    Some(Opinion { mapping: of("Mapping"), filtering: of("Filtering") })
}
