//! The life of a call.

pub mod event;
pub mod identity;
pub mod peer;
