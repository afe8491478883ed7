//! One function an area: what was seen, what it means, and (for `--explain`) how it was found out.

mod outwards;

use crate::code::network::{Cgnat, Filtering, Mapping, Ports};
use crate::nat::facts::{Facts, Nat};
use crate::nat::portmap::{Attempt, MapError, Verified};
use crate::nat::probe::{Findings, ServerState};
use crate::report::{Level, Line};

/// The largest packet of a call with all headers around it stays below this; IPv6 wants so much (RFC 8200 §5).
const SMALLEST_MTU: u32 = 1280;

/// All lines, in the order in which a packet meets the things they are about.
pub(super) fn all(facts: &Facts, nat: &Nat) -> Vec<Line> {
    let mut lines = vec![interface(facts)];
    lines.extend(vpn(facts));
    lines.extend(mtu(facts));
    lines.extend(dns(facts));
    lines.push(udp4(facts));
    lines.extend(servers(facts.v4.as_ref()));
    lines.push(udp6(facts));
    if facts.udp4() == Some(true) {
        lines.push(nats(facts, nat));
        lines.push(mapping(nat));
        lines.push(filtering(nat));
        lines.extend(ports(nat));
        lines.extend(hairpin(nat));
    }
    lines.extend(lifetime(facts));
    lines.extend(portmap(facts));
    lines.extend(outwards::tcp(facts));
    lines.extend(outwards::portal(facts));
    lines.extend(outwards::proxy(facts));
    lines.extend(outwards::relays(facts));
    lines
}

fn interface(facts: &Facts) -> Line {
    let why =
        "The addresses of this machine's interfaces; the default route is where packets to the world leave.";
    let Some(route) = facts.route() else {
        let level = if facts.interfaces.iter().any(|one| !one.address.is_loopback()) {
            Level::Warn
        } else {
            Level::Fail
        };
        return Line::new("interface", level, "no way to the world: there is no default route", why);
    };
    let router = facts.gateway.map(|gateway| format!(", router {gateway}")).unwrap_or_default();
    let others = facts.interfaces.iter().filter(|one| !one.address.is_loopback()).count() - 1;
    let others = match others {
        0 => String::new(),
        more => format!("; {more} more address{}", if more == 1 { "" } else { "es" }),
    };
    Line::new("interface", Level::Ok, format!("{} {}{router}{others}", route.name, route.address), why)
}

fn vpn(facts: &Facts) -> Option<Line> {
    let why = "Told by the kind of the interface: a point-to-point link, or a tunnel's name.";
    let tunnel = facts.interfaces.iter().find(|one| one.point_to_point)?;
    let (level, text) = match facts.route().is_some_and(|route| route.point_to_point) {
        true => (Level::Note, "everything goes through the tunnel: calls see the VPN's network, not yours"),
        false => (Level::Ok, "there is a tunnel, and packets to the world do not take it"),
    };
    Some(Line::new("vpn", level, format!("{}: {text}", tunnel.name), why))
}

fn mtu(facts: &Facts) -> Option<Line> {
    let mtu = facts.mtu?;
    let why = "The MTU of the interface of the default route; what lies beyond may take less (RFC 8899).";
    Some(match mtu {
        small if small < SMALLEST_MTU => {
            let text = format!("{small} bytes a packet: less than IPv6 needs, pictures may not get through");
            Line::new("mtu", Level::Warn, text, why)
        }
        enough => Line::new("mtu", Level::Ok, format!("{enough} bytes a packet, enough for a call"), why),
    })
}

fn dns(facts: &Facts) -> Option<Line> {
    let why = "The servers' names were looked up; addresses given as numbers need no DNS.";
    let (found, missing) = (&facts.dns.found, &facts.dns.missing);
    let names = missing.join(", ");
    Some(match (found.is_empty(), missing.is_empty()) {
        (true, true) => return None,
        (_, true) => Line::new("dns", Level::Ok, "names are found", why),
        (false, false) => {
            Line::new("dns", Level::Warn, format!("no address for {names}; other names are found"), why)
        }
        (true, false) if facts.online() => {
            let text = format!(
                "no address for {names}, though packets get out: DNS does not work here, the network does"
            );
            Line::new("dns", Level::Fail, text, why)
        }
        (true, false) => Line::new("dns", Level::Fail, format!("no address for {names}"), why),
    })
}

