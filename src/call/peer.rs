//! The peer connection: ICE, DTLS, the data channel, RTP and RTCP to the one other end of a call. This file
//! and those below it are the only ones that name the WebRTC stack.
//!
//! ```text
//! let (peer, streams) = Peer::open(config).await?;         // over the transport's ports
//! peer.start_as_offerer(&remote).await?;                   // stage 1, from a code; or start_as_answerer
//! match streams.events.recv().await { … }                  // ChannelOpen, ChannelMessage, NewPath, …
//! let certificate = peer.remote_certificate().await;       // compare it before anything else is believed
//! peer.send(message).await?;                               // the channel
//!
//! let offer = peer.create_media_offer().await?;            // the code's maker; send it over the channel
//! let (answer, agreed) = peer.accept_media_offer(&offer).await?;   // the other end; send the answer back
//! let agreed = peer.accept_media_answer(&answer).await?;
//! peer.send_frame(encoded); peer.request_key_frame();      // streams.audio, streams.video; KeyFrameWanted
//!
//! let offer = peer.classic_offer(&candidates).await?;      // or, instead of a code, whole descriptions
//! let sample = peer.sample();                              // once a second
//! peer.close().await;
//! ```
//!
//! What it does not do: bind sockets, speak to servers (the transport does), decide who may call (the code
//! and the session do), code media. It does not reconnect: a path that is lost is told, and that is all.

mod bulk;
mod checks;
mod classic;
mod counters;
mod events;
mod follow;
mod gate;
mod interceptors;
mod ledger;
mod media;
mod nacks;
mod negotiation;
mod nudge;
mod numbers;
mod outbox;
mod packets;
mod reception;
mod remote_clock;
mod runtime;
mod sdp;
mod sent;
mod socket;
mod stack;
mod timing;
mod types;

pub use checks::RELAY_HOLD;
pub use counters::{Count, KindSample};
pub use ledger::{News, Summary};
pub use media::Sending;
pub use negotiation::Agreement;
pub use sdp::Candidate;
pub use sent::SentStreams;
pub use socket::PacketPort;
pub use types::{IceCredentials, PeerConfig, PeerError, PeerEvent, PeerSample};

use crate::call::event::PathKind;
use crate::call::identity;
use crate::media::frame::{EncodedFrame, MediaPacket};
use bulk::Bulk;
use bytes::Bytes;
use events::{Handler, Note, Notes, OpenChannel, Pump};
use media::Media;
use negotiation::Negotiator;
use nudge::Nudge;
use outbox::Outbox;
use rtc::data_channel::RTCDataChannelInit;
use runtime::Tasks;
use socket::Wire;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use webrtc::peer_connection::{PeerConnection, RTCIceCandidateInit, RTCSessionDescription, StatsSelector};

/// The name of the one data channel (the stack and browsers show it, nobody relies on it).
const CHANNEL_LABEL: &str = "p2pcall";
/// Events that may wait for the session; beyond that the data channel waits too.
const EVENTS: usize = 256;
/// Remote candidates that are tried at most.
const MAX_REMOTE_CANDIDATES: usize = 32;
/// How long the last messages may take to be acknowledged: a round trip around the world.
const DRAIN_PATIENCE: Duration = Duration::from_millis(250);
const DRAIN_INTERVAL: Duration = Duration::from_millis(5);

/// What comes out of a peer.
#[derive(Debug)]
pub struct PeerStreams {
    /// What happens to it.
    pub events: mpsc::Receiver<PeerEvent>,
    /// Sound as it comes, every packet once.
    pub audio: mpsc::Receiver<MediaPacket>,
    /// Pictures as they come, every packet once.
    pub video: mpsc::Receiver<MediaPacket>,
    /// The files' channel, message by message. Who lets it fill loses the rest of the file.
    pub files: mpsc::Receiver<Bytes>,
}

impl PeerStreams {
    /// Sound's receiver, once; an empty one afterwards.
    pub fn take_audio(&mut self) -> mpsc::Receiver<MediaPacket> {
        std::mem::replace(&mut self.audio, mpsc::channel(1).1)
    }

