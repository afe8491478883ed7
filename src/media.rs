//! Sound and picture: capture, coding, playout.

pub mod frame;
