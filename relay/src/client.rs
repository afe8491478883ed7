//! A small TURN client: what `check` and tests need. One request at a time, over UDP, TCP or TLS.
//!
//! Knows no ICE and keeps nothing alive: whoever holds a [`Client`] for minutes refreshes it.

mod session;
mod trust;
mod wire;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

pub use session::{Refused, Session};
pub use trust::{Flaw, Trust, Verdict};
pub use wire::Wire;

use crate::stun::{
    Builder, ChannelData, ChannelNumber, Class, Demux, Key, Message, Method, TransactionId, attr,
};

/// Why something asked of a server did not come about.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No answer in time.
    #[error("no answer")]
    Silent,
    /// The server said no.
    #[error("{0}")]
    Refused(Refused),
    /// The system or the network said no.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The server answers something that makes no sense.
    #[error("the answer makes no sense")]
    Nonsense,
}

/// RFC 8489 §6.2.1: the first wait for an answer over UDP; each further one is twice as long.
const RTO: Duration = Duration::from_millis(250);
/// Tries over UDP.
const TRIES: u32 = 5;
/// "Connection refused" so often over UDP is no server that is just starting.
const REFUSALS: u32 = 3;
/// The wait for an answer over a stream.
const STREAM_PATIENCE: Duration = Duration::from_secs(5);

/// A connection to a server, and who we are to it.
pub struct Client {
    wire: Wire,
    session: Session,
}

/// What an Allocate brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocated {
    /// Where peers reach us.
    pub relayed: SocketAddr,
    /// Where the server sees us.
    pub mapped: Option<SocketAddr>,
    /// The server took our doorbell.
    pub doorbell: bool,
    /// The server took our guest.
    pub guest: bool,
}

impl Client {
    /// A client over a connection that is there.
    pub fn new(wire: Wire, session: Session) -> Self {
        Self { wire, session }
    }

    /// How the server sees us (a Binding request), and how long it took to say so.
    pub async fn binding(&mut self) -> Result<(SocketAddr, Duration), ClientError> {
        let begun = Instant::now();
        let answer = self.ask_once(Method::BINDING, |b, _| b, false).await?;
        let mapped = Message::parse(&answer).ok().and_then(|answer| answer.get(attr::XOR_MAPPED_ADDRESS));
        mapped.map(|mapped| (mapped, begun.elapsed())).ok_or(ClientError::Nonsense)
    }

    /// Makes an allocation; a doorbell's ufrag and a guest are registered with it if given.
    pub async fn allocate(
        &mut self,
        doorbell: Option<&str>,
        guest: Option<&crate::stun::guest::Guest>,
    ) -> Result<Allocated, ClientError> {
        let answer = self
            .ask(Method::ALLOCATE, |builder, owner| {
                let builder =
                    builder.put(attr::REQUESTED_TRANSPORT, attr::UDP).put_some(attr::DOORBELL, doorbell);
                let sealed = guest.and_then(|guest| owner.map(|(key, id)| guest.seal(key, id)));
                builder.put_some(attr::GUEST, sealed.as_deref())
            })
            .await?;
        let answer = Message::parse(&answer).map_err(|_| ClientError::Nonsense)?;
        let relayed = answer.get(attr::XOR_RELAYED_ADDRESS).ok_or(ClientError::Nonsense)?;
        Ok(Allocated {
            relayed,
            mapped: answer.get(attr::XOR_MAPPED_ADDRESS),
            doorbell: doorbell.is_some() && answer.get(attr::DOORBELL) == doorbell,
            guest: guest.is_some() && answer.contains(attr::GUEST),
        })
    }

    /// Prolongs the allocation, or with 0 ends it.
    pub async fn refresh(&mut self, seconds: u32) -> Result<(), ClientError> {
        self.ask(Method::REFRESH, |builder, _| builder.put(attr::LIFETIME, seconds)).await.map(drop)
    }

    /// Lets a peer's packets through.
    pub async fn permit(&mut self, peer: SocketAddr) -> Result<(), ClientError> {
        self.ask(Method::CREATE_PERMISSION, |builder, _| builder.put(attr::XOR_PEER_ADDRESS, peer))
            .await
            .map(drop)
    }

