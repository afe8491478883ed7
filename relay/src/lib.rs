//! A STUN and TURN relay for a spare server, and the STUN/TURN wire codec that the caller uses too.
//!
//! Knows nothing of calls, media or screens.

#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "net")]
mod secret_file;
pub mod server;
pub mod stun;
