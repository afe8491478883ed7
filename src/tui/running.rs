//! A screen that is up: waits for whatever comes first, lets `update` decide, draws when it is time. Every
//! contact with the world is a field, so that tests run this loop without a terminal.

use crate::call::event::{CallEvent, CodeEvent, Command};
use crate::media::frame::VideoFrame;
use crate::media::level::Gauge;
use crate::tui::TuiSetup;
use crate::tui::clipboard;
use crate::tui::compose::Composer;
use crate::tui::feed::{DrawPictures, PictureFeed};
use crate::tui::host::{Host, Input, Output, STOP_PATIENCE};
use crate::tui::input::TextInput;
use crate::tui::model::{CODE_LIMIT, Copied, CopyWhat, Ended, HANGUP_PATIENCE, Model, Screen, Share, Which};
use crate::tui::theme::Look;
use crate::tui::update::{Effect, Msg, update};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The cells are drawn at most so often; pictures as they come.
const CELL_FRAME: Duration = Duration::from_millis(33);
/// So often clocks and levels on the screen go on.
const TICK: Duration = Duration::from_millis(100);

/// Every contact of the screen with the world.
pub(super) struct World {
    /// Keys, paste, resize, signals.
    pub(super) input: mpsc::Receiver<Input>,
    /// Frames.
    pub(super) output: Output,
    /// Suspend and resume.
    pub(super) host: Box<dyn Host>,
    /// What the terminal can show.
    pub(super) look: Look,
    /// Draws the pictures.
    pub(super) drawer: Box<dyn DrawPictures>,
    /// The clipboard's tool.
    pub(super) tool: Option<clipboard::Tool>,
}

/// What woke the loop.
enum Wake {
    Msg(Msg),
    Resumed,
    Frame(Which, Arc<VideoFrame>),
    Written(io::Result<()>),
    Nap,
}

/// The loop, from the first frame to the last.
pub(super) async fn show(setup: TuiSetup, world: World, size: (u16, u16)) -> io::Result<Ended> {
    let mut screen = Running::open(setup, world, size)?;
    loop {
        let wake = screen.wait().await;
        if let Some(ended) = screen.handle(wake)? {
            screen.output_idle().await;
            return Ok(ended);
        }
        screen.paint()?;
    }
}

/// A screen that is up.
struct Running {
    model: Model,
    composer: Composer,
    input: mpsc::Receiver<Input>,
    output: Output,
    host: Box<dyn Host>,
    tool: Option<clipboard::Tool>,
    events: mpsc::Receiver<(Duration, CallEvent)>,
    /// The call's events have ended.
    events_gone: bool,
    commands: mpsc::Sender<Command>,
    feeds: [(Which, Box<dyn PictureFeed>); 2],
    share: Box<dyn Fn(&CodeEvent) -> Share + Send>,
    /// Where copies say what became of them.
    copies: mpsc::Sender<(CopyWhat, Copied)>,
    copied: mpsc::Receiver<(CopyWhat, Copied)>,
    start: Instant,
    /// Bytes for the terminal beside the frames.
    extra: Vec<u8>,
    /// The model changed since the cells were drawn.
    dirty: bool,
    /// A picture came since pictures were drawn.
    fresh: bool,
    /// How loud both ends are.
    levels: Gauge,
    /// When clocks and levels went on last.
    ticked: Duration,
    /// When the cells were drawn last.
    drawn: Option<Duration>,
    /// Since when the process is about to be stopped.
    suspended: Option<Duration>,
}

