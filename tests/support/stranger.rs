//! Somebody who holds a code and does not behave: the library's parts, put together wrongly on purpose.

use p2pcall::call::channel::{DescriptionKind, Message, Talk};
use p2pcall::call::identity::Identity;
use p2pcall::call::peer::{
    IceCredentials, PacketPort, Peer, PeerConfig, PeerEvent, PeerStreams, RELAY_HOLD, SentStreams,
};
use p2pcall::code::facts::{Host, Item};
use p2pcall::code::keys::{self, CallKeys, Role, certificate_hash};
use p2pcall::code::{OfferCode, Pasted, paste};
use p2pcall::config::NetworkConfig;
use p2pcall::media::frame::Codec;
use p2pcall::transport::{Agent, Credentials, Transport, TransportEvent};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

/// What a text says, for somebody who only has the text.
pub(crate) fn read_code(text: &str) -> OfferCode {
    match paste::read_offer(text).expect("a code") {
        Pasted::Offer(code) => code,
        other => panic!("no offer: {other:?}"),
    }
}

/// Where a code's owner is.
pub(crate) fn addresses(code: &OfferCode) -> Vec<SocketAddr> {
    let literal = |item: &Item| match item {
        Item::Address { host: Host::V4(ip), port, .. } => Some(SocketAddr::new((*ip).into(), *port)),
        Item::Address { host: Host::V6(ip), port, .. } => Some(SocketAddr::new((*ip).into(), *port)),
        _ => None,
    };
    code.offer().items.iter().filter_map(literal).collect()
}

/// A connection as far as the open data channel.
pub(crate) struct Stranger {
    keys: CallKeys,
    identity: Identity,
    peer: Peer,
    streams: PeerStreams,
    _agent: Agent,
    _transport: Transport,
    _events: tokio::sync::mpsc::Receiver<TransportEvent>,
}

impl Stranger {
    /// Rings from `from` until the channel is open.
    pub(crate) async fn ring(code: &OfferCode, from: IpAddr) -> Self {
        let network = NetworkConfig { no_servers: true, bind: vec![from], ..NetworkConfig::default() };
        let (transport, events) = Transport::open(&network).await.expect("sockets");
        let keys = code.keys();
        let agent = transport.call(&routed(&keys.answer_ice), Some(&routed(&keys.offer_ice)));
        let ports = agent.ports().into_iter().map(|port| Arc::new(port) as Arc<dyn PacketPort>).collect();
        let identity = Identity::generate().expect("a certificate");
        let config = PeerConfig {
            identity: identity.clone(),
            local: stacked(&keys.answer_ice),
            ports,
            relay_hold: RELAY_HOLD,
            video_codecs: vec![Codec::H264],
            sent: SentStreams::new().expect("randomness"),
            verify_fingerprint: false,
            started: Instant::now(),
        };
        let (peer, streams) = Peer::open(config).await.expect("a stack");
        peer.start_as_answerer(&stacked(&keys.offer_ice), &addresses(code)).await.expect("started");
        let mut stranger =
            Self { keys, identity, peer, streams, _agent: agent, _transport: transport, _events: events };
        stranger.wait(|event| *event == PeerEvent::ChannelOpen).await;
        stranger
    }

    /// The next event that fits.
    pub(crate) async fn wait(&mut self, fits: impl Fn(&PeerEvent) -> bool) -> PeerEvent {
        let waiting = async {
            loop {
                let event = self.streams.events.recv().await.expect("still open");
                if fits(&event) {
                    return event;
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("in time")
    }

    /// Sends bytes over the channel.
    pub(crate) async fn send(&self, bytes: &[u8]) {
        self.peer.send(bytes).await.expect("open");
    }

    /// The next thing that the other end says that fits.
    pub(crate) async fn hear(&mut self, fits: impl Fn(&Talk) -> bool) -> Talk {
        loop {
            let event = self.wait(|event| matches!(event, PeerEvent::ChannelMessage(_))).await;
            let PeerEvent::ChannelMessage(bytes) = event else { continue };
            if let Ok(Message::Talk(talk)) = Message::decode(&bytes)
                && fits(&talk)
            {
                return talk;
            }
        }
    }

    /// Proves that it holds the code, as a friend would.
    pub(crate) async fn authenticate(&mut self) {
        let offerer = certificate_hash(&self.peer.remote_certificate().await.expect("known by now"));
        let mac = self.keys.auth_mac(Role::Answerer, &offerer, &self.identity.fingerprint());
        loop {
            self.send(&Message::Auth(mac).encode()).await;
            let heard = self.wait(|event| matches!(event, PeerEvent::ChannelMessage(_)));
            if tokio::time::timeout(Duration::from_millis(250), heard).await.is_ok() {
                return;
            }
        }
    }

    /// Everything up to `connected`, with this as its greeting.
    pub(crate) async fn join(&mut self, hello: &[u8]) {
        self.authenticate().await;
        self.send(hello).await;
        self.hear(|talk| matches!(talk, Talk::SasCommit { .. })).await;
        self.send(&Message::Talk(Talk::SasNonce { nonce: [7; 32] }).encode()).await;
        let offered = |talk: &Talk| matches!(talk, Talk::Description { .. });
        let Talk::Description { sdp, .. } = self.hear(offered).await else { return };
        let (answer, _) = self.peer.accept_media_offer(&sdp).await.expect("agreed");
        let answer = Talk::Description { kind: DescriptionKind::Answer, sdp: answer };
        self.send(&Message::Talk(answer).encode()).await;
    }
}

fn routed(ice: &keys::IceCredentials) -> Credentials {
    Credentials { ufrag: ice.ufrag.clone(), pwd: ice.pwd.clone() }
}

fn stacked(ice: &keys::IceCredentials) -> IceCredentials {
    IceCredentials { ufrag: ice.ufrag.clone(), pwd: ice.pwd.clone() }
}
