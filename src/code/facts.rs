//! What a code says, as plain values: the offer, the reply and the addresses in them.
//!
//! Knows nothing of bytes, of text, of keys, nor of how an address was found.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::expiry::Expiry;
use super::network::{NetworkSummary, Shown};

/// Most items a code carries; more would make a QR that no screen holds.
pub const MAX_ITEMS: usize = 16;

/// RFC 8656 §18: the port of STUN and TURN over UDP and TCP, and of a relay server item without one.
pub const DEFAULT_SERVER_PORT: u16 = 3478;

/// What the offerer tells the answerer, whoever that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The offerer's DTLS certificate.
    pub fingerprint: Fingerprint,
    /// What makes the code worth knowing: 16 random bytes, fresh for every offer.
    pub secret: Secret,
    /// When the offerer means to stop waiting.
    pub expiry: Expiry,
    /// What the offerer knows of its own network.
    pub network: NetworkSummary,
    /// The offerer would like to see pictures.
    pub wants_video: bool,
    /// The relay behind the first relayed address has doorbell and guest.
    pub open_relay: bool,
    /// Where the offerer may be reached, best first; at least one.
    pub items: Vec<Item>,
}

/// What the answerer sends back by hand where no path was found without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The answerer would like to see pictures.
    pub wants_video: bool,
    /// What the answerer's NAT shows to its peers.
    pub shown: Shown,
    /// Where the answerer may be reached, best first; at least one.
    pub items: Vec<Item>,
}

/// One place in a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// An ICE candidate.
    Address {
        /// Its kind.
        kind: AddressKind,
        /// Where it is; a name is a relay's or an mDNS name.
        host: Host,
        /// UDP port, never 0.
        port: u16,
    },
    /// A relay at which the one who reads the code may log in as a guest.
    Server(Server),
}

impl Item {
    /// A candidate at a socket address.
    pub fn address(kind: AddressKind, addr: SocketAddr) -> Self {
        Self::Address { kind, host: addr.ip().into(), port: addr.port() }
    }

    /// Where the item is.
    pub fn host(&self) -> &Host {
        match self {
            Self::Address { host, .. } => host,
            Self::Server(server) => &server.host,
        }
    }
}

/// The kinds of ICE candidate that a code can carry (RFC 8445 §5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// An address of the machine itself.
    Host,
    /// Server-reflexive: as a STUN server saw it.
    Srflx,
    /// Relayed transport address of a TURN allocation.
    Relay,
}

impl AddressKind {
    /// The word of the SDP candidate attribute (RFC 8839 §5.1).
    pub fn word(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Srflx => "srflx",
            Self::Relay => "relay",
        }
    }
}

/// An IP address or a DNS name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, without a zone.
    V6(Ipv6Addr),
    /// A DNS name.
    Name(DnsName),
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(ip) => Self::V6(ip),
        }
    }
}

impl fmt::Display for Host {
    /// As in a URL: an IPv6 address stands in brackets, so that `:port` can follow.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(ip) => write!(f, "{ip}"),
            Self::V6(ip) => write!(f, "[{ip}]"),
            Self::Name(name) => f.write_str(name.as_str()),
        }
    }
}

/// A DNS name that is safe to print: 1 to 253 of `a-z`, `0-9`, `-`, `.` and `_`, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DnsName(String);

impl DnsName {
    /// RFC 1035 §2.3.4 leaves 253 characters for the text form.
    pub const MAX_LEN: usize = 253;

    /// Lowers the case; `None` for what can't be a name.
    pub fn new(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let fits = (1..=Self::MAX_LEN).contains(&lower.len());
        (fits && lower.bytes().all(Self::allows)).then_some(Self(lower))
    }

    /// Whether a byte may stand in the encoded form.
    pub(super) fn allows(byte: u8) -> bool {
        matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_')
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A relay server, and how the one who reads the code gets in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four independent facts, each a bit of the format")]
pub struct Server {
    /// Where it is.
    pub host: Host,
    /// Port of UDP and TCP, never 0.
    pub port: u16,
    /// TURN over UDP is open on `port`.
    pub udp: bool,
    /// TURN over TCP is open on `port`.
    pub tcp: bool,
    /// TURN over TLS is open on this port, never 0.
    pub tls: Option<u16>,
    /// Its relayed addresses can be rung (a Binding request with the registered ufrag passes).
    pub doorbell: bool,
    /// It knows the guest account derived from the code.
    pub guest: bool,
    /// First bytes of the SHA-256 of its public key (DER SubjectPublicKeyInfo).
    pub pin: Option<[u8; 8]>,
}

/// SHA-256 of the offerer's DER certificate, whole or its first half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fingerprint {
    /// Enough for p2pcall, which compares by itself.
    Half([u8; 16]),
    /// For whoever must write an SDP fingerprint, such as a browser.
    Full([u8; 32]),
}

impl Fingerprint {
    /// Of a certificate's hash.
    pub fn of(certificate_hash: &[u8; 32], full: bool) -> Self {
        if full {
            return Self::Full(*certificate_hash);
        }
        let (half, _) = certificate_hash.split_at(16);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(half);
        Self::Half(bytes)
    }

    /// Whether all 32 bytes are there.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// The bytes that are there, 16 or 32.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Half(bytes) => bytes,
            Self::Full(bytes) => bytes,
        }
    }

    /// Whether this is the certificate with that SHA-256. Both values are public.
    pub fn matches(&self, certificate_hash: &[u8; 32]) -> bool {
        certificate_hash.starts_with(self.as_bytes())
    }
}

/// The 16 random bytes of an offer. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub [u8; 16]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Offer {
    /// The relays at which a guest can log in: the server items that say so, else, for an open relay, the first
    /// relayed address's own host on the default port over UDP and TCP.
    pub fn guest_servers(&self) -> Vec<Server> {
        let told: Vec<Server> = self
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Server(server) if server.guest => Some(server.clone()),
                _ => None,
            })
            .collect();
        if !told.is_empty() || !self.open_relay {
            return told;
        }
        let relay = self.items.iter().find_map(|item| match item {
            Item::Address { kind: AddressKind::Relay, host, .. } => Some(host.clone()),
            _ => None,
        });
        relay.into_iter().map(Server::implied).collect()
    }

    /// Whether there is a relay in it.
    pub fn has_relay(&self) -> bool {
        self.items
            .iter()
            .any(|item| matches!(item, Item::Server(_) | Item::Address { kind: AddressKind::Relay, .. }))
    }
}

impl Server {
    /// What an open relay without a server item of its own is taken to be.
    pub fn implied(host: Host) -> Self {
        let port = DEFAULT_SERVER_PORT;
        Self { host, port, udp: true, tcp: true, tls: None, doorbell: true, guest: true, pin: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_disturb_a_screen_is_no_name() {
        for bad in ["", "a b", "a\u{1b}[31m", "ä.example", &"a".repeat(254)] {
            assert_eq!(DnsName::new(bad), None, "{bad:?}");
        }
        assert_eq!(DnsName::new("Relay.Example").unwrap().as_str(), "relay.example");
    }

    #[test]
    fn half_a_fingerprint_matches_its_own_certificate_only() {
        let hash: [u8; 32] = std::array::from_fn(|i| i as u8);
        let mut other = hash;
        other[15] ^= 1;
        for full in [false, true] {
            let fingerprint = Fingerprint::of(&hash, full);
            assert!(fingerprint.matches(&hash));
            assert!(!fingerprint.matches(&other));
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret([7; 16])), "Secret(..)");
    }
}
