//! A laboratory of networks: two homes behind routers of any kind, an Internet and a server between them, out of
//! real kernels (network namespaces) and real processes. Needs root on Linux.
//!
//! ```text
//! alice --lan-- a1 [--lan-- a2] --wan-- inet --srv-- server
//!                                        |
//! bob   --lan-- b1 [--lan-- b2] --wan----+
//!
//! packet model gateway    PURE   what a router does, exactly (nftables cannot do all that RFC 4787 names)
//! opener                  PURE   a router that opens ports on request
//! tun router              I/O    a gateway between the two sides of a namespace, as a thread that is there
//! kind                    PURE   the kinds of access as data, and which path a pair must find
//! world                   I/O    the machines, cables and routers
//! truth                   PURE   what `diagnose` must say of each kind, asked with servers of each kind
//! relay servant           I/O    our own relay in it; servers that are plain, or lie
//! attempt                 I/O    one call across it
//! improve                 I/O    one that begins by a relay and becomes direct
//! diagnosis               I/O    what `diagnose` says in it
//! explained               I/O    what a call that cannot connect says in it
//! other                   I/O    what another tool says in it
//! crowd                   several attempts at a time
//! ```
#![allow(dead_code, unused_imports, reason = "the tests and the benchmark each use a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking, waits by the clock, and says aloud what it skips"
)]

pub(crate) mod attempt;
pub(crate) mod crowd;
pub(crate) mod diagnosis;
pub(crate) mod explained;
pub(crate) mod gateway;
pub(crate) mod improve;
pub(crate) mod kind;
pub(crate) mod model;
pub(crate) mod opener;
pub(crate) mod other;
pub(crate) mod packet;
pub(crate) mod relay;
pub(crate) mod router;
pub(crate) mod servant;
pub(crate) mod truth;
mod tun;
pub(crate) mod world;
