//! The reply in a text. It has no prefix, so it is looked for at the beginning of every word, and must end where a
//! word ends.

use super::MAX_TRIES;
use super::suspect::suspect;
use crate::code::ReplyCode;
use crate::code::bytes::{DecodeError, MAX_BYTES, VERSION, decode_reply};
use crate::code::text::{Letter, spare_bits_are_zero, symbols_for, to_bytes, values};
use crate::code::wrong::Wrong;

const MAX_SYMBOLS: usize = symbols_for(MAX_BYTES);

/// First symbol of every reply of version 1: version 001, kind 01.
const FIRST_SYMBOL: u8 = VERSION << 2 | 1;

/// Letters of the first group of a reply.
const GROUP: usize = 4;

/// The first reply in the text that `agrees`; else what is wrong with the first that looks like one.
pub(super) fn find_reply(
    letters: &[Letter],
    agrees: impl Fn(&[u8]) -> bool,
) -> Result<ReplyCode, Option<Wrong>> {
    let mut complaint = None;
    let starts = (0..letters.len()).filter_map(|start| {
        let from = letters.get(start..)?;
        let begins = from.first().is_some_and(|letter| letter.first && letter.value() == Some(FIRST_SYMBOL));
        begins.then_some(from)
    });
    for from in starts.take(MAX_TRIES) {
        match reply_at(from, &agrees) {
            Ok(code) => return Ok(code),
            Err(wrong) => complaint = complaint.or(wrong),
        }
    }
    Err(complaint)
}

fn reply_at(from: &[Letter], agrees: &impl Fn(&[u8]) -> bool) -> Result<ReplyCode, Option<Wrong>> {
    let symbols = values(from, MAX_SYMBOLS);
    let bytes = to_bytes(&symbols);
    match decode_reply(&bytes) {
        Ok((reply, len)) => {
            let bytes = bytes.get(..len).unwrap_or_default().to_vec();
            let ends = from.get(symbols_for(len)).is_none_or(|next| next.first);
            if !ends || !spare_bits_are_zero(&symbols, len) || !agrees(&bytes) {
                return Err(None);
            }
            Ok(ReplyCode { reply, bytes })
        }
        Err(DecodeError::Truncated { .. }) if symbols.len() == from.len() && begins_like_a_group(from) => {
            let changed = suspect(&bytes, 0..symbols.len(), |bytes| {
                decode_reply(bytes).is_ok_and(|(_, len)| len == bytes.len()) && agrees(bytes)
            });
            Err(changed.is_none().then_some(Wrong::CutOff { chars: symbols.len() }))
        }
        Err(_) => Err(None),
    }
}

/// A word of at least a group's length: `5 min` is no reply.
fn begins_like_a_group(from: &[Letter]) -> bool {
    from.len() >= GROUP && from.iter().take(GROUP).skip(1).all(|letter| !letter.first)
}