    /// The pictures' receiver, once; an empty one afterwards.
    pub fn take_video(&mut self) -> mpsc::Receiver<MediaPacket> {
        std::mem::replace(&mut self.video, mpsc::channel(1).1)
    }
}

/// One connection to the other end. Dropping it stops everything it started.
pub struct Peer {
    connection: Arc<dyn PeerConnection>,
    wire: Arc<Wire>,
    notes: Notes,
    channel: OpenChannel,
    nudge: Nudge,
    bulk: Bulk,
    media: Arc<Media>,
    negotiator: Negotiator,
    outbox: Outbox,
    tasks: Tasks,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Peer(path {:?})", self.wire.path())
    }
}

impl Peer {
    /// Opens a peer over its ports. Nothing is sent yet.
    ///
    /// # Errors
    /// `Io` when there is no loopback interface, `Stack` for credentials or a certificate it can't use.
    pub async fn open(config: PeerConfig) -> Result<(Self, PeerStreams), PeerError> {
        let (events_in, events) = mpsc::channel(EVENTS);
        let (notes, queue) = Notes::new();
        let wire = Wire::new(config.ports.clone(), config.relay_hold, config.started, notes.clone());
        let (media, inlets) = Media::new(config.sent.ssrcs(), config.started, notes.clone());
        media.sends(config.sent.clone());
        let handler = Arc::new(Handler(notes.clone()));
        let registry = || interceptors::registry(&media, &wire, config.started);
        let (connection, tasks) = stack::build(&config, &wire, registry, handler).await?;
        let negotiator = Negotiator::new(Arc::clone(&connection), Arc::clone(&media), config.video_codecs);
        let (outbox, outlets) = Outbox::new(Arc::clone(&media), notes.clone());
        let channel = OpenChannel::default();
        let pump = Pump {
            notes: queue,
            key_frame: notes.clone(),
            events: events_in,
            wire: Arc::clone(&wire),
            open: channel.clone(),
        };
        tasks.spawn(pump.run());
        let hurried = Arc::clone(&wire);
        tasks.spawn(async move { hurried.hurry().await });
        let listening = Arc::clone(&wire);
        tasks.spawn(async move { listening.listen().await });
        tasks.spawn(outlets.run(Arc::clone(&media), config.sent.clone()));
        let nudge = Nudge::default();
        let (bulk, files) = Bulk::new();
        let peer = Self { connection, wire, notes, channel, nudge, bulk, media, negotiator, outbox, tasks };
        Ok((peer, PeerStreams { events, audio: inlets.audio, video: inlets.video, files }))
    }

    /// Stage 1 of a code, as the one who made it: controlling, DTLS server, and patient. Who rings with the
    /// right credentials is let in as far as the data channel; the session compares certificates.
    ///
    /// # Errors
    /// `Stack` for credentials it can't use, or when already started.
    pub async fn start_as_offerer(&self, remote: &IceCredentials) -> Result<(), PeerError> {
        self.open_negotiated_channel().await?;
        let offer = self.connection.create_offer(None).await?;
        self.connection.set_local_description(offer).await?;
        let answer = RTCSessionDescription::answer(sdp::synthetic(sdp::Half::Answer, remote))?;
        self.connection.set_remote_description(answer).await?;
        self.wire.open();
        Ok(())
    }

    /// Stage 1 of a code, as the one who read it: controlled, DTLS client, rings at `candidates`.
    ///
    /// # Errors
    /// `Stack` for credentials it can't use, or when already started.
    pub async fn start_as_answerer(
        &self,
        remote: &IceCredentials,
        candidates: &[SocketAddr],
    ) -> Result<(), PeerError> {
        self.negotiator.set_polite(true);
        self.open_negotiated_channel().await?;
        let offer = RTCSessionDescription::offer(sdp::synthetic(sdp::Half::Offer, remote))?;
        self.connection.set_remote_description(offer).await?;
        let answer = self.connection.create_answer(None).await?;
        self.connection.set_local_description(answer).await?;
        self.wire.open();
        for address in candidates.iter().take(MAX_REMOTE_CANDIDATES) {
            self.add_remote_candidate(*address).await?;
        }
        Ok(())
    }

