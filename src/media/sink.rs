//! Where the friend's sound and picture end up.

pub mod speaker;
pub mod wav;
pub mod y4m;
