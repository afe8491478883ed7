//! Sound and picture: capture, coding, playout.

pub mod assemble;
pub mod frame;
pub mod picture;
pub mod sink;
pub mod slot;
pub mod source;
pub mod video;
