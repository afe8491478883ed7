//! From whatever somebody pasted to the code in it, or to what is wrong with it.
//!
//! Chat markdown, quotes, `>` marks, line wraps, a link or an invitation around the code, lower case and letters that
//! look alike are all forgiven. The work is linear in the text, which is bounded.
//!
//! Knows nothing of calls but the keys of the one that a reply must belong to.

mod offer;
mod reply;
mod suspect;

use super::keys::CallKeys;
use super::sdp::{Sdp, SdpKind, find_sdp};
use super::text::{Letter, letters};
use super::wrong::Wrong;
use super::{OfferCode, ReplyCode};
use offer::find_offer;
use reply::find_reply;

/// More text than this is not looked at: 1 MiB.
pub const MAX_PASTE: usize = 1 << 20;

/// Most places in a text at which a code is tried to begin.
const MAX_TRIES: usize = 256;

/// The code in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pasted {
    /// An offer whose check bytes agree.
    Offer(OfferCode),
    /// What looks like a reply: only the keys of its call can tell.
    Reply(ReplyCode),
    /// A classic session description.
    Sdp(Sdp),
}

/// How sure it is that what was found, and is wrong, was meant to be a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Complaint {
    wrong: Wrong,
    sure: bool,
}

/// Any kind of code.
pub fn read(text: &str) -> Result<Pasted, Wrong> {
    let letters = bounded_letters(text)?;
    let offer = match find_offer(&letters) {
        Ok(code) => return Ok(Pasted::Offer(code)),
        Err(complaint) => complaint,
    };
    let sdp = match find_sdp(text) {
        Ok(sdp) => return Ok(Pasted::Sdp(sdp)),
        Err(wrong) => wrong,
    };
    if let Some(Complaint { wrong, sure: true }) = offer {
        return Err(wrong);
    }
    let reply = match find_reply(&letters, |_| true) {
        Ok(code) => return Ok(Pasted::Reply(code)),
        Err(wrong) => wrong,
    };
    Err(sdp.or(offer.map(|complaint| complaint.wrong)).or(reply).unwrap_or(Wrong::NoCode))
}

/// What `answer` takes: an offer of either form.
pub fn read_offer(text: &str) -> Result<Pasted, Wrong> {
    match read(text)? {
        Pasted::Reply(_) | Pasted::Sdp(Sdp { kind: SdpKind::Answer, .. }) => Err(Wrong::ReplyForOffer),
        offer => Ok(offer),
    }
}

/// What a waiting offer takes: the reply to it. `keys` are those of `own`.
pub fn read_reply(text: &str, own: &OfferCode, keys: &CallKeys) -> Result<ReplyCode, Wrong> {
    let letters = bounded_letters(text)?;
    let reply = match find_reply(&letters, |bytes| keys.reply_agrees(bytes)) {
        Ok(code) => return Ok(code),
        Err(wrong) => wrong,
    };
    match find_offer(&letters) {
        Ok(code) if code == *own => return Err(Wrong::OwnOffer),
        Ok(_) | Err(Some(Complaint { sure: true, .. })) => return Err(Wrong::OfferForReply),
        Err(_) => {}
    }
    match find_sdp(text) {
        Ok(Sdp { kind: SdpKind::Offer, .. }) => Err(Wrong::OfferForReply),
        _ if letters.is_empty() => Err(Wrong::NoCode),
        _ => Err(reply.unwrap_or(Wrong::NotTheReply)),
    }
}

/// What an offer made with `--sdp` takes: a session description that answers it.
pub fn read_sdp_answer(text: &str) -> Result<Sdp, Wrong> {
    if text.len() > MAX_PASTE {
        return Err(Wrong::TooLong { bytes: text.len() });
    }
    match find_sdp(text) {
        Ok(sdp) if sdp.kind == SdpKind::Answer => Ok(sdp),
        Ok(_) => Err(Wrong::OfferForReply),
        Err(wrong) => Err(wrong.unwrap_or(Wrong::NotTheReply)),
    }
}

fn bounded_letters(text: &str) -> Result<Vec<Letter>, Wrong> {
    if text.len() > MAX_PASTE {
        return Err(Wrong::TooLong { bytes: text.len() });
    }
    Ok(letters(text))
}

#[cfg(test)]
mod tests;
