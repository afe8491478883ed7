//! Where received pictures go besides the screen.

pub mod y4m;
