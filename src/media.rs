//! Sound and picture of a call: capture, coding, playout.

pub mod assemble;
pub mod audio;
pub mod frame;
pub mod jitter;
pub mod level;
pub mod picture;
pub mod resample;
pub mod sink;
pub mod slot;
pub mod sound;
pub mod source;
pub mod video;
