//! The types that cross a stage of the media pipeline. Knows neither codecs nor devices nor RTP.

use bytes::Bytes;
use std::time::Duration;

/// Samples a second, everywhere inside the program: Opus's own rate (RFC 7587 §4.1).
pub const SAMPLE_RATE: u32 = 48_000;
/// Samples of one audio frame: 20 ms, mono.
pub const FRAME_SAMPLES: usize = 960;
/// How long one audio frame lasts.
pub const FRAME_DURATION: Duration = Duration::from_millis(20);
/// The RTP clock of every video payload format used here (RFC 6184 §8.2.1, RFC 7741 §4.1).
pub const VIDEO_CLOCK: u32 = 90_000;

/// The two kinds of media of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Picture.
    Video,
}

/// The codecs this program speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 6716, RFC 7587.
    Opus,
    /// Constrained baseline, packetization mode 1 (RFC 6184).
    H264,
    /// RFC 6386, RFC 7741.
    Vp8,
}

impl Codec {
    /// Whether it carries sound or picture.
    pub fn kind(self) -> MediaKind {
        match self {
            Self::Opus => MediaKind::Audio,
            Self::H264 | Self::Vp8 => MediaKind::Video,
        }
    }

    /// Its name as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opus => "Opus",
            Self::H264 => "H.264",
            Self::Vp8 => "VP8",
        }
    }
}

/// A picture: planar I420 (4:2:0, BT.601 limited range), rows without padding.
/// Width and height are even and at least 2; `y` has `width * height` bytes, `u` and `v` a quarter each.
#[derive(Clone, PartialEq, Eq)]
pub struct VideoFrame {
    /// Columns, even.
    pub width: u32,
    /// Rows, even.
    pub height: u32,
    /// Luma, `width * height`.
    pub y: Vec<u8>,
    /// Blue difference, `width / 2 * height / 2`.
    pub u: Vec<u8>,
    /// Red difference, `width / 2 * height / 2`.
    pub v: Vec<u8>,
    /// When it was captured (or, for a received one, its RTP time), on the clock of its stream.
    pub at: Duration,
}

impl std::fmt::Debug for VideoFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VideoFrame({}x{} at {:?})", self.width, self.height, self.at)
    }
}

impl VideoFrame {
    /// A black picture; odd sizes are rounded up to even ones.
    pub fn black(width: u32, height: u32) -> Self {
        let (width, height) = (width.max(1).next_multiple_of(2), height.max(1).next_multiple_of(2));
        let luma = width as usize * height as usize;
        Self {
            width,
            height,
            y: vec![16; luma],
            u: vec![128; luma / 4],
            v: vec![128; luma / 4],
            at: Duration::ZERO,
        }
    }
}

/// 20 ms of sound: `FRAME_SAMPLES` mono samples in -1.0..=1.0 at `SAMPLE_RATE`.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioFrame {
    /// Exactly `FRAME_SAMPLES` samples.
    pub samples: Vec<f32>,
    /// When its first sample was captured, on the clock of its stream.
    pub at: Duration,
}

/// One coded frame on its way to the peer: an Opus packet, or an access unit (H.264: Annex B).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedFrame {
    /// What coded it.
    pub codec: Codec,
    /// The coded bytes.
    pub data: Bytes,
    /// Whether decoding can start here.
    pub key: bool,
    /// When the frame was captured, on the clock of its stream; becomes the RTP timestamp.
    pub at: Duration,
    /// How long it lasts.
    pub duration: Duration,
}

/// When what bears this RTP timestamp reached eye or ear, on the call's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// As on the wire.
    pub timestamp: u32,
    /// When.
    pub at: Duration,
}

/// One RTP packet from the peer: RTX already undone, header extensions and padding removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaPacket {
    /// Which codec its payload type was negotiated for.
    pub codec: Codec,
    /// RFC 3550 §5.1.
    pub sequence: u16,
    /// RTP timestamp: 48 kHz for Opus, 90 kHz for video.
    pub timestamp: u32,
    /// The marker bit: last packet of a picture, first of a talk spurt.
    pub marker: bool,
    /// The payload, never empty.
    pub payload: Bytes,
    /// When it arrived, on the call's monotonic clock (since the call's media started).
    pub arrived: Duration,
}
