//! Where own sound and picture come from.

pub mod tone;
pub mod voice;
pub mod wav;
