//! The lines about what gets out beside UDP, and about relays.

use crate::nat::facts::{Facts, Portal, Reach, RelayFinding, RelayTry, TCP_PORTS};
use crate::report::{Level, Line};

/// Connections to the usual ports.
pub(super) fn tcp(facts: &Facts) -> Vec<Line> {
    let why = "Connections to the ports on which relays are reached, and a whole TLS handshake.";
    let of = |wanted: Reach| -> Vec<String> {
        let ports = TCP_PORTS.iter().zip(facts.tcp);
        ports.filter(|(_, reach)| *reach == wanted).map(|(port, _)| port.to_string()).collect()
    };
    let (open, refused, silent) = (of(Reach::Open), of(Reach::Refused), of(Reach::Silent));
    let mut said = Vec::new();
    for (ports, what) in [
        (&open, "connects"),
        (&refused, "refused, by a firewall or because nobody listens there"),
        (&silent, "no answer"),
    ] {
        if !ports.is_empty() {
            said.push(format!("{}: {what}", ports.join(", ")));
        }
    }
    let mut lines = Vec::new();
    if !said.is_empty() {
        let level = match (open.is_empty(), refused.is_empty()) {
            (false, _) => Level::Ok,
            (true, false) => Level::Note,
            (true, true) => Level::Warn,
        };
        lines.push(Line::new("tcp", level, format!("port {}", said.join("; port ")), why));
    }
    let tls = match facts.tls {
        Reach::Untested => return lines,
        Reach::Open => (Level::Ok, "a TLS connection on port 443 works: a relay with `turns:` would do"),
        Reach::Refused => (Level::Note, "on port 443 nobody speaks TLS, or a firewall interferes"),
        Reach::Silent => (Level::Warn, "no TLS connection on port 443"),
    };
    lines.push(Line::new("tls", tls.0, tls.1, why));
    lines
}

/// Whether a login page stands in between.
pub(super) fn portal(facts: &Facts) -> Option<Line> {
    let why = "A page that is known to be empty (204) was fetched over plain HTTP.";
    let (level, text) = match facts.portal {
        Portal::Untested => return None,
        Portal::None => (Level::Ok, "no login page stands in between"),
        Portal::Present => {
            (Level::Warn, "another page came instead: probably a login page; open a browser first")
        }
        Portal::Silent => (Level::Note, "unknown: the page did not come"),
    };
    Some(Line::new("portal", level, text, why))
}

/// The proxy that a call would use.
pub(super) fn proxy(facts: &Facts) -> Option<Line> {
    let proxy = facts.proxy.as_ref()?;
    let why = "As for a call: --proxy, the config file, $https_proxy or $ALL_PROXY. UDP never goes by it, nor do the \
               tests of TCP and TLS above.";
    let (level, text) = match facts.relays.is_empty() {
        false => (Level::Ok, format!("{proxy}: relays are tried by it over TCP and TLS, as in a call")),
        true => (Level::Note, format!("{proxy}: of use for relays alone, and none is configured")),
    };
    Some(Line::new("proxy", level, text, why))
}

/// A line for each relay.
pub(super) fn relays(facts: &Facts) -> Vec<Line> {
    if facts.relays.is_empty() {
        let text = "none is configured";
        let why =
            "A relay carries calls where there is no direct path: `p2pcall relay add`, or --relay LINK.";
        return vec![Line::new("relay", Level::Note, text, why)];
    }
    facts.relays.iter().map(relay).collect()
}

fn relay(relay: &RelayFinding) -> Line {
    let why = "Reached by each transport; login, allocation and packets through it to itself: `p2pcall relay check`.";
    let way = |name: &str, way: Option<&RelayTry>| {
        let way = way?;
        Some(match (way.ok, way.rtt_ms) {
            (true, Some(ms)) => format!("{name} {ms:.0} ms"),
            (true, None) => format!("{name} yes"),
            (false, _) => format!("{name} no"),
        })
    };
    let ways: Vec<String> =
        [way("UDP", relay.udp.as_ref()), way("TCP", relay.tcp.as_ref()), way("TLS", relay.tls.as_ref())]
            .into_iter()
            .flatten()
            .collect();
    let ways = if ways.is_empty() { String::new() } else { format!(" ({})", ways.join(", ")) };
    let host = &relay.host;
    match (relay.carries, &relay.trouble) {
        (Some(true), _) => {
            let loss = relay.loss.filter(|loss| *loss > 0.0);
            let lost = loss.map(|loss| format!(", {:.0} % lost", loss * 100.0)).unwrap_or_default();
            let level = if loss.is_some_and(|loss| loss > 0.05) { Level::Warn } else { Level::Ok };
            Line::new("relay", level, format!("{host} works{ways}{lost}"), why)
        }
        (_, Some(trouble)) => Line::new("relay", Level::Fail, format!("{host}{ways}: {trouble}"), why),
        (Some(false), None) => Line::new("relay", Level::Fail, format!("{host}{ways} does not work"), why),
        (None, None) => {
            Line::new("relay", Level::Warn, format!("{host}{ways}: unknown, it did not answer in time"), why)
        }
    }
}
