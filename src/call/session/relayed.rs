//! PURE: what a code says of relays, and what it lets its reader do there. Made of what the transport knows of
//! allocations; knows no socket.

use crate::call::event::{PathKind, Protocol};
use crate::code::facts::{AddressKind, DEFAULT_SERVER_PORT, Host, Item, Offer, Server};
use crate::code::keys::CallKeys;
use crate::code::select::{self, select};
use crate::transport::interfaces::is_public;
use crate::transport::turn::Extras;
use crate::transport::{GuestAccess, LocalCandidate, RelayServer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use p2pcall_relay::stun::guest::Guest;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A ring so long after the one before begins a new series.
const SERIES_ENDS_AFTER: Duration = Duration::from_secs(2);
/// Relays at which the reader of a code logs in at most.
const MAX_VISITS: usize = 2;

/// Asks relays whether they know doorbell and guest, before there is a code: values that nobody can use.
pub(super) fn probe(random: [u8; 18]) -> Extras {
    let text = STANDARD_NO_PAD.encode(random);
    let (ufrag, key) = text.split_at_checked(8).unwrap_or((&text, &text));
    Extras { doorbell: Some(ufrag.to_owned()), guest: Guest::new(ufrag, key) }
}

/// What relays are told once there is a code.
pub(super) fn registration(keys: &CallKeys) -> Extras {
    let guest = Guest::new(&keys.guest_user, &keys.guest_key);
    Extras { doorbell: Some(keys.offer_ice.ufrag.clone()), guest }
}

/// The same once the code is used: nobody rings any more, and the friend who came as a guest stays.
pub(super) fn burnt(keys: &CallKeys) -> Extras {
    Extras { doorbell: None, ..registration(keys) }
}

/// What a code says of where its maker is.
pub(super) struct Told {
    pub(super) items: Vec<Item>,
    /// The relay of the first relayed address has doorbell and guest.
    pub(super) open_relay: bool,
}

/// The addresses for a code, best first, and the relay that lets its reader in. `relay_of` tells the relay behind a
/// candidate.
pub(super) fn tell(
    candidates: &[LocalCandidate],
    full: bool,
    relay_of: impl Fn(&LocalCandidate) -> Option<std::sync::Arc<RelayServer>>,
) -> Told {
    let lets_in = |one: &LocalCandidate| one.relay.is_some_and(|path| path.taken.guest);
    let mut ordered: Vec<&LocalCandidate> = candidates.iter().filter(|one| !one.bridge).collect();
    // The first relayed address is the one that everybody gets through to.
    ordered.sort_by_key(|one| !lets_in(one));
    let open = ordered.first().filter(|one| lets_in(one));
    let relay = open.and_then(|one| relay_of(one));
    let usable: Vec<_> = ordered.iter().filter_map(|one| usable(one)).collect();
    let (Some(open), Some(relay)) = (open, relay) else {
        return Told { items: select(&usable, &[], full), open_relay: false };
    };
    let rings = open.relay.is_some_and(|path| path.taken.doorbell);
    let mut servers = servers(open, &relay);
    if rings && servers == [Server::implied(open.address.ip().into())] {
        servers.clear();
    }
    let items = select(&usable, &servers, full);
    let Some(pin) = relay.pin().and_then(|pin| pin.first_chunk::<8>().copied()) else {
        return Told { items, open_relay: rings };
    };
    // A pin is good to have, and no reason to leave an address out.
    servers.iter_mut().filter(|server| server.tls.is_some()).for_each(|server| server.pin = Some(pin));
    let pinned = select(&usable, &servers, full);
    Told { items: if pinned.len() < items.len() { items } else { pinned }, open_relay: rings }
}

fn usable(candidate: &LocalCandidate) -> Option<select::Candidate> {
    Some(select::Candidate {
        kind: match candidate.kind {
            PathKind::Host => AddressKind::Host,
            PathKind::Srflx => AddressKind::Srflx,
            PathKind::Relay => AddressKind::Relay,
            PathKind::Prflx => return None,
        },
        addr: candidate.address,
        default_route: candidate.default_route,
        lonely: candidate.lonely,
    })
}

/// The ways to a relay, as few items as say them.
fn servers(candidate: &LocalCandidate, relay: &RelayServer) -> Vec<Server> {
    let Some(path) = candidate.relay else { return Vec::new() };
    let host = Host::from(address_for_others(path.server.ip(), candidate.address.ip()));
    let new = |port| Server {
        udp: false,
        tcp: false,
        tls: None,
        doorbell: path.taken.doorbell,
        guest: true,
        pin: None,
        port,
        host: host.clone(),
    };
    let mut servers: Vec<Server> = Vec::new();
    for way in relay.ways.iter().filter(|way| way.protocol != Protocol::Tls) {
        let index = servers.iter().position(|server| server.port == way.port).unwrap_or_else(|| {
            servers.push(new(way.port));
            servers.len() - 1
        });
        let Some(server) = servers.get_mut(index) else { continue };
        server.udp |= way.protocol == Protocol::Udp;
        server.tcp |= way.protocol == Protocol::Tcp;
    }
    for way in relay.ways.iter().filter(|way| way.protocol == Protocol::Tls) {
        match servers.iter_mut().find(|server| server.tls.is_none()) {
            Some(server) => server.tls = Some(way.port),
            None => servers.push(Server { tls: Some(way.port), ..new(DEFAULT_SERVER_PORT) }),
        }
    }
    servers
}

/// Where others find the relay: not by the address that it has in our own network only. And by the number that its
/// name led us to: another machine of that name would not know the guest.
fn address_for_others(server: IpAddr, relayed: IpAddr) -> IpAddr {
    let reachable = is_public(server) || !is_public(relayed);
    if server.is_ipv4() == relayed.is_ipv4() && reachable { server } else { relayed }
}

/// The relays at which the reader of this code may log in.
pub(super) fn visits(offer: &Offer, keys: &CallKeys) -> Vec<GuestAccess> {
    let hosts = relayed(offer);
    let mut visits: Vec<GuestAccess> = Vec::new();
    for server in offer.guest_servers() {
        let host = match &server.host {
            Host::V4(ip) => ip.to_string(),
            Host::V6(ip) => ip.to_string(),
            Host::Name(name) => name.as_str().to_owned(),
        };
        let open = open_at(&server);
        match visits.iter_mut().find(|visit| visit.host == host) {
            Some(visit) => {
                visit.open.extend(open);
                visit.pin = visit.pin.or(server.pin);
            }
            None => visits.push(GuestAccess {
                host,
                open,
                pin: server.pin,
                user: keys.guest_user.clone(),
                password: keys.guest_key.clone(),
                hosts: hosts.clone(),
            }),
        }
    }
    visits.truncate(MAX_VISITS);
    visits
}

fn open_at(server: &Server) -> Vec<(Protocol, u16)> {
    let ways = [
        (Protocol::Udp, server.udp.then_some(server.port)),
        (Protocol::Tcp, server.tcp.then_some(server.port)),
        (Protocol::Tls, server.tls),
    ];
    ways.into_iter().filter_map(|(protocol, port)| Some((protocol, port?))).collect()
}

/// The relayed addresses of a code.
pub(super) fn relayed(offer: &Offer) -> Vec<SocketAddr> {
    let relays: Vec<Item> = offer
        .items
        .iter()
        .filter(|item| matches!(item, Item::Address { kind: AddressKind::Relay, .. }))
        .cloned()
        .collect();
    super::answer::literal_addresses(&relays)
}

/// Gives direct paths their head start before relayed ones once for a friend, who may ring several times in a row:
/// anew with the relay, say, when that has answered.
#[derive(Debug, Default)]
pub(super) struct HeadStart {
    began: Option<Duration>,
    last: Duration,
}

impl HeadStart {
    /// How much of `whole` is left for this ring.
    pub(super) fn left(&mut self, now: Duration, whole: Duration) -> Duration {
        let series = self.began.filter(|_| now.saturating_sub(self.last) < SERIES_ENDS_AFTER);
        self.last = now;
        let began = *self.began.insert(series.unwrap_or(now));
        whole.saturating_sub(now.saturating_sub(began))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::turn::Taken;
    use crate::transport::{RelayPath, relays_of};
    use std::sync::Arc;

    const OPEN: Taken = Taken { doorbell: true, guest: true };

    fn candidate(kind: PathKind, address: &str, relay: Option<(&str, Taken)>) -> LocalCandidate {
        let address = address.parse().unwrap();
        let relay = relay.map(|(server, taken)| RelayPath {
            link: 0,
            server: server.parse().unwrap(),
            protocol: Protocol::Udp,
            from: None,
            taken,
        });
        let (default_route, bridge, lonely) = (true, false, false);
        LocalCandidate { kind, address, base: address, default_route, bridge, lonely, relay }
    }

    fn told(server: &str, relayed: &str, taken: Taken, links: &[&str], more: &[&str]) -> Told {
        let links: Vec<_> = links.iter().map(|text| text.parse().unwrap()).collect();
        let relay = Arc::new(relays_of(&links).remove(0));
        let mut all: Vec<_> = more.iter().map(|address| candidate(PathKind::Host, address, None)).collect();
        all.push(candidate(PathKind::Relay, relayed, Some((server, taken))));
        tell(&all, false, |one| one.relay.map(|_| Arc::clone(&relay)))
    }

    fn servers_in(told: &Told) -> Vec<Server> {
        let server = |item: &Item| match item {
            Item::Server(server) => Some(server.clone()),
            Item::Address { .. } => None,
        };
        told.items.iter().filter_map(server).collect()
    }

    #[test]
    fn the_usual_relay_takes_no_room_in_the_code() {
        let told = told("203.0.113.5:3478", "203.0.113.5:50000", OPEN, &["turn:203.0.113.5?secret=s"], &[]);
        assert!(told.open_relay && servers_in(&told).is_empty());
    }

    #[test]
    fn another_servers_relay_lets_nobody_in() {
        for taken in [Taken::default(), Taken { doorbell: true, guest: false }] {
            let told = told("203.0.113.5:3478", "203.0.113.5:50000", taken, &["turn:203.0.113.5"], &[]);
            assert!(!told.open_relay && servers_in(&told).is_empty());
        }
    }

    #[test]
    fn all_ways_to_a_relay_are_told() {
        let links = ["turn:r.example?secret=s", "turns:r.example:443?secret=s", "turn:r.example:80?secret=s"];
        let told = told("203.0.113.5:3478", "203.0.113.5:50000", OPEN, &links, &[]);
        let [first, second] = &servers_in(&told)[..] else { panic!() };
        assert_eq!((first.udp, first.tcp, first.port, first.tls), (true, true, 3478, Some(443)));
        assert_eq!((second.udp, second.tcp, second.port, second.tls), (true, true, 80, None));
        assert_eq!(first.host, Host::V4([203, 0, 113, 5].into()), "by number");
    }

    #[test]
    fn a_relay_by_tls_alone_and_one_in_the_own_network() {
        let links = ["turns:192.168.1.9:443?secret=s"];
        let told = told("192.168.1.9:443", "203.0.113.5:50000", OPEN, &links, &[]);
        let [server] = &servers_in(&told)[..] else { panic!() };
        assert_eq!((server.udp, server.tcp, server.tls), (false, false, Some(443)));
        assert_eq!(server.host, Host::V4([203, 0, 113, 5].into()), "as others see it");
    }

    #[test]
    fn a_pin_is_told_where_there_is_room() {
        let pin = "pin=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        let links = ["turn:203.0.113.5?secret=s", &format!("turns:203.0.113.5:443?secret=s&{pin}")];
        for (more, pinned) in [
            (&["192.168.1.20:5000"][..], true),
            (&["192.168.1.20:5000", "10.8.0.6:5000", "10.9.0.6:5000"], false),
        ] {
            let told = told("203.0.113.5:3478", "203.0.113.5:50000", OPEN, &links, more);
            let expect = pinned.then_some([0, 1, 2, 3, 4, 5, 6, 7]);
            assert_eq!(servers_in(&told)[0].pin, expect, "{more:?}");
        }
    }

    #[test]
    fn the_readers_account_is_the_one_that_was_registered() {
        let keys = CallKeys::derive(b"an offer");
        let registered = registration(&keys).guest.unwrap();
        assert_eq!((registered.user(), registered.password()), (&*keys.guest_user, &*keys.guest_key));
        assert_eq!(burnt(&keys), Extras { doorbell: None, guest: Some(registered) });
        let probe = probe([7; 18]);
        assert_eq!(probe.doorbell.as_ref().map(String::len), Some(8));
        assert!(probe.guest.is_some());
    }

    #[test]
    fn a_series_of_rings_has_one_head_start() {
        let mut start = HeadStart::default();
        let whole = Duration::from_millis(300);
        let left = [0, 100, 250, 1_000, 4_000, 4_100]
            .map(|now| start.left(Duration::from_millis(now), whole).as_millis());
        assert_eq!(left, [300, 200, 50, 0, 300, 200]);
    }
}
