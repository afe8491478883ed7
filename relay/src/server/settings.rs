//! What the owner decided, ready to use: nothing in here has to be checked again.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use super::peers::Peers;

/// One UDP address that clients talk to. Its index in [`Settings::listeners`] is its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// What the socket is bound to.
    pub local: SocketAddr,
    /// What clients see.
    pub external: SocketAddr,
    /// RFC 5780: the listener with the same address and the other port.
    pub other_port: Option<usize>,
    /// RFC 5780: the listener with the other address and the same port.
    pub other_address: Option<usize>,
    /// RFC 5780: the listener with the other address and the other port.
    pub other_both: Option<usize>,
    /// The relay does without it if the address is not to be had.
    pub optional: bool,
}

impl Listener {
    /// A listener that takes no part in behavior discovery.
    pub fn plain(local: SocketAddr, external: SocketAddr) -> Self {
        Self { local, external, other_port: None, other_address: None, other_both: None, optional: false }
    }
}

/// How much is enough. `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Allocations at a time.
    pub allocations: Option<u32>,
    /// Allocations of one user at a time.
    pub per_user: Option<u32>,
    /// Allocations from one client address at a time.
    pub per_address: Option<u32>,
    /// kbit/s through one allocation, both directions together.
    pub kilobits: Option<u32>,
    /// Replies per second to one /24 or /56 that has not authenticated.
    pub strangers: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { allocations: None, per_user: None, per_address: None, kilobits: None, strangers: 200 }
    }
}

/// The whole configuration of the core.
#[derive(Clone, Debug)]
pub struct Settings {
    /// UDP listeners.
    pub listeners: Vec<Listener>,
    /// Whom clients may reach, and our own addresses.
    pub peers: Peers,
    /// Ports of relayed addresses.
    pub ports: RangeInclusive<u16>,
    /// Quotas.
    pub limits: Limits,
    /// Offer SHA-256 credentials with PASSWORD-ALGORITHMS (RFC 8489 §9.2); longer replies to strangers.
    pub sha256: bool,
    /// Take DOORBELL.
    pub doorbell: bool,
    /// Take GUEST.
    pub guest: bool,
    /// Where new clients are sent while this relay drains (RFC 8489 §10: 300 Try Alternate).
    pub alternate_server: Option<SocketAddr>,
}

impl Settings {
    /// Takes a listener out, and out of the others' links.
    pub fn remove_listener(&mut self, at: usize) {
        if at >= self.listeners.len() {
            return;
        }
        self.listeners.remove(at);
        let follow = |link: &mut Option<usize>| {
            *link = link.filter(|&other| other != at).map(|other| if other > at { other - 1 } else { other });
        };
        for listener in &mut self.listeners {
            follow(&mut listener.other_port);
            follow(&mut listener.other_address);
            follow(&mut listener.other_both);
        }
    }
}
