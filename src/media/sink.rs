//! Where the friend's sound and picture end up.

pub mod wav;
pub mod y4m;
