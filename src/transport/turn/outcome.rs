//! What a TURN client is made with and what it says: only values.

use p2pcall_relay::stun::guest::Guest;
use std::net::{IpAddr, SocketAddr};

/// What carries the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// UDP: requests are repeated.
    Datagram,
    /// TCP or TLS: requests are not repeated, ChannelData is padded (RFC 8656 §12.5).
    Stream,
}

/// What our own relay takes beside the standard (see `p2pcall_relay::stun::attr`); others ignore it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extras {
    /// The ufrag of a waiting offer, whose Binding requests may pass without a permission.
    pub doorbell: Option<String>,
    /// A one-call account for the friend.
    pub guest: Option<Guest>,
}

/// What of [`Extras`] a server has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    /// The doorbell rings.
    pub doorbell: bool,
    /// The guest may come.
    pub guest: bool,
}

/// Why there is no allocation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TurnError {
    /// 401 though we said who we are.
    #[error("wrong user or password")]
    WrongPassword,
    /// The same with credentials made from a secret.
    #[error("wrong secret, or a clock is wrong")]
    SecretOrClock,
    /// 401, and there is nothing to say.
    #[error("a login is needed")]
    LoginNeeded,
    /// Each new nonce is stale again.
    #[error("every nonce is stale")]
    StaleNonce,
    /// 486.
    #[error("too many allocations")]
    Quota,
    /// No answer.
    #[error("no answer")]
    Silent,
    /// The server does not know the allocation (437 or 401 on a Refresh).
    #[error("the allocation is lost")]
    Lost,
    /// Any other error.
    #[error("{code} {reason}")]
    Refused {
        /// ERROR-CODE.
        code: u16,
        /// Its phrase, control characters removed.
        reason: String,
    },
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnEvent {
    /// There is an allocation.
    Allocated {
        /// The relayed transport address.
        relayed: SocketAddr,
        /// How the server sees us.
        mapped: Option<SocketAddr>,
        /// What it took with it.
        taken: Taken,
    },
    /// The server answered to a change of the extras, or takes others than before.
    Taken(Taken),
    /// The server refuses to let the allocation live longer than it was promised.
    NotProlonged(TurnError),
    /// The server lets nothing through to this peer.
    Forbidden(IpAddr),
    /// There is none, or no longer. The client is over.
    Failed(TurnError),
    /// RFC 8489 §10: go there instead. The client is over.
    Redirected(SocketAddr),
    /// The allocation was given back. The client is over.
    Released,
}

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// A peer's datagram.
    Data {
        /// Who sent it.
        peer: SocketAddr,
        /// What.
        bytes: &'a [u8],
    },
    /// Business between us and the server.
    Handled,
    /// Nothing of ours.
    Foreign,
}
