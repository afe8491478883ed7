//! What several integration tests need.
#![allow(dead_code, reason = "each test binary uses a part of it")]

#[cfg(target_os = "linux")]
pub(crate) mod pulse;
pub(crate) mod signal;
