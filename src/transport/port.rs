//! What an ICE agent gets to hold: itself ([`Agent`]) and its virtual sockets ([`Port`]).

use crate::call::event::{PathKind, Protocol};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::candidate::LocalCandidate;
use super::hub::Hub;
use super::inbox::Inbox;
use super::router::{AgentId, LinkId};

/// One peer connection's place in the transport. Dropping it closes its ports; the sockets and allocations
/// behind them live on.
#[derive(Debug)]
pub struct Agent {
    hub: Arc<Hub>,
    id: AgentId,
}

impl Agent {
    pub(super) fn new(hub: Arc<Hub>, id: AgentId) -> Self {
        Self { hub, id }
    }

    /// As it is named in events.
    pub fn id(&self) -> AgentId {
        self.id
    }

    /// A port for each socket and allocation there is now, host ones first; with `relay_only` allocations
    /// only. What came in before is already waiting in them.
    pub fn ports(&self) -> Vec<Port> {
        let port = |(link, candidate)| Port {
            hub: Arc::clone(&self.hub),
            inbox: self.hub.inbox(self.id, link),
            agent: self.id,
            link,
            candidate,
        };
        self.hub.links().into_iter().map(port).collect()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.hub.detach(self.id);
    }
}

/// One virtual UDP socket of one agent. A clone is the same socket.
#[derive(Debug, Clone)]
pub struct Port {
    hub: Arc<Hub>,
    inbox: Arc<Inbox>,
    agent: AgentId,
    link: LinkId,
    candidate: LocalCandidate,
}

impl Port {
    /// Host, or relay.
    pub fn kind(&self) -> PathKind {
        self.candidate.kind
    }

    /// The address to offer: the local one, or the relayed transport address.
    pub fn address(&self) -> SocketAddr {
        self.candidate.address
    }

    /// What carries packets from here to the relay, or to the friend.
    pub fn protocol(&self) -> Protocol {
        self.candidate.relay.map_or(Protocol::Udp, |relay| relay.protocol)
    }

    /// The candidate it stands for.
    pub fn candidate(&self) -> &LocalCandidate {
        &self.candidate
    }

    /// Sends one datagram. Never waits: what the system does not take at once is lost, as on any network.
    ///
    /// # Errors
    /// `NotConnected` once the agent is dropped or the allocation lost.
    pub fn poll_send(
        &self,
        _cx: &mut Context<'_>,
        to: SocketAddr,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if self.inbox.is_closed() {
            return Poll::Ready(Err(std::io::ErrorKind::NotConnected.into()));
        }
        self.hub.send(self.agent, self.link, to, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    /// Receives one datagram; what does not fit into `buffer` is cut off. One task at a time may wait.
    ///
    /// # Errors
    /// `NotConnected` once the agent is dropped or the allocation lost.
    pub fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<std::io::Result<(usize, SocketAddr)>> {
        self.inbox.poll(cx, buffer)
    }

    /// Lets the reader receive these bytes as if they had come from `from`.
    pub fn inject(&self, bytes: &[u8], from: SocketAddr) {
        self.inbox.push(bytes.to_vec(), from);
    }

    /// Datagrams lost because the reader was late.
    pub fn lost(&self) -> u64 {
        self.inbox.lost()
    }
}
