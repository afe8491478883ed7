//! Which relays there are, and which ways lead to each. Links with one host and one login are one relay: one
//! allocation, got by whichever way is open. Only values; who goes these ways is `relay.rs`.

use crate::call::event::Protocol;
use crate::config::{RelayLink, RelayLogin, RelayTransport};
use p2pcall_relay::server::Credential;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long TCP waits for UDP, which costs a call less delay: an answer over UDP comes sooner from any relay
/// worth using, and a firewall that lets no UDP out costs a person no more than this.
const TCP_WAITS: Duration = Duration::from_millis(250);
/// TLS takes more round trips, and goes where TCP goes.
const TLS_WAITS: Duration = Duration::from_millis(350);
/// And each further address of a name.
const NEXT_ADDRESS_WAITS: Duration = Duration::from_millis(150);

/// One way to a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// What carries the messages.
    pub protocol: Protocol,
    /// The relay's port.
    pub port: u16,
    /// Of TLS: whom to believe.
    pub(super) trust: Trust,
}

/// How a relay's certificate is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// By the system's roots.
    Roots,
    /// By SHA-256 of its key, and nothing else.
    Pin([u8; 32]),
    /// A relay that only a code names. What it carries is protected without it, and TLS is a way through
    /// firewalls: a certificate by neither the beginning of its pin nor the system's roots is noted, no more.
    Noted(Option<[u8; 8]>),
}

/// A relay, and all ways to it, the preferred one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayServer {
    /// A name, or an address without brackets.
    pub host: String,
    /// UDP before TCP before TLS.
    pub ways: Vec<Way>,
    pub(super) login: RelayLogin,
    /// Of a guest: its host's relayed addresses, the only ones that it may reach.
    pub(super) hosts: Option<Vec<SocketAddr>>,
}

/// An account for one call at a friend's relay, out of its code.
#[derive(Clone, PartialEq, Eq)]
pub struct GuestAccess {
    /// The relay: a name, or an address without brackets.
    pub host: String,
    /// What is open there, and on which port.
    pub open: Vec<(Protocol, u16)>,
    /// The first bytes of SHA-256 of its key.
    pub pin: Option<[u8; 8]>,
    /// USERNAME.
    pub user: String,
    /// The password.
    pub password: String,
    /// The friend's relayed addresses.
    pub hosts: Vec<SocketAddr>,
}

impl std::fmt::Debug for GuestAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuestAccess")
            .field("host", &self.host)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// The relays that these links name, in their order.
pub(crate) fn relays(links: &[RelayLink]) -> Vec<RelayServer> {
    let mut relays: Vec<RelayServer> = Vec::new();
    for link in links {
        let same = |relay: &&mut RelayServer| {
            relay.host.eq_ignore_ascii_case(&link.host) && relay.login == link.login
        };
        if let Some(relay) = relays.iter_mut().find(same) {
            relay.add(ways(link));
            continue;
        }
        let (host, login) = (link.host.clone(), link.login.clone());
        let mut relay = RelayServer { host, ways: Vec::new(), login, hosts: None };
        relay.add(ways(link));
        relays.push(relay);
    }
    relays
}

fn ways(link: &RelayLink) -> Vec<Way> {
    let protocol = |transport| match transport {
        RelayTransport::Udp => Protocol::Udp,
        RelayTransport::Tcp => Protocol::Tcp,
        RelayTransport::Tls => Protocol::Tls,
    };
    let trust = link.pin.map_or(Trust::Roots, Trust::Pin);
    let transports = link.transports().into_iter();
    transports.map(|transport| Way { protocol: protocol(transport), port: link.port, trust }).collect()
}

impl RelayServer {
    /// The relay at which a code lets us in.
    pub(super) fn guest(access: &GuestAccess) -> Self {
        let trust = Trust::Noted(access.pin);
        let (user, password) = (access.user.clone(), access.password.clone());
        let login = RelayLogin::Password(Credential { user, password });
        let mut relay =
            Self { host: access.host.clone(), ways: Vec::new(), login, hosts: Some(access.hosts.clone()) };
        relay.add(access.open.iter().map(|&(protocol, port)| Way { protocol, port, trust }));
        relay
    }

    /// What carries messages to it.
    pub(super) fn protocols(&self) -> Vec<Protocol> {
        let mut protocols: Vec<_> = self.ways.iter().map(|way| way.protocol).collect();
        protocols.dedup();
        protocols
    }

