//! One allocation: what RFC 8656 §5 says a server remembers, and no more.
//!
//! Two permissions and two channels stand in the allocation itself; that is what a call needs.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use smallvec::SmallVec;

use super::bucket::Bucket;
use super::clock::Seconds;
use super::doorbell::Doorbell;
use super::guests::{Registration, Visit};
use super::quota::Ticket;
use crate::stun::{ChannelNumber, Integrity, Key, TransactionId};

/// RFC 8656 §9: a permission lasts five minutes.
pub(super) const PERMISSION_SECONDS: Seconds = 300;
/// RFC 8656 §12: a channel lasts ten minutes.
pub(super) const CHANNEL_SECONDS: Seconds = 600;
/// Permissions, and channels, that one allocation can have at a time.
pub(super) const MAX_PEERS: usize = 256;

/// How a client's packets come in: with its address, the 5-tuple of RFC 8656 §2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// By UDP, on the listener with this index.
    Udp(u16),
    /// By the TCP or TLS connection with this number, which is never used again.
    Stream(u64),
}

/// A client's 5-tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// Where its packets come from, without flow label and scope.
    pub address: SocketAddr,
    /// Where they arrive.
    pub via: Via,
}

/// Names one relay socket: its allocation, that one's generation, and the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RelayId {
    pub(super) slot: u32,
    pub(super) generation: u16,
    /// 0 for the first relayed address, 1 for the additional one.
    pub(super) second: bool,
}

impl RelayId {
    /// For event queues that carry a number.
    pub fn to_bits(self) -> u64 {
        u64::from(self.slot) << 32 | u64::from(self.generation) << 1 | u64::from(self.second)
    }

    /// The inverse of [`RelayId::to_bits`].
    pub fn from_bits(bits: u64) -> Self {
        Self { slot: (bits >> 32) as u32, generation: (bits >> 1) as u16, second: bits & 1 == 1 }
    }
}

/// Who has authenticated, and how.
#[derive(Debug)]
pub(super) struct User {
    pub(super) name: Box<str>,
    pub(super) key: Key,
    pub(super) integrity: Integrity,
}

/// A relayed address: which of the relay's addresses, and the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Relayed {
    pub(super) relay: usize,
    pub(super) port: u16,
    pub(super) local: IpAddr,
}

impl Relayed {
    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.local, self.port)
    }
}

/// RFC 8656 §9.
#[derive(Clone, Copy, Debug)]
pub(super) struct Permission {
    pub(super) ip: IpAddr,
    until: Seconds,
}

/// RFC 8656 §12.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    pub(super) number: ChannelNumber,
    pub(super) peer: SocketAddr,
    until: Seconds,
}

/// Why a channel cannot be bound (RFC 8656 §12.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BindError {
    /// The number has another peer, or the peer another number.
    Taken,
    /// Too many.
    Full,
}

/// What few allocations have.
#[derive(Debug, Default)]
pub(super) struct Extras {
    pub(super) doorbell: Option<Doorbell>,
    pub(super) hosts: Option<Registration>,
    pub(super) visit: Option<Visit>,
    pub(super) token: Option<u64>,
}

/// An allocation.
#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) client: Client,
    pub(super) user: Arc<User>,
    pub(super) relayed: [Option<Relayed>; 2],
    pub(super) until: Seconds,
    /// The Allocate that made it and what it was granted: a retransmission gets the same answer.
    pub(super) transaction: TransactionId,
    pub(super) granted: Seconds,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) bucket: Bucket,
    permissions: SmallVec<[Permission; 2]>,
    channels: SmallVec<[Channel; 2]>,
    extras: Option<Box<Extras>>,
    /// Held, not read: its end gives the place back.
    pub(super) _ticket: Ticket,
}

impl Allocation {
    pub(super) fn new(
        client: Client,
        user: Arc<User>,
        relayed: [Option<Relayed>; 2],
        transaction: TransactionId,
        ticket: Ticket,
    ) -> Self {
        Self {
            client,
            user,
            relayed,
            until: 0,
            transaction,
            granted: 0,
            sent: 0,
            received: 0,
            bucket: Bucket::default(),
            permissions: SmallVec::new(),
            channels: SmallVec::new(),
            extras: None,
            _ticket: ticket,
        }
    }

    pub(super) fn extras(&self) -> Option<&Extras> {
        self.extras.as_deref()
    }

    pub(super) fn extras_mut(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    pub(super) fn doorbell_mut(&mut self) -> Option<&mut Doorbell> {
        self.extras.as_mut()?.doorbell.as_mut()
    }

    pub(super) fn visit(&self) -> Option<&Visit> {
        self.extras()?.visit.as_ref()
    }

    /// The relayed address for peers of this family, and whether it is the second one.
    pub(super) fn relayed_for(&self, peer: IpAddr) -> Option<(bool, Relayed)> {
        let fits = |relayed: &Relayed| relayed.local.is_ipv4() == peer.is_ipv4();
        let [first, second] = self.relayed;
        let first = first.filter(fits).map(|relayed| (false, relayed));
        first.or_else(|| second.filter(fits).map(|relayed| (true, relayed)))
    }

    pub(super) fn permits(&self, ip: IpAddr, now: Seconds) -> bool {
        self.permissions.iter().any(|permission| permission.ip == ip && permission.until > now)
    }

    /// Whether all of these fit beside the permissions there are.
    pub(super) fn has_room_for(&mut self, ips: &[IpAddr], now: Seconds) -> bool {
        self.permissions.retain(|permission| permission.until > now);
        let new = ips.iter().filter(|&&ip| !self.permits(ip, now)).count();
        self.permissions.len() + new <= MAX_PEERS
    }

    /// Creates or refreshes a permission.
    pub(super) fn permit(&mut self, ip: IpAddr, now: Seconds) {
        let until = now + PERMISSION_SECONDS;
        match self.permissions.iter_mut().find(|permission| permission.ip == ip) {
            Some(permission) => permission.until = until,
            None => self.permissions.push(Permission { ip, until }),
        }
    }

    pub(super) fn channel(&self, number: ChannelNumber, now: Seconds) -> Option<SocketAddr> {
        let live = self.channels.iter().find(|channel| channel.number == number && channel.until > now);
        live.map(|channel| channel.peer)
    }

    pub(super) fn channel_to(&self, peer: SocketAddr, now: Seconds) -> Option<ChannelNumber> {
        let live = self.channels.iter().find(|channel| channel.peer == peer && channel.until > now);
        live.map(|channel| channel.number)
    }

    /// Binds or refreshes a channel; true if it is a new one.
    pub(super) fn bind(
        &mut self,
        number: ChannelNumber,
        peer: SocketAddr,
        now: Seconds,
    ) -> Result<bool, BindError> {
        let until = now + CHANNEL_SECONDS;
        let same = |channel: &Channel| channel.number == number && channel.peer == peer;
        if let Some(channel) = self.channels.iter_mut().find(|channel| same(channel) && channel.until > now) {
            channel.until = until;
            return Ok(false);
        }
        if self
            .channels
            .iter()
            .any(|channel| channel.until > now && (channel.number == number || channel.peer == peer))
        {
            return Err(BindError::Taken);
        }
        if self.channels.len() >= MAX_PEERS {
            return Err(BindError::Full);
        }
        self.channels.push(Channel { number, peer, until });
        Ok(true)
    }

    /// Forgets channels that have ended, naming each.
    pub(super) fn expire_channels(&mut self, now: Seconds, mut ended: impl FnMut(&Channel)) {
        self.channels.retain(|channel| {
            let live = channel.until > now;
            if !live {
                ended(channel);
            }
            live
        });
    }
}
