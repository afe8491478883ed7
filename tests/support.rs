//! What several integration tests need.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking, waits by the clock, and says aloud what it skips"
)]

pub(crate) mod film;
pub(crate) mod process;
#[cfg(target_os = "linux")]
pub(crate) mod pulse;
pub(crate) mod signal;
