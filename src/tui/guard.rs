//! The terminal's guard: raw mode, alternate screen, bracketed paste, hidden cursor, and standard error out of
//! the way. Everything is given back on return, error, panic and signal by the same function. Knows nothing of
//! what is shown.

use rustix::fd::OwnedFd;
use std::cell::Cell;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError, TryLockError};
use std::time::Duration;

/// Alternate screen, bracketed paste, no cursor, nothing on it; and key releases, from terminals that tell of
/// them (the kitty keyboard protocol's flags 1 and 2; each screen has its own, and others ignore it).
const ENTER: &[u8] = b"\x1b[?1049h\x1b[=3;1u\x1b[?2004h\x1b[?25l\x1b[0m\x1b[2J";
/// All of it back; a synchronized update or an attribute left open by a cut-off frame ends too.
const LEAVE: &[u8] = b"\x1b[?2026l\x1b[0m\x1b[=0;1u\x1b[?2004l\x1b[?25h\x1b[?1049l";
/// How long a frame on its way may hold up the farewell: a terminal that reads nothing gets none.
const PATIENCE: Duration = Duration::from_millis(500);

/// What has to be given back; `None` while the terminal is its owner's.
static HELD: Mutex<Option<Held>> = Mutex::new(None);
/// The terminal took no farewell: it is gone, or reads nothing.
static STUCK: AtomicBool = AtomicBool::new(false);
/// Whoever writes to the terminal holds this.
static OUTPUT: Mutex<()> = Mutex::new(());

thread_local! {
    static ON_SCREEN: Cell<bool> = const { Cell::new(false) };
}

/// What has to be given back.
struct Held {
    /// The standard error that was there before, if it was the terminal.
    stderr: Option<OwnedFd>,
}

/// Holds the terminal until it is dropped.
pub struct Guard {
    log: Option<std::fs::File>,
}

impl Guard {
    /// Takes the terminal over. What other libraries print to standard error goes to `log`, or nowhere.
    pub fn enter(log: Option<std::fs::File>) -> io::Result<Self> {
        install_hook();
        let guard = Self { log };
        guard.take()?;
        Ok(guard)
    }

    /// Gives the terminal back for a while.
    pub fn release(&self) {
        restore();
    }

    /// Takes the terminal over again, also where somebody else changed it meanwhile.
    pub fn take(&self) -> io::Result<()> {
        let mut held = lock(&HELD);
        let stderr = match held.take() {
            Some(held) => {
                crossterm::terminal::disable_raw_mode()?;
                held.stderr
            }
            None => self.redirect_stderr()?,
        };
        *held = Some(Held { stderr });
        drop(held);
        crossterm::terminal::enable_raw_mode()?;
        write(ENTER)
    }

    /// Points standard error at the log, if it points at a terminal; gives the old one.
    fn redirect_stderr(&self) -> io::Result<Option<OwnedFd>> {
        let stderr = rustix::stdio::stderr();
        if !rustix::termios::isatty(stderr) {
            return Ok(None);
        }
        let old = rustix::io::fcntl_dupfd_cloexec(stderr, 3)?;
        match &self.log {
            Some(log) => rustix::stdio::dup2_stderr(log.as_fd())?,
            None => rustix::stdio::dup2_stderr(std::fs::File::create("/dev/null")?)?,
        }
        Ok(Some(old))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

/// Marks this thread as the one that draws the screen, until dropped: its panics close the screen first.
/// Another thread's panic goes to the log and leaves the call going.
pub struct OnScreen(());

impl OnScreen {
    /// Marks this thread.
    pub fn enter() -> Self {
        ON_SCREEN.set(true);
        Self(())
    }
}

impl Drop for OnScreen {
    fn drop(&mut self) {
        ON_SCREEN.set(false);
    }
}

/// Writes to the terminal, all of it. Nothing is written once the terminal was given back.
pub fn write_frame(bytes: &[u8]) -> io::Result<()> {
    let _output = lock(&OUTPUT);
    if lock(&HELD).is_none() { Ok(()) } else { write_all(bytes) }
}

/// Whether the terminal still took what it was told when it was given back: else whoever writes waits for ever.
pub fn is_listening() -> bool {
    !STUCK.load(Ordering::Relaxed)
}

/// Does this while the terminal is raw: what it is asked it answers unseen, and without an Enter.
pub fn raw<T>(act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    if crossterm::terminal::is_raw_mode_enabled()? {
        return act();
    }
    crossterm::terminal::enable_raw_mode()?;
    let done = act();
    crossterm::terminal::disable_raw_mode()?;
    done
}

/// Gives the terminal back, once.
fn restore() {
    let Some(held) = lock(&HELD).take() else { return };
    STUCK.store(write(LEAVE).is_err(), Ordering::Relaxed);
    // Errors from here on have nobody left to be told to: the terminal is gone.
    let _ = crossterm::terminal::disable_raw_mode();
    if let Some(stderr) = held.stderr {
        let _ = rustix::stdio::dup2_stderr(stderr);
    }
}

fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if ON_SCREEN.get() {
                restore();
            }
            previous(info);
        }));
    });
}

/// Writes a control sequence, unless the terminal has not been reading for a while.
fn write(bytes: &[u8]) -> io::Result<()> {
    let step = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    let _output = loop {
        match OUTPUT.try_lock() {
            Ok(output) => break output,
            Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
            Err(TryLockError::WouldBlock) if waited >= PATIENCE => return Err(io::ErrorKind::TimedOut.into()),
            Err(TryLockError::WouldBlock) => {
                std::thread::sleep(step);
                waited += step;
            }
        }
    };
    write_all(bytes)
}

/// Asks the terminal something while no frame is on its way.
pub fn ask(question: &[u8]) -> io::Result<()> {
    write(question)
}

/// Past Rust's own buffer, in as few writes as the kernel takes.
fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(rustix::stdio::stdout(), bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            // Somebody left the terminal in non-blocking mode.
            Err(rustix::io::Errno::AGAIN) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A panic leaves these values whole, so a poisoned lock is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
