//! What several integration tests need.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod signal;
