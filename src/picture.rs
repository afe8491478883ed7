//! A picture, a rectangle of cells and a colour depth in; the bytes for the terminal out.
//!
//! ```text
//! PictureSource (I420) ──place──> cells ──sample──> colours of every cell ──fit──> glyph, ink ──paint──> Vec<u8>
//!                                                                            │                    │
//!                                                   half, sextant, braille … ┘      Budget, holes ┘
//! ```
//!
//! One [`Painter`] owns one rectangle of the screen and remembers what stands there now. A cell is drawn
//! again only where that pays: where the picture gets better by more than the bytes are worth. Camera
//! noise then costs little, and a scarce link makes the picture coarser instead of late.
//!
//! Deliberately unknown here: the terminal itself (the bytes are returned, somebody else writes them), the
//! clock (a painter is told how much time passed), where the picture comes from, and what the rest of the
//! screen shows (it is told which rectangles are not its own).

mod ascii;
mod blocks;
mod braille;
mod budget;
mod cell;
mod choose;
mod color;
mod half;
mod iterm;
mod kitty;
mod octant;
mod painter;
mod pixels;
mod place;
mod quadrant;
pub mod query;
pub mod readback;
mod sample;
mod sextant;
mod sixel;
mod source;
#[cfg(test)]
mod testing;
mod text;

pub use choose::{Answers, ColorChoice, Facts, Look, Mode, Render, choose};
pub use color::{ColorDepth, Rgb, palette_color};
pub use painter::{Frame, Painter, reserve};
pub use place::{CellSize, place};
pub use source::{BadPicture, PictureSource, Plane};
