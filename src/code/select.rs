//! Which addresses go into a code, in which order: as many as keep its QR at the version that a terminal of 80x24
//! holds. The call's second stage brings the rest.
//!
//! Knows nothing of how the addresses were found.

use std::net::{IpAddr, SocketAddr};

use super::bytes::{addresses_len, offer_fixed_len};
use super::facts::{AddressKind, Item, Server};
use super::text::{PREFIX, bytes_in};

/// QR version 4 at level L holds so many alphanumeric characters (ISO/IEC 18004, table 7).
pub const MAX_CHARS: usize = 114;

/// The same for version 6: with the full fingerprint.
pub const MAX_CHARS_FULL: usize = 195;

/// An address that could go into a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its kind.
    pub kind: AddressKind,
    /// Where it is.
    pub addr: SocketAddr,
    /// It is on the interface that the default route uses.
    pub default_route: bool,
    /// Nobody was seen beside it: it goes last, when all else is told.
    pub lonely: bool,
}

/// The items of an offer, best first: relay, its servers, LAN IPv4, server-reflexive IPv4, global IPv6, the second
/// LAN, and then whatever still fits, lonely ones last. What does not fit is left out and what comes after it tried.
/// Addresses on bridges are not to be among `candidates`: two laptops both own 172.17.0.1.
pub fn select(candidates: &[Candidate], servers: &[Server], full: bool) -> Vec<Item> {
    let chars = if full { MAX_CHARS_FULL } else { MAX_CHARS };
    let room = bytes_in(chars - PREFIX.len()) - offer_fixed_len(full);
    let mut chosen: Vec<Item> = Vec::new();
    for item in by_worth(candidates, servers) {
        chosen.push(item);
        if !addresses_len(&chosen).is_ok_and(|len| len <= room) {
            chosen.pop();
        }
    }
    chosen
}

/// All that may be told, best first, each once.
fn by_worth(candidates: &[Candidate], servers: &[Server]) -> Vec<Item> {
    let mut usable: Vec<&Candidate> = candidates.iter().filter(|candidate| can_be_told(candidate)).collect();
    usable.sort_by_key(|candidate| (candidate.lonely, !candidate.default_route));
    let mut firsts: Vec<&Candidate> = Vec::new();
    for class in [relay_class, lan_v4_class, srflx_v4_class, global_v6_class, lan_v4_class] {
        let next = usable.iter().find(|one| !one.lonely && class(one) && !told(&firsts, one));
        firsts.extend(next);
    }
    let mut ordered = firsts;
    for candidate in usable {
        if !told(&ordered, candidate) {
            ordered.push(candidate);
        }
    }
    let after_relay = usize::from(ordered.first().is_some_and(|first| relay_class(first)));
    let mut items: Vec<Item> =
        ordered.into_iter().map(|candidate| Item::address(candidate.kind, candidate.addr)).collect();
    items.splice(after_relay..after_relay, servers.iter().cloned().map(Item::Server));
    items
}

/// A public machine's server-reflexive address is its own address again.
fn told(chosen: &[&Candidate], candidate: &Candidate) -> bool {
    chosen.iter().any(|other| other.addr == candidate.addr)
}

fn can_be_told(candidate: &Candidate) -> bool {
    let useful = match candidate.addr.ip() {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_multicast(),
        // A link-local address needs a zone, which means nothing at the other end.
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_unicast_link_local(),
    };
    useful && candidate.addr.port() != 0
}

fn relay_class(candidate: &Candidate) -> bool {
    candidate.kind == AddressKind::Relay
}

fn lan_v4_class(candidate: &Candidate) -> bool {
    candidate.kind == AddressKind::Host && candidate.addr.is_ipv4()
}

fn srflx_v4_class(candidate: &Candidate) -> bool {
    candidate.kind == AddressKind::Srflx && candidate.addr.is_ipv4()
}