fn udp4(facts: &Facts) -> Line {
    let why = "STUN Binding requests to each server, four times within two seconds (RFC 8489 §6.2.1).";
    let Some(findings) = &facts.v4 else {
        return Line::new("ipv4", Level::Note, "this machine has no IPv4 address", why);
    };
    match (facts.udp4(), findings.mapped()) {
        (Some(true), Some(mapped)) => {
            Line::new("ipv4", Level::Ok, format!("UDP gets out; the world sees {mapped}"), why)
        }
        (Some(true), None) => {
            let text = "UDP comes back, but no server tells how the world sees this machine";
            Line::new("ipv4", Level::Warn, text, why)
        }
        (None, _) => {
            Line::new("ipv4", Level::Warn, "UDP: unknown, no server could be asked; --stun names one", why)
        }
        _ if facts.online() => {
            Line::new("ipv4", Level::Fail, "no UDP comes back, other packets do: a firewall blocks it", why)
        }
        _ => Line::new("ipv4", Level::Fail, "no UDP comes back", why),
    }
}

fn servers(findings: Option<&Findings>) -> Option<Line> {
    let findings = findings.filter(|findings| findings.udp())?;
    let of = |state: ServerState| -> Vec<String> {
        findings.servers.iter().filter(|one| one.state == state).map(|one| one.address.to_string()).collect()
    };
    let (silent, lying) = (of(ServerState::Silent), of(ServerState::Nonsense));
    let mut said = Vec::new();
    if !silent.is_empty() {
        said.push(format!("{} does not answer", silent.join(", ")));
    }
    if !lying.is_empty() {
        said.push(format!("{} answers nonsense", lying.join(", ")));
    }
    let why = "Something came back from one of them, so this is the server's fault, not the network's.";
    (!said.is_empty()).then(|| Line::new("stun", Level::Note, said.join("; "), why))
}

fn udp6(facts: &Facts) -> Line {
    let why = "A global address, and a STUN server that answers over IPv6.";
    let (level, text) = match (&facts.v6, facts.udp6()) {
        (_, Some(true)) => (Level::Ok, "works: with friends who have it, no NAT is in the way".to_owned()),
        (_, Some(false)) => (Level::Note, "there is an address, but nothing comes back".to_owned()),
        (Some(_), None) => {
            (Level::Note, "there is an address; unknown whether it works: no server has IPv6".to_owned())
        }
        (None, None) => (Level::Note, "none".to_owned()),
    };
    Line::new("ipv6", level, text, why)
}

fn nats(facts: &Facts, nat: &Nat) -> Line {
    let why = "The mapped address against our own; then what the router says its outer address is, or the addresses of \
               the first two routers (100.64.0.0/10 is a carrier's, RFC 6598).";
    let router = if facts.portmap.iter().any(|one| one.external().is_some()) {
        "the router says"
    } else {
        "the route tells"
    };
    let (level, text) = match (nat.present, nat.cgnat, nat.count) {
        (None, _, _) => (Level::Note, "unknown: no server tells how the world sees this machine".to_owned()),
        (Some(false), _, _) => (Level::Ok, "no NAT: this machine's own address is public".to_owned()),
        (_, Cgnat::Yes, _) => (
            Level::Note,
            "two NATs, the outer one the provider's (CGNAT): port mapping can't help".to_owned(),
        ),
        (_, Cgnat::Likely, _) => (
            Level::Note,
            "two NATs in a row: yours, and probably the provider's (CGNAT): port mapping can't help"
                .to_owned(),
        ),
        (_, _, Some(1)) => (Level::Ok, format!("one NAT, {router}")),
        _ => (
            Level::Note,
            "a NAT; unknown whether another one lies beyond (a router with PCP or UPnP would tell)"
                .to_owned(),
        ),
    };
    Line::new("nat", level, text, why)
}

fn mapping(nat: &Nat) -> Line {
    let why =
        "RFC 5780 §4.3, all from one socket: which address do servers on several addresses and ports see?";
    let (level, text) = match nat.mapping {
        Mapping::None => (Level::Ok, "none: every friend sees this machine's own port"),
        Mapping::EndpointIndependent => (Level::Ok, "endpoint-independent: every friend sees the same port"),
        Mapping::AddressDependent => {
            (Level::Warn, "address-dependent (symmetric NAT): every friend sees another port")
        }
        Mapping::AddressAndPortDependent => {
            (Level::Warn, "address-and-port-dependent (symmetric NAT): every friend sees another port")
        }
        Mapping::Dependent => (
            Level::Warn,
            "dependent (symmetric NAT): every friend sees another port; by address or by port is unknown",
        ),
        Mapping::Unknown => (
            Level::Note,
            "unknown: servers on two different addresses must answer to tell; add one with --stun",
        ),
    };
    Line::new("mapping", level, text, why)
}

