//! Offers and replies for tests: fixed ones, and any.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::OfferCode;
use super::expiry::Expiry;
use super::facts::{AddressKind, DnsName, Fingerprint, Host, Item, Offer, Reply, Secret, Server};
use super::network::{NetworkSummary, Shown};

pub(crate) fn item(kind: AddressKind, addr: &str) -> Item {
    Item::address(kind, addr.parse().unwrap())
}

/// Two LAN addresses, server-reflexive, relay: what a laptop at home says.
pub(crate) fn typical(full: bool) -> OfferCode {
    offer_with(
        full,
        vec![
            item(AddressKind::Relay, "198.51.100.4:51234"),
            item(AddressKind::Host, "192.168.1.20:54321"),
            item(AddressKind::Srflx, "203.0.113.9:54321"),
            item(AddressKind::Host, "10.8.0.6:54321"),
        ],
    )
}

pub(crate) fn offer_with(full: bool, items: Vec<Item>) -> OfferCode {
    let hash = std::array::from_fn(|i| i as u8 * 7);
    OfferCode::new(Offer {
        fingerprint: Fingerprint::of(&hash, full),
        secret: Secret(std::array::from_fn(|i| 0xF0 - i as u8)),
        expiry: Expiry::at(1_795_377_600),
        network: NetworkSummary::default(),
        wants_video: true,
        open_relay: false,
        items,
    })
    .unwrap()
}

fn any_host() -> impl Strategy<Value = Host> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|ip| Host::V4(ip.into())),
        any::<[u8; 2]>().prop_map(|[x, y]| Host::V4([192, 168, x, y].into())),
        any::<[u8; 3]>().prop_map(|[x, y, z]| Host::V4([10, x, y, z].into())),
        any::<[u8; 3]>().prop_map(|[x, y, z]| Host::V4([172, x, y, z].into())),
        (0_u16..2, any::<u16>()).prop_map(|(net, x)| Host::V6([0x2001, 0xdb8, 0, net, 0, 0, 0, x].into())),
        any::<u128>().prop_map(|bits| Host::V6(bits.into())),
        "[a-z0-9_.-]{1,20}".prop_map(|name| Host::Name(DnsName::new(&name).unwrap())),
    ]
}

fn any_port() -> impl Strategy<Value = u16> {
    prop_oneof![Just(3478), Just(5000), 1..=u16::MAX]
}

fn any_item() -> impl Strategy<Value = Item> {
    let kind = prop_oneof![Just(AddressKind::Host), Just(AddressKind::Srflx), Just(AddressKind::Relay)];
    prop_oneof![
        3 => (kind, any_host(), any_port()).prop_map(|(kind, host, port)| Item::Address { kind, host, port }),
        1 => any_server().prop_map(Item::Server),
    ]
}

fn any_server() -> impl Strategy<Value = Server> {
    let tls = prop_oneof![Just(None), Just(Some(443)), Just(Some(5349)), any_port().prop_map(Some)];
    (any_host(), any_port(), any::<[bool; 4]>(), tls, any::<Option<[u8; 8]>>()).prop_map(
        |(host, port, [udp, tcp, doorbell, guest], tls, pin)| {
            let udp = udp || (!tcp && tls.is_none());
            Server { host, port, udp, tcp, tls, doorbell, guest, pin }
        },
    )
}

fn any_items() -> impl Strategy<Value = Vec<Item>> {
    proptest::collection::vec(any_item(), 1..9)
}

pub(crate) fn any_offer() -> impl Strategy<Value = Offer> {
    (any::<[u8; 32]>(), any::<[bool; 3]>(), any::<[u8; 16]>(), any::<[u16; 2]>(), any_items()).prop_map(
        |(hash, [full, wants_video, open_relay], secret, [expiry, network], items)| Offer {
            fingerprint: Fingerprint::of(&hash, full),
            secret: Secret(secret),
            expiry: Expiry::from_bits(expiry),
            network: NetworkSummary::from_bits(network),
            wants_video,
            open_relay,
            items,
        },
    )
}

pub(crate) fn any_reply() -> impl Strategy<Value = Reply> {
    (any::<bool>(), 0_u8..4, any_items()).prop_map(|(wants_video, shown, items)| Reply {
        wants_video,
        shown: Shown::of_bits(shown),
        items,
    })
}

/// A reply with one server-reflexive address: 16 characters.
pub(crate) fn short_reply() -> Reply {
    let addr: SocketAddr = "203.0.113.77:40123".parse().unwrap();
    let items = vec![Item::address(AddressKind::Srflx, addr)];
    Reply { wants_video: false, shown: Shown::Unknown, items }
}
