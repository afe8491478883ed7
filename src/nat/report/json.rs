//! The report for a program: one object, version 1.

use super::{Report, Verdict};
use crate::code::network::{Filtering, Mapping};
use crate::nat::facts::{RelayTry, TCP_PORTS};
use crate::nat::portmap::{Attempt, Protocol};
use crate::nat::predict::Prediction;
use crate::nat::probe::Findings;
use crate::report::Line;
use serde::Serialize;
use serde_json::{Map, Value, json};

#[derive(Serialize)]
struct Whole<'r> {
    v: u8,
    verdict: Verdict,
    summary: &'r str,
    nat: Value,
    ipv4: Value,
    ipv6: Value,
    tcp: Map<String, Value>,
    tls: Map<String, Value>,
    portmap: Value,
    mtu: Option<u32>,
    /// Whether packets to the world leave by a tunnel; null without a default route.
    vpn: Option<bool>,
    /// Whether names are found; null where none was looked up.
    dns: Option<bool>,
    /// Whether a login page stands in between; null where that is unknown.
    captive_portal: Option<bool>,
    relays: Vec<Value>,
    /// The proxy by which relays are reached over TCP and TLS.
    proxy: Option<&'r str>,
    lines: &'r [Line],
    advice: &'r [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    prediction: Option<&'r Prediction>,
}

impl Report {
    /// One line of JSON, with its line feed.
    pub fn to_json(&self) -> String {
        let facts = &self.facts;
        let tcp = TCP_PORTS.iter().zip(facts.tcp);
        let whole = Whole {
            v: 1,
            verdict: self.verdict,
            summary: &self.summary,
            nat: self.nat(),
            ipv4: family(facts.v4.as_ref(), facts.udp4()),
            ipv6: family(facts.v6.as_ref(), facts.udp6()),
            tcp: tcp.map(|(port, reach)| (port.to_string(), json!(reach.known()))).collect(),
            tls: [("443".to_owned(), json!(facts.tls.known()))].into_iter().collect(),
            portmap: portmap(&facts.portmap),
            mtu: facts.mtu,
            vpn: facts.route().map(|route| route.point_to_point),
            dns: match (facts.dns.found.is_empty(), facts.dns.missing.is_empty()) {
                (true, true) => None,
                (found_none, _) => Some(!found_none),
            },
            captive_portal: match facts.portal {
                crate::nat::facts::Portal::None => Some(false),
                crate::nat::facts::Portal::Present => Some(true),
                _ => None,
            },
            relays: facts.relays.iter().map(relay).collect(),
            proxy: facts.proxy.as_deref(),
            lines: &self.lines,
            advice: &self.advice,
            prediction: self.prediction.as_ref(),
        };
        // Strings, numbers and lists of them always serialise.
        serde_json::to_string(&whole).unwrap_or_default() + "\n"
    }

    fn nat(&self) -> Value {
        let nat = &self.nat;
        let mapping = match nat.mapping {
            // Without a translation every friend sees the same port.
            Mapping::None => Mapping::EndpointIndependent,
            other => other,
        };
        json!({
            "present": nat.present,
            "count": nat.count,
            "mapping": mapping.word(),
            "filtering": nat.filtering.word(),
            "filtering_by_port": match nat.filtering {
                Filtering::AddressAndPortDependent => Some(true),
                Filtering::Unknown if !nat.lets_other_ports_in => None,
                _ => Some(false),
            },
            "ports": nat.ports.word(),
            "hairpinning": nat.hairpin,
            "lifetime_s": nat.lifetime,
            "cgnat": nat.cgnat.word(),
        })
    }
}

fn family(findings: Option<&Findings>, udp: Option<bool>) -> Value {
    json!({
        "local": findings.and_then(|one| one.local).map(|local| local.ip()),
        "mapped": findings.and_then(Findings::mapped),
        "udp": udp,
    })
}

fn portmap(attempts: &[Attempt]) -> Value {
    let of = |protocol: Protocol| {
        let attempt = attempts.iter().find(|one| one.protocol == protocol);
        attempt.map(|attempt| attempt.outcome.is_ok())
    };
    json!({ "pcp": of(Protocol::Pcp), "natpmp": of(Protocol::NatPmp), "upnp": of(Protocol::Upnp) })
}

fn relay(relay: &crate::nat::facts::RelayFinding) -> Value {
    let way = |way: Option<&RelayTry>| {
        way.map(|way| json!({ "ok": way.ok, "rtt_ms": way.rtt_ms, "error": way.error }))
    };
    json!({
        "link": relay.link,
        "ok": relay.carries,
        "udp": way(relay.udp.as_ref()),
        "tcp": way(relay.tcp.as_ref()),
        "tls": way(relay.tls.as_ref()),
        "loss": relay.loss,
        "jitter_ms": relay.jitter_ms,
        "error": relay.trouble,
    })
}