fn global_v6_class(candidate: &Candidate) -> bool {
    match candidate.addr.ip() {
        IpAddr::V6(ip) => candidate.kind != AddressKind::Relay && !ip.is_unique_local() && !ip.is_loopback(),
        IpAddr::V4(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::facts::Host;

    fn candidate(kind: AddressKind, addr: &str) -> Candidate {
        Candidate { kind, addr: addr.parse().unwrap(), default_route: false, lonely: false }
    }

    fn check(candidates: &[Candidate], servers: &[Server], full: bool, expected: &[&str]) {
        let said: Vec<String> = select(candidates, servers, full)
            .iter()
            .map(|item| match item {
                Item::Address { kind, host, port } => format!("{} {host}:{port}", kind.word()),
                Item::Server(server) => format!("server {}", server.host),
            })
            .collect();
        assert_eq!(said, expected);
    }

    use AddressKind::{Host as H, Relay as R, Srflx as S};

    #[test]
    fn the_order_is_relay_lan_srflx_v6_second_lan() {
        let mut all = vec![
            candidate(H, "[2001:db8::5]:5000"),
            candidate(H, "10.8.0.6:5000"),
            candidate(S, "203.0.113.9:5000"),
            candidate(H, "192.168.1.20:5000"),
            candidate(R, "198.51.100.4:51234"),
        ];
        all[3].default_route = true;
        check(
            &all,
            &[],
            true,
            &[
                "relay 198.51.100.4:51234",
                "host 192.168.1.20:5000",
                "srflx 203.0.113.9:5000",
                "host [2001:db8::5]:5000",
                "host 10.8.0.6:5000",
            ],
        );
        check(
            &all,
            &[],
            false,
            &[
                "relay 198.51.100.4:51234",
                "host 192.168.1.20:5000",
                "srflx 203.0.113.9:5000",
                "host 10.8.0.6:5000",
            ],
        );
    }

    #[test]
    fn what_nobody_was_seen_beside_comes_last_and_is_better_than_nothing() {
        let mut lonely = candidate(H, "192.168.56.1:5000");
        lonely.lonely = true;
        check(&[lonely], &[], false, &["host 192.168.56.1:5000"]);
        check(
            &[lonely, candidate(H, "10.0.0.5:5000"), candidate(S, "203.0.113.9:5000")],
            &[],
            false,
            &["host 10.0.0.5:5000", "srflx 203.0.113.9:5000", "host 192.168.56.1:5000"],
        );
    }

    #[test]
    fn link_local_addresses_and_the_same_twice_stay_out() {
        check(
            &[
                candidate(H, "[fe80::1]:5000"),
                candidate(H, "198.51.100.4:5000"),
                candidate(S, "198.51.100.4:5000"),
                candidate(H, "0.0.0.0:5000"),
            ],
            &[],
            false,
            &["host 198.51.100.4:5000"],
        );
    }

    #[test]
    fn a_server_stands_after_its_relay() {
        let server = Server {
            host: Host::V4([198, 51, 100, 4].into()),
            port: 3478,
            udp: true,
            tcp: true,
            tls: None,
            doorbell: true,
            guest: true,
            pin: None,
        };
        check(
            &[candidate(H, "192.168.1.20:5000"), candidate(R, "198.51.100.4:51234")],
            std::slice::from_ref(&server),
            false,
            &["relay 198.51.100.4:51234", "server 198.51.100.4", "host 192.168.1.20:5000"],
        );
        check(&[], &[server], false, &["server 198.51.100.4"]);
    }

    #[test]
    fn however_many_there_are_the_code_stays_within_its_length() {
        for (full, limit) in [(false, MAX_CHARS), (true, MAX_CHARS_FULL)] {
            let many: Vec<Candidate> = (1..=40)
                .flat_map(|n| {
                    [
                        candidate(H, &format!("[2001:db8:{n}::5]:50{n:02}")),
                        candidate(H, &format!("203.0.113.{n}:60{n:02}")),
                    ]
                })
                .collect();
            let items = select(&many, &[], full);
            let bytes = offer_fixed_len(full) + addresses_len(&items).unwrap();
            let chars = PREFIX.len() + super::super::text::symbols_for(bytes);
            assert!(chars <= limit && chars + 12 > limit, "{chars}");
        }
    }
}
