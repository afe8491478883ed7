//! The picture of a call: starts and ends the two threads that do it, and is the handle on them.
//!
//! ```text
//! camera | test card | file -> [capture thread: pace, fit, encode] -> frames_out (tokio channel)
//!                                                         `-> local slot: own picture for the screen
//! packet() -> [show thread: assemble, wait for the playout time, decode] -> remote slot, Y4M file
//!                                                         `-> events: KeyFrameNeeded (send a PLI), ...
//! ```
//! Use: `let (picture, events) = Picture::start(config, Some(codec), frames_out)?` on a thread that may block
//! (a file is opened), then `packet` for each RTP packet, the setters whenever they change, `stats` as often as
//! wanted, and drop it to end. Everything is on the clock that began at `started`. Knows no network and no
//! screen.

mod black;
mod capture;
mod events;
mod meter;
mod shared;
mod show;

pub use events::PictureEvent;

use super::PictureAim;
use super::frame::{Codec, EncodedFrame, MediaPacket, Moment, VideoFrame};
use super::record::Tap;
use super::sink::y4m::Y4mWriter;
use super::slot::{Screens, Slot};
use super::source::{self, SourceConfig, SourceError};
use super::video::VideoTarget;
use crate::config::VideoChoice;
use crate::error::{Exit, Failure};
use capture::Capture;
use events::Teller;
use shared::{SendTarget, Shared};
use show::Show;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Packets that wait for the show thread. When full, a packet is dropped and counted; the assembler then
/// treats it as lost.
const PACKETS: usize = 512;
/// Events that wait to be read. When full, an event is dropped: nobody is reading.
const EVENTS: usize = 64;
/// A missing packet is waited for within these limits: a shorter wait misses retransmissions, a longer one is a freeze.
const WAIT_LIMITS: (Duration, Duration) = (Duration::from_millis(80), Duration::from_millis(650));

/// What is shown to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureConfig {
    /// Own picture.
    pub source: VideoChoice,
    /// Where received pictures are written as Y4M.
    pub video_out: Option<PathBuf>,
    /// Own picture's columns and rows, even.
    pub size: (u32, u32),
    /// Own pictures a second, at the most.
    pub fps: u32,
    /// What own picture aims at; `None`: none is sent for now.
    pub aim: Option<PictureAim>,
    /// The zero of the call's clock.
    pub started: Instant,
}

/// Counters since the start, and rates over the last second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PictureStats {
    /// Own pictures handed to the network, a second.
    pub sent_fps: f32,
    /// And since the start.
    pub frames_sent: u64,
    /// Own pictures left out because nobody took them from `frames_out`.
    pub frames_dropped: u64,
    /// Remote pictures shown, a second.
    pub shown_fps: f32,
    /// Remote pictures decoded.
    pub frames_decoded: u64,
    /// Remote picture's columns.
    pub width: u32,
    /// Remote picture's rows.
    pub height: u32,
    /// What the remote picture is coded with.
    pub codec: Option<Codec>,
    /// Times the remote picture stood still for more than 500 ms.
    pub freezes: u32,
    /// And for how long in all, ms.
    pub freeze_ms: u64,
    /// Whether it does so now.
    pub frozen: bool,
    /// What is seen: the picture handed to the screen last, and when that was.
    pub seen: Option<Moment>,
    /// What the network still owes the playout: the delay added for smoothness, ms.
    pub playout_delay_ms: u32,
    /// Remote packets that never came in time.
    pub packets_missing: u64,
    /// Packets dropped because the show thread was too slow.
    pub packets_dropped: u64,
    /// Key frames asked for.
    pub key_frames_asked: u64,
}

/// See the module. Dropping it ends both threads, closes the camera and completes the Y4M file.
#[derive(Debug)]
pub struct Picture {
    shared: Arc<Shared>,
    /// Own picture as it is sent.
    pub local: Slot<VideoFrame>,
    /// The friend's picture.
    pub remote: Slot<VideoFrame>,
    packets: Option<SyncSender<MediaPacket>>,
    threads: Vec<JoinHandle<()>>,
}

impl Picture {
    /// Starts the picture both ways. `send` is the codec to send with; without one no device is opened. Coded
    /// pictures go to `frames_out`; when that is full they are left out up to the next key frame, counted.
    ///
    /// # Errors
    /// A file that cannot be read or written (exit 1), and a camera asked for by number that is not there
    /// (exit 5). No camera at all is an event, not an error.
    pub fn start(
        config: PictureConfig,
        send: Option<Codec>,
        frames_out: mpsc::Sender<EncodedFrame>,
        screens: &Screens,
    ) -> Result<(Self, mpsc::Receiver<PictureEvent>), Failure> {
        let (events, events_out) = mpsc::channel(EVENTS);
        let events = Teller(events);
        let aim = config.aim.unwrap_or(PictureAim { kbps: 0, fps: config.fps, size: config.size });
        let shared = Arc::new(Shared::new(target(aim), config.started));
        shared.held.store(config.aim.is_none(), Ordering::Relaxed);
        let sink = config.video_out.as_deref().map(|path| Y4mWriter::create(path, config.fps)).transpose()?;
        let (packets, packets_in) = sync_channel(PACKETS);
        let Screens { local, remote, .. } = screens.clone();
        let mut picture = Self {
            shared: Arc::clone(&shared),
            local: local.clone(),
            remote: remote.clone(),
            packets: Some(packets),
            threads: Vec::new(),
        };
        if let Some(codec) = send.filter(|_| config.source != VideoChoice::None) {
            check(&config.source)?;
            let source_config = SourceConfig { size: config.size, fps: config.fps, started: config.started };
            // A file's faults are said now; a camera may take seconds and is opened by the thread.
            let opened = match &config.source {
                VideoChoice::File(_) => {
                    source::open(&config.source, source_config).map_err(|e| failure(&e))?
                }
                _ => None,
            };
            let capture = Capture::new(config.source, source_config, opened, codec, Arc::clone(&shared));
            let capture = capture.map_err(|error| no_codec(&error))?;
            let to = capture::Outlets { frames: frames_out, local, events: events.clone() };
            picture.spawn("picture-capture", move || capture.run(&to))?;
        }
        let show = Show::new(shared, remote, sink, events);
        picture.spawn("picture-show", move || show.run(&packets_in))?;
        Ok((picture, events_out))
    }

