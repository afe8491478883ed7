//! Where the friend's sound and picture go, besides the screen.

pub mod speaker;
pub mod wav;
