//! What the parts that carry media share: payload types, streams' names, counters, the queues to the session.
//!
//! Its doors are short and never wait: the stack's loop goes through them for every packet.

use super::counters::{Counters, KindSample};
use super::events::{Note, Notes};
use super::ledger::Ledger;
use super::packets::Label;
use super::packets::MAX_PAYLOAD;
use super::sent::SentStreams;
use crate::call::rate::{OVERHEAD, Pace, Repairs};
use crate::media::frame::{Codec, MediaKind, MediaPacket};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

/// Packets that may wait for the jitter buffer: over a second of sound, half a second of a rich picture.
const AUDIO_PACKETS: usize = 64;
const VIDEO_PACKETS: usize = 512;
/// Between two requests for a key frame: the first one's answer takes a round trip.
const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(200);

/// Until the remote end is heard of, pictures are so many bytes, or wait so long: on a narrow path more would drown
/// the words by which the two ends agree. RFC 6928 §2 lets TCP begin with as much.
const FIRST_BYTES: usize = 14_600;
pub(super) const FIRST_WAIT: Duration = Duration::from_secs(3);
/// bit/s that no path here has.
const UNLIMITED: u32 = 1_000_000_000;

/// The SSRCs of this end, chosen once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ssrcs {
    pub(super) audio: u32,
    pub(super) video: u32,
    /// The video's retransmissions (RFC 4588 §4).
    pub(super) repair: u32,
}

impl Ssrcs {
    /// Whose packets these are, and whether they are sent again.
    pub(super) fn kind(&self, ssrc: u32) -> Option<MediaKind> {
        match ssrc {
            _ if ssrc == self.audio => Some(MediaKind::Audio),
            _ if ssrc == self.video || ssrc == self.repair => Some(MediaKind::Video),
            _ => None,
        }
    }
}

/// One outgoing stream as negotiated.
#[derive(Clone)]
pub(super) struct Leg {
    pub(super) label: Label,
    pub(super) track: Arc<TrackLocalStaticRTP>,
}

/// What may change with each negotiation.
#[derive(Default)]
struct Agreed {
    accepted: HashMap<u8, Codec>,
    audio: Option<Leg>,
    video: Option<Leg>,
}

/// How this end sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sending {
    /// bit/s of the picture on the wire; its packets are spread accordingly.
    pub picture: u32,
    /// bit/s of everything on the wire.
    pub all: u32,
    /// Bytes of a picture's packet at the most.
    pub payload: usize,
    /// Frames of sound in a packet.
    pub sounds: usize,
}

impl Default for Sending {
    /// As on a path without limits.
    fn default() -> Self {
        Self { picture: UNLIMITED, all: UNLIMITED, payload: MAX_PAYLOAD, sounds: 1 }
    }
}

/// How this end sends, and what of it is under way.
#[derive(Default)]
struct Course {
    sending: Sending,
    pace: Pace,
    repairs: Repairs,
    /// Bytes of pictures since when, as long as nothing was heard of what was sent.
    unheard: Option<(usize, Duration)>,
    heard: bool,
    /// Nothing is sent, since then: the remote end could not understand it.
    held: Option<Duration>,
}

/// The media side of one peer.
pub(super) struct Media {
    pub(super) ssrcs: Ssrcs,
    started: Instant,
    notes: Notes,
    counters: Mutex<Counters>,
    ledger: Mutex<Ledger>,
    course: Mutex<Course>,
    agreed: Mutex<Agreed>,
    sent: OnceLock<SentStreams>,
    heard: Mutex<Vec<Codec>>,
    remote_video: AtomicU32,
    key_frame_due: AtomicBool,
    key_frame_asked: Mutex<Option<Duration>>,
    audio: mpsc::Sender<MediaPacket>,
    video: mpsc::Sender<MediaPacket>,
}

/// Where incoming packets come out.
pub(super) struct Inlets {
    pub(super) audio: mpsc::Receiver<MediaPacket>,
    pub(super) video: mpsc::Receiver<MediaPacket>,
}

