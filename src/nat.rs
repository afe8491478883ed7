//! What the network does to calls, measured and said in plain words: `p2pcall diagnose`, and the prediction of a
//! call's path.
//!
//! ```text
//!  run (I/O) --packets--> probe --findings--> classify --+
//!     |  tcp, tls, http, relays, port mapping, hops      |--> report: verdict, lines, advice, JSON
//!     +----------------------- Facts --------------------+
//!                               summary of this end ------+
//!                               summary out of a code ----+--> predict: path, sure, why
//! ```
//!
//! [`explain`] says afterwards why an attempt came to nothing. It, [`probe`], [`classify`], [`predict`] and [`report`]
//! are pure; [`run`] and [`portmap`] have the sockets. None of them knows of calls or codes beyond the sixteen bits of
//! [`crate::code::network`].

pub mod classify;
pub mod explain;
pub mod facts;
pub mod glance;
pub mod meet;
pub mod portmap;
pub mod predict;
pub mod probe;
pub mod report;
pub mod run;
pub mod turns;
