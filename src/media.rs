//! Sound and picture of a call: opens the devices, runs the four threads, closes everything again.
//!
//! ```text
//!            microphone | tone | WAV --> sound/capture ---EncodedFrame--+
//!                                                                       +--> frames --> the peer
//!  camera | test card | film | still --> picture/capture -EncodedFrame--+
//!                                            `--> local slot --> the screen
//!
//!                          +-> sound/playout: jitter buffer, Opus --> speaker | WAV
//! the peer --packet(..)----+
//!                          +-> picture/show: assemble, playout time, decode --> remote slot, Y4M
//!                                            `--> events: send a PLI, a device is gone, first frame
//! ```
//! | arrow | when full |
//! |---|---|
//! | `frames` | sound: the frame is dropped; picture: dropped up to the next key frame; counted |
//! | `packet` | dropped, counted, and treated as lost |
//! | slots | the older picture goes, counted |
//! | events | dropped |
//!
//! No device is opened before [`Media::start`], and none stays open after its drop. Knows no network, no
//! terminal, and no agreement about codecs but its outcome.

pub mod assemble;
pub mod audio;
pub mod device;
pub mod echo;
mod events;
pub mod frame;
pub mod jitter;
pub mod level;
pub mod picture;
pub mod quiet;
pub mod record;
pub mod rehearsal;
pub mod resample;
pub mod sink;
pub mod slot;
pub mod sound;
pub mod source;
pub mod stretch;
pub mod video;

pub use events::{MediaEvent, MediaEvents};

use crate::config::{AudioChoice, MediaConfig, SpeakerChoice};
use crate::error::{Exit, Failure};
use device::DeviceKind;
use frame::{Codec, EncodedFrame, MediaKind, MediaPacket, VideoFrame};
use level::Levels;
use picture::{Picture, PictureConfig, PictureStats};
use record::Tap;
use slot::{Screens, Slot};
use sound::{Sound, SoundConfig, SoundStats};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Coded frames that wait for the network, sound and picture together: 100 ms or so.
const FRAMES: usize = 8;
/// What both ends agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// Whether sound is sent.
    pub audio: bool,
    /// What the picture is sent with; `None`: none is sent.
    pub video: Option<Codec>,
}

/// What own sound and picture aim at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aim {
    /// bit/s of sound.
    pub sound: u32,
    /// The picture; `None`: none is sent for now.
    pub picture: Option<PictureAim>,
}

/// What own picture aims at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureAim {
    /// kbit/s.
    pub kbps: u32,
    /// Pictures a second.
    pub fps: u32,
    /// Columns and rows, even; a size of another shape gets black bars.
    pub size: (u32, u32),
}

impl Aim {
    /// kbit/s of sound and picture together.
    #[must_use]
    pub fn kbps(&self) -> u32 {
        self.sound / 1_000 + self.picture.map_or(0, |picture| picture.kbps)
    }
}

/// Counters of both, and how loud it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MediaStats {
    /// Picture.
    pub picture: PictureStats,
    /// Sound.
    pub sound: SoundStats,
    /// Loudness in both directions, this moment.
    pub levels: Levels,
    /// What is aimed at.
    pub aim: Aim,
}

/// See the module. Dropping it closes the devices and completes the files; that may take a fifth of a second,
/// so not on an async thread.
#[derive(Debug)]
pub struct Media {
    sound: Sound,
    picture: Picture,
    aim: std::sync::Mutex<Aim>,
}

/// Media that runs: its handle, what it tells, and the coded frames for the peer.
pub type Started = (Media, MediaEvents, mpsc::Receiver<EncodedFrame>);

