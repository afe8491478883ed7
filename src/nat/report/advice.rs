//! What to do, the most useful thing first.

use super::Verdict;
use crate::code::network::{Cgnat, Mapping};
use crate::nat::facts::{Facts, Nat, Portal, Reach, TCP_PORTS};

/// For who knows not enough.
const ASK_MORE: &str =
    "To know more, ask servers on two addresses: --stun HOST:PORT twice, one with RFC 5780 if there is one.";

/// All of it; never empty.
pub(super) fn all(verdict: Verdict, facts: &Facts, nat: &Nat) -> Vec<String> {
    let mut advice = Vec::new();
    if facts.portal == Portal::Present {
        advice.push("Open a web browser and log in to this network, then try again.".to_owned());
    }
    if facts.dns.found.is_empty() && !facts.dns.missing.is_empty() {
        let what = match facts.online() {
            true => {
                "Mend DNS (the router's, or set another server): names are not found, numbers are reached."
            }
            false => "Check the network connection: no name is found.",
        };
        advice.push(what.to_owned());
    }
    match verdict {
        Verdict::Offline => offline(facts, &mut advice),
        Verdict::Direct => direct(nat, &mut advice),
        Verdict::DirectIpv6 => {
            advice.push(
                "Nothing for friends with IPv6. For others configure a relay: `p2pcall relay add`."
                    .to_owned(),
            );
        }
        Verdict::Relay => {
            advice.push("Nothing: calls use the relay by themselves.".to_owned());
            hard(nat, &mut advice);
        }
        Verdict::RelayMissing => {
            broken(facts, &mut advice);
            advice.push(missing(facts));
            hard(nat, &mut advice);
        }
    }
    advice
}

fn offline(facts: &Facts, advice: &mut Vec<String>) {
    if facts.route().is_none() {
        advice.push("Connect this machine to a network: it has no way out.".to_owned());
    } else {
        advice.push("Check the cable or the wireless network, and the router's own connection.".to_owned());
    }
    advice
        .push("On one local network calls work without the world: `p2pcall offer --no-servers`.".to_owned());
}

fn direct(nat: &Nat, advice: &mut Vec<String>) {
    match nat.mapping {
        Mapping::Unknown => advice.push(ASK_MORE.to_owned()),
        _ if advice.is_empty() => advice.push("Nothing: make a call with `p2pcall offer`.".to_owned()),
        _ => {}
    }
    if matches!(nat.cgnat, Cgnat::Likely | Cgnat::Yes) && nat.hairpin != Some(true) {
        advice.push("With a friend of the same provider a relay may be needed all the same.".to_owned());
    }
}

/// Relays that are configured and do not work.
fn broken(facts: &Facts, advice: &mut Vec<String>) {
    for relay in &facts.relays {
        advice.push(format!("See what is wrong with the relay {}: `p2pcall relay check`.", relay.host));
    }
}

/// What kind of relay would do.
fn missing(facts: &Facts) -> String {
    let open =
        |port: u16| TCP_PORTS.iter().zip(facts.tcp).any(|(one, reach)| *one == port && reach == Reach::Open);
    let what = if facts.udp4() == Some(true) {
        "Use a relay: set up p2pcall-relay on any machine with a public address, and `p2pcall relay add LINK`."
    } else if open(3478) {
        "Use a relay over TCP: `p2pcall relay add 'turn:USER:PASSWORD@HOST'`."
    } else if open(80) {
        "Use a relay on TCP port 80 or TLS port 443: `p2pcall relay add 'turn:USER:PASSWORD@HOST:80?transport=tcp'`."
    } else if facts.tls == Reach::Open || open(443) {
        "Use a relay with TLS on port 443: `p2pcall relay add 'turns:USER:PASSWORD@HOST:443'`."
    } else {
        "Use a relay with TLS on port 443, the likeliest to get out; or call from another network."
    };
    what.to_owned()
}

fn hard(nat: &Nat, advice: &mut Vec<String>) {
    if nat.mapping == Mapping::Unknown && nat.present == Some(true) {
        advice.push(ASK_MORE.to_owned());
    }
    if nat.present == Some(true) && nat.mapping != Mapping::Unknown && nat.cgnat == Cgnat::No {
        advice
            .push("If the router is yours, switch on UPnP or PCP in it, or a \"cone\" NAT mode.".to_owned());
    }
    advice.push("IPv6 at both ends would make direct calls possible.".to_owned());
}
