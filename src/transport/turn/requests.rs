//! Requests of a TURN client until their answers: retransmission over datagrams, patience over streams
//! (RFC 8489 §6.2). Pure.

use p2pcall_relay::stun::TransactionId;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// RFC 8489 §6.2.1: the first repetition after 500 ms, then doubling.
const RTO: Duration = Duration::from_millis(500);

/// RFC 8489 §6.2.1 doubles on; but what is repeated once a second burdens nobody, and finds a relay that is started
/// again.
const LONGEST_RTO: Duration = Duration::from_secs(1);

/// RFC 8489 §6.2.2 waits 39.5 s for an answer on a stream; a person does not.
const STREAM_PATIENCE: Duration = Duration::from_secs(8);

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// An allocation.
    Allocate,
    /// Its prolongation.
    Refresh,
    /// Its end.
    Release,
    /// The end of one that was here before, so that there can be another.
    Clear,
    /// A permission.
    Permit(IpAddr),
    /// A channel.
    Bind(SocketAddr, p2pcall_relay::stun::ChannelNumber),
}

impl Request {
    /// RFC 8489 §6.2.1 asks seven times, over 39.5 s. Too long here: a relay that is started again is to be
    /// found at the next attempt, one that forgot us to be noticed in mid-call, and the end has no time at all.
    fn attempts(self) -> u32 {
        match self {
            Self::Allocate => 5,
            Self::Refresh | Self::Permit(_) | Self::Bind(..) => 4,
            Self::Release | Self::Clear => 2,
        }
    }
}

/// One request on its way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) request: Request,
    /// How often a nonce of it was called stale.
    pub(super) stale: u8,
    bytes: Vec<u8>,
    sent: u32,
    next: Instant,
}

/// What became due.
#[derive(Debug)]
pub(super) enum Due {
    /// Send this again.
    Again(Vec<u8>),
    /// Nobody answers.
    Unanswered(Request),
}

/// All requests on their way.
#[derive(Debug)]
pub(super) struct Requests {
    pending: HashMap<TransactionId, Pending>,
    stream: bool,
}

impl Requests {
    pub(super) fn new(stream: bool) -> Self {
        Self { pending: HashMap::new(), stream }
    }

    /// The request has been sent for the first time.
    pub(super) fn sent(
        &mut self,
        now: Instant,
        id: TransactionId,
        request: Request,
        bytes: &[u8],
        stale: u8,
    ) {
        let next = now + if self.stream { STREAM_PATIENCE } else { RTO };
        self.pending.insert(id, Pending { request, stale, bytes: bytes.to_vec(), sent: 1, next });
    }

    /// Whether somebody asked this.
    pub(super) fn knows(&self, id: TransactionId) -> bool {
        self.pending.contains_key(&id)
    }

    /// The answer has come.
    pub(super) fn take(&mut self, id: TransactionId) -> Option<Pending> {
        self.pending.remove(&id)
    }

    /// Whether such a request is on its way.
    pub(super) fn awaits(&self, request: Request) -> bool {
        self.pending.values().any(|one| one.request == request)
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.pending.clear();
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<Due> {
        let mut due = Vec::new();
        let stream = self.stream;
        self.pending.retain(|_, one| {
            if one.next > now {
                return true;
            }
            if stream || one.sent >= one.request.attempts() {
                due.push(Due::Unanswered(one.request));
                return false;
            }
            one.sent += 1;
            one.next = now + (RTO * 2_u32.pow(one.sent - 1)).min(LONGEST_RTO);
            due.push(Due::Again(one.bytes.clone()));
            true
        });
        due
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.pending.values().map(|one| one.next).min()
    }
}
