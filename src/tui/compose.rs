//! A model and the latest pictures in, the terminal's bytes out: one write a frame. ratatui draws the cells
//! by their differences, the pictures come after them. Touches no terminal: where the bytes go is the
//! caller's.

use crate::media::frame::VideoFrame;
use crate::picture::reserve;
use crate::tui::feed::DrawPictures;
use crate::tui::model::{Model, Which};
use crate::tui::theme::Tone;
use crate::tui::view::{PictureArea, Wrapped, pictures, view, wrapped};
use ratatui::Terminal;
use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Rect, Size};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Synchronized output (mode 2026): the terminal shows what lies between as one.
const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";

/// Composes frames.
pub struct Composer {
    terminal: Terminal<ByteBackend>,
    bytes: Bytes,
    drawer: Box<dyn DrawPictures>,
    /// Where pictures stood in the last frame, and the code.
    shown: Vec<PictureArea>,
    wrapped: Option<Wrapped>,
    remote: Latest,
    local: Latest,
}

/// The latest picture of one stream.
#[derive(Default)]
struct Latest {
    frame: Option<Arc<VideoFrame>>,
    /// Not drawn yet.
    fresh: bool,
    /// When the last one was drawn.
    drawn: Duration,
}

impl Composer {
    /// A composer for a cleared terminal of this size.
    pub fn new(size: (u16, u16), drawer: Box<dyn DrawPictures>) -> io::Result<Self> {
        // ratatui decides alone about colours; without this crossterm would drop the QR's under NO_COLOR.
        crossterm::style::force_color_output(true);
        let bytes = Bytes::default();
        let backend = ByteBackend { inner: CrosstermBackend::new(bytes.clone()), size: size.into() };
        let terminal = Terminal::new(backend)?;
        bytes.take();
        let (remote, local) = (Latest::default(), Latest::default());
        Ok(Self { terminal, bytes, drawer, shown: Vec::new(), wrapped: None, remote, local })
    }

    /// Takes a new picture; the older one, drawn or not, is dropped.
    pub fn put(&mut self, which: Which, frame: Arc<VideoFrame>) {
        let latest = self.latest(which);
        latest.frame = Some(frame);
        latest.fresh = true;
    }

    /// Forgets what stands on the terminal: the next frame draws all of it.
    pub fn redraw(&mut self, size: (u16, u16)) -> io::Result<()> {
        self.terminal.backend_mut().size = size.into();
        self.terminal.resize(Rect::new(0, 0, size.0, size.1))?;
        self.wrapped = None;
        self.drawer.forget();
        self.remote.fresh = true;
        self.local.fresh = true;
        Ok(())
    }

    /// The bytes of one frame; none when nothing changed. `cells` is false when only pictures did.
    pub fn frame(&mut self, model: &Model, cells: bool) -> io::Result<Vec<u8>> {
        let size = self.terminal.size()?;
        let area = Rect::new(0, 0, size.width, size.height);
        if cells {
            self.place(model, area)?;
            let places = &self.shown;
            self.terminal.draw(|frame| {
                // ratatui keeps off the pictures' cells, save where something is drawn over them.
                for place in places {
                    reserve(frame.buffer_mut(), place.placed);
                }
                view(model, frame, area);
            })?;
            self.wrap(model, area);
        }
        let mut out = self.bytes.take();
        if !out.is_empty() {
            out.splice(..0, BEGIN.iter().copied());
            out.extend_from_slice(END);
        }
        for area in std::mem::take(&mut self.shown) {
            let now = model.now;
            let latest = self.latest(area.which);
            let elapsed = now.saturating_sub(latest.drawn);
            if let Some(frame) = latest.frame.clone().filter(|_| std::mem::take(&mut latest.fresh)) {
                latest.drawn = now;
                out.extend(self.drawer.draw(&frame, &area, elapsed));
            }
            self.shown.push(area);
        }
        Ok(out)
    }

    /// Finds out where pictures belong. Where one moved, came or went, what it left behind is cleared; where
    /// only a hole changed, the picture is drawn again around it.
    fn place(&mut self, model: &Model, area: Rect) -> io::Result<()> {
        let places = pictures(model, area);
        if places == self.shown {
            return Ok(());
        }
        let rects =
            |areas: &[PictureArea]| areas.iter().map(|area| (area.which, area.rect)).collect::<Vec<_>>();
        if rects(&places) != rects(&self.shown) {
            for old in &self.shown {
                let removal = self.drawer.remove(old.which);
                self.bytes.clone().write_all(&removal)?;
            }
            self.redraw((area.width, area.height))?;
        }
        self.remote.fresh = true;
        self.local.fresh = true;
        self.shown = places;
        Ok(())
    }

    /// Writes a code of several rows once more as one run, so that the terminal itself wraps it and a double
    /// click takes all of it.
    fn wrap(&mut self, model: &Model, area: Rect) {
        let wrapped = wrapped(model, area);
        if wrapped == self.wrapped {
            return;
        }
        if let Some(Wrapped { at, text }) = &wrapped {
            let style = if model.look.style(Tone::Code).fg.is_some() { "1;32" } else { "1" };
            let run = format!("\x1b7\x1b[{};{}H\x1b[0;{style}m{text}\x1b[0m\x1b8", at.y + 1, at.x + 1);
            self.bytes.push(run.as_bytes());
        }
        self.wrapped = wrapped;
    }

    fn latest(&mut self, which: Which) -> &mut Latest {
        match which {
            Which::Remote => &mut self.remote,
            Which::Local => &mut self.local,
        }
    }
}

/// A buffer that the backend writes and the composer empties.
#[derive(Clone, Default)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Bytes {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }
}

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// ratatui's own backend, but it never asks the terminal anything: its size is told, its cursor is unknown.
struct ByteBackend {
    inner: CrosstermBackend<Bytes>,
    size: Size,
}

impl Backend for ByteBackend {
    type Error = io::Error;

    fn draw<'a, I: Iterator<Item = (u16, u16, &'a Cell)>>(&mut self, content: I) -> io::Result<()> {
        // Nothing changed: no bytes either, not even the reset at the end.
        let mut content = content.peekable();
        if content.peek().is_some() { self.inner.draw(content) } else { Ok(()) }
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.inner.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.inner.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.inner.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        Backend::clear(&mut self.inner)
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        self.inner.clear_region(region)
    }

    fn size(&self) -> io::Result<Size> {
        Ok(self.size)
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size, pixels: Size::default() })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
