//! Keeps a device open: a thread that opens it, watches over it, and opens it again when it has gone. Knows
//! nothing of what flows: each time a stream opens, its other end is handed on, and when that end is found
//! abandoned the stream has gone.
//!
//! A thread of its own because opening can block for two seconds and longer; and yet another one to drop a
//! dead stream, because that can hang for ever. Neither is waited for.

use super::{DeviceError, DeviceKind, Found, System, find};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// The first wait before a device that has gone is looked for; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest: a sound server that is started again is heard within three seconds.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How often a stream's callbacks are counted, and its device looked for.
const CHECK: Duration = Duration::from_millis(500);
/// So many counts in a row without a callback (4 s) and the stream is dead, whatever the system says.
/// (PulseAudio may need 2 s for the first.)
const DEAD_AFTER: u32 = 8;

/// What happened to the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceChange {
    /// It could not be opened. Told once, until it could.
    Missing(DeviceError),
    /// It has gone.
    Lost {
        /// Its name.
        name: String,
    },
    /// It is in use, after one of the above.
    Back {
        /// Its name: another one, perhaps, if the default was asked for.
        name: String,
    },
}

/// What a stream's callbacks report with, from whatever thread.
#[derive(Debug, Clone)]
pub struct Pulse {
    /// Counted up by every data callback.
    pub callbacks: Arc<AtomicU64>,
    failed: Sender<Signal>,
    generation: u64,
}

impl Pulse {
    /// The error callback: what ends a stream is passed on, the rest is not worth a word.
    pub fn error(&self, error: &cpal::Error) {
        use cpal::ErrorKind::{DeviceChanged, RealtimeDenied, Xrun};
        if matches!(error.kind(), DeviceChanged | RealtimeDenied | Xrun) {
            return;
        }
        // Fails when the keeper has ended: nobody minds any more.
        let _ended =
            self.failed.send(Signal::Failed { generation: self.generation, reason: error.to_string() });
    }
}

#[derive(Debug)]
enum Signal {
    Stop,
    Failed { generation: u64, reason: String },
}

/// The other end of a stream that opened.
#[derive(Debug)]
pub struct Opened<E> {
    /// The device's name.
    pub name: String,
    /// What the stream's callback is connected to.
    pub end: E,
}

/// Ends the keeping when dropped.
#[derive(Debug)]
pub struct Keeper {
    signals: Sender<Signal>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Fails when the thread has ended already.
        let _ended = self.signals.send(Signal::Stop);
    }
}

/// Starts to keep a device open. `open` makes the stream and its other end; `tell` hears what happens.
///
/// # Errors
/// When there is no thread to be had.
pub fn keep<E: Send + 'static>(
    kind: DeviceKind,
    wanted: Option<String>,
    open: impl Fn(&Found, Pulse) -> Result<(cpal::Stream, E), cpal::Error> + Send + 'static,
    tell: impl Fn(DeviceChange) + Send + 'static,
) -> std::io::Result<(Keeper, Receiver<Opened<E>>)> {
    let (signals, signals_in) = channel();
    let (ends, ends_out) = channel();
    let keeper = Keeper { signals: signals.clone() };
    let run = Run { kind, wanted, open, tell, signals, signals_in, ends, generation: 0 };
    std::thread::Builder::new().name(format!("keep-{}", kind.name())).spawn(move || run.run())?;
    Ok((keeper, ends_out))
}

/// A stream that is open, and what is needed to watch over it.
struct Open {
    stream: cpal::Stream,
    pulse: Pulse,
    system: System,
    found: Found,
}

struct Run<E, O, T> {
    kind: DeviceKind,
    wanted: Option<String>,
    open: O,
    tell: T,
    signals: Sender<Signal>,
    signals_in: Receiver<Signal>,
    ends: Sender<Opened<E>>,
    /// Tells the streams of one life from those of another: a late error of a dead one means nothing.
    generation: u64,
}

