//! When there was sound, by the clock of whoever measures: what an end writes into its WAV file (`--speaker file:`),
//! where silence stands for what did not come, is read while it grows.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Sound or silence is decided for so much at a time.
pub(crate) const WINDOW: Duration = Duration::from_millis(10);
/// 48 kHz, mono, 16 bits.
const WINDOW_BYTES: usize = 960;
const HEADER_BYTES: usize = 44;
/// How often the file is looked at; it grows every 85 to 200 ms.
const LOOK: Duration = Duration::from_millis(5);
/// A tone at -20 dBFS is heard as one, and what is left of it after some invented frames is not: -34 dBFS.
const LOUD: f64 = 0.02;

/// What was heard so far.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// For each window, whether it was loud.
    loud: Vec<bool>,
    /// When the file was so many windows long, in rising order.
    marks: Vec<(Instant, usize)>,
}

/// Listens until it is dropped.
pub(crate) struct Ear {
    shared: Arc<(Mutex<Heard>, AtomicBool)>,
    thread: Option<JoinHandle<()>>,
}

impl Heard {
    /// Takes more of the file, whole windows; `at` is now.
    pub(crate) fn grow(&mut self, at: Instant, bytes: &[u8]) {
        let loud = |window: &[u8]| {
            let samples = window.chunks_exact(2).map(|two| f64::from(i16::from_le_bytes([two[0], two[1]])));
            let energy: f64 = samples.map(|sample| (sample / 32_768.0).powi(2)).sum();
            (energy / (WINDOW_BYTES / 2) as f64).sqrt() > LOUD
        };
        self.loud.extend(bytes.chunks_exact(WINDOW_BYTES).map(loud));
        self.marks.push((at, self.loud.len()));
    }

    /// When a window began; now, or a little earlier, for those that are not there yet.
    fn began(&self, window: usize) -> Option<Instant> {
        let place = self.marks.partition_point(|(_, windows)| *windows <= window);
        let (at, windows) = self.marks.get(place).or(self.marks.last())?;
        at.checked_sub(WINDOW * (windows.saturating_sub(window)) as u32)
    }

    /// The first window that began then, or later.
    fn window_at(&self, at: Instant) -> usize {
        let all = 0..self.loud.len();
        let mut low = all.start;
        let mut high = all.end;
        while low < high {
            let middle = low.midpoint(high);
            if self.began(middle).is_some_and(|began| began < at) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The silences since then: when each began, and how long it lasts or lasted.
    pub(crate) fn silences(&self, since: Instant) -> Vec<(Instant, Duration)> {
        let mut silences = Vec::new();
        let mut window = self.window_at(since);
        while window < self.loud.len() {
            let quiet = self.loud[window..].iter().take_while(|loud| !**loud).count();
            if quiet > 0 {
                silences.extend(self.began(window).map(|began| (began, WINDOW * quiet as u32)));
            }
            window += quiet.max(1);
        }
        silences
    }

    /// Since when there has been sound, but for silences shorter than `tolerance`; `None` while there is none.
    pub(crate) fn sound_since(&self, tolerance: Duration) -> Option<Instant> {
        let tolerated = tolerance.as_millis() as usize / WINDOW.as_millis() as usize;
        let (mut first, mut quiet) = (None, 0);
        for (window, loud) in self.loud.iter().enumerate().rev() {
            quiet = if *loud { 0 } else { quiet + 1 };
            if quiet > tolerated {
                break;
            }
            if *loud {
                first = Some(window);
            }
        }
        first.and_then(|window| self.began(window))
    }

    /// Which part of the time since then there was sound.
    pub(crate) fn part(&self, since: Instant) -> f64 {
        let all = &self.loud[self.window_at(since)..];
        all.iter().filter(|loud| **loud).count() as f64 / all.len().max(1) as f64
    }
}

impl Ear {
    /// Begins with the file that an end will make there.
    pub(crate) fn of_file(path: PathBuf) -> Self {
        let (mut file, mut header) = (None, HEADER_BYTES);
        Self::new(move |bytes| {
            file = file.take().or_else(|| File::open(&path).ok());
            if let Some(file) = &mut file {
                // What cannot be read now is read the next time.
                let _ = file.read_to_end(bytes);
            }
            header -= bytes.drain(..header.min(bytes.len())).count();
        })
    }

    /// Reads samples as they are played.
    pub(crate) fn of_stream(mut stream: impl Read + Send + 'static) -> Self {
        let mut buffer = [0; WINDOW_BYTES];
        Self::new(move |bytes| {
            let read = stream.read(&mut buffer).unwrap_or(0);
            bytes.extend_from_slice(&buffer[..read]);
        })
    }

    fn new(mut more: impl FnMut(&mut Vec<u8>) + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(Heard::default()), AtomicBool::new(false)));
        let its = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let (heard, ended) = &*its;
            let mut bytes = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK);
                more(&mut bytes);
                let whole = bytes.len() / WINDOW_BYTES * WINDOW_BYTES;
                if whole > 0 {
                    heard
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .grow(Instant::now(), &bytes[..whole]);
                    bytes.drain(..whole);
                }
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// Asks about what was heard.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Heard) -> T) -> T {
        question(&self.shared.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.shared.1.store(true, Ordering::Relaxed);
        // What went wrong there has been printed by its panic.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
