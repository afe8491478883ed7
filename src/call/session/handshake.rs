//! I/O: one agent's way from its ports to an authenticated friend: ICE, DTLS, the data channel, and the
//! first message in each direction. Whoever can't do it in time, or does it wrongly, is dropped; the offer
//! goes on. Knows nothing of what is said afterwards.

use super::converse::{First, Joined};
use crate::call::Role;
use crate::call::channel::{DescriptionKind, Message, Talk};
use crate::call::event::PathKind;
use crate::call::identity::Identity;
use crate::call::peer::{
    IceCredentials, PacketPort, Peer, PeerConfig, PeerError, PeerEvent, PeerStreams, RELAY_HOLD, SentStreams,
};
use crate::call::verify::Verification;
use crate::code::facts::Fingerprint;
use crate::code::keys::{self, CallKeys, certificate_hash};
use crate::code::words::{SafetyInput, again_keys, safety_words};
use crate::media::frame::Codec;
use crate::transport::{Agent, Port};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Whoever has not authenticated so long after DTLS is dropped.
const AUTHENTICATION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the answerer waits before it authenticates again.
const INSIST_INTERVAL: Duration = Duration::from_millis(100);
/// Whoever rings and does not get as far as DTLS in this time is dropped, and may ring again.
const RING_TIMEOUT: Duration = Duration::from_secs(15);

/// What both ends' handshakes need.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    /// Which end this is.
    pub(super) role: Role,
    /// This end's certificate.
    pub(super) identity: Identity,
    /// The code's keys.
    pub(super) keys: CallKeys,
    /// What the code says of the offerer's certificate (the answerer checks it).
    pub(super) fingerprint: Option<Fingerprint>,
    /// The video codecs that this end codes and decodes.
    pub(super) video_codecs: Vec<Codec>,
    /// What this end sends.
    pub(super) sent: SentStreams,
    /// Only paths without a relay at this end will do.
    pub(super) direct: bool,
    /// The call's clock zero.
    pub(super) started: Instant,
}

/// What two ends that met know of each other: enough to meet again, and for nobody else to pass for one of them.
#[derive(Debug)]
pub(super) struct Bond {
    terms: Terms,
    offerer_hash: [u8; 32],
    answerer_hash: [u8; 32],
}

impl Bond {
    /// The terms on which they meet again, by the nonces that they exchanged.
    pub(super) fn again(&self, [offerer_nonce, answerer_nonce]: &[[u8; 32]; 2]) -> Terms {
        let (offerer_hash, answerer_hash) = (&self.offerer_hash, &self.answerer_hash);
        let sas = &self.terms.keys.sas;
        let input = SafetyInput { offerer_nonce, answerer_nonce, offerer_hash, answerer_hash, sas };
        let theirs = match self.terms.role {
            Role::Offerer => answerer_hash,
            Role::Answerer => offerer_hash,
        };
        Terms {
            keys: again_keys(&input),
            fingerprint: Some(Fingerprint::of(theirs, true)),
            ..self.terms.clone()
        }
    }
}

/// A friend who has proved that it holds the code.
#[derive(Debug)]
pub(super) struct Met {
    /// Its place in the transport.
    pub(super) agent: Agent,
    /// Its ports, in the order of the peer's indexes.
    pub(super) ports: Vec<Port>,
    /// The connection.
    pub(super) peer: Peer,
    /// What comes out of it.
    pub(super) streams: PeerStreams,
    /// For the safety words.
    pub(super) verification: Verification,
    /// For another time.
    pub(super) bond: Bond,
}

impl Met {
    /// What the conversation begins with.
    pub(super) fn parts(self) -> (Joined, First) {
        let Self { agent, ports, peer, streams, verification, bond } = self;
        (
            Joined { _agent: agent, ports, peer: Arc::new(peer), streams },
            First::Verified(verification, Box::new(bond)),
        )
    }
}

/// Why somebody was not met.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unmet {
    /// Reached DTLS or not, but did not authenticate in time.
    #[error("it did not authenticate in time")]
    Silent,
    /// The certificate is not the one that the code names.
    #[error("its certificate is not the one that the code names")]
    WrongCertificate,
    /// The first message is not the authentication.
    #[error("its authentication is wrong")]
    WrongAuthentication,
    /// The path broke.
    #[error("the path to it broke")]
    Broke,
    /// The stack said no.
    #[error(transparent)]
    Peer(#[from] PeerError),
}

impl PacketPort for Port {
    fn kind(&self) -> crate::call::event::PathKind {
        Port::kind(self)
    }

    fn address(&self) -> SocketAddr {
        Port::address(self)
    }