fn filtering(nat: &Nat) -> Line {
    let why = "RFC 5780 §4.4, from a fresh socket: do packets come in that a server sends from another address, or \
               another port, than the one that was asked? Or that a relay sends, which nobody wrote to?";
    let nobody = if nat.present == Some(false) { " (no firewall)" } else { "" };
    let (level, text) = match nat.filtering {
        Filtering::EndpointIndependent => {
            (Level::Ok, format!("endpoint-independent{nobody}: anybody's packets come in"))
        }
        Filtering::AddressDependent => (
            Level::Ok,
            "address-dependent (restricted): packets come in from addresses that were written to".to_owned(),
        ),
        Filtering::AddressAndPortDependent => {
            let kind = if nat.present == Some(false) { "a firewall" } else { "port-restricted" };
            (
                Level::Ok,
                format!("address-and-port-dependent ({kind}): only answers come in; calls send first, so that is fine"),
            )
        }
        Filtering::Unknown if nat.lets_other_ports_in => (
            Level::Ok,
            "not by port; by address is unknown: a server with two addresses (RFC 5780) would tell".to_owned(),
        ),
        Filtering::Unknown => (
            Level::Note,
            "unknown, taken for the strictest: neither a server that can answer from elsewhere (RFC 5780) nor a relay \
             was reached"
                .to_owned(),
        ),
    };
    Line::new("filtering", level, text, why)
}

fn ports(nat: &Nat) -> Option<Line> {
    let why = "RFC 4787 §4.2: the mapped ports of several fresh sockets beside their own.";
    let text = match nat.ports {
        _ if nat.present == Some(false) => return None,
        Ports::Preserved => "preserved: the router keeps this machine's port numbers where it can",
        Ports::Sequential => "sequential: the router deals them out in turn",
        Ports::Random => "random: the router deals them out by no rule that shows",
        Ports::Unknown => "unknown: too few answers",
    };
    Some(Line::new("ports", Level::Ok, text, why))
}

fn hairpin(nat: &Nat) -> Option<Line> {
    let why = "RFC 5780 §4.5: two sockets behind the NAT write to each other's public address.";
    let text = match nat.hairpin? {
        true => "hairpinning: two machines behind this NAT can meet at its public address",
        false => "no hairpinning: two machines behind this NAT meet by their local addresses only",
    };
    Some(Line::new("hairpin", Level::Ok, text, why))
}

fn lifetime(facts: &Facts) -> Option<Line> {
    let why = "RFC 5780 §4.6: sockets are left alone for 10 s to 5 min, then a server answers to their mapped ports \
               (RESPONSE-PORT), or they ask again. RFC 4787 §4.3 asks NATs for two minutes.";
    let lifetime = facts.lifetime?;
    let (level, text) = match (lifetime.alive, lifetime.gone) {
        (Some(alive), Some(gone)) => {
            (Level::Ok, format!("an unused mapping lives more than {alive} s and less than {gone} s"))
        }
        (Some(alive), None) => (Level::Ok, format!("an unused mapping lives at least {alive} s")),
        (None, Some(gone)) => (
            Level::Warn,
            format!("an unused mapping is gone after {gone} s; calls keep theirs open every 4 s"),
        ),
        (None, None) => (
            Level::Note,
            "unknown: the server has no RESPONSE-PORT (RFC 5780), and the NAT keeps ports".to_owned(),
        ),
    };
    Some(Line::new("lifetime", level, text, why))
}

fn portmap(facts: &Facts) -> Option<Line> {
    let why =
        "A UDP port was mapped by PCP, NAT-PMP and UPnP-IGD, each verified from outside and taken back.";
    let said: Vec<String> = facts.portmap.iter().filter_map(attempt).collect();
    if facts.portmap.is_empty() {
        return None;
    }
    if said.is_empty() {
        let text = "the router opens no ports on request (no PCP, NAT-PMP, UPnP)";
        return Some(Line::new("portmap", Level::Note, text, why));
    }
    let level = if facts.portmap.iter().any(Attempt::works) { Level::Ok } else { Level::Note };
    Some(Line::new("portmap", level, said.join("; "), why))
}

/// What one protocol did; nothing if nobody answered.
fn attempt(attempt: &Attempt) -> Option<String> {
    let name = attempt.protocol.name();
    let kept = if attempt.deleted { "" } else { "; it could not be taken back and ends by itself" };
    Some(match &attempt.outcome {
        Ok((_, Verified::Reached)) => format!("{name} works: a mapped port was reached from outside{kept}"),
        Ok((_, Verified::Seen)) => format!("{name} works: the world sees the mapped port{kept}"),
        Ok((external, Verified::Elsewhere)) => {
            format!(
                "{name} maps to {}, where the world does not see us: another NAT lies beyond{kept}",
                external.ip()
            )
        }
        Ok((external, Verified::Untested)) => {
            format!("{name} maps to {}; unknown whether that is reached{kept}", external.ip())
        }
        Err(MapError::Silent) => return None,
        Err(error) => format!("{name}: {error}"),
    })
}
