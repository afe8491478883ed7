//! The full-screen display: the one loop that joins keys, the call's events and pictures with the terminal.
//!
//! ```text
//! keys, paste, signals ──Msg──┐                       ┌──Command──> the call
//! the call ─────CallEvent─────┼─> update(&mut Model) ─┤
//! clipboard ──────────────────┘                       └──Effect───> copy, suspend, leave
//!                     Model ─> view ─> cells ┐
//!                  PictureFeed ─> pictures ──┴─> one write, one frame in flight ─> terminal
//! ```
//!
//! What happens is decided in the pure part (`model`, `update`, `keys`, `view`); here only when to draw is.
//! Knows neither the network nor how codes and pictures are made.

pub mod clipboard;
pub mod compose;
pub mod feed;
pub mod guard;
pub mod host;
pub mod input;
pub mod keys;
pub mod model;
mod running;
pub mod terminal;
pub mod text;
pub mod theme;
pub mod update;
pub mod view;

use crate::call::event::{CallEvent, CodeEvent, Command};
use crate::cli;
use crate::error::{Exit, Failure};
use crate::media::level::Gauge;
use crate::tui::feed::{Painters, PictureFeed};
use crate::tui::guard::{Guard, OnScreen};
use crate::tui::host::{Input, Keyboard, Output};
use crate::tui::model::{Ended, Role, Share, Titles};
use crate::tui::running::{World, show};
use crate::tui::update::Msg;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;
use tokio::sync::mpsc;

/// Keys and signals waiting for the loop; full: their threads wait.
const INPUT_QUEUE: usize = 64;

/// What the screen needs to know to open.
pub struct TuiSetup {
    /// This end's part.
    pub role: Role,
    /// Ask for the code first (`answer` without one): it is sent as [`Command::Paste`]; a notice that comes back
    /// is shown at the field, a state opens the next screen.
    pub ask_code: bool,
    /// Let in whoever answered.
    pub auto_accept: bool,
    /// Codes may be copied.
    pub clipboard: bool,
    /// The friend is heard by headphones.
    pub headphones: bool,
    /// How pictures are drawn.
    pub render: cli::Render,
    /// How many colours are used.
    pub color: cli::Color,
    /// The pictures' names, in the demo.
    pub titles: Option<Titles>,
    /// What the call says, and when. Its end without [`crate::call::event::CallState::Ended`] is a failure.
    pub events: mpsc::Receiver<(Duration, CallEvent)>,
    /// What the call is told. Full: the command is dropped and logged, for the screen never waits.
    pub commands: mpsc::Sender<Command>,
    /// The friend's pictures.
    pub remote: Box<dyn PictureFeed>,
    /// The own pictures.
    pub local: Box<dyn PictureFeed>,
    /// How loud both ends are.
    pub levels: Gauge,
    /// Makes what is shown and copied of a code.
    pub share: Box<dyn Fn(&CodeEvent) -> Share + Send>,
    /// Where standard error goes meanwhile.
    pub log: Option<std::fs::File>,
}

/// Shows the call until it has ended, then gives the terminal back and says on it how it ended.
///
/// # Errors
/// Standard output is no terminal, or the terminal failed.
pub async fn run(setup: TuiSetup) -> Result<Ended, Failure> {
    let ended = open(setup).await.map_err(|error| {
        Failure::new(
            Exit::Failure,
            "terminal",
            format!("The full-screen display needs a terminal: {error}."),
            "Use --headless where there is none.",
        )
    })?;
    farewell(&ended);
    Ok(ended)
}

/// The screen is closed: its last words go where the shell's prompt will be.
fn farewell(ended: &Ended) {
    if guard::is_listening() {
        // A terminal that went away since hears nothing.
        let _ = writeln!(io::stdout(), "{ended}");
    }
}

async fn open(mut setup: TuiSetup) -> io::Result<Ended> {
    if !io::stdout().is_terminal() {
        return Err(io::Error::other("standard output is not one"));
    }
    let size = crossterm::terminal::size()?;
    let guard = Guard::enter(setup.log.take())?;
    let (to_input, input) = mpsc::channel(INPUT_QUEUE);
    let signals = tokio::spawn(host::signals(to_input.clone()));
    // Signals are heard by now: none that comes while an answer is waited for leaves the terminal raw.
    let render = setup.render;
    let asking = tokio::task::spawn_blocking(move || terminal::facts(render));
    let (facts, typed) = asking.await.map_err(io::Error::other)?;
    for key in typed {
        // Room for more of them than anybody types in that time.
        let _ = to_input.try_send(Input::Msg(Msg::Key(key)));
    }
    let keyboard = Keyboard::read(to_input)?;
    let tool = clipboard::tool(|name| std::env::var(name).ok(), clipboard::in_path);
    let (look, picture) = theme::looks(setup.render, setup.color, &facts);
    let world = World {
        input,
        output: Output::to_terminal()?,
        host: Box::new(guard),
        look,
        drawer: Box::new(Painters::new(picture, setup.role != Role::Demo)),
        tool,
    };
    let mut call = std::pin::pin!(show(setup, world, size));
    // The panics of this future, and of no other, close the screen.
    let ended = std::future::poll_fn(|context| {
        let _on_screen = OnScreen::enter();
        call.as_mut().poll(context)
    })
    .await;
    drop(keyboard);
    signals.abort();
    ended
}