    fn protocol(&self) -> crate::call::event::Protocol {
        Port::protocol(self)
    }

    fn poll_send(
        &self,
        cx: &mut std::task::Context<'_>,
        to: SocketAddr,
        packet: &[u8],
    ) -> std::task::Poll<std::io::Result<()>> {
        Port::poll_send(self, cx, to, packet).map_ok(drop)
    }

    fn poll_recv(
        &self,
        cx: &mut std::task::Context<'_>,
        packet: &mut [u8],
    ) -> std::task::Poll<std::io::Result<(usize, SocketAddr)>> {
        Port::poll_recv(self, cx, packet)
    }
}

/// Meets whoever is at the other end of `agent`; an answerer rings at `candidates`. For `relay_hold` direct
/// paths have the field for themselves. `path_found` is called when
/// there is a way to the other end and only the handshake and the authentication are left.
pub(super) async fn meet(
    terms: Terms,
    agent: Agent,
    candidates: Vec<SocketAddr>,
    relay_hold: Duration,
    path_found: impl FnOnce() + Send,
) -> Result<Met, Unmet> {
    let mut ports = agent.ports();
    ports.retain(|port| !terms.direct || port.kind() != PathKind::Relay);
    let (local, remote) = match terms.role {
        Role::Offerer => (&terms.keys.offer_ice, &terms.keys.answer_ice),
        Role::Answerer => (&terms.keys.answer_ice, &terms.keys.offer_ice),
    };
    let config = PeerConfig {
        identity: terms.identity.clone(),
        local: ice(local),
        ports: ports_of(&ports),
        relay_hold,
        video_codecs: terms.video_codecs.clone(),
        sent: terms.sent.clone(),
        verify_fingerprint: false,
        started: terms.started,
    };
    let (peer, mut streams) = Peer::open(config).await?;
    match terms.role {
        Role::Offerer => peer.start_as_offerer(&ice(remote)).await?,
        Role::Answerer => peer.start_as_answerer(&ice(remote), &candidates).await?,
    }
    // An answerer's life has its own deadlines: it rings for as long as the code lives.
    let patience = if terms.role == Role::Offerer { RING_TIMEOUT } else { Duration::MAX };
    let first = within(patience, connect(&mut streams, path_found)).await??;
    let (verification, [offerer_hash, answerer_hash]) =
        within(AUTHENTICATION_TIMEOUT, authenticate(&terms, &peer, &mut streams, first)).await??;
    let bond = Bond { terms, offerer_hash, answerer_hash };
    Ok(Met { agent, ports, peer, streams, verification, bond })
}

/// Waits for a path, and for the handshake on it. An answerer who rang anew in between, with more ports, would wait until
/// its friend had given up the handshake that was cut off: the same path cannot carry another.
async fn connect(streams: &mut PeerStreams, path_found: impl FnOnce() + Send) -> Result<PeerEvent, Unmet> {
    let up = |event: &PeerEvent| matches!(event, PeerEvent::Connected | PeerEvent::ChannelOpen);
    let taken = |event: &PeerEvent| up(event) || matches!(event, PeerEvent::NewPath { .. });
    let first = wait_for(streams, taken).await?;
    path_found();
    if up(&first) { Ok(first) } else { wait_for(streams, up).await }
}

/// Meets a friend again, and describes the media at once, since both persons want the call: the connection can take
/// over from another.
pub(super) async fn meet_again(
    terms: Terms,
    agent: Agent,
    candidates: Vec<SocketAddr>,
    path_found: impl FnOnce() + Send,
) -> Result<Joined, Unmet> {
    let role = terms.role;
    let met = meet(terms, agent, candidates, RELAY_HOLD, path_found).await?;
    let (mut joined, _) = met.parts();
    let described = describe(role, &joined.peer, &mut joined.streams);
    within(AUTHENTICATION_TIMEOUT, described).await??;
    Ok(joined)
}

async fn describe(role: Role, peer: &Peer, streams: &mut PeerStreams) -> Result<(), Unmet> {
    if role == Role::Offerer {
        let sdp = peer.create_media_offer().await?;
        say(peer, Talk::Description { kind: DescriptionKind::Offer, sdp }).await?;
    }
    loop {
        // The answerer's authentication may come more than once.
        let Ok(Message::Talk(Talk::Description { kind, sdp })) =
            Message::decode(&next_message(streams).await?)
        else {
            continue;
        };
        match (role, kind) {
            (Role::Offerer, DescriptionKind::Answer) => {
                peer.accept_media_answer(&sdp).await?;
                return Ok(());
            }
            (Role::Answerer, DescriptionKind::Offer) => {
                let (sdp, _) = peer.accept_media_offer(&sdp).await?;
                return say(peer, Talk::Description { kind: DescriptionKind::Answer, sdp }).await;
            }
            _ => {}
        }
    }
}

