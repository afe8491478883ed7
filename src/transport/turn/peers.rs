//! The peers of an allocation: permissions (RFC 8656 §9) and channels (§12), what waits for them, and when
//! they are renewed. Pure, and knows no message format: it says what is needed, and is told what came of it.

use p2pcall_relay::stun::{ChannelNumber, Demux};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// RFC 8656 §9: a permission lives five minutes; renewed a minute before.
const PERMISSION_RENEWAL: Duration = Duration::from_secs(240);

/// RFC 8656 §12: a channel lives ten minutes; renewed two minutes before.
const CHANNEL_RENEWAL: Duration = Duration::from_secs(480);

/// A refused peer is asked for again, should its relay have changed its mind.
const REFUSAL: Duration = Duration::from_secs(30);

/// Addresses with a permission or waiting for one; the least recently used goes first. A call needs a handful.
const MAX_PERMISSIONS: usize = 64;

/// Channels of an allocation over its life; a call needs a handful, and indications reach everybody else. All
/// are below 0x5000, where RFC 8656 §12 ends the range.
const MAX_CHANNELS: u16 = 256;

/// Datagrams that wait for one permission, a round trip long.
const MAX_QUEUE: usize = 32;

/// A request to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// CreatePermission.
    Permission(IpAddr),
    /// ChannelBind.
    Channel(SocketAddr, ChannelNumber),
}

/// How a datagram travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// As ChannelData.
    Channel(ChannelNumber),
    /// In a Send indication.
    Indication,
    /// Not now: it was queued, or dropped.
    Held,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Asked,
    Granted,
    Refused,
}

#[derive(Debug)]
struct Permission {
    standing: Standing,
    /// Granted: when to renew it. Refused: when to ask again.
    next: Instant,
    used: Instant,
    /// Kept whether used or not.
    pinned: bool,
    queue: VecDeque<(SocketAddr, Vec<u8>)>,
}

#[derive(Debug)]
struct Channel {
    number: ChannelNumber,
    standing: Standing,
    next: Instant,
    used: Instant,
}

/// All peers of one allocation.
#[derive(Debug, Default)]
pub(super) struct Peers {
    permissions: HashMap<IpAddr, Permission>,
    channels: HashMap<SocketAddr, Channel>,
    by_number: HashMap<ChannelNumber, SocketAddr>,
    channels_opened: u16,
    needs: VecDeque<Need>,
}

impl Peers {
    /// A permission that is wanted before anybody sends, and for as long as the allocation lives.
    pub(super) fn pin(&mut self, now: Instant, peer: IpAddr) {
        self.permission(now, peer).pinned = true;
    }

    /// How this datagram reaches the peer. What cannot go yet is queued.
    pub(super) fn route(&mut self, now: Instant, peer: SocketAddr, bytes: &[u8]) -> Route {
        let permission = self.permission(now, peer.ip());
        permission.used = now;
        match permission.standing {
            Standing::Refused => return Route::Held,
            Standing::Asked => {
                if permission.queue.len() >= MAX_QUEUE {
                    permission.queue.pop_front();
                }
                permission.queue.push_back((peer, bytes.to_vec()));
                return Route::Held;
            }
            Standing::Granted => {}
        }
        if let Some(channel) = self.channels.get_mut(&peer) {
            channel.used = now;
            return if channel.standing == Standing::Granted {
                Route::Channel(channel.number)
            } else {
                Route::Indication
            };
        }
        // Checks alone do not deserve a channel: most pairs come to nothing.
        if Demux::of(bytes) != Demux::Stun {
            self.open_channel(now, peer);
        }
        Route::Indication
    }

    /// The peer behind a channel.
    pub(super) fn peer(&self, number: ChannelNumber) -> Option<SocketAddr> {
        self.by_number.get(&number).copied()
    }

