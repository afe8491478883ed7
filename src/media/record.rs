//! A call's recording: the coded frames that its threads hand in, written to a Matroska file on a thread of its own.
//!
//! ```text
//! sound/capture, sound/playout, picture/capture, picture/show --Tap--> queue --> [thread: muxer] --> file
//! ```
//! A thread of the call never waits for the disk: where the queue is full a frame is left out, counted, and its track
//! goes on with the next key picture. Knows neither who allowed it nor where files are kept.

mod avc;
pub mod matroska;
pub mod muxer;
pub(in crate::media) mod places;

use crate::media::frame::Codec;
use bytes::Bytes;
use muxer::{CodedFrame, Muxer, Setting, Taken, TrackId, Written};
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Frames that wait for the disk: six seconds of a call. When full, a frame is left out and counted.
const FRAMES: usize = 1_024;
/// The file grows at least as often, whatever comes.
const TICK: Duration = Duration::from_millis(200);
/// A recording has at most so many files: a friend whose picture's coding changes all the time makes no more.
const MOST_FILES: u32 = 16;
/// A key picture is asked for no more often.
const KEY_INTERVAL: Duration = Duration::from_secs(1);

/// Where the threads of a call hand in what they code and decode. Costs next to nothing while nothing is recorded.
#[derive(Debug, Clone, Default)]
pub struct Tap(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    on: AtomicBool,
    to: Mutex<Option<SyncSender<CodedFrame>>>,
    /// Frames of a track were left out since the last one that was taken.
    torn: [AtomicBool; 4],
    dropped: AtomicU64,
}

impl Tap {
    /// Whether anybody records.
    pub fn is_on(&self) -> bool {
        self.0.on.load(Ordering::Relaxed)
    }

    /// Hands in a frame. Never waits.
    pub fn put(&self, track: TrackId, codec: Codec, data: &Bytes, key: bool, at: Duration) {
        let to = self.to();
        let (Some(to), Some(torn)) = (to.as_ref(), self.0.torn.get(track as usize)) else { return };
        let frame = CodedFrame {
            track,
            codec,
            data: data.clone(),
            key,
            at,
            torn: torn.swap(false, Ordering::Relaxed),
        };
        if to.try_send(frame).is_err() {
            torn.store(true, Ordering::Relaxed);
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn open(&self, to: SyncSender<CodedFrame>) {
        *self.to() = Some(to);
        self.0.dropped.store(0, Ordering::Relaxed);
        self.0.on.store(true, Ordering::Relaxed);
    }

    fn close(&self) {
        self.0.on.store(false, Ordering::Relaxed);
        *self.to() = None;
    }

    fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Whoever panicked left a whole value behind.
    fn to(&self) -> MutexGuard<'_, Option<SyncSender<CodedFrame>>> {
        self.0.to.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a recording has to tell.
#[derive(Debug)]
pub enum News {
    /// From now on it is in this file; after the first one, in another.
    In(PathBuf),
    /// A key picture of this track is wanted.
    KeyWanted(TrackId),
    /// It is over.
    Ended {
        /// Because of this; `None`: as was wished.
        error: Option<io::Error>,
        /// Frames that the disk was too slow for.
        dropped: u64,
    },
}

/// Makes the next file, a new one.
pub type MakeFile = Box<dyn FnMut() -> io::Result<(PathBuf, File)> + Send>;

/// A recording under way. Dropping it ends it; its thread completes the file and says so.
#[derive(Debug)]
pub struct Recorder {
    taps: [Tap; 2],
}

impl Recorder {
    /// Begins to record what comes by these taps, from now on. `tell` hears of everything, on the
    /// recording's thread, where it may block.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn start(
        taps: [Tap; 2],
        setting: Setting,
        clock: Clock,
        make: MakeFile,
        tell: impl FnMut(News) + Send + 'static,
    ) -> io::Result<Self> {
        let setting = Setting { start: clock.started.elapsed(), unix: (clock.unix)(), ..setting };
        let (to, frames) = sync_channel(FRAMES);
        for tap in &taps {
            // Already now: a recorder that is dropped at once closes what it has opened.
            tap.open(to.clone());
        }
        let recorder = Self { taps: taps.clone() };
        let writing = Writing { taps, clock, make, tell, asked: [None; 4], files: 0 };
        std::thread::Builder::new().name("recording".into()).spawn(move || writing.run(setting, &frames))?;
        Ok(recorder)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.taps.iter().for_each(Tap::close);
    }
}

/// The call's clock, and the calendar's.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// The zero of the call's clock.
    pub started: Instant,
    /// Seconds since 1970.
    pub unix: fn() -> u64,
}

/// A file that grows.
struct Part {
    muxer: Muxer,
    file: File,
    length: u64,
}

/// The thread's state.
struct Writing<T> {
    taps: [Tap; 2],
    clock: Clock,
    make: MakeFile,
    tell: T,
    /// When a key picture of a track was asked for.
    asked: [Option<Duration>; 4],
    /// Files made by now.
    files: u32,
}

impl<T: FnMut(News)> Writing<T> {
    fn run(mut self, setting: Setting, frames: &Receiver<CodedFrame>) {
        let error = self.write(setting, frames).err();
        let dropped = self.taps.iter().map(Tap::dropped).sum();
        (self.tell)(News::Ended { error, dropped });
    }

    fn write(&mut self, setting: Setting, frames: &Receiver<CodedFrame>) -> io::Result<()> {
        let mut part = self.part(Muxer::new(setting))?;
        loop {
            match frames.recv_timeout(TICK) {
                Ok(frame) => self.take(&mut part, frame)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return part.finish(),
            }
            let written = part.muxer.poll(self.now());
            part.write(&written)?;
        }
    }

    fn take(&mut self, part: &mut Part, frame: CodedFrame) -> io::Result<()> {
        let track = frame.track;
        match part.muxer.put(frame) {
            Taken::Kept => {}
            Taken::KeyWanted => self.ask(track),
            Taken::NextPart(_) if self.files == MOST_FILES => part.muxer.close(track),
            Taken::NextPart(frame) => {
                let muxer = part.muxer.next(frame.at, (self.clock.unix)());
                part.finish()?;
                *part = self.part(muxer)?;
                // A key picture, or it would not have come here.
                part.muxer.put(frame);
            }
        }
        Ok(())
    }

    fn part(&mut self, muxer: Muxer) -> io::Result<Part> {
        let (path, file) = (self.make)()?;
        self.files += 1;
        (self.tell)(News::In(path));
        Ok(Part { muxer, file, length: 0 })
    }

    fn ask(&mut self, track: TrackId) {
        let now = self.now();
        let Some(asked) = self.asked.get_mut(track as usize) else { return };
        if asked.is_none_or(|asked| now >= asked + KEY_INTERVAL) {
            *asked = Some(now);
            (self.tell)(News::KeyWanted(track));
        }
    }

    fn now(&self) -> Duration {
        self.clock.started.elapsed()
    }
}

impl Part {
    /// A piece that does not fit leaves nothing behind.
    fn write(&mut self, written: &Written) -> io::Result<()> {
        if !written.append.is_empty()
            && let Err(error) = self.file.write_all(&written.append)
        {
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += written.append.len() as u64;
        for (at, bytes) in &written.patches {
            self.file.seek(SeekFrom::Start(*at))?;
            self.file.write_all(bytes)?;
        }
        self.file.seek(SeekFrom::Start(self.length)).map(drop)
    }

    fn finish(&mut self) -> io::Result<()> {
        let rest = self.muxer.finish();
        self.write(&rest)?;
        self.file.sync_all()
    }
}

#[cfg(test)]
mod tests;