impl Media {
    /// Opens the devices and starts. `started` is the zero of the call's clock: of [`MediaPacket::arrived`]
    /// and [`EncodedFrame::at`]. May block for seconds (a device asked for by name is looked up): not on an
    /// async thread.
    ///
    /// # Errors
    /// A device asked for by name that is not there (exit 5), a file that cannot be read or written (exit 1).
    /// Without any camera, microphone or speaker the call goes on, and an event says so.
    pub fn start(
        config: &MediaConfig,
        negotiated: Negotiated,
        aim: Aim,
        screens: &Screens,
        started: Instant,
    ) -> Result<Started, Failure> {
        let (frames, frames_out) = mpsc::channel(FRAMES);
        let (picture, picture_events) = Picture::start(
            PictureConfig {
                source: config.video.clone(),
                video_out: config.video_out.clone(),
                size: config.size,
                fps: config.fps,
                aim: aim.picture,
                started,
            },
            negotiated.video,
            frames.clone(),
            screens,
        )?;
        let source = if negotiated.audio { config.audio.clone() } else { AudioChoice::None };
        let (sound, sound_events) = Sound::start(
            SoundConfig {
                source,
                sink: config.speaker.clone(),
                bitrate: aim.sound,
                headphones: config.headphones,
                gauge: screens.levels.clone(),
            },
            frames,
            started,
        )?;
        let media = Self { sound, picture, aim: std::sync::Mutex::new(aim) };
        Ok((media, MediaEvents::new(sound_events, picture_events), frames_out))
    }

    /// A packet from the peer, of either kind. Never waits.
    pub fn packet(&self, packet: MediaPacket) {
        match packet.codec.kind() {
            MediaKind::Audio => self.sound.packet(packet),
            MediaKind::Video => self.picture.packet(packet),
        }
    }

    /// Sends silence instead of own sound.
    pub fn set_muted(&self, muted: bool) {
        self.sound.set_muted(muted);
    }

    /// The friend is heard by headphones, and no echo cancelled; or not.
    pub fn set_headphones(&self, on: bool) {
        self.sound.set_headphones(on);
    }

    /// Off: the camera is closed and no picture is sent.
    pub fn set_video(&self, on: bool) {
        self.picture.set_on(on);
    }

    /// The friend's camera is on or off, as the friend said: what stands still then is no freeze.
    pub fn set_remote_video(&self, on: bool) {
        self.picture.set_remote_on(on);
    }

    /// The friend asked for a key frame.
    pub fn key_frame(&self) {
        self.picture.key_frame();
    }

    /// What the encoders aim at from now on.
    pub fn set_aim(&self, aim: Aim) {
        self.sound.set_bitrate(aim.sound);
        self.picture.set_aim(aim.picture);
        *self.aim() = aim;
    }

    /// The picture that was coded last will have left at this time on the call's clock: before that another one
    /// would only wait.
    pub fn picture_leaves_until(&self, clear: Duration) {
        self.picture.leaves_until(clear);
    }

    /// What the network does: the round trip, and the fraction of packets lost on the way to the friend.
    pub fn set_network(&self, round_trip: Option<Duration>, lost: f32) {
        self.sound.set_expected_loss(lost);
        if let Some(round_trip) = round_trip {
            self.picture.set_rtt(round_trip);
        }
    }

    /// Own picture as it is sent.
    pub fn local(&self) -> &Slot<VideoFrame> {
        &self.picture.local
    }

    /// The friend's picture.
    pub fn remote(&self) -> &Slot<VideoFrame> {
        &self.picture.remote
    }

    /// Where a recording takes sound and picture.
    pub fn taps(&self) -> [Tap; 2] {
        [self.sound.tap(), self.picture.tap()]
    }

    /// Counters and levels. Cheap.
    pub fn stats(&self) -> MediaStats {
        MediaStats {
            picture: self.picture.stats(),
            sound: self.sound.stats(),
            levels: self.sound.levels(),
            aim: *self.aim(),
        }
    }

