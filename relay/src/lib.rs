//! A STUN and TURN relay for a spare server, and the STUN/TURN wire codec that the caller uses too.
//!
//! | module | what it is | feature |
//! |---|---|---|
//! | [`stun`] | the wire codec, pure | |
//! | [`server`] | the relay without sockets, pure | |
//! | [`link`] | how a relay is named in one line, pure | |
//! | `client`, `check` | talking to a relay; testing one | `client` |
//! | `net` | the relay on sockets | `net` |
//! | `program` | the `p2pcall-relay` program | `server` |
//!
//! Knows nothing of calls, media or screens.

#[cfg(feature = "client")]
pub mod check;
#[cfg(feature = "client")]
pub mod client;
pub mod link;
pub mod server;
pub mod stun;

#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "net")]
pub mod secret_file;

#[cfg(feature = "server")]
mod calendar;
#[cfg(feature = "server")]
mod cli;
#[cfg(feature = "server")]
mod config;
#[cfg(feature = "server")]
mod journal;
#[cfg(feature = "server")]
mod machine;
#[cfg(feature = "server")]
mod metrics;
#[cfg(feature = "server")]
mod owner;
#[cfg(feature = "server")]
pub mod program;
#[cfg(feature = "server")]
mod serve;
#[cfg(feature = "server")]
mod state;

/// Bytes from the operating system's generator; `None` if it has none to give.
#[cfg(feature = "client")]
pub(crate) fn random_bytes<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}