    /// A permission was granted: what has waited for it may go.
    pub(super) fn permitted(&mut self, now: Instant, peer: IpAddr) -> VecDeque<(SocketAddr, Vec<u8>)> {
        let Some(permission) = self.permissions.get_mut(&peer) else { return VecDeque::new() };
        permission.standing = Standing::Granted;
        permission.next = now + PERMISSION_RENEWAL;
        std::mem::take(&mut permission.queue)
    }

    /// A permission was refused, or nobody answered.
    pub(super) fn forbidden(&mut self, now: Instant, peer: IpAddr) {
        if let Some(permission) = self.permissions.get_mut(&peer) {
            permission.standing = Standing::Refused;
            permission.next = now + REFUSAL;
            permission.queue.clear();
        }
    }

    /// A channel is bound.
    pub(super) fn bound(&mut self, now: Instant, peer: SocketAddr) {
        if let Some(channel) = self.channels.get_mut(&peer) {
            channel.standing = Standing::Granted;
            channel.next = now + CHANNEL_RENEWAL;
        }
    }

    /// A channel could not be bound: indications do, until it is tried again.
    pub(super) fn unbound(&mut self, now: Instant, peer: SocketAddr) {
        if let Some(channel) = self.channels.get_mut(&peer) {
            channel.standing = Standing::Refused;
            channel.next = now + REFUSAL;
        }
    }

    /// Renews what is used and lets go of the rest.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let needs = &mut self.needs;
        self.permissions.retain(|peer, one| {
            if one.standing == Standing::Asked || one.next > now {
                return true;
            }
            let wanted = one.pinned || now.duration_since(one.used) < PERMISSION_RENEWAL;
            if wanted {
                one.next = now + PERMISSION_RENEWAL;
                if one.standing == Standing::Refused {
                    one.standing = Standing::Asked;
                }
                needs.push_back(Need::Permission(*peer));
            }
            wanted
        });
        let by_number = &mut self.by_number;
        self.channels.retain(|peer, one| {
            if one.standing == Standing::Asked || one.next > now {
                return true;
            }
            let wanted = now.duration_since(one.used) < CHANNEL_RENEWAL;
            if wanted {
                one.next = now + CHANNEL_RENEWAL;
                needs.push_back(Need::Channel(*peer, one.number));
            } else {
                by_number.remove(&one.number);
            }
            wanted
        });
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let waits = |standing| standing != Standing::Asked;
        let permissions = self.permissions.values().filter(|one| waits(one.standing)).map(|one| one.next);
        let channels = self.channels.values().filter(|one| waits(one.standing)).map(|one| one.next);
        permissions.chain(channels).min()
    }

    /// The next request to make.
    pub(super) fn poll_need(&mut self) -> Option<Need> {
        self.needs.pop_front()
    }

    fn permission(&mut self, now: Instant, peer: IpAddr) -> &mut Permission {
        if !self.permissions.contains_key(&peer) {
            self.make_room();
            self.needs.push_back(Need::Permission(peer));
        }
        self.permissions.entry(peer).or_insert_with(|| Permission {
            standing: Standing::Asked,
            next: now,
            used: now,
            pinned: false,
            queue: VecDeque::new(),
        })
    }

    fn make_room(&mut self) {
        if self.permissions.len() < MAX_PERMISSIONS {
            return;
        }
        let oldest = self.permissions.iter().filter(|(_, one)| !one.pinned).min_by_key(|(_, one)| one.used);
        if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
            self.permissions.remove(&oldest);
        }
    }

    /// Numbers of channels that are gone are not given to other peers: RFC 8656 §12 forbids it for five
    /// minutes, and a server may still count them.
    fn open_channel(&mut self, now: Instant, peer: SocketAddr) {
        if self.channels_opened >= MAX_CHANNELS {
            return;
        }
        let Some(number) = ChannelNumber::new(ChannelNumber::FIRST.get() + self.channels_opened) else {
            return;
        };
        self.channels_opened += 1;
        self.by_number.insert(number, peer);
        self.channels.insert(peer, Channel { number, standing: Standing::Asked, next: now, used: now });
        self.needs.push_back(Need::Channel(peer, number));
    }
}
