//! Coded frames on their way to the path: a short queue for pictures, one of its own for sound.
//!
//! When the path is slower than the encoder, pictures go missing here, where it costs nothing, and whole
//! groups of them: what follows a missing picture can't be decoded. Sound never waits for pictures.

use super::events::Notes;
use super::media::Media;
use super::packets::Packetizer;
use crate::media::frame::{EncodedFrame, MediaKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;
use webrtc::media_stream::track_local::TrackLocal;

/// Pictures that may wait: at 30 a second more than 130 ms late is no conversation.
const PICTURES: usize = 4;
/// 20 ms frames of sound that may wait.
const SOUNDS: usize = 16;

/// Where frames are put.
pub(super) struct Outbox {
    sounds: mpsc::Sender<EncodedFrame>,
    pictures: mpsc::Sender<EncodedFrame>,
    /// A picture went missing: only a key frame goes on from here.
    broken: AtomicBool,
    media: Arc<Media>,
    notes: Notes,
}

/// Where they come out.
pub(super) struct Outlets {
    sounds: mpsc::Receiver<EncodedFrame>,
    pictures: mpsc::Receiver<EncodedFrame>,
}

impl Outbox {
    /// The two ends of both queues.
    pub(super) fn new(media: Arc<Media>, notes: Notes) -> (Self, Outlets) {
        let (sounds, sounds_out) = mpsc::channel(SOUNDS);
        let (pictures, pictures_out) = mpsc::channel(PICTURES);
        let outbox = Self { sounds, pictures, broken: AtomicBool::new(false), media, notes };
        (outbox, Outlets { sounds: sounds_out, pictures: pictures_out })
    }

    /// Sends a frame, or drops it; never waits. `false` when it was dropped.
    pub(super) fn put(&self, frame: EncodedFrame) -> bool {
        let kind = frame.codec.kind();
        let sent = match kind {
            MediaKind::Audio => self.sounds.try_send(frame).is_ok(),
            MediaKind::Video => self.put_picture(frame),
        };
        if !sent {
            self.media.counters().kind(kind).frames_dropped += 1;
        }
        sent
    }

    fn put_picture(&self, frame: EncodedFrame) -> bool {
        if self.broken.load(Ordering::Acquire) && !frame.key {
            return false;
        }
        let sent = self.pictures.try_send(frame).is_ok();
        self.broken.store(!sent, Ordering::Release);
        if !sent {
            self.notes.key_frame();
        }
        sent
    }
}

impl Outlets {
    /// Carries sound to the path until the outbox is gone.
    pub(super) async fn run(self, media: Arc<Media>, seeds: [u64; 2]) {
        let [audio, video] = seeds;
        tokio::join!(
            lane(self.sounds, Arc::clone(&media), Packetizer::new(audio)),
            lane(self.pictures, media, Packetizer::new(video)),
        );
    }
}

async fn lane(mut frames: mpsc::Receiver<EncodedFrame>, media: Arc<Media>, mut packetizer: Packetizer) {
    while let Some(frame) = frames.recv().await {
        let kind = frame.codec.kind();
        let Some(leg) = media.leg(kind).filter(|leg| leg.label.codec == frame.codec) else {
            media.counters().kind(kind).frames_dropped += 1;
            continue;
        };
        for packet in packetizer.packets(&frame, leg.label) {
            // An error's text holds the packet: it is not for the log.
            if leg.track.write_rtp(packet).await.is_err() {
                log::debug!("a packet of {kind:?} was not taken");
                break;
            }
        }
    }
}
