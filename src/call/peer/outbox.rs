//! Coded frames on their way to the path: a short queue for pictures, one of its own for sound.
//!
//! When the path is slower than the encoder, pictures go missing here, where it costs nothing, and whole
//! groups of them: what follows a missing picture can't be decoded. Sound never waits for pictures.

use super::events::Notes;
use super::media::Media;
use super::sent::SentStreams;
use crate::media::audio::merge::merged;
use crate::media::frame::{EncodedFrame, MediaKind};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use webrtc::media_stream::track_local::TrackLocal;

/// Pictures that may wait: at 30 a second more than 130 ms late is no conversation.
const PICTURES: usize = 4;
/// Packets that are due within so much time go at once: timers are no finer.
const TOGETHER: Duration = Duration::from_millis(1);
/// 20 ms frames of sound that may wait.
const SOUNDS: usize = 16;

/// Where frames are put.
pub(super) struct Outbox {
    sounds: mpsc::Sender<EncodedFrame>,
    pictures: mpsc::Sender<Picture>,
    /// A picture went missing: only a key frame goes on from here.
    broken: AtomicBool,
    media: Arc<Media>,
    notes: Notes,
}

/// Where they come out.
pub(super) struct Outlets {
    sounds: mpsc::Receiver<EncodedFrame>,
    pictures: mpsc::Receiver<Picture>,
}

/// A picture, and from when to when its packets leave, on the call's clock.
struct Picture {
    frame: EncodedFrame,
    begin: Duration,
    end: Duration,
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
        if self.media.holds() {
            return false;
        }
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
        let sent = match self.pictures.try_reserve() {
            Ok(place) => {
                let (begin, end) = self.media.pace(self.media.at(self.media.now()), frame.data.len());
                place.send(Picture { frame, begin, end });
                true
            }
            Err(_) => false,
        };
        self.broken.store(!sent, Ordering::Release);
        if !sent {
            self.notes.key_frame();
        }
        sent
    }
}

impl Outlets {
    /// Carries everything to the path until the outbox is gone.
    pub(super) async fn run(self, media: Arc<Media>, sent: SentStreams) {
        tokio::join!(
            sounds(self.sounds, Arc::clone(&media), sent.clone()),
            pictures(self.pictures, media, sent)
        );
    }
}

/// Sound goes at once; where the path is narrow several frames in a packet, so that headers cost less.
async fn sounds(mut frames: mpsc::Receiver<EncodedFrame>, media: Arc<Media>, sent: SentStreams) {
    let mut together = Vec::new();
    while let Some(frame) = frames.recv().await {
        together.push(frame);
        if together.len() < media.sending().sounds {
            continue;
        }
        for frame in merged(std::mem::take(&mut together)) {
            send(&frame, Duration::ZERO..Duration::ZERO, &media, &sent).await;
        }
    }
}

/// A picture's packets are spread over its time: each that comes too early makes sound late.
async fn pictures(mut frames: mpsc::Receiver<Picture>, media: Arc<Media>, sent: SentStreams) {
    while let Some(Picture { frame, begin, end }) = frames.recv().await {
        send(&frame, begin..end, &media, &sent).await;
    }
}

async fn send(frame: &EncodedFrame, time: Range<Duration>, media: &Media, sent: &SentStreams) {
    let kind = frame.codec.kind();
    let Some(leg) = media.leg(kind).filter(|leg| leg.label.codec == frame.codec) else {
        media.counters().kind(kind).frames_dropped += 1;
        return;
    };
    let packets = sent.packets(frame, leg.label, media.sending().payload);
    let step = time.end.saturating_sub(time.start) / u32::try_from(packets.len()).unwrap_or(u32::MAX).max(1);
    let mut due = time.start;
    for packet in packets {
        let early = due.saturating_sub(media.at(media.now()));
        if early > TOGETHER {
            tokio::time::sleep(early).await;
        }
        due += step;
        // An error's text holds the packet: it is not for the log.
        if leg.track.write_rtp(packet).await.is_err() {
            log::debug!("a packet of {kind:?} was not taken");
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::events::Note;
    use super::super::media::Ssrcs;
    use super::*;
    use crate::media::frame::Codec;
    use std::time::Duration;

    fn outbox() -> (Outbox, Outlets, mpsc::UnboundedReceiver<Note>, Arc<Media>) {
        let (notes, queue) = Notes::new();
        let ssrcs = Ssrcs { audio: 1, video: 2, repair: 3 };
        let (media, _) = Media::new(ssrcs, tokio::time::Instant::now().into_std(), notes.clone());
        let (outbox, outlets) = Outbox::new(Arc::clone(&media), notes);
        (outbox, outlets, queue, media)
    }

    fn frame(codec: Codec, key: bool) -> EncodedFrame {
        let duration = Duration::from_millis(20);
        EncodedFrame { codec, data: vec![1].into(), key, at: Duration::ZERO, duration }
    }

    #[test]
    fn after_a_dropped_picture_only_a_key_frame_goes_on() {
        let (outbox, mut outlets, mut notes, media) = outbox();
        let picture = |key| outbox.put(frame(Codec::H264, key));
        assert!((0..PICTURES).all(|n| picture(n == 0)));
        assert!(!picture(false), "full");
        outlets.pictures.try_recv().unwrap();
        assert!(!picture(false), "there is room, but its reference is missing");
        assert!(picture(true));
        outlets.pictures.try_recv().unwrap();
        assert!(picture(false));
        assert_eq!(media.sample().1.frames_dropped, 2);
        assert!(matches!(notes.try_recv(), Ok(Note::KeyFrame)));
        assert!(notes.try_recv().is_err(), "asked once");
    }

    #[test]
    fn sound_does_not_wait_behind_pictures() {
        let (outbox, mut outlets, _, _) = outbox();
        while outbox.put(frame(Codec::Vp8, true)) {}
        assert!(outbox.put(frame(Codec::Opus, true)));
        assert_eq!(outlets.sounds.try_recv().unwrap().codec, Codec::Opus);
    }

    #[test]
    fn too_much_sound_is_dropped_and_counted() {
        let (outbox, _outlets, _, media) = outbox();
        let taken = (0..SOUNDS + 5).filter(|_| outbox.put(frame(Codec::Opus, true))).count();
        assert_eq!((taken, media.sample().0.frames_dropped), (SOUNDS, 5));
    }
}
