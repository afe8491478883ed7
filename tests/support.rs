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

pub(crate) mod coturn;
pub(crate) mod film;
#[cfg(target_os = "linux")]
pub(crate) mod lab;
pub(crate) mod own_relay;
pub(crate) mod process;
#[cfg(target_os = "linux")]
pub(crate) mod pulse;
pub(crate) mod signal;
pub(crate) mod stranger;

/// Says what was measured, for whoever runs the tests with `--nocapture`.
pub(crate) fn measured(what: &str, took: std::time::Duration) {
    println!("measured: {what}: {} ms", took.as_millis());
}
