//! Where own sound and picture come from.

pub mod microphone;
pub mod tone;
pub mod wav;
