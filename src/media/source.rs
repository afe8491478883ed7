//! Where own sound and picture come from.

pub mod tone;
pub mod wav;
