//! The sound of a call: starts and ends the two threads that do it, and is the handle on them.
//!
//! ```text
//! microphone -> [capture thread: echo, noise, drift]
//!                      | tone | WAV -> [pace, mute, level, encode] -> frames_out (tokio channel)
//! packet() -> [playout thread: jitter buffer, decode, level] -> speaker | WAV | nowhere
//!                                     `-> what was really played, for the echo canceller
//! ```
//! Use: `let (sound, events) = Sound::start(config, frames_out, started)?` on a thread that may block (a
//! device asked for by name is looked up, which can take two seconds); then `packet` for each RTP packet,
//! the setters whenever they change, `levels` and `stats` as often as wanted, and drop it to end.
//! Both threads run on the clock that began at `started`: `EncodedFrame::at` and `MediaPacket::arrived` are
//! on it. Knows no network and no screen.

mod capture;
mod events;
mod pace;
pub mod player;
mod playout;
mod shared;

pub use crate::media::device::DeviceKind;
pub use events::SoundEvent;

use crate::config::{AudioChoice, SpeakerChoice};
use crate::error::{Exit, Failure};
use crate::media::device::{self, DeviceError};
use crate::media::frame::{EncodedFrame, MediaPacket, Moment};
use crate::media::jitter::JitterStats;
use crate::media::level::{Gauge, Levels};
use crate::media::record::Tap;
use crate::media::sink::speaker::Speaker;
use crate::media::sink::wav::WavSink;
use crate::media::source::microphone::Microphone;
use crate::media::source::tone::Tone;
use crate::media::source::voice::Voice;
use crate::media::source::wav::WavSource;
use capture::{Capture, Cleaned, Source};
use events::Teller;
use playout::{Playing, Sink};
use shared::Shared;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Packets that wait for the playout thread, which looks every few milliseconds. When full, the packet is
/// dropped and counted.
const PACKETS: usize = 256;
/// Events that wait to be read. When full, an event is dropped: nobody is reading.
const EVENTS: usize = 64;
/// How long a device asked for by name is looked for at the start.
const FIND_TIMEOUT: Duration = Duration::from_secs(5);

/// What sounds where.
#[derive(Debug, Clone)]
pub struct SoundConfig {
    /// Own sound.
    pub source: AudioChoice,
    /// The friend's sound.
    pub sink: SpeakerChoice,
    /// bit/s of own sound, clamped to [`crate::media::audio::BITRATE_RANGE`].
    pub bitrate: u32,
    /// The friend is heard by headphones: there is no echo to cancel.
    pub headphones: bool,
    /// Where the levels are put.
    pub gauge: Gauge,
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SoundStats {
    /// The jitter buffer's own.
    pub jitter: JitterStats,
    /// Frames encoded and handed on.
    pub frames_sent: u64,
    /// Frames dropped because nobody took them from `frames_out`.
    pub frames_dropped: u64,
    /// Packets dropped because the playout thread was too slow.
    pub packets_dropped: u64,
    /// Times the speaker ran out of samples.
    pub underruns: u64,
    /// Samples of the microphone that were dropped because the capture thread was too slow.
    pub overruns: u64,
    /// What is heard: the packet decoded last, and when the speaker plays it.
    pub heard: Option<Moment>,
    /// By how much own frames are stamped later than they were captured, microseconds; below zero: earlier.
    pub stamped_late: i64,
    /// Echo is being cancelled: something is played, and is heard by the microphone, or might be.
    pub cancelling_echo: bool,
}

/// See the module. Dropping it ends both threads and completes the WAV file, which takes about 20 ms; devices
/// close on threads of their own, and are not waited for.
#[derive(Debug)]
pub struct Sound {
    shared: Arc<Shared>,
    packets: SyncSender<MediaPacket>,
    threads: Vec<JoinHandle<()>>,
}

impl Sound {
    /// Starts sound both ways. Encoded frames go to `frames_out`, at most one every 20 ms; when that
    /// channel is full they are dropped and counted.
    ///
    /// # Errors
    /// A file that cannot be read or written (exit 1), and a device asked for by name that is not there
    /// (exit 5). A default device that is not there is an event, not an error.
    pub fn start(
        config: SoundConfig,
        frames_out: mpsc::Sender<EncodedFrame>,
        started: Instant,
    ) -> Result<(Self, mpsc::Receiver<SoundEvent>), Failure> {
        let (events, events_out) = mpsc::channel(EVENTS);
        let shared = Arc::new(Shared::new(config.bitrate, config.headphones, config.gauge, started));
        let events = Teller(events);
        // What goes to a file, or nowhere, has no echo.
        let aloud = matches!(config.sink, SpeakerChoice::Default | SpeakerChoice::Named(_));
        let source = open_source(config.source, aloud, &shared, &events)?;
        let sink = open_sink(config.sink, &shared, &events)?;
        let (packets, packets_in) = sync_channel(PACKETS);
        let mut sound = Self { shared: Arc::clone(&shared), packets, threads: Vec::new() };
        if let Some(source) = source {
            let capture =
                Capture::new(source, Arc::clone(&shared), frames_out, events.clone()).map_err(no_codec)?;
            sound.spawn("sound-capture", move || capture.run())?;
        }
        let playing = Playing::new(sink, shared, packets_in, events).map_err(no_codec)?;
        sound.spawn("sound-playout", move || playing.run())?;
        Ok((sound, events_out))
    }