    /// Binds a channel to a peer.
    pub async fn bind(&mut self, channel: ChannelNumber, peer: SocketAddr) -> Result<(), ClientError> {
        self.ask(Method::CHANNEL_BIND, |builder, _| {
            builder.put(attr::CHANNEL_NUMBER, channel.get()).put(attr::XOR_PEER_ADDRESS, peer)
        })
        .await
        .map(drop)
    }

    /// Sends data to the peer of a channel.
    pub async fn send(&mut self, channel: ChannelNumber, data: &[u8]) -> Result<(), ClientError> {
        let mut bytes = vec![0; data.len() + 4];
        ChannelData { channel, data }.write(&mut bytes).ok_or(ClientError::Nonsense)?;
        Ok(self.wire.send(&bytes).await?)
    }

    /// The next data from a peer: its channel or address, and the data.
    pub async fn receive(&mut self, patience: Duration) -> Result<Received, ClientError> {
        let deadline = Instant::now() + patience;
        loop {
            let bytes =
                timeout_at(deadline, self.wire.receive()).await.map_err(|_| ClientError::Silent)??;
            if Demux::of(&bytes) == Demux::ChannelData {
                let message = ChannelData::parse(&bytes).ok_or(ClientError::Nonsense)?;
                return Ok(Received { from: Origin::Channel(message.channel), data: message.data.to_vec() });
            }
            let Ok(message) = Message::parse(&bytes) else { continue };
            if let (Some(peer), Some(data)) = (message.get(attr::XOR_PEER_ADDRESS), message.get(attr::DATA)) {
                return Ok(Received { from: Origin::Peer(peer), data: data.to_vec() });
            }
        }
    }

    /// Gives the connection back, for another session.
    pub fn into_wire(self) -> Wire {
        self.wire
    }

    /// The nonce and realm the server gave, once it has.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Asks, and again when the server wants credentials or a new nonce.
    async fn ask(
        &mut self,
        method: Method,
        fill: impl for<'b> Fn(Builder<'b>, Option<(&Key, &TransactionId)>) -> Builder<'b>,
    ) -> Result<Vec<u8>, ClientError> {
        for _ in 0..2 {
            match self.ask_once(method, &fill, true).await {
                Err(ClientError::Refused(refused)) if refused.again => {}
                settled => return settled,
            }
        }
        self.ask_once(method, &fill, true).await
    }

    /// One transaction: a request, sent until it is answered (RFC 8489 §6.2).
    async fn ask_once(
        &mut self,
        method: Method,
        fill: impl for<'b> Fn(Builder<'b>, Option<(&Key, &TransactionId)>) -> Builder<'b>,
        signed: bool,
    ) -> Result<Vec<u8>, ClientError> {
        let (id, request) = self.session.request(method, fill, signed).ok_or(ClientError::Nonsense)?;
        let tries = if self.wire.is_stream() { 1 } else { TRIES };
        let mut patience = if self.wire.is_stream() { STREAM_PATIENCE } else { RTO };
        let mut refusals = 0;
        for _ in 0..tries {
            let until = Instant::now() + patience;
            let asked = async {
                self.wire.send(&request).await?;
                self.answer_to(id).await
            };
            match timeout_at(until, asked).await {
                Ok(Ok(answer)) => {
                    self.session.learn(&answer).map_err(ClientError::Refused)?;
                    return Ok(answer);
                }
                // The server may still be starting.
                Ok(Err(ClientError::Io(_))) if !self.wire.is_stream() && refusals + 1 < REFUSALS => {
                    refusals += 1;
                    sleep_until(until).await;
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => {}
            }
            patience *= 2;
        }
        Err(ClientError::Silent)
    }

    async fn answer_to(&mut self, id: TransactionId) -> Result<Vec<u8>, ClientError> {
        loop {
            let bytes = self.wire.receive().await?;
            let Ok(message) = Message::parse(&bytes) else { continue };
            if message.id() == id && matches!(message.class(), Class::Success | Class::Error) {
                return Ok(bytes);
            }
        }
    }
}

/// Data from a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Who sent it.
    pub from: Origin,
    /// What.
    pub data: Vec<u8>,
}

/// How a peer is named in what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// By the channel bound to it.
    Channel(ChannelNumber),
    /// By its address.
    Peer(SocketAddr),
}
