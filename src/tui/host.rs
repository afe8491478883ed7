//! The threads and signals under the screen: a thread that reads keys, one that writes frames, and the
//! signals' way into the same queue. Knows nothing of what any of it means.

use crate::tui::guard::{self, Guard};
use crate::tui::update::Msg;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use rustix::process::Signal;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// How often the key thread looks whether it should end.
const KEY_POLL: Duration = Duration::from_millis(50);
/// How long its end is waited for: on a terminal that was hung up crossterm reads for ever, and the thread ends
/// with the process only.
const KEY_PATIENCE: Duration = Duration::from_millis(200);
const KEY_STEP: Duration = Duration::from_millis(5);
/// A process that was told to stop and did not is not going to.
pub const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// What reaches the screen from below.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// For `update`.
    Msg(Msg),
    /// The process was stopped and goes on.
    Resumed,
}

/// Frames on their way to the terminal: one at a time.
pub struct Output {
    frames: mpsc::Sender<Vec<u8>>,
    written: mpsc::Receiver<io::Result<()>>,
    busy: bool,
}

impl Output {
    /// Both ends of the way: the screen's, and the one that writes what it receives and says when it has.
    pub fn pair() -> (Self, mpsc::Receiver<Vec<u8>>, mpsc::Sender<io::Result<()>>) {
        let (frames, to_write) = mpsc::channel(1);
        let (done, written) = mpsc::channel(1);
        (Self { frames, written, busy: false }, to_write, done)
    }

    /// A thread that writes to the terminal.
    pub fn to_terminal() -> io::Result<Self> {
        let (output, mut frames, done) = Self::pair();
        std::thread::Builder::new().name("screen".to_owned()).spawn(move || {
            while let Some(frame) = frames.blocking_recv() {
                if done.blocking_send(guard::write_frame(&frame)).is_err() {
                    break;
                }
            }
        })?;
        Ok(output)
    }

    /// Whether a frame is on its way.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Sends a frame; only while none is on its way.
    pub fn send(&mut self, frame: Vec<u8>) {
        self.busy = self.frames.try_send(frame).is_ok();
    }

    /// Waits until the frame on its way is written; for ever when there is none. Safe to cancel.
    pub async fn written(&mut self) -> io::Result<()> {
        if !self.busy {
            std::future::pending::<()>().await;
        }
        let result = self.written.recv().await.unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()));
        self.busy = false;
        result
    }
}

/// The thread that reads keys; it ends when this is dropped.
pub struct Keyboard {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keyboard {
    /// Starts to read.
    pub fn read(to: mpsc::Sender<Input>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let event = match crossterm::event::poll(KEY_POLL) {
                    Ok(false) => continue,
                    Ok(true) => crossterm::event::read(),
                    Err(error) => Err(error),
                };
                // The terminal is gone: as if a signal had said so.
                let msg = event.map_or(Some(Msg::Terminate), message);
                let gone = msg == Some(Msg::Terminate);
                if msg.is_some_and(|msg| to.blocking_send(Input::Msg(msg)).is_err()) || gone {
                    break;
                }
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return };
        let mut waited = Duration::ZERO;
        while !thread.is_finished() && waited < KEY_PATIENCE {
            std::thread::sleep(KEY_STEP);
            waited += KEY_STEP;
        }
        if thread.is_finished() {
            // It panics only on a bug in the terminal library, which its own message has told already.
            let _ = thread.join();
        }
    }
}

fn message(event: Event) -> Option<Msg> {
    match event {
        Event::Key(key) => Some(Msg::Key(key)),
        Event::Paste(text) => Some(Msg::Paste(text)),
        Event::Resize(columns, rows) => Some(Msg::Resize(columns, rows)),
        Event::FocusGained | Event::FocusLost | Event::Mouse(_) => None,
    }
}

/// Sends signals up as messages, until nobody listens.
pub async fn signals(to: mpsc::Sender<Input>) -> io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut stop = signal(SignalKind::from_raw(Signal::TSTP.as_raw()))?;
    let mut go_on = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
    loop {
        let input = tokio::select! {
            _ = interrupt.recv() => Input::Msg(Msg::Terminate),
            _ = terminate.recv() => Input::Msg(Msg::Terminate),
            _ = hang_up.recv() => Input::Msg(Msg::Terminate),
            _ = stop.recv() => Input::Msg(Msg::Key(KeyEvent::new(KeyCode::Char('z'), KeyModifiers::CONTROL))),
            _ = go_on.recv() => Input::Resumed,
            () = to.closed() => return Ok(()),
        };
        if to.send(input).await.is_err() {
            return Ok(());
        }
    }
}

/// What the screen asks of the terminal beside frames.
pub trait Host: Send {
    /// Gives the terminal back and stops the process; false where no shell could wake it up again.
    fn suspend(&mut self) -> bool;

    /// Takes the terminal over again; gives its size.
    fn resume(&mut self) -> io::Result<(u16, u16)>;
}

impl Host for Guard {
    fn suspend(&mut self) -> bool {
        // A process group led by the session's own leader has nobody outside to wake it: the kernel would not
        // stop it either (POSIX: orphaned process group).
        if rustix::process::getsid(None).is_ok_and(|session| session == rustix::process::getpgrp()) {
            return false;
        }
        self.release();
        // The whole group, as the terminal's own Ctrl-Z does: a wrapper that started us stops too.
        rustix::process::kill_current_process_group(Signal::STOP).is_ok()
    }

    fn resume(&mut self) -> io::Result<(u16, u16)> {
        self.take()?;
        crossterm::terminal::size()
    }
}
