//! What a peer is made of, what it tells, and why it refuses: the values of its interface.

use super::PacketPort;
use super::SentStreams;
use super::counters::KindSample;
use crate::call::identity::Identity;
use crate::media::frame::{Codec, MediaKind};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A username fragment and password (RFC 8445 §5.3).
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// 4 to 256 characters.
    pub ufrag: String,
    /// 22 to 256 characters.
    pub pwd: String,
}

impl std::fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IceCredentials({}, …)", self.ufrag)
    }
}

/// Everything a peer needs from the start.
#[derive(Debug, Clone)]
pub struct PeerConfig {
    /// This end's certificate.
    pub identity: Identity,
    /// This end's ICE credentials.
    pub local: IceCredentials,
    /// The ways out.
    pub ports: Vec<Arc<dyn PacketPort>>,
    /// For so long relayed ones are held back where there are others, [`RELAY_HOLD`](super::RELAY_HOLD) or less.
    pub relay_hold: Duration,
    /// The video codecs that this end can code and decode, the preferred one first.
    pub video_codecs: Vec<Codec>,
    /// What this end sends; of the call, not of one connection.
    pub sent: SentStreams,
    /// Whether the stack compares the remote certificate with the remote description: not for a code's
    /// stage 1, whose description is synthetic and whose certificate the session compares.
    pub verify_fingerprint: bool,
    /// The call's clock zero, for `MediaPacket::arrived`.
    pub started: Instant,
}

/// What a peer tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerEvent {
    /// Packets now take another path: the index of the local port, and the remote address.
    NewPath {
        /// Index into `PeerConfig::ports`.
        port: usize,
        /// Where packets go.
        remote: SocketAddr,
    },
    /// ICE and DTLS are up, or up again.
    Connected,
    /// Sound and picture came all the time, and have not for a second.
    Quiet,
    /// They come again.
    Heard,
    /// Nothing came for 2.5 s, no check and no sound. The agent goes on asking, and `Connected` follows whenever it
    /// is answered.
    Disconnected,
    /// DTLS did not come about, or the stack gave up.
    Failed,
    /// The data channel is open; the remote certificate is known.
    ChannelOpen,
    /// One message.
    ChannelMessage(Bytes),
    /// The data channel is gone.
    ChannelClosed,
    /// The first packet of a kind and codec came in.
    Track {
        /// Sound or picture.
        kind: MediaKind,
        /// What it is coded with.
        codec: Codec,
    },
    /// The remote end, or a full queue, wants a key frame.
    KeyFrameWanted,
}

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// No loopback address for the stack to stand on.
    #[error("the local network stack refused: {0}")]
    Io(#[from] std::io::Error),
    /// The WebRTC stack said no.
    #[error("the WebRTC stack refused: {0}")]
    Stack(String),
    /// A remote description is too long, or not one.
    #[error("the session description is not usable: {0}")]
    Description(&'static str),
    /// A remote description names another certificate than the one that was authenticated.
    #[error("the session description names another certificate than the connection's")]
    Fingerprint,
    /// Both ends offered at once and this end's offer stands.
    #[error("the remote offer crossed ours, which stands")]
    Glare,
    /// There is no channel, or no longer.
    #[error("the connection is closed")]
    Closed,
}

impl From<webrtc::error::Error> for PeerError {
    fn from(error: webrtc::error::Error) -> Self {
        Self::Stack(error.to_string())
    }
}

/// What a peer has counted by now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeerSample {
    /// When, on the call's clock.
    pub at: Duration,
    /// The last round trip of a connectivity check or a consent refresh, one every 800 ms.
    pub round_trip: Option<Duration>,
    /// Sound.
    pub audio: KindSample,
    /// Picture.
    pub video: KindSample,
}
