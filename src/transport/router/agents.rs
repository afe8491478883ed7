//! What the router keeps of an agent and of an offer.

use p2pcall_relay::stun::Key;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use super::{AgentId, Credentials, OfferId};

/// Whose a ufrag is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Offer(OfferId),
    Agent(AgentId),
}

/// An offer and who rings it.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) ufrag: String,
    pub(super) key: Key,
    /// The agents that ring, by their remote's tie-breaker.
    pub(super) rings: HashMap<u64, AgentId>,
    /// The tie-breaker of the remote that authenticated.
    pub(super) burnt_by: Option<u64>,
    /// Nobody may ring any more.
    pub(super) withdrawn: bool,
}

impl Offer {
    pub(super) fn new(local: &Credentials) -> Self {
        Self {
            ufrag: local.ufrag.clone(),
            key: Key::short_term(&local.pwd),
            rings: HashMap::new(),
            burnt_by: None,
            withdrawn: false,
        }
    }
}

/// One agent.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) ufrag: String,
    /// Protects requests to this agent, and its answers.
    pub(super) key: Key,
    /// Protects answers of the remote, where its password is known.
    pub(super) remote: Option<Key>,
    /// How it came about, if by a ring.
    pub(super) ring: Option<Ring>,
}

/// Who rang.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ring {
    pub(super) offer: OfferId,
    /// What tells the remote agent from others.
    pub(super) tie_breaker: u64,
    /// Where its first datagram came from.
    pub(super) from: IpAddr,
    pub(super) since: Instant,
}

impl Agent {
    pub(super) fn calling(local: &Credentials, remote: Option<Key>) -> Self {
        Self { ufrag: local.ufrag.clone(), key: Key::short_term(&local.pwd), remote, ring: None }
    }

    pub(super) fn rung(offer: &Offer, ring: Ring) -> Self {
        Self { ufrag: offer.ufrag.clone(), key: offer.key.clone(), remote: None, ring: Some(ring) }
    }
}
