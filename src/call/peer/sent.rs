//! What this end sends, for as long as the call lasts: the streams' names and how far they have come. A connection
//! that takes over from another goes on in the same streams, so that the other end hears no seam. Knows no
//! connection.

use super::PeerError;
use super::media::Ssrcs;
use super::packets::{Label, Packetizer};
use crate::media::frame::{EncodedFrame, MediaKind};
use rtc::rtp;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The streams of one end of one call. A clone is the same streams.
#[derive(Clone)]
pub struct SentStreams(Arc<Streams>);

struct Streams {
    ssrcs: Ssrcs,
    audio: Mutex<Packetizer>,
    video: Mutex<Packetizer>,
    /// By how much frames of sound are stamped later than they were captured, microseconds.
    sound_late: AtomicI64,
}

impl fmt::Debug for SentStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SentStreams({:?})", self.0.ssrcs)
    }
}

impl SentStreams {
    /// New streams, named and begun at random.
    ///
    /// # Errors
    /// `Stack` when the system has no randomness to give.
    pub fn new() -> Result<Self, PeerError> {
        let draw = || getrandom::u32().map_err(|error| PeerError::Stack(error.to_string()));
        let seed = || getrandom::u64().map_err(|error| PeerError::Stack(error.to_string()));
        // Zero would mean "none" to the part that asks for key frames.
        let ssrcs = Ssrcs { audio: draw()? | 1, video: draw()? | 1, repair: draw()? & !1 };
        let (audio, video) = (Packetizer::new(seed()?), Packetizer::new(seed()?));
        Ok(Self(Arc::new(Streams {
            ssrcs,
            audio: Mutex::new(audio),
            video: Mutex::new(video),
            sound_late: AtomicI64::new(0),
        })))
    }

    pub(super) fn ssrcs(&self) -> Ssrcs {
        self.0.ssrcs
    }

    /// Frames of sound are stamped so many microseconds later than they were captured, or earlier.
    pub(super) fn set_sound_late(&self, micros: i64) {
        self.0.sound_late.store(micros, Ordering::Relaxed);
    }

    /// What bears the timestamp of what is captured at this time on the call's clock.
    pub(super) fn timestamp(&self, kind: MediaKind, at: Duration) -> u32 {
        match kind {
            MediaKind::Audio => {
                let late = self.0.sound_late.load(Ordering::Relaxed);
                let late_by = Duration::from_micros(late.unsigned_abs());
                let at = if late < 0 { at.saturating_sub(late_by) } else { at + late_by };
                self.packetizer(kind).timestamp(kind, at)
            }
            MediaKind::Video => self.packetizer(kind).timestamp(kind, at),
        }
    }

    fn packetizer(&self, kind: MediaKind) -> MutexGuard<'_, Packetizer> {
        let packetizer = match kind {
            MediaKind::Audio => &self.0.audio,
            MediaKind::Video => &self.0.video,
        };
        packetizer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The packets of the next frame, a picture's of at most `payload` bytes each.
    pub(super) fn packets(&self, frame: &EncodedFrame, label: Label, payload: usize) -> Vec<rtp::Packet> {
        self.packetizer(frame.codec.kind()).packets(frame, label, payload)
    }
}