    /// The pin of its own certificate, where a link has one.
    pub fn pin(&self) -> Option<[u8; 32]> {
        self.ways.iter().find_map(|way| match way.trust {
            Trust::Pin(pin) => Some(pin),
            Trust::Roots | Trust::Noted(_) => None,
        })
    }

    /// Whether a datagram to this address is worth a try: a guest may reach its host and nobody else.
    pub(super) fn may_reach(&self, peer: IpAddr) -> bool {
        self.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|host| host.ip() == peer))
    }

    /// Whether its relayed addresses have to be IPv6: a guest's host has no other.
    pub(super) fn relays_v6(&self) -> bool {
        self.hosts.as_ref().is_some_and(|hosts| !hosts.is_empty() && hosts.iter().all(SocketAddr::is_ipv6))
    }

    /// All ways to these addresses of its name, and how long each one waits for those before it.
    pub(super) fn attempts(&self, addresses: &[IpAddr]) -> Vec<(Duration, SocketAddr, Way)> {
        let head_start = |way: &Way| match way.protocol {
            Protocol::Udp => Duration::ZERO,
            Protocol::Tcp => TCP_WAITS,
            Protocol::Tls => TLS_WAITS,
        };
        // What there is alone is not kept waiting.
        let first = self.ways.iter().map(head_start).min().unwrap_or_default();
        let mut attempts = Vec::new();
        for (address, index) in addresses.iter().zip(0..) {
            for way in &self.ways {
                let waits = head_start(way).saturating_sub(first) + NEXT_ADDRESS_WAITS * index;
                attempts.push((waits, SocketAddr::new(*address, way.port), *way));
            }
        }
        attempts
    }

    fn add(&mut self, ways: impl IntoIterator<Item = Way>) {
        for way in ways {
            if !self.ways.iter().any(|one| (one.protocol, one.port) == (way.protocol, way.port)) {
                self.ways.push(way);
            }
        }
        self.ways.sort_by_key(|way| way.protocol);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Vec<RelayServer> {
        relays(&texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>())
    }

    fn said(relay: &RelayServer) -> Vec<(Protocol, u16)> {
        relay.ways.iter().map(|way| (way.protocol, way.port)).collect()
    }

    #[test]
    fn links_with_one_host_and_one_login_are_one_relay() {
        let found = of(&["turns:h:443?secret=s", "turn:H?secret=s", "turn:i?secret=s", "turn:u:p@h"]);
        assert_eq!(found.len(), 3);
        assert_eq!(said(&found[0]), [(Protocol::Udp, 3478), (Protocol::Tcp, 3478), (Protocol::Tls, 443)]);
        let twice = of(&["turn:h?transport=udp", "turn:h", "turn:h:80?transport=tcp"]);
        assert_eq!(said(&twice[0]), [(Protocol::Udp, 3478), (Protocol::Tcp, 3478), (Protocol::Tcp, 80)]);
        assert_eq!(twice[0].protocols(), [Protocol::Udp, Protocol::Tcp]);
    }

    #[test]
    fn what_there_is_alone_is_not_kept_waiting() {
        let address = ["192.0.2.1".parse().unwrap()];
        for (links, expect) in [
            (&["turn:h", "turns:h:443"][..], &[0, 250, 350][..]),
            (&["turns:h:443"], &[0]),
            (&["turn:h?transport=tcp", "turns:h:443"], &[0, 100]),
        ] {
            let waits: Vec<_> =
                of(links)[0].attempts(&address).iter().map(|(waits, ..)| waits.as_millis()).collect();
            assert_eq!(waits, expect, "{links:?}");
        }
    }

    #[test]
    fn a_guest_reaches_its_host_and_trusts_nobody_with_more_than_packets() {
        let access = GuestAccess {
            host: "192.0.2.1".into(),
            open: vec![(Protocol::Tls, 443), (Protocol::Udp, 3478)],
            pin: None,
            user: "guest".into(),
            password: "hush".into(),
            hosts: vec!["192.0.2.1:50000".parse().unwrap()],
        };
        assert!(!format!("{access:?}").contains("hush"));
        let relay = RelayServer::guest(&access);
        assert_eq!(said(&relay), [(Protocol::Udp, 3478), (Protocol::Tls, 443)]);
        assert!(relay.ways.iter().all(|way| way.trust == Trust::Noted(None)));
        assert!(relay.may_reach("192.0.2.1".parse().unwrap()));
        assert!(!relay.may_reach("192.0.2.2".parse().unwrap()) && !relay.relays_v6());
    }
}