    /// A writer that panicked left a whole aim behind: it is assigned at once.
    fn aim(&self) -> std::sync::MutexGuard<'_, Aim> {
        self.aim.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The picture codecs of this build, best first.
pub fn video_codecs() -> Vec<Codec> {
    video::codecs().to_vec()
}

/// Whether what was asked for by name is there, before a call. Opens no device. May block for seconds: not on
/// an async thread.
///
/// # Errors
/// A device that is not there (exit 5, listing the choices), a file that cannot be read, or has no place (exit 1).
pub fn probe(config: &MediaConfig) -> Result<(), Failure> {
    picture::check(&config.video)?;
    match &config.audio {
        AudioChoice::Microphone(wanted) => sound::must_be_there(DeviceKind::Microphone, wanted.clone())?,
        // What a pipe has said once it does not say again.
        AudioChoice::File(path) if !is_pipe(path) => sound::open_wav(path).map(drop)?,
        _ => {}
    }
    match &config.speaker {
        SpeakerChoice::Named(wanted) => sound::must_be_there(DeviceKind::Speaker, Some(wanted.clone()))?,
        SpeakerChoice::File(path) => must_have_place(path, "speaker_file")?,
        _ => {}
    }
    config.video_out.iter().try_for_each(|path| must_have_place(path, "video_out"))
}

/// Whether a file can be there: in a folder that is. Nothing is made, for a call may not come about.
pub fn has_place(path: &Path) -> bool {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    !path.is_dir() && folder.is_dir()
}

fn is_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir())
}

fn must_have_place(path: &Path, code: &'static str) -> Result<(), Failure> {
    if has_place(path) {
        return Ok(());
    }
    let what = if path.is_dir() { "that is a folder" } else { "there is no such folder" };
    let message = format!("cannot write {}: {what}", path.display());
    Err(Failure::new(Exit::Failure, code, message, "Choose a file in a folder that is there."))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests in real time")]

    use super::*;
    use crate::config::VideoChoice;

    fn config() -> MediaConfig {
        MediaConfig {
            video: VideoChoice::TestCard,
            audio: AudioChoice::Tone,
            speaker: SpeakerChoice::None,
            size: (160, 90),
            ..MediaConfig::default()
        }
    }

    const AIM: Aim = Aim { sound: 32_000, picture: Some(PictureAim { kbps: 300, fps: 30, size: (160, 90) }) };

    #[test]
    fn both_kinds_of_frame_flow_and_come_back_as_first_frames() {
        let started = Instant::now();
        let negotiated = Negotiated { audio: true, video: Some(Codec::H264) };
        let (media, mut events, mut frames) =
            Media::start(&config(), negotiated, AIM, &Screens::default(), started).unwrap();
        let (mut sound, mut pictures) = (0, 0);
        while sound < 5 || pictures < 5 {
            match frames.blocking_recv().unwrap().codec.kind() {
                MediaKind::Audio => sound += 1,
                MediaKind::Video => pictures += 1,
            }
        }
        media.packet(MediaPacket {
            codec: Codec::H264,
            sequence: 1,
            timestamp: 1,
            marker: true,
            payload: bytes::Bytes::from_static(&[0x41, 1]),
            arrived: started.elapsed(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(events.recv()), Some(MediaEvent::KeyFrameNeeded));
        // Own picture is shown, and counted, just after it was handed on.
        let shown = runtime.block_on(media.local().next());
        assert_eq!((shown.width, shown.height), (160, 90));
        assert!(media.stats().picture.frames_sent >= 4);
    }

    #[test]
    fn what_was_not_agreed_on_is_not_sent() {
        let negotiated = Negotiated { audio: false, video: None };
        let (media, _events, mut frames) =
            Media::start(&config(), negotiated, AIM, &Screens::default(), Instant::now()).unwrap();
        std::thread::sleep(Duration::from_millis(150));
        assert!(frames.try_recv().is_err());
        drop(media);
    }

    #[test]
    fn a_device_asked_for_by_name_is_looked_for_before_the_call() {
        assert_eq!(probe(&config()), Ok(()));
        let missing = MediaConfig { video: VideoChoice::Camera(61), ..config() };
        assert_eq!(probe(&missing).unwrap_err().exit, Exit::NoDevice);
    }
}
