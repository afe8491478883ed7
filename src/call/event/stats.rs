//! PURE: the numbers of a call, as events tell them. Serialised as the command line's contract wants it.

use serde::Serialize;

/// One second of a call.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StatsEvent {
    /// Round trip, milliseconds.
    pub rtt_ms: Option<f32>,
    /// What left.
    pub sent: DirectionStats,
    /// What came.
    pub received: DirectionStats,
    /// Interarrival jitter of the remote sound (RFC 3550 §6.4.1), milliseconds.
    pub jitter_ms: Option<f32>,
    /// Picture.
    pub video: VideoStats,
    /// Sound.
    pub audio: AudioStats,
    /// What the encoders aim at together.
    pub target_kbps: u32,
    /// Bytes that went through a relay since the start, both ways.
    pub relayed_bytes: u64,
    /// Names for a person: codecs in use, ciphers.
    pub codecs: CodecNames,
}

/// One direction, in the last second (`packets` and `lost` since the start).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct DirectionStats {
    /// kbit/s of sound payload.
    pub audio_kbps: u32,
    /// kbit/s of picture payload.
    pub video_kbps: u32,
    /// RTP packets.
    pub packets: u64,
    /// Of them lost.
    pub lost: u64,
    /// Fraction lost in the last second, 0 to 1.
    pub loss: f32,
}

/// Picture, in the last second (counters since the start).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct VideoStats {
    /// Frames sent a second.
    pub sent_fps: f32,
    /// Remote frames shown a second.
    pub shown_fps: f32,
    /// Remote picture's columns.
    pub width: u32,
    /// Remote picture's rows.
    pub height: u32,
    /// Remote frames decoded since the start.
    pub frames_decoded: u64,
    /// Times the remote picture stood still for more than 500 ms.
    pub freezes: u32,
    /// And for how long in all.
    pub freeze_ms: u64,
    /// Whether it stands still so long at this moment.
    pub frozen: bool,
    /// From the friend's camera to this screen, milliseconds; `None` while that is not known.
    pub delay_ms: Option<f32>,
}

/// Sound.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AudioStats {
    /// Loudness of what is sent, dBFS; `None` when muted or without a microphone.
    pub level_in_dbfs: Option<f32>,
    /// Loudness of what is heard.
    pub level_out_dbfs: Option<f32>,
    /// Invented for lack of packets, since the start.
    pub concealed_ms: u64,
    /// Left silent after that, because still nothing came.
    pub silent_ms: u64,
    /// Playout delay of the jitter buffer.
    pub buffer_ms: u32,
    /// From the friend's microphone to this speaker, milliseconds; `None` while that is not known.
    pub delay_ms: Option<f32>,
}

/// Names for the diagnostics pane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CodecNames {
    /// Sent and received sound.
    pub audio: Option<String>,
    /// Sent picture.
    pub video_sent: Option<String>,
    /// Received picture.
    pub video_received: Option<String>,
    /// The SRTP profile and DTLS version.
    pub cipher: Option<String>,
}
