//! Finished settings: what was typed, set in the environment and written in the config file, parsed once.
//! Inside there is nothing left to check. Knows no device and no socket.

pub mod file;
pub mod proxy;
pub mod relays;
pub mod settle;

pub use p2pcall_relay::link::{
    Link as RelayLink, Login as RelayLogin, StunServer, Transport as RelayTransport,
};

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where the own picture comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VideoChoice {
    /// The camera if there is one, else the test card.
    Default,
    /// The Nth camera, asked for by name.
    Camera(u32),
    /// The moving test card.
    TestCard,
    /// A file: .y4m, .ivf, a still image, or whatever an installed ffmpeg reads.
    File(PathBuf),
    /// No picture.
    None,
}

/// Where the own sound comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum AudioChoice {
    /// The default microphone if there is one, else nothing.
    Default,
    /// A microphone asked for (by name, or the default one).
    Microphone(Option<String>),
    /// A tone.
    Tone,
    /// The demo's synthetic voice; 0 to 1 is how high it speaks.
    Voice(f32),
    /// A WAV file.
    File(PathBuf),
    /// No sound.
    None,
}

/// Where the friend's sound goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpeakerChoice {
    /// The default speaker if there is one, else nothing.
    Default,
    /// A speaker asked for by name.
    Named(String),
    /// A WAV file, 48 kHz mono s16, in real time.
    File(PathBuf),
    /// Nowhere.
    None,
}

/// Sound and picture.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaConfig {
    /// The own picture.
    pub video: VideoChoice,
    /// The own sound.
    pub audio: AudioChoice,
    /// The friend's sound.
    pub speaker: SpeakerChoice,
    /// Where decoded remote pictures are written as Y4M.
    pub video_out: Option<PathBuf>,
    /// Frames a second, 1 to 60.
    pub fps: u32,
    /// Own picture's size, even, 16x16 to 1920x1080.
    pub size: (u32, u32),
    /// kbit/s of sound and picture together, at the most.
    pub bitrate: u32,
    /// No echo to expect.
    pub headphones: bool,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            video: VideoChoice::Default,
            audio: AudioChoice::Default,
            speaker: SpeakerChoice::Default,
            video_out: None,
            fps: 30,
            size: (640, 360),
            bitrate: 600,
            headphones: false,
        }
    }
}

/// Where addresses come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetworkConfig {
    /// STUN servers; empty with `--no-servers` and `--relay-only`.
    pub stun: Vec<StunServer>,
    /// Relays; empty with `--no-servers`.
    pub relays: Vec<RelayLink>,
    /// Only packets to the friend leave.
    pub no_servers: bool,
    /// Only relayed candidates.
    pub relay_only: bool,
    /// Only these local addresses; empty: all usable ones.
    pub bind: Vec<IpAddr>,
    /// Ask the router for a port.
    pub portmap: bool,
    /// The way to relays over TCP and TLS.
    pub proxy: Option<Arc<proxy::ProxyLink>>,
}

/// A call's finished settings.
#[derive(Debug, Clone, PartialEq)]
pub struct CallConfig {
    /// Sound and picture.
    pub media: MediaConfig,
    /// Addresses.
    pub network: NetworkConfig,
    /// How the other side sees this one; control characters removed, at most 64 characters.
    pub name: String,
    /// The classic exchange of whole session descriptions.
    pub sdp: bool,
    /// Let in whoever authenticated.
    pub auto_accept: bool,
    /// Hang up after so long connected.
    pub duration: Option<Duration>,
    /// Give up if not connected by then.
    pub timeout: Option<Duration>,
    /// How long a connection that was lost in mid-call is tried to be got back; zero: not at all.
    pub reconnect: Duration,
    /// Where the friend's files are kept.
    pub save_to: PathBuf,
    /// Both sides are recorded from the beginning, to this file or folder.
    pub record: Option<PathBuf>,
}