async fn say(peer: &Peer, talk: Talk) -> Result<(), Unmet> {
    Ok(peer.send(&Message::Talk(talk).encode()).await?)
}

/// Ports as a peer takes them.
pub(super) fn ports_of(ports: &[Port]) -> Vec<Arc<dyn PacketPort>> {
    ports.iter().map(|port| Arc::new(port.clone()) as Arc<dyn PacketPort>).collect()
}

async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, Unmet> {
    timeout(limit, work).await.map_err(|_| Unmet::Silent)
}

fn ice(credentials: &keys::IceCredentials) -> IceCredentials {
    IceCredentials { ufrag: credentials.ufrag.clone(), pwd: credentials.pwd.clone() }
}

async fn authenticate(
    terms: &Terms,
    peer: &Peer,
    streams: &mut PeerStreams,
    first: PeerEvent,
) -> Result<(Verification, [[u8; 32]; 2]), Unmet> {
    if first != PeerEvent::ChannelOpen {
        wait_for(streams, |event| *event == PeerEvent::ChannelOpen).await?;
    }
    let remote = certificate_hash(&peer.remote_certificate().await.ok_or(Unmet::Broke)?);
    if terms.fingerprint.as_ref().is_some_and(|fingerprint| !fingerprint.matches(&remote)) {
        return Err(Unmet::WrongCertificate);
    }
    let own = terms.identity.fingerprint();
    let (mine, other, offerer, answerer) = match terms.role {
        Role::Offerer => (keys::Role::Offerer, keys::Role::Answerer, own, remote),
        Role::Answerer => (keys::Role::Answerer, keys::Role::Offerer, remote, own),
    };
    let authentication = Message::Auth(terms.keys.auth_mac(mine, &offerer, &answerer)).encode();
    let received = match terms.role {
        Role::Offerer => next_message(streams).await?,
        Role::Answerer => insist(peer, streams, &authentication).await?,
    };
    let Ok(Message::Auth(mac)) = Message::decode(&received) else { return Err(Unmet::WrongAuthentication) };
    if !terms.keys.auth_agrees(other, &offerer, &answerer, &mac) {
        return Err(Unmet::WrongAuthentication);
    }
    if terms.role == Role::Offerer {
        peer.send(&authentication).await?;
    }
    Ok((verification(&terms.keys, offerer, answerer), [offerer, answerer]))
}

/// The answerer speaks first, and says it again until it is answered: the stack loses what arrives between
/// the moment at which an association stands and the one at which its channel is registered, and only the
/// association's server, the offerer, can know from the answerer's first message that both moments are past.
async fn insist(peer: &Peer, streams: &mut PeerStreams, authentication: &[u8]) -> Result<Bytes, Unmet> {
    loop {
        peer.send(authentication).await?;
        if let Ok(answer) = timeout(INSIST_INTERVAL, next_message(streams)).await {
            return answer;
        }
    }
}

async fn next_message(streams: &mut PeerStreams) -> Result<Bytes, Unmet> {
    match wait_for(streams, |event| matches!(event, PeerEvent::ChannelMessage(_))).await? {
        PeerEvent::ChannelMessage(bytes) => Ok(bytes),
        _ => Err(Unmet::Broke),
    }
}

/// What the safety words need: a fresh nonce, and how they are derived.
fn verification(keys: &CallKeys, offerer_hash: [u8; 32], answerer_hash: [u8; 32]) -> Verification {
    let sas = keys.sas;
    let derive = move |offerer_nonce: &[u8; 32], answerer_nonce: &[u8; 32]| {
        let input = SafetyInput {
            offerer_nonce,
            answerer_nonce,
            offerer_hash: &offerer_hash,
            answerer_hash: &answerer_hash,
            sas: &sas,
        };
        safety_words(&input).join(" ")
    };
    Verification { nonce: super::random(), derive: Box::new(derive) }
}

/// The next event that fits; a broken path ends the waiting.
async fn wait_for(streams: &mut PeerStreams, fits: impl Fn(&PeerEvent) -> bool) -> Result<PeerEvent, Unmet> {
    loop {
        match streams.events.recv().await {
            None | Some(PeerEvent::Failed | PeerEvent::ChannelClosed) => return Err(Unmet::Broke),
            Some(event) if fits(&event) => return Ok(event),
            Some(_) => {}
        }
    }
}
