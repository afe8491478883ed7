//! Sound and picture: capture, coding, playout.

pub mod audio;
pub mod device;
pub mod frame;
pub mod jitter;
pub mod level;
pub mod quiet;
pub mod resample;
pub mod sink;
pub mod sound;
pub mod source;
