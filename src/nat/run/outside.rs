//! I/O: a relay as a helper outside: it sends to us from an address that we never wrote to, and sees us from one that
//! no STUN server has. So filtering is known also where no server speaks RFC 5780.
//!
//! ```text
//!  our socket -> STUN server                 the mapping M
//!  relay's relayed address -> M              comes in: endpoint-independent
//!  our socket -> the relay's address, any port; again: comes in: address-dependent
//!  our socket -> the relayed address; again: comes in: address-and-port-dependent, or else nothing is known
//! ```

use crate::config::RelayLink;
use crate::nat::classify::{Arrival, FilterTest, Observation};
use crate::nat::facts::Outside;
use crate::transport::{bind_like_a_call, random_transaction, resolve};
use p2pcall_relay::client::{Client, ClientError, Origin, Session, Wire};
use p2pcall_relay::link::Transport;
use p2pcall_relay::stun::{Builder, ChannelNumber, Class, Message, Method, Seal, attr};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// The whole takes no longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Tries of each packet, and the wait after each.
const TRIES: u32 = 3;
const WAIT: Duration = Duration::from_millis(250);
/// Credentials made for it are good so long, as those of a call.
const CREDENTIAL_SECONDS: u64 = 86_400;
/// What the relay sends us.
const KNOCK: &[u8] = b"p2pcall: does this come in?";

/// The tests with the first relay that lends itself to them.
pub(super) async fn examine(
    local: IpAddr,
    servers: &[SocketAddr],
    relays: &[RelayLink],
    unix: u64,
) -> Option<Outside> {
    let link = relays.iter().find(|link| link.transports().contains(&Transport::Udp))?;
    let relay = resolve(&link.host, link.port).await.into_iter().find(SocketAddr::is_ipv4)?;
    // Another address than the relay's shows more.
    let server = servers.iter().find(|one| one.ip() != relay.ip()).copied().unwrap_or(relay);
    timeout(PATIENCE, with_relay(local, server, relay, link, unix)).await.ok().flatten()
}

async fn with_relay(
    local: IpAddr,
    server: SocketAddr,
    relay: SocketAddr,
    link: &RelayLink,
    unix: u64,
) -> Option<Outside> {
    let socket = UdpSocket::from_std(bind_like_a_call(local).ok()?).ok()?;
    let mapped = ask(&socket, server).await?;
    let session = Session::new(link.credential(unix, CREDENTIAL_SECONDS));
    let mut client = Client::new(Wire::udp(relay).await.ok()?, session);
    let relayed = client.allocate(None, None).await.ok()?.relayed;
    let mut test = Test { socket, client, relayed, peers: Vec::new() };
    let outside = test.run(server, relay, mapped).await;
    // The answer does not matter: an allocation that nobody refreshes ends by itself.
    let _ = timeout(WAIT, test.client.refresh(0)).await;
    outside
}

/// A socket of ours and an allocation.
struct Test {
    socket: UdpSocket,
    client: Client,
    relayed: SocketAddr,
    /// Those with a channel.
    peers: Vec<(ChannelNumber, SocketAddr)>,
}

impl Test {
    async fn run(&mut self, server: SocketAddr, relay: SocketAddr, mapped: SocketAddr) -> Option<Outside> {
        let mut observations = vec![Observation { server, mapped }];
        let mut filter = FilterTest::default();
        let channel = self.bind(mapped).await.ok()?;
        let elsewhere = server.ip() != self.relayed.ip();
        if elsewhere && self.knock(channel).await? {
            filter.other_address = Arrival::Came;
            return Some(Outside { filter, observations });
        }
        if elsewhere && relay.ip() == self.relayed.ip() {
            let seen = ask(&self.socket, relay).await;
            observations.extend(seen.map(|mapped| Observation { server: relay, mapped }));
        }
        let same_address = !elsewhere || relay.ip() == self.relayed.ip();
        let by_port = if same_address { Some(self.knock(channel).await?) } else { None };
        let arrival = |came: bool| if came { Arrival::Came } else { Arrival::Kept };
        // Silence means something only if what must come in does.
        let seen = self.be_seen().await;
        observations.extend(seen.map(|mapped| Observation { server: self.relayed, mapped }));
        let again = match seen {
            Some(seen) if seen != mapped => self.bind(seen).await.ok()?,
            _ => channel,
        };
        if by_port == Some(true) || (seen.is_some() && self.knock(again).await?) {
            filter.other_port = by_port.map(arrival).unwrap_or_default();
            if elsewhere {
                filter.other_address = Arrival::Kept;
            }
        }
        Some(Outside { filter, observations })
    }

    async fn bind(&mut self, peer: SocketAddr) -> Result<ChannelNumber, ClientError> {
        let number = ChannelNumber::FIRST.get() + self.peers.len() as u16;
        let channel = ChannelNumber::new(number).ok_or(ClientError::Nonsense)?;
        self.client.bind(channel, peer).await?;
        self.peers.push((channel, peer));
        Ok(channel)
    }

    /// Has the relay send to us; whether that comes in.
    async fn knock(&mut self, channel: ChannelNumber) -> Option<bool> {
        let mut buffer = [0; 1024];
        for _ in 0..TRIES {
            self.client.send(channel, KNOCK).await.ok()?;
            let coming = async {
                loop {
                    let (length, from) = self.socket.recv_from(&mut buffer).await.ok()?;
                    if from == self.relayed && buffer.get(..length) == Some(KNOCK) {
                        return Some(());
                    }
                }
            };
            if let Ok(Some(())) = timeout(WAIT, coming).await {
                return Some(true);
            }
        }
        Some(false)
    }

    /// Sends to the relayed address; how that sees us.
    async fn be_seen(&mut self) -> Option<SocketAddr> {
        for _ in 0..TRIES {
            self.socket.send_to(KNOCK, self.relayed).await.ok()?;
            if let Ok(received) = self.client.receive(WAIT).await
                && received.data == KNOCK
            {
                return match received.from {
                    Origin::Peer(peer) => Some(peer),
                    Origin::Channel(channel) => {
                        self.peers.iter().find(|(known, _)| *known == channel).map(|(_, peer)| *peer)
                    }
                };
            }
        }
        None
    }
}

fn request() -> Option<Vec<u8>> {
    let mut buffer = [0; 32];
    let builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, random_transaction());
    builder.finish(Seal::NONE).ok().map(|bytes| bytes.to_vec())
}

/// How a server sees the socket.
async fn ask(socket: &UdpSocket, server: SocketAddr) -> Option<SocketAddr> {
    let request = request()?;
    let id = Message::parse(&request).ok()?.id();
    let mut buffer = [0; 1024];
    for _ in 0..TRIES {
        socket.send_to(&request, server).await.ok()?;
        let coming = async {
            loop {
                let (length, _) = socket.recv_from(&mut buffer).await.ok()?;
                let Ok(message) = Message::parse(buffer.get(..length)?) else { continue };
                if message.id() == id {
                    return message.get(attr::XOR_MAPPED_ADDRESS);
                }
            }
        };
        if let Ok(mapped) = timeout(WAIT, coming).await {
            return mapped;
        }
    }
    None
}