    /// One more address to ring at; of no use once a path was chosen.
    ///
    /// # Errors
    /// `Stack` before the start.
    pub async fn add_remote_candidate(&self, address: SocketAddr) -> Result<(), PeerError> {
        let local = Candidate { kind: PathKind::Host, address, base: None };
        let candidate = RTCIceCandidateInit {
            candidate: sdp::candidate(&local, 0),
            sdp_mid: Some("0".into()),
            sdp_mline_index: Some(0),
            ..RTCIceCandidateInit::default()
        };
        self.connection.add_ice_candidate(candidate).await?;
        // The stack's loop does not notice by itself.
        self.wire.kick();
        Ok(())
    }

    /// The remote certificate, DER; known from `ChannelOpen` on.
    pub async fn remote_certificate(&self) -> Option<Vec<u8>> {
        let certificates = self.connection.sctp().await?.transport().get_remote_certificates().await.ok()?;
        certificates.into_iter().next()
    }

    /// Sends one message, as soon as there is room for it.
    ///
    /// # Errors
    /// `Closed` before `ChannelOpen` and after `ChannelClosed`; `Stack` for a message that is too long.
    pub async fn send(&self, message: &[u8]) -> Result<(), PeerError> {
        let channel = self.channel.get().ok_or(PeerError::Closed)?;
        bulk::send(&*channel, message).await?;
        self.nudge.said();
        Ok(())
    }

    /// Holds sound and picture back until what was said last is acknowledged, or sound or picture comes: who has not
    /// read an answer can't decode them, and on a narrow path they would be in its way.
    pub fn hold_until_acknowledged(&self) {
        self.media.hold();
        let (channel, media) = (self.channel.clone(), Arc::clone(&self.media));
        self.tasks.spawn(async move {
            let acknowledged = async {
                while let Some(channel) = channel.get() {
                    if !media.holds() || !channel.outstanding_bytes().await.is_ok_and(|bytes| bytes > 0) {
                        return;
                    }
                    tokio::time::sleep(DRAIN_INTERVAL).await;
                }
            };
            let _ = tokio::time::timeout(media::FIRST_WAIT, acknowledged).await;
            media.release();
        });
    }

    /// Sends one message of the files' channel. It waits for nothing but the stack: how much may be on its way is
    /// the caller's to know (`share/pace.rs`).
    ///
    /// # Errors
    /// `Closed` without such a channel: a description that came by hand has none.
    pub async fn send_file(&self, message: &[u8]) -> Result<(), PeerError> {
        self.bulk.send(message).await
    }

    /// Sends what says nothing, so that what was lost before it is noticed and sent again.
    pub async fn nudge(&self) {
        Nudge::now(&self.channel).await;
    }

    /// An offer of sound and picture both ways, for the data channel. It and its answer carry no candidates.
    ///
    /// # Errors
    /// `Stack` when there is no connection.
    pub async fn create_media_offer(&self) -> Result<String, PeerError> {
        Ok(sdp::without_candidates(&self.negotiator.offer().await?))
    }

    /// Takes the remote end's offer and gives the answer. From here on frames of the agreed codecs are sent.
    ///
    /// # Errors
    /// `Glare` when this end's own offer stands (the other end takes back its own and will answer);
    /// `Fingerprint`, `Description` and `Stack` for an offer that must not or can't be taken.
    pub async fn accept_media_offer(&self, offer: &str) -> Result<(String, Agreement), PeerError> {
        let offer = self.authenticated(offer).await?;
        let (answer, agreement) = self.negotiator.answer(&offer).await?;
        Ok((sdp::without_candidates(&answer), agreement))
    }

    /// Takes the answer to `create_media_offer`. From here on frames of the agreed codecs are sent.
    ///
    /// # Errors
    /// `Fingerprint`, `Description` and `Stack` for an answer that must not or can't be taken.
    pub async fn accept_media_answer(&self, answer: &str) -> Result<Agreement, PeerError> {
        let answer = self.authenticated(answer).await?;
        self.negotiator.finish(&answer).await
    }

