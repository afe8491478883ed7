//! A text without the addresses and names of a network. What is known is replaced by what it is; whatever else looks
//! like an address, by that.

use crate::nat::facts::Facts;
use std::net::{IpAddr, SocketAddr};

/// The text as strangers may read it.
pub(super) fn redact(text: &str, facts: &Facts) -> String {
    let mut known: Vec<(String, String)> = Vec::new();
    for (number, relay) in facts.relays.iter().enumerate() {
        known.push((relay.host.clone(), format!("[relay {}]", number + 1)));
    }
    known.extend(facts.proxy.iter().map(|proxy| (proxy.clone(), "[proxy]".to_owned())));
    for name in facts.dns.found.iter().chain(&facts.dns.missing) {
        known.push((name.clone(), "[name]".to_owned()));
    }
    for interface in &facts.interfaces {
        known.push((interface.name.clone(), kind_of(interface).to_owned()));
    }
    // Long names first: one may be part of another.
    known.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    text.lines().map(|line| whole_line(line, &known) + "\n").collect()
}

fn kind_of(interface: &crate::transport::interfaces::Interface) -> &'static str {
    if interface.point_to_point { "[tunnel]" } else { "[interface]" }
}

/// Word by word, so that a short name does not hit the middle of a sentence's word.
fn whole_line(line: &str, known: &[(String, String)]) -> String {
    line.split(' ').map(|word| one_word(word, known)).collect::<Vec<_>>().join(" ")
}

fn one_word(word: &str, known: &[(String, String)]) -> String {
    let is_edge = |c: char| ",;()`'\"".contains(c);
    let core = word.trim_matches(is_edge).trim_end_matches(['.', ':']);
    if core.is_empty() {
        return word.to_owned();
    }
    if core.starts_with("pin=") {
        return word.replacen(core, "pin=[pin]", 1);
    }
    let host = host_of(core);
    if let Some((name, label)) = known.iter().find(|(name, _)| name == core || name == host) {
        return word.replacen(name.as_str(), label, 1);
    }
    if core.parse::<SocketAddr>().is_ok() {
        return word.replacen(core, "[address:port]", 1);
    }
    if host.parse::<IpAddr>().is_ok() || core.parse::<IpAddr>().is_ok() {
        return word.replacen(core, "[address]", 1);
    }
    word.to_owned()
}

/// `host:port` without the port.
fn host_of(word: &str) -> &str {
    match word.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.chars().all(|c| c.is_ascii_digit()) => {
            host.trim_start_matches('[').trim_end_matches(']')
        }
        _ => word,
    }
}