impl Running {
    fn open(setup: TuiSetup, world: World, size: (u16, u16)) -> io::Result<Self> {
        let mut model = Model::new(setup.role, world.look, size);
        if setup.ask_code {
            model.screen = Screen::Prompt(TextInput::new(CODE_LIMIT));
        }
        model.options.auto_accept = setup.auto_accept;
        model.options.clipboard = setup.clipboard;
        model.headphones = setup.headphones;
        if let Some(titles) = setup.titles {
            model.titles = titles;
        }
        let (copies, copied) = mpsc::channel(4);
        Ok(Self {
            model,
            composer: Composer::new(size, world.drawer)?,
            input: world.input,
            output: world.output,
            host: world.host,
            tool: world.tool,
            events: setup.events,
            events_gone: false,
            commands: setup.commands,
            feeds: [(Which::Remote, setup.remote), (Which::Local, setup.local)],
            share: setup.share,
            copies,
            copied,
            start: Instant::now(),
            extra: Vec::new(),
            dirty: true,
            fresh: false,
            levels: setup.levels,
            ticked: Duration::ZERO,
            drawn: None,
            suspended: None,
        })
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Waits for something to do. While a frame is on its way no picture is taken: the newest one wins.
    async fn wait(&mut self) -> Wake {
        let idle = !self.output.is_busy() && self.suspended.is_none();
        let nap = self.nap();
        let [(_, remote), (_, local)] = &self.feeds;
        tokio::select! {
            biased;
            Some(input) = self.input.recv() => match input {
                Input::Msg(msg) => Wake::Msg(msg),
                Input::Resumed => Wake::Resumed,
            },
            event = self.events.recv(), if !self.events_gone => match event {
                Some((_, CallEvent::Code(code))) => {
                    let share = (self.share)(&code);
                    Wake::Msg(Msg::Code(code, share))
                }
                Some((_, event)) => Wake::Msg(Msg::Call(event)),
                None => {
                    self.events_gone = true;
                    Wake::Msg(Msg::CallGone)
                }
            },
            Some((what, outcome)) = self.copied.recv() => Wake::Msg(Msg::Copied(what, outcome)),
            result = self.output.written() => Wake::Written(result),
            frame = remote.next(), if idle => Wake::Frame(Which::Remote, frame),
            frame = local.next(), if idle => Wake::Frame(Which::Local, frame),
            () = tokio::time::sleep(nap) => Wake::Nap,
        }
    }

    /// How long the loop may sleep: until the cells may be drawn again, or the clocks have to go on.
    fn nap(&self) -> Duration {
        let waiting = self.dirty && !self.output.is_busy() && self.suspended.is_none();
        let tick = self.ticked + TICK;
        let wanted = self.drawn.filter(|_| waiting).map_or(tick, |drawn| tick.min(drawn + CELL_FRAME));
        wanted.saturating_sub(self.now())
    }

    /// Takes in what woke the loop; the end, if that is what it was.
    fn handle(&mut self, wake: Wake) -> io::Result<Option<Ended>> {
        let msg = match wake {
            Wake::Msg(msg) => msg,
            Wake::Frame(which, frame) => {
                let size = (frame.width, frame.height);
                let known = match which {
                    Which::Remote => self.model.remote_picture,
                    Which::Local => self.model.local_picture,
                };
                self.composer.put(which, frame);
                self.fresh = true;
                if known == Some(size) {
                    return Ok(None);
                }
                Msg::Picture(which, size)
            }
            Wake::Resumed => {
                self.resume()?;
                return Ok(None);
            }
            Wake::Written(result) => {
                if result.is_err() && !matches!(self.model.screen, Screen::Leaving(_)) {
                    Msg::Terminate
                } else {
                    return Ok(None);
                }
            }
            Wake::Nap => {
                if self.suspended.is_some_and(|since| self.now() >= since + STOP_PATIENCE) {
                    self.resume()?;
                }
                self.ticked = self.now();
                Msg::Tick(self.levels.levels())
            }
        };
        self.dirty = true;
        let now = self.now();
        let effects = update(&mut self.model, msg, now);
        effects.into_iter().try_fold(None, |ended, effect| Ok(ended.or(self.carry_out(effect)?)))
    }

    fn carry_out(&mut self, effect: Effect) -> io::Result<Option<Ended>> {
        match effect {
            Effect::Command(command) => {
                if let Err(error) = self.commands.try_send(command) {
                    log::warn!("the call takes no command: {error}");
                }
            }
            Effect::Copy(what, text) => self.copy(what, text),
            Effect::Suspend => {
                self.suspended = self.host.suspend().then(|| self.now());
            }
            Effect::Redraw => self.composer.redraw(self.model.size)?,
            Effect::Leave => return Ok(self.model.ended.clone()),
        }
        Ok(None)
    }

    /// Asks the terminal to copy, and the desktop's tool on a task of its own.
    fn copy(&mut self, what: CopyWhat, text: String) {
        let sequence = clipboard::osc52(&text);
        let sent = sequence.is_some();
        self.extra.extend(sequence.unwrap_or_default());
        let (tool, done) = (self.tool, self.copies.clone());
        tokio::spawn(async move {
            let outcome = clipboard::copy(tool, text, sent).await;
            // The screen may be gone by now.
            let _ = done.send((what, outcome)).await;
        });
    }

    fn resume(&mut self) -> io::Result<()> {
        self.suspended = None;
        let size = self.host.resume()?;
        let now = self.now();
        update(&mut self.model, Msg::Resize(size.0, size.1), now);
        self.composer.redraw(size)?;
        self.dirty = true;
        Ok(())
    }

    /// Sends a frame, if there is something new, the last one has been written and it is time.
    fn paint(&mut self) -> io::Result<()> {
        let now = self.now();
        let cells = self.dirty && self.drawn.is_none_or(|drawn| now >= drawn + CELL_FRAME);
        if self.output.is_busy() || self.suspended.is_some() || !(cells || self.fresh) {
            return Ok(());
        }
        let mut bytes = self.composer.frame(&self.model, cells)?;
        self.fresh = false;
        if cells {
            self.dirty = false;
            self.drawn = Some(now);
            bytes.append(&mut self.extra);
        }
        if !bytes.is_empty() {
            self.output.send(bytes);
        }
        Ok(())
    }

    /// Waits until the last frame is written, unless the terminal takes nothing any more.
    async fn output_idle(&mut self) {
        if self.output.is_busy() {
            let _ = tokio::time::timeout(HANGUP_PATIENCE, self.output.written()).await;
        }
    }
}

#[cfg(test)]
mod tests;
