//! A call joined to whoever shows and commands it: the full screen, or lines on standard output and input.

use crate::call::ending::Ending;
use crate::call::event::{CallEvent, CodeEvent, CodeForm, CodeKind, Command};
use crate::call::session::Line;
use crate::cli::{CallArgs, Color, QrArgs, Render, When};
use crate::code::invitation::invitation;
use crate::code::qr::{Qr, STANDARD_QUIET, png, terminal::QrCells};
use crate::config::MediaConfig;
use crate::config::file::ConfigFile;
use crate::error::{Exit, Failure};
use crate::headless::{self, Format};
use crate::media;
use crate::media::slot::Screens;
use crate::tui::model::{QrView, Role, Share, Titles};
use crate::tui::{self, TuiSetup};
use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Events and commands that may wait.
const QUEUE: usize = 256;
/// Light modules around a QR on the screen, whose black on white needs no more: the least that readers still find.
const SCREEN_QUIET: usize = 2;

/// Which part of a call this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `offer`.
    Offer,
    /// `answer`.
    Answer,
    /// `demo`: both.
    Demo,
}

/// How a call is shown.
#[derive(Debug, Clone)]
pub struct Screen {
    part: Part,
    /// Lines instead of a full screen, and of which kind.
    format: Option<Format>,
    /// The code is asked for first.
    ask: bool,
    qr: QrArgs,
    clipboard: bool,
    headphones: bool,
    auto_accept: bool,
    render: Render,
    color: Color,
    log_file: Option<PathBuf>,
}

impl Screen {
    /// From what was typed and what the config file says.
    pub fn new(args: &CallArgs, file: &ConfigFile, part: Part, qr: QrArgs) -> Self {
        let format = match (args.json, args.headless) {
            (true, _) => Some(Format::Json),
            (false, true) => Some(Format::Plain { quiet: args.quiet }),
            (false, false) => None,
        };
        Self {
            part,
            format,
            ask: false,
            qr,
            clipboard: !args.no_clipboard && file.no_clipboard != Some(true) && part == Part::Offer,
            headphones: args.media.headphones || file.headphones == Some(true),
            auto_accept: args.auto_accept || file.auto_accept == Some(true),
            render: args.render.or(file.render).unwrap_or_default(),
            color: args.color.or(file.color).unwrap_or_default(),
            log_file: args.log_file.clone(),
        }
    }

    /// The same, asking for the code first.
    #[must_use]
    pub fn asking(self) -> Self {
        Self { ask: true, ..self }
    }
}

/// Runs a session to its end, after a look whether the devices asked for by name are there.
pub async fn call<F, S>(screen: Screen, media: &MediaConfig, session: F) -> Result<Exit, Failure>
where
    F: FnOnce(Line) -> S,
    S: Future<Output = Ending>,
{
    let config = media.clone();
    let probe = tokio::task::spawn_blocking(move || media::probe(&config));
    probe.await.map_err(|error| {
        Failure::new(Exit::Failure, "internal", format!("Looking for the devices broke: {error}."), "")
    })??;
    match screen.format {
        Some(format) => Ok(in_lines(screen, format, session).await),
        None => full_screen(screen, session).await,
    }
}

#[expect(clippy::disallowed_methods, reason = "the edge where the clock is read")]
async fn full_screen<F, S>(screen: Screen, session: F) -> Result<Exit, Failure>
where
    F: FnOnce(Line) -> S,
    S: Future<Output = Ending>,
{
    let started = Instant::now();
    let (events, shown) = mpsc::channel(QUEUE);
    let (commands, told) = mpsc::channel(QUEUE);
    let screens = Screens::default();
    let log =
        screen.log_file.as_ref().and_then(|path| std::fs::OpenOptions::new().append(true).open(path).ok());
    let setup = TuiSetup {
        role: match screen.part {
            Part::Offer => Role::Offer,
            Part::Answer => Role::Answer,
            Part::Demo => Role::Demo,
        },
        ask_code: screen.ask,
        auto_accept: screen.auto_accept || screen.part == Part::Demo,
        clipboard: screen.clipboard,
        headphones: screen.headphones,
        render: screen.render,
        color: screen.color,
        titles: (screen.part == Part::Demo)
            .then(|| Titles { remote: "what Alice sees".into(), local: "what her friend sees".into() }),
        events: shown,
        commands,
        remote: Box::new(screens.remote.clone()),
        local: Box::new(screens.local.clone()),
        levels: screens.levels.clone(),
        share: Box::new(move |code| screen.share(code)),
        log,
    };
    let calling = session(Line { events, commands: told, started, screens });
    // A screen that can't open drops its end of the commands: the session hangs up.
    let (ended, ending) = tokio::join!(tui::run(setup), calling);
    ended?;
    Ok(ending.exit())
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
    // Whoever does not read what is printed may be waited for in vain; a signal ends that.
    tokio::select! {
        _ = printing => {}
        () = signal() => {}
    }
    ending.exit()
}

impl Screen {
    /// A code is out, on lines: its QR goes to the file asked for, and to plain output when asked for.
    fn code_shown(&self, format: Format, code: &CodeEvent) -> Result<Option<String>, String> {
        let Some(qr) = Qr::new(&code.code) else { return Ok(None) };
        self.write_png(&qr)?;
        let printed = self.qr.qr == When::Always && matches!(format, Format::Plain { .. });
        Ok(printed.then(|| QrCells::new(&qr, STANDARD_QUIET).to_ansi()))
    }

    /// A code is out, on the full screen.
    fn share(&self, code: &CodeEvent) -> Share {
        let qr = Qr::new(&code.code);
        if let Some(Err(error)) = qr.as_ref().map(|qr| self.write_png(qr)) {
            log::error!("the QR was not written: {error}");
        }
        let invitation = match (code.kind, code.form) {
            (CodeKind::Offer, CodeForm::P2p) => invitation(&code.code),
            _ => code.code.clone(),
        };
        let wanted = |_: &Qr| self.qr.qr != When::Never && code.form == CodeForm::P2p;
        Share { invitation, qr: qr.filter(wanted).map(|qr| modules(&qr)) }
    }

    fn write_png(&self, qr: &Qr) -> Result<(), String> {
        let Some(path) = &self.qr.qr_png else { return Ok(()) };
        let png = png::to_png(qr).map_err(|error| error.to_string())?;
        std::fs::write(path, png).map_err(|error| format!("{}: {error}", path.display()))
    }
}

fn modules(qr: &Qr) -> QrView {
    let row = |y| (0..qr.size()).map(|x| qr.is_dark(x, y)).collect();
    QrView { modules: (0..qr.size()).map(row).collect(), quiet: SCREEN_QUIET }
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