    /// A packet of the friend's picture. Never waits.
    pub fn packet(&self, packet: MediaPacket) {
        if self.packets.as_ref().is_none_or(|packets| packets.try_send(packet).is_err()) {
            self.shared.packets_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Off: the camera is closed and nothing is sent. On: it is opened again.
    pub fn set_on(&self, on: bool) {
        self.shared.on.store(on, Ordering::Relaxed);
    }

    /// The friend's camera is off: a picture that stands still is no freeze.
    pub fn set_remote_on(&self, on: bool) {
        self.shared.remote_on(on);
    }

    /// The friend needs a key frame (RTCP PLI or FIR).
    pub fn key_frame(&self) {
        self.shared.key_wanted.store(true, Ordering::Relaxed);
    }

    /// What own picture aims at from now on; with `None` nothing is sent until there is an aim again.
    pub fn set_aim(&self, aim: Option<PictureAim>) {
        if let Some(aim) = aim {
            self.shared.set_target(target(aim));
        }
        self.shared.held.store(aim.is_none(), Ordering::Relaxed);
    }

    /// Until this time on the call's clock the last picture is leaving: no other is coded long before that.
    pub fn leaves_until(&self, clear: Duration) {
        self.shared.leaves_until(clear);
    }

    /// The round trip to the friend: how long a retransmission takes.
    pub fn set_rtt(&self, rtt: Duration) {
        self.shared.set_wait(useful(rtt));
    }

    /// Counters and rates. Cheap.
    pub fn stats(&self) -> PictureStats {
        self.shared.stats()
    }

    /// Where a recording takes the picture both ways.
    pub fn tap(&self) -> Tap {
        self.shared.tap.clone()
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body).map_err(|error| {
            Failure::new(Exit::Failure, "no_thread", format!("no thread for the picture: {error}"), "")
        })?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.packets = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a picture thread panicked");
            }
        }
    }
}

/// How long after a packet was first missed its retransmission is of use, at a round trip: it can be asked for
/// twice, on a far path once. A key frame in its place takes a round trip, too, and many packets.
pub fn useful(rtt: Duration) -> Duration {
    (rtt * 5 / 2 + Duration::from_millis(40)).clamp(WAIT_LIMITS.0, WAIT_LIMITS.1)
}

fn target(aim: PictureAim) -> SendTarget {
    SendTarget { rate: VideoTarget { kbps: aim.kbps, fps: aim.fps }.clamped(), size: aim.size }
}

/// Whether what was asked for by name is there. Opens nothing but a file.
///
/// # Errors
/// A camera that is not there (exit 5, listing the choices), a file that cannot be read (exit 1).
pub fn check(choice: &VideoChoice) -> Result<(), Failure> {
    match choice {
        VideoChoice::Camera(wanted) => {
            let cameras = source::cameras();
            if cameras.iter().any(|camera| camera.index == *wanted) {
                return Ok(());
            }
            let choices = cameras.into_iter().map(|camera| camera.to_string()).collect();
            Err(failure(&SourceError::NoCamera { index: *wanted, choices }))
        }
        VideoChoice::File(path) => std::fs::File::open(path).map(drop).map_err(|error| {
            failure(&SourceError::Unreadable { path: path.clone(), why: error.to_string() })
        }),
        VideoChoice::Default | VideoChoice::TestCard | VideoChoice::None => Ok(()),
    }
}

/// What a person is told of a source that does not open.
fn failure(error: &SourceError) -> Failure {
    match error {
        SourceError::NoCamera { choices, .. } => {
            let help = if choices.is_empty() {
                "There is no camera: use --video test, or --video none.".to_owned()
            } else {
                format!("Choose one of: {}; or --video test.", choices.join(", "))
            };
            Failure::new(Exit::NoDevice, "no_camera", error.to_string(), help)
        }
        SourceError::NoCameraSupport | SourceError::Lost(_) => {
            Failure::new(Exit::NoDevice, "no_camera", error.to_string(), "Use --video test or --video none.")
        }
        SourceError::Unreadable { .. } => Failure::new(
            Exit::Failure,
            "video_file",
            error.to_string(),
            "Give a .y4m or .ivf film, a .png or .jpg picture, or install ffmpeg for others.",
        ),
    }
}

fn no_codec(error: &super::video::VideoError) -> Failure {
    Failure::new(Exit::Failure, "no_codec", error.to_string(), "")
}

#[cfg(test)]
mod tests;