impl Media {
    /// A peer's media, of which nothing is negotiated.
    pub(super) fn new(ssrcs: Ssrcs, started: Instant, notes: Notes) -> (Arc<Self>, Inlets) {
        let (audio, audio_out) = mpsc::channel(AUDIO_PACKETS);
        let (video, video_out) = mpsc::channel(VIDEO_PACKETS);
        let media = Self {
            ssrcs,
            started,
            notes,
            counters: Mutex::default(),
            ledger: Mutex::default(),
            course: Mutex::default(),
            agreed: Mutex::default(),
            sent: OnceLock::new(),
            heard: Mutex::default(),
            remote_video: AtomicU32::new(0),
            key_frame_due: AtomicBool::new(false),
            key_frame_asked: Mutex::default(),
            audio,
            video,
        };
        (Arc::new(media), Inlets { audio: audio_out, video: video_out })
    }

    /// The time.
    pub(super) fn now(&self) -> Instant {
        self.started + self.started.elapsed()
    }

    /// A time on the call's clock.
    pub(super) fn at(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// The counters, for a moment.
    pub(super) fn counters(&self) -> MutexGuard<'_, Counters> {
        locked(&self.counters)
    }

    /// What was sent and what became of it, for a moment.
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        locked(&self.ledger)
    }

    /// What this end sends, once.
    pub(super) fn sends(&self, sent: SentStreams) {
        // Only the first are.
        let _again = self.sent.set(sent);
    }

    /// What of the stream `ssrc` is captured at this moment would be stamped with this.
    pub(super) fn stamp(&self, ssrc: u32, now: Instant) -> Option<u32> {
        let kind = self.ssrcs.kind(ssrc).filter(|_| ssrc != self.ssrcs.repair)?;
        Some(self.sent.get()?.timestamp(kind, self.at(now)))
    }

    /// Own sound is stamped so many microseconds later than it is captured.
    pub(super) fn set_sound_late(&self, micros: i64) {
        if let Some(sent) = self.sent.get() {
            sent.set_sound_late(micros);
        }
    }

    /// How this end sends.
    pub(super) fn sending(&self) -> Sending {
        locked(&self.course).sending
    }

    /// How this end sends from now on.
    pub(super) fn send_as(&self, sending: Sending) {
        locked(&self.course).sending = sending;
    }

    /// A picture is to leave: from when to when, on the call's clock.
    pub(super) fn pace(&self, now: Duration, bytes: usize) -> (Duration, Duration) {
        let mut course = locked(&self.course);
        let (rate, payload) = (course.sending.picture, course.sending.payload.max(1));
        let wire = bytes + bytes.div_ceil(payload) * OVERHEAD as usize;
        if !course.heard {
            course.unheard.get_or_insert((0, now)).0 += wire;
        }
        course.pace.put(now, wire, rate)
    }

    /// Something was heard of what was sent.
    pub(super) fn heard(&self) {
        locked(&self.course).heard = true;
    }

    /// Sends nothing from now on, until it is released or anything comes.
    pub(super) fn hold(&self) {
        locked(&self.course).held = Some(self.at(self.now()));
    }

    /// Sends again. The pictures of the meantime are missed.
    pub(super) fn release(&self) {
        if locked(&self.course).held.take().is_some() {
            self.notes.key_frame();
        }
    }

    /// Whether nothing is sent.
    pub(super) fn holds(&self) -> bool {
        locked(&self.course).held.is_some()
    }

    /// When every picture will have left, and another one may.
    pub(super) fn clear(&self) -> Duration {
        let course = locked(&self.course);
        if let Some(since) = course.held {
            return since + FIRST_WAIT;
        }
        let clear = course.pace.clear();
        match course.unheard {
            Some((bytes, since)) if !course.heard && bytes > FIRST_BYTES => clear.max(since + FIRST_WAIT),
            _ => clear,
        }
    }

    /// Whether a retransmission of so many bytes has a place.
    pub(super) fn may_repeat(&self, now: Duration, bytes: u32) -> bool {
        let mut course = locked(&self.course);
        let rate = course.sending.all;
        course.repairs.take(now, bytes, rate)
    }

    /// The sums: audio, then video.
    pub(super) fn sample(&self) -> (KindSample, KindSample) {
        self.counters().sample()
    }

    /// What the remote end may send from now on; earlier payload types stay good for packets on their way.
    pub(super) fn accept(&self, payload_types: Vec<(u8, Codec)>) {
        locked(&self.agreed).accepted.extend(payload_types);
    }

    /// What this end sends from now on.
    pub(super) fn send_on(&self, audio: Option<Leg>, video: Option<Leg>) {
        let mut agreed = locked(&self.agreed);
        agreed.audio = audio;
        agreed.video = video;
    }

    /// What this end sends of a kind.
    pub(super) fn leg(&self, kind: MediaKind) -> Option<Leg> {
        let agreed = locked(&self.agreed);
        match kind {
            MediaKind::Audio => agreed.audio.clone(),
            MediaKind::Video => agreed.video.clone(),
        }
    }

    /// A packet from the remote end, retransmissions already undone.
    pub(super) fn arrived(&self, packet: &rtc::rtp::Packet, now: Instant) {
        let header = &packet.header;
        let Some(codec) = locked(&self.agreed).accepted.get(&header.payload_type).copied() else { return };
        self.release();
        let arrived = self.at(now);
        let place = (header.sequence_number, header.timestamp);
        if !self.counters().received(codec, header.ssrc, place, packet.payload.len(), arrived) {
            return;
        }
        // Padding, which a sender uses to probe the path, is no media.
        if packet.payload.is_empty() {
            return;
        }
        if codec.kind() == MediaKind::Video {
            self.remote_video.store(header.ssrc, Ordering::Relaxed);
        }
        self.first_heard(codec);
        let packet = MediaPacket {
            codec,
            sequence: header.sequence_number,
            timestamp: header.timestamp,
            marker: header.marker,
            payload: packet.payload.clone(),
            arrived,
        };
        let (kind, queue) = match codec.kind() {
            MediaKind::Audio => (MediaKind::Audio, &self.audio),
            MediaKind::Video => (MediaKind::Video, &self.video),
        };
        if queue.try_send(packet).is_err() {
            self.counters().kind(kind).overflowed += 1;
        }
    }

    /// The remote end lacks a picture.
    pub(super) fn key_frame_wanted(&self) {
        self.notes.key_frame();
    }

    /// Asks the remote end for a key frame, unless it was just asked. `true` when there is something to send.
    pub(super) fn ask_for_key_frame(&self, now: Instant) -> bool {
        let now = self.at(now);
        let mut asked = locked(&self.key_frame_asked);
        if asked.is_some_and(|asked| now.saturating_sub(asked) < KEY_FRAME_INTERVAL) {
            return false;
        }
        *asked = Some(now);
        self.key_frame_due.store(true, Ordering::Release);
        true
    }

    /// The stream to ask for a key frame now, if it shall be asked.
    pub(super) fn take_key_frame_request(&self) -> Option<u32> {
        let remote = self.remote_video.load(Ordering::Relaxed);
        (remote != 0 && self.key_frame_due.swap(false, Ordering::AcqRel)).then_some(remote)
    }

    fn first_heard(&self, codec: Codec) {
        let mut heard = locked(&self.heard);
        if heard.contains(&codec) {
            return;
        }
        heard.push(codec);
        // What was sent before this end could receive is lost, mostly the first key frame.
        if codec.kind() == MediaKind::Video {
            self.key_frame_due.store(true, Ordering::Release);
        }
        self.notes.put(Note::Track(codec));
    }
}

/// A lock whose holder panicked is still a lock: nothing here is left half changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
