//! The screens: a model in, cells out. One file a screen or pane, each with its layout drawn at its head.
//! Pictures are not drawn here: [`pictures`] says where they belong and what covers them.

mod attempt;
mod call;
mod chat;
mod consent;
mod demo;
mod diagnostics;
mod help;
mod joining;
mod parts;
mod prompt;
mod qr;
mod quit;
mod status;
mod waiting;
mod words;

use crate::picture::place;
use crate::tui::model::{Layer, Model, Role, Screen, Which};
use crate::tui::text;
use crate::tui::theme::Tone;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Span;
use ratatui::widgets::Clear;

/// Below this the screens don't fit.
pub const SMALLEST: (u16, u16) = (40, 12);

/// Where a picture belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureArea {
    /// Whose.
    pub which: Which,
    /// The cells it may take.
    pub rect: Rect,
    /// The cells it takes, in its shape.
    pub placed: Rect,
    /// What covers it: these cells are not the picture's.
    pub holes: Vec<Rect>,
}

impl PictureArea {
    /// A picture of this size, as large as fits.
    fn new(model: &Model, which: Which, rect: Rect, size: (u32, u32)) -> Self {
        Self { which, rect, placed: place(size, rect, model.look.cell), holes: Vec::new() }
    }
}

/// Text of several rows that the terminal should wrap by itself, so that it selects and copies it as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// Where it starts, in the first column.
    pub at: Position,
    /// Printable ASCII.
    pub text: String,
}

/// Draws the model.
pub fn view(model: &Model, frame: &mut Frame, area: Rect) {
    let area = area.intersection(frame.area());
    if too_small(area) {
        let words = format!("{} x {} cells at least, please", SMALLEST.0, SMALLEST.1);
        frame.render_widget(Span::raw(text::clip(&words, area.width.into())), area);
        return finish(model, frame.buffer_mut(), area);
    }
    match &model.screen {
        Screen::Prompt(input) => prompt::view(model, input, frame, area),
        Screen::Waiting => waiting::view(model, frame, area),
        Screen::Consent => consent::view(model, frame, area),
        Screen::Joining => joining::view(model, frame, area),
        Screen::Call if model.role == Role::Demo => demo::view(model, frame, area),
        Screen::Call => call::view(model, frame, area),
        Screen::Leaving(_) => parts::centered(frame, area, &["Hanging up…"]),
    }
    if let Some(popup) = popup(model, area) {
        frame.render_widget(Clear, popup);
        match &model.layer {
            Layer::Help(top) => help::view(model, *top, frame, popup),
            Layer::Quit => quit::view(model, frame, popup),
            Layer::Words => words::view(model, frame, popup),
            Layer::None | Layer::Reply(_) | Layer::Chat(_) | Layer::File(_) => {}
        }
    }
    finish(model, frame.buffer_mut(), area);
}

/// Where pictures belong, in the order in which they are drawn.
pub fn pictures(model: &Model, area: Rect) -> Vec<PictureArea> {
    if too_small(area) || model.screen != Screen::Call {
        return Vec::new();
    }
    let mut areas =
        if model.role == Role::Demo { demo::pictures(model, area) } else { call::pictures(model, area) };
    if let Some(popup) = popup(model, area) {
        for picture in &mut areas {
            picture.holes.push(popup);
        }
    }
    areas
}

/// How many rows the chat has by now in its pane, and how many of them are seen.
pub(super) fn chat_extent(model: &Model) -> (usize, usize) {
    let area = Rect::new(0, 0, model.size.0, model.size.1);
    if too_small(area) { (0, 0) } else { call::chat_extent(model, area) }
}

/// How many of them are the newest line's.
pub(super) fn newest_chat_rows(model: &Model) -> usize {
    let area = Rect::new(0, 0, model.size.0, model.size.1);
    if too_small(area) { 0 } else { call::newest_chat_rows(model, area) }
}

/// The code, where it takes more than one row and nothing covers it.
pub fn wrapped(model: &Model, area: Rect) -> Option<Wrapped> {
    let shows_code = matches!(model.screen, Screen::Waiting | Screen::Joining);
    if too_small(area) || !shows_code || popup(model, area).is_some() {
        return None;
    }
    waiting::wrapped(model, area)
}

fn too_small(area: Rect) -> bool {
    area.width < SMALLEST.0 || area.height < SMALLEST.1
}

/// The cells of what lies over the screen.
fn popup(model: &Model, area: Rect) -> Option<Rect> {
    let (width, height) = match &model.layer {
        Layer::Help(_) => help::size(model),
        Layer::Quit => quit::SIZE,
        Layer::Words => words::SIZE,
        Layer::None | Layer::Reply(_) | Layer::Chat(_) | Layer::File(_) => return None,
    };
    Some(parts::middle(area, width, height))
}

/// The last touch: a terminal without UTF-8 gets ASCII only.
fn finish(model: &Model, buffer: &mut Buffer, area: Rect) {
    if model.look.utf8 {
        return;
    }
    for position in area.positions() {
        let Some(cell) = buffer.cell_mut(position) else { continue };
        if cell.symbol().is_ascii() {
            continue;
        }
        let wide = text::width(cell.symbol()) > 1;
        cell.set_symbol(text::ascii(cell.symbol()));
        if wide && let Some(next) = buffer.cell_mut(Position::new(position.x + 1, position.y)) {
            next.set_symbol(" ");
        }
    }
}

/// The tone's style in this model's look.
fn style(model: &Model, tone: Tone) -> ratatui::style::Style {
    model.look.style(tone)
}