/// Why a stream is watched no longer.
enum End {
    Stopped,
    Dead,
}

impl<E, O, T> Run<E, O, T>
where
    E: Send + 'static,
    O: Fn(&Found, Pulse) -> Result<(cpal::Stream, E), cpal::Error>,
    T: Fn(DeviceChange),
{
    fn run(mut self) {
        let (mut trouble, mut wait) = (false, FIRST_WAIT);
        loop {
            match self.open_once() {
                Ok((open, opened)) => {
                    let name = opened.name.clone();
                    if self.ends.send(opened).is_err() {
                        return drop_elsewhere(open.stream);
                    }
                    if std::mem::take(&mut trouble) {
                        (self.tell)(DeviceChange::Back { name: name.clone() });
                    }
                    wait = FIRST_WAIT;
                    let end = self.watch(&open);
                    drop_elsewhere(open.stream);
                    if matches!(end, End::Stopped) {
                        return;
                    }
                    (self.tell)(DeviceChange::Lost { name });
                    trouble = true;
                }
                Err(error) if !trouble => {
                    (self.tell)(DeviceChange::Missing(error));
                    trouble = true;
                }
                Err(error) => log::debug!("still no {}: {error}", self.kind.name()),
            }
            if self.stopped_within(wait) {
                return;
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    fn open_once(&mut self) -> Result<(Open, Opened<E>), DeviceError> {
        let (system, found) = find(self.kind, self.wanted.as_deref())?;
        self.generation += 1;
        let pulse =
            Pulse { callbacks: Arc::default(), failed: self.signals.clone(), generation: self.generation };
        let _quiet = crate::media::quiet::discard_stderr();
        let name = found.info.name.clone();
        match (self.open)(&found, pulse.clone()) {
            Ok((stream, end)) => {
                log::info!("{}: {name} ({})", self.kind.name(), found.info.id);
                Ok((Open { stream, pulse, system, found }, Opened { name, end }))
            }
            Err(error) => Err(DeviceError::Unusable { name, reason: error.to_string() }),
        }
    }

    /// Watches a stream until it is dead or no longer wanted.
    fn watch(&self, open: &Open) -> End {
        let (mut seen, mut still) = (0, 0);
        loop {
            match self.signals_in.recv_timeout(CHECK) {
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return End::Stopped,
                Ok(Signal::Failed { generation, reason }) if generation == self.generation => {
                    log::info!("the {} fails: {reason}", self.kind.name());
                    return End::Dead;
                }
                Ok(Signal::Failed { .. }) => {}
                Err(RecvTimeoutError::Timeout) => {
                    let callbacks = open.pulse.callbacks.load(Ordering::Relaxed);
                    still = if callbacks == seen { still + 1 } else { 0 };
                    seen = callbacks;
                    if still >= DEAD_AFTER || !open.system.has(&open.found) {
                        log::info!("the {} has gone, or answers no more", self.kind.name());
                        return End::Dead;
                    }
                }
            }
        }
    }

    /// Waits; true when nobody wants the device any more. In slices, so that late errors of a dead stream,
    /// which come on the same channel, do not shorten the wait by much.
    fn stopped_within(&self, wait: Duration) -> bool {
        let (done, mut left) = (wait / 50, wait);
        while !left.is_zero() {
            match self.signals_in.recv_timeout(done) {
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return true,
                Ok(Signal::Failed { .. }) => {}
                Err(RecvTimeoutError::Timeout) => left = left.saturating_sub(done),
            }
        }
        false
    }
}

/// A dead ALSA stream hangs when it is dropped, a PulseAudio one waits for its server.
fn drop_elsewhere(stream: cpal::Stream) {
    let dropped = std::thread::Builder::new().name("drop-stream".into()).spawn(move || drop(stream));
    if let Err(error) = dropped {
        log::warn!("no thread to close a sound device: {error}");
    }
}
