//! A STUN and TURN relay for a spare server, and the STUN/TURN wire codec that the caller uses too.
//!
//! Knows nothing of calls, media or screens.

pub mod server;
pub mod stun;
