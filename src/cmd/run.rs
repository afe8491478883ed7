//! A call joined to whoever shows and commands it: the full screen, or lines on standard output and input.

use crate::call::ending::Ending;
use crate::call::event::{CallEvent, CodeEvent, Command};
use crate::call::session::Line;
use crate::cli::{CallArgs, When};
use crate::code::qr::{Qr, png, terminal::QrCells};
use crate::config::file::ConfigFile;
use crate::error::{Exit, Failure};
use crate::headless::{self, Format};
use crate::media::slot::Screens;
use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Events and commands that may wait.
const QUEUE: usize = 256;

/// How a call is shown.
#[derive(Debug)]
pub struct Screen {
    /// Lines instead of a full screen, and of which kind.
    format: Option<Format>,
    qr: When,
    qr_png: Option<PathBuf>,
}

impl Screen {
    /// From what was typed.
    pub fn new(args: &CallArgs, _file: &ConfigFile, qr: When, qr_png: Option<PathBuf>) -> Self {
        let format = match (args.json, args.headless) {
            (true, _) => Some(Format::Json),
            (false, true) => Some(Format::Plain { quiet: args.quiet }),
            (false, false) => None,
        };
        Self { format, qr, qr_png }
    }
}

/// Runs a session to its end.
pub async fn call<F, S>(screen: Screen, session: F) -> Result<Exit, Failure>
where
    F: FnOnce(Line) -> S,
    S: Future<Output = Ending>,
{
    match screen.format {
        Some(format) => Ok(in_lines(screen, format, session).await),
        None => Err(Failure::usage("the screen comes later", "use --headless")),
    }
}

#[expect(clippy::disallowed_methods, reason = "the edge where the clock is read")]
async fn in_lines<F, S>(screen: Screen, format: Format, session: F) -> Exit
where
    F: FnOnce(Line) -> S,
    S: Future<Output = Ending>,
{
    let started = Instant::now();
    let (events, shown) = mpsc::channel::<(Duration, CallEvent)>(QUEUE);
    let (commands, told) = mpsc::channel(QUEUE);
    let printing =
        tokio::spawn(headless::print_events(format, shown, move |code| screen.code_shown(format, code)));
    let reading = tokio::spawn(headless::read_commands(commands.clone(), events.clone(), started));
    let signals = tokio::spawn(hang_up_on_signal(commands));
    let ending = session(Line { events, commands: told, started, screens: Screens::default() }).await;
    reading.abort();
    let _ = reading.await;
    signals.abort();
    let _ = printing.await;
    ending.exit()
}

impl Screen {
    /// A code is out: its QR goes to the file asked for, and to plain output when asked for.
    fn code_shown(&self, format: Format, code: &CodeEvent) -> Result<Option<String>, String> {
        let Some(qr) = Qr::new(&code.code) else { return Ok(None) };
        if let Some(path) = &self.qr_png {
            let png = png::to_png(&qr).map_err(|error| error.to_string())?;
            std::fs::write(path, png).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let printed = self.qr == When::Always && matches!(format, Format::Plain { .. });
        Ok(printed.then(|| QrCells::new(&qr, crate::code::qr::STANDARD_QUIET).to_ansi()))
    }
}

/// Ctrl-C, a closed terminal and `kill` hang up; a second one ends at once.
async fn hang_up_on_signal(commands: mpsc::Sender<Command>) {
    let mut times = 0;
    loop {
        signal().await;
        times += 1;
        if times > 1 {
            std::process::exit(Exit::Interrupted as i32);
        }
        let _ = commands.send(Command::Hangup).await;
    }
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let wait = |kind| async move {
        match signal(kind) {
            Ok(mut stream) => {
                stream.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::hangup()) => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
