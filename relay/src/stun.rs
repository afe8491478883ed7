//! The STUN and TURN wire codec (RFC 8489, RFC 8656, RFC 5780, RFC 8445), for the server, clients,
//! keepalives and NAT diagnosis alike.
//!
//! Pure and without copies: a [`Message`] borrows the datagram it was parsed from, a [`Builder`] writes into
//! the caller's buffer. It deliberately knows no socket, no clock, no random numbers (transaction IDs come
//! from the caller) and no procedure: what to answer to whom is decided elsewhere.
//!
//! # The doors
//! | to | use |
//! |---|---|
//! | tell what a datagram is (RFC 7983) | [`Demux::of`] |
//! | read a message | [`Message::parse`], then [`Message::class`], [`Message::method`], [`Message::id`] |
//! | read an attribute | `message.get(attr::LIFETIME)`: typed by the table in [`attr`]; the first one wins |
//! | list attributes nobody here knows | [`Message::unknown_required`] |
//! | check who sent it | [`Message::verify`] with a [`Key`] and an [`Integrity`], [`Message::verify_fingerprint`] |
//! | write a message | [`Builder::new`], `.put(attr::LIFETIME, 600)`, [`Builder::finish`] with a [`Seal`] |
//! | carry data | [`ChannelNumber`], [`ChannelData`] |
//! | cut a TCP or TLS stream into messages | [`frame_length`] |
//! | register a one-call guest at our own relay | [`guest`] |
//!
//! ```
//! use p2pcall_relay::stun::{Builder, Class, Message, Method, Seal, TransactionId, attr};
//! let mut buffer = [0; 128];
//! let request = Builder::new(&mut buffer, Class::Request, Method::BINDING, TransactionId([7; 12]))
//!     .put(attr::PRIORITY, 1_862_270_975)
//!     .finish(Seal::NONE.with_fingerprint())?;
//! let message = Message::parse(request)?;
//! assert_eq!(message.get(attr::PRIORITY), Some(1_862_270_975));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod attr;
mod build;
mod channel;
mod frame;
pub mod guest;
mod header;
mod integrity;
mod message;
mod value;

pub use build::{BufferFull, Builder, Seal};
pub use channel::{CHANNEL_HEADER, ChannelData, ChannelNumber};
pub use frame::{Demux, NotFramed, frame_length};
pub use header::{Class, HEADER_LENGTH, MAGIC_COOKIE, Method, TransactionId};
pub use integrity::{Integrity, Key, PasswordAlgorithm, equal};
pub use message::{IntegrityError, Message, ParseError, RawAttribute};
pub use value::{AddressFamily, ErrorCode, Icmp, Writer};

#[cfg(test)]
mod vectors;