    /// A packet of the friend's sound. Never waits.
    pub fn packet(&self, packet: MediaPacket) {
        if self.packets.try_send(packet).is_err() {
            self.shared.packets_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends silence in place of own sound, from the very next frame; or no longer.
    pub fn set_muted(&self, muted: bool) {
        self.shared.muted.store(muted, Ordering::Relaxed);
    }

    /// The friend is heard by headphones: no echo is cancelled. Or not.
    pub fn set_headphones(&self, on: bool) {
        self.shared.headphones.store(on, Ordering::Relaxed);
    }

    /// bit/s of own sound, clamped.
    pub fn set_bitrate(&self, bits_per_second: u32) {
        self.shared.bitrate.store(bits_per_second, Ordering::Relaxed);
    }

    /// The fraction of packets that get lost on the way to the friend (0 to 1).
    pub fn set_expected_loss(&self, fraction: f32) {
        self.shared.expected_loss.store(fraction);
    }

    /// How loud it is in both directions, this moment. Cheap.
    pub fn levels(&self) -> Levels {
        self.shared.gauge.levels()
    }

    /// Counters. Cheap.
    pub fn stats(&self) -> SoundStats {
        self.shared.stats()
    }

    /// From the first call on: every sample that the speaker has played (mono, 48 kHz). The ring holds a
    /// second; what nobody takes is dropped. `None` when it was taken before, or own sound comes from a
    /// microphone: then the echo canceller has it.
    pub fn take_reference(&self) -> Option<rtrb::Consumer<f32>> {
        self.shared.take_reference()
    }

    /// Where a recording takes the sound both ways.
    pub fn tap(&self) -> Tap {
        self.shared.tap.clone()
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        let thread = thread.map_err(|error| no_thread(&error))?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a sound thread panicked");
            }
        }
    }
}

fn open_source(
    choice: AudioChoice,
    aloud: bool,
    shared: &Shared,
    events: &Teller,
) -> Result<Option<Source>, Failure> {
    let microphone = |wanted| {
        let (overruns, events) = (Arc::clone(&shared.overruns), events.clone());
        let tell = move |change| events.device(DeviceKind::Microphone, change);
        let microphone =
            Microphone::start(wanted, overruns, shared.started(), tell).map_err(|error| no_thread(&error))?;
        Ok(Some(Source::Microphone(Box::new(Cleaned::new(
            microphone,
            aloud.then(|| shared.take_reference()).flatten(),
        )))))
    };
    match choice {
        AudioChoice::None => Ok(None),
        AudioChoice::Tone => Ok(Some(Source::Tone(Tone::new()))),
        AudioChoice::Voice(pitch) => Ok(Some(Source::Voice(Box::new(Voice::new(pitch))))),
        AudioChoice::File(path) => open_wav(&path).map(|wav| Some(Source::Wav(Box::new(wav)))),
        AudioChoice::Default => microphone(None),
        AudioChoice::Microphone(wanted) => {
            must_be_there(DeviceKind::Microphone, wanted.clone())?;
            microphone(wanted)
        }
    }
}

/// A file that is to be sent.
pub(super) fn open_wav(path: &Path) -> Result<WavSource, Failure> {
    WavSource::open(path).map_err(|error| {
        let message = format!("cannot play {}: {error}", path.display());
        let help = "Give a WAV file: PCM of 8 to 32 bits, or float.";
        Failure::new(Exit::Failure, "audio_file", message, help)
    })
}

fn open_sink(choice: SpeakerChoice, shared: &Shared, events: &Teller) -> Result<Sink, Failure> {
    let speaker = |wanted| {
        let (underruns, events) = (Arc::clone(&shared.underruns), events.clone());
        let tell = move |change| events.device(DeviceKind::Speaker, change);
        let speaker =
            Speaker::start(wanted, underruns, shared.started(), tell).map_err(|error| no_thread(&error))?;
        Ok(Sink::Speaker(Box::new(speaker)))
    };
    match choice {
        SpeakerChoice::None => Ok(Sink::Nowhere),
        SpeakerChoice::File(path) => WavSink::create(&path).map(Sink::Wav).map_err(|error| {
            let message = format!("cannot write {}: {error}", path.display());
            Failure::new(Exit::Failure, "speaker_file", message, "Choose a place where you may write.")
        }),
        SpeakerChoice::Default => speaker(None),
        SpeakerChoice::Named(wanted) => {
            must_be_there(DeviceKind::Speaker, Some(wanted.clone()))?;
            speaker(Some(wanted))
        }
    }
}

/// A device asked for by name must be there at the start. A sound server that hangs is not waited for.
pub(super) fn must_be_there(kind: DeviceKind, wanted: Option<String>) -> Result<(), Failure> {
    let (found, result) = sync_channel(1);
    let look = move || {
        // Fails when it took too long: nobody waits any more.
        let _late = found.send(device::find(kind, wanted.as_deref()).map(drop));
    };
    std::thread::Builder::new().name("find-device".into()).spawn(look).map_err(|error| no_thread(&error))?;
    let found = result.recv_timeout(FIND_TIMEOUT).unwrap_or(Err(DeviceError::NoSystem));
    found.map_err(|error| error.failure(kind))
}

fn no_thread(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failure, "no_thread", format!("no thread for the sound: {error}"), "")
}

fn no_codec(error: crate::media::audio::OpusError) -> Failure {
    Failure::new(Exit::Failure, "no_codec", format!("Opus does not start: {error}"), "")
}