    /// Sends a frame or drops it; never waits. `false` when it was dropped: pictures when four wait (then up
    /// to the next key frame, which is asked for), anything of a codec that was not agreed on.
    pub fn send_frame(&self, frame: EncodedFrame) -> bool {
        self.outbox.put(frame)
    }

    /// When every picture that was taken will have left, on the call's clock: before that there is no use in another.
    pub fn clear(&self) -> Duration {
        self.media.clear()
    }

    /// How frames are sent from now on.
    pub fn send_as(&self, sending: Sending) {
        self.media.send_as(sending);
    }

    /// What became of what was sent, since this was last asked: several times a second, for the rate.
    pub fn news(&self) -> News {
        let now = self.media.at(self.media.now());
        let mut news = self.media.ledger().news(now);
        if !news.fates.is_empty() || news.summary.is_some() {
            self.media.heard();
        }
        news.round_trip = self.wire.round_trip();
        news
    }

    /// Asks the remote end for a key frame, at most five times a second.
    pub fn request_key_frame(&self) {
        if self.media.ask_for_key_frame(self.media.now()) {
            self.wire.kick();
        }
    }

    /// What was counted by now.
    pub fn sample(&self) -> PeerSample {
        let (audio, video) = self.media.sample();
        PeerSample { at: self.media.at(self.media.now()), round_trip: self.wire.round_trip(), audio, video }
    }

    /// The ciphers in use, DTLS and SRTP, as their standards name them; known from `Connected` on.
    pub async fn ciphers(&self) -> Option<String> {
        let report = self.connection.get_stats(self.media.now(), StatsSelector::None).await;
        let transport = report.transport()?;
        let names = [&transport.tls_version, &transport.dtls_cipher, &transport.srtp_cipher];
        let known: Vec<&str> =
            names.into_iter().filter(|name| !name.is_empty()).map(String::as_str).collect();
        (!known.is_empty()).then(|| known.join(", "))
    }

    /// Where packets go: the index of the local port, and the remote address.
    pub fn path(&self) -> Option<(usize, SocketAddr)> {
        self.wire.path()
    }

    /// Lets the last messages arrive, for at most a quarter of a second, and stops everything.
    pub async fn close(&self) {
        if let Some(channel) = self.channel.get() {
            // Acknowledged or not: SCTP does not say which message is out.
            let drained = async {
                while channel.outstanding_bytes().await.is_ok_and(|bytes| bytes > 0) {
                    tokio::time::sleep(DRAIN_INTERVAL).await;
                }
            };
            let _ = tokio::time::timeout(DRAIN_PATIENCE, drained).await;
        }
        if let Err(error) = self.connection.close().await {
            log::debug!("closing the connection: {error}");
        }
        self.tasks.stop();
    }

    /// The stack compares a fingerprint once; a later description that names another end is refused here.
    async fn authenticated(&self, description: &str) -> Result<String, PeerError> {
        if description.len() > sdp::MAX_DESCRIPTION {
            return Err(PeerError::Description("too long"));
        }
        let certificate = self.remote_certificate().await.ok_or(PeerError::Closed)?;
        if !sdp::names_only(description, &identity::fingerprint(&certificate)) {
            return Err(PeerError::Fingerprint);
        }
        Ok(sdp::without_candidates(description))
    }

    async fn open_negotiated_channel(&self) -> Result<(), PeerError> {
        // The id is agreed on, so the channel needs no round trip of its own (RFC 8832 §6).
        let init = RTCDataChannelInit { negotiated: Some(0), ..RTCDataChannelInit::default() };
        let channel = self.connection.create_data_channel(CHANNEL_LABEL, Some(init)).await?;
        self.notes.put(Note::Channel(channel));
        // Only p2pcall's other end knows what to make of it.
        self.tasks.spawn(self.nudge.clone().run(self.channel.clone()));
        let init = RTCDataChannelInit { negotiated: Some(1), ..RTCDataChannelInit::default() };
        let channel = self.connection.create_data_channel(bulk::LABEL, Some(init)).await?;
        self.tasks.spawn(self.bulk.clone().run(channel));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
