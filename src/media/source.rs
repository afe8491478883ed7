//! Where pictures come from: the test card, files, a camera. Each source is paced in real time and hands out
//! pictures of the size it was asked for. Knows no codec's rate and no network.
//!
//! ```text
//! .y4m .ivf ffmpeg --FrameReader--> file (beat, loop, fit) --+
//! still image ---------------------------------------------- +--VideoSource--> picture/capture
//! test card -------------------------------------------------+
//! camera (own thread) ---------------------------------------+
//! ```

#[cfg(feature = "camera")]
pub mod camera;
pub mod clock_bar;
pub mod convert;
mod digits;
mod ffmpeg;
pub mod file;
pub mod fit;
mod ivf;
pub mod microphone;
pub mod schedule;
pub mod still;
pub mod testcard;
pub mod tone;
pub mod voice;
pub mod wav;
pub mod y4m;

use super::frame::VideoFrame;
use crate::config::VideoChoice;
use schedule::Schedule;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use testcard::TestCard;

/// What a source is asked for.
#[derive(Debug, Clone, Copy)]
pub struct SourceConfig {
    /// Columns and rows, even.
    pub size: (u32, u32),
    /// The most pictures a second; a file of fewer keeps its own.
    pub fps: u32,
    /// The zero of the pictures' time stamps.
    pub started: Instant,
}

/// A running source of pictures.
pub trait VideoSource: Send {
    /// The next picture, when it is due: blocks for about one picture's time. `None` when none came in that
    /// time; ask again.
    fn next(&mut self) -> Result<Option<VideoFrame>, SourceError>;
}

/// A file's pictures, as fast as they are read.
pub(crate) trait FrameReader: Send {
    /// The next picture in the file's own size; `None` at its end.
    fn read(&mut self) -> Result<Option<VideoFrame>, SourceError>;
    /// Pictures in so many seconds.
    fn rate(&self) -> (u32, u32);
}

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The camera asked for is not there.
    #[error("there is no camera {index}")]
    NoCamera {
        /// Which one.
        index: u32,
        /// What there is.
        choices: Vec<String>,
    },
    /// The camera is there and gives nothing.
    #[error("the camera stopped: {0}")]
    Lost(String),
    /// A file that gives no pictures.
    #[error("no pictures in {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// This build has no camera support.
    #[error("this build cannot use cameras")]
    NoCameraSupport,
}

/// Opens the source chosen; `None` when no picture is wanted. The default is the first camera that opens, else
/// the test card.
pub fn open(choice: &VideoChoice, config: SourceConfig) -> Result<Option<Box<dyn VideoSource>>, SourceError> {
    Ok(Some(match choice {
        VideoChoice::None => return Ok(None),
        VideoChoice::TestCard => Box::new(TestCardSource::new(config)),
        VideoChoice::File(path) => file::open(path, config)?,
        VideoChoice::Camera(index) => open_camera(*index, config)?,
        VideoChoice::Default => match cameras().first() {
            Some(first) => open_camera(first.index, config)
                .or_else(|_| Ok::<_, SourceError>(Box::new(TestCardSource::new(config))))?,
            None => Box::new(TestCardSource::new(config)),
        },
    }))
}

/// A camera of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraName {
    /// What `--video camera:N` takes.
    pub index: u32,
    /// Its own name, without control characters.
    pub name: String,
}

impl std::fmt::Display for CameraName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.index, self.name)
    }
}

/// The cameras of this machine; empty when there are none or this build can't use them.
pub fn cameras() -> Vec<CameraName> {
    #[cfg(feature = "camera")]
    return camera::list();
    #[cfg(not(feature = "camera"))]
    return Vec::new();
}

#[cfg(feature = "camera")]
fn open_camera(index: u32, config: SourceConfig) -> Result<Box<dyn VideoSource>, SourceError> {
    Ok(Box::new(camera::CameraSource::open(index, config)?))
}

#[cfg(not(feature = "camera"))]
fn open_camera(_: u32, _: SourceConfig) -> Result<Box<dyn VideoSource>, SourceError> {
    Err(SourceError::NoCameraSupport)
}

/// A schedule on the wall clock.
pub(crate) struct Pace {
    schedule: Schedule,
    started: Instant,
}

impl Pace {
    pub(crate) fn new(rate: (u32, u32), started: Instant) -> Self {
        Self { schedule: Schedule::new(rate), started }
    }

    /// Sleeps until the next beat; gives the time it is then, and the beat's number.
    pub(crate) fn wait(&mut self) -> (Duration, u64) {
        let (wait, beat) = self.schedule.beat(self.started.elapsed());
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
        (self.started.elapsed(), beat)
    }
}

/// The test card in real time. Its clock bar shows the machine's monotonic clock, so that any other process of
/// this machine can tell a picture's age.
pub struct TestCardSource {
    card: TestCard,
    pace: Pace,
}

impl TestCardSource {
    /// A card of the size and rate asked for.
    pub fn new(config: SourceConfig) -> Self {
        Self { card: TestCard::new(config.size), pace: Pace::new((config.fps, 1), config.started) }
    }
}

/// The machine's monotonic clock (`CLOCK_MONOTONIC`).
pub fn machine_clock() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

impl VideoSource for TestCardSource {
    fn next(&mut self) -> Result<Option<VideoFrame>, SourceError> {
        let (at, number) = self.pace.wait();
        let mut frame = self.card.draw(number, machine_clock());
        frame.at = at;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests in real time")]

    use super::*;

    fn config() -> SourceConfig {
        SourceConfig { size: (64, 48), fps: 50, started: Instant::now() }
    }

    #[test]
    fn the_test_card_comes_in_real_time() {
        let mut source = open(&VideoChoice::TestCard, config()).unwrap().unwrap();
        let from = Instant::now();
        let times: Vec<_> = (0..6).map(|_| source.next().unwrap().unwrap().at).collect();
        assert!(from.elapsed() >= Duration::from_millis(95), "{:?}", from.elapsed());
        assert!(times.is_sorted());
    }

    #[test]
    fn a_camera_that_is_not_there_is_named_and_the_default_falls_back_to_the_test_card() {
        if !cameras().is_empty() {
            return;
        }
        assert!(open(&VideoChoice::Default, config()).unwrap().is_some());
        assert!(open(&VideoChoice::None, config()).unwrap().is_none());
        let error = open(&VideoChoice::Camera(7), config()).err().unwrap();
        assert_eq!(error, SourceError::NoCamera { index: 7, choices: vec![] });
    }
}
