//! The call code: what one person gives the other so that their two p2pcalls find each other.
//!
//! ```text
//! candidates -select-> items -> Offer -bytes-> OfferCode -text-> "P2P4…" -qr-> cells, PNG
//!                                         \-keys-> CallKeys            picture -qr::scan-> text
//! whatever was pasted -paste-> Pasted::{Offer, Reply, Sdp} | Wrong
//! ```
//!
//! `code/README.md` is the format, for whoever writes another program. All of this is pure: no socket, no file, no
//! clock (who asks says what time it is), no source of randomness (who makes an offer brings 16 random bytes).
//! It knows nothing of calls; how addresses are found, messages sent and secrets kept is elsewhere.

pub mod bytes;
pub mod expiry;
pub mod facts;
pub mod invitation;
pub mod keys;
pub mod network;
pub mod paste;
pub mod qr;
pub mod report;
pub mod sdp;
pub mod select;
pub mod text;
pub mod words;
pub mod wrong;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod vectors;

pub use bytes::EncodeError;
pub use facts::{Offer, Reply};
pub use keys::CallKeys;
pub use paste::Pasted;
pub use wrong::Wrong;

/// An offer and its bytes as they were sent, from which the keys come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferCode {
    offer: Offer,
    bytes: Vec<u8>,
}

impl OfferCode {
    /// Encodes.
    pub fn new(offer: Offer) -> Result<Self, EncodeError> {
        let bytes = bytes::encode_offer(&offer)?;
        Ok(Self { offer, bytes })
    }

    /// What it says.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Header to check.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// As people see it.
    pub fn text(&self) -> String {
        text::offer_text(&self.bytes)
    }

    /// The keys of the call it leads to.
    pub fn keys(&self) -> CallKeys {
        CallKeys::derive(&self.bytes)
    }
}

/// A reply and its bytes as they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyCode {
    reply: Reply,
    bytes: Vec<u8>,
}

impl ReplyCode {
    /// Encodes, with the check of the call it belongs to.
    pub fn new(reply: Reply, keys: &CallKeys) -> Result<Self, EncodeError> {
        let bytes = bytes::encode_reply(&reply, |before| keys.reply_check(before))?;
        Ok(Self { reply, bytes })
    }

    /// What it says.
    pub fn reply(&self) -> &Reply {
        &self.reply
    }

    /// Header to check.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// As people see it.
    pub fn text(&self) -> String {
        text::reply_text(&self.bytes)
    }

    /// Whether it was made for the call with these keys.
    pub fn agrees(&self, keys: &CallKeys) -> bool {
        keys.reply_agrees(&self.bytes)
    }
}
