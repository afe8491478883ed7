//! The offer in a text: what follows one of its `P2P`, or why none of them begins an offer.

use std::ops::Range;

use super::suspect::suspect;
use super::{Complaint, MAX_TRIES};
use crate::code::OfferCode;
use crate::code::bytes::{
    DecodeError, MAX_BYTES, VERSION, decode_offer, offer_check_agrees, offer_fixed_len,
};
use crate::code::text::{Letter, PREFIX, spare_bits_are_zero, symbols_for, to_bytes, values};
use crate::code::wrong::Wrong;

const MAX_SYMBOLS: usize = symbols_for(MAX_BYTES);

/// First symbol of every offer of version 1: version 001, kind 00.
const FIRST_SYMBOL: u8 = VERSION << 2;

/// The symbols that hold the header byte.
const HEADER: Range<usize> = 0..2;

/// So many letters in one word after `P2P` are meant to be a code, whatever they begin with.
const A_CODE_AT_LEAST: usize = 40;

/// So many letters after `P2P4` are meant to be a code, even among other words.
const A_BEGINNING_AT_LEAST: usize = 8;

/// The first `P2P` that an offer follows; else the complaint about the one that looks most like it.
pub(super) fn find_offer(letters: &[Letter]) -> Result<OfferCode, Option<Complaint>> {
    let mut best: Option<(bool, &[Letter])> = None;
    for start in prefixes(letters).take(MAX_TRIES) {
        let after = letters.get(start + PREFIX.len()..).unwrap_or_default();
        if let Some(code) = offer_at(after) {
            return Ok(code);
        }
        let piece = before_prose(after);
        let alone = start == 0 && piece.len() == after.len();
        let Some(sure) = looks_meant(piece, alone) else { continue };
        if best.is_none_or(|(best_sure, best_piece)| (sure, piece.len()) > (best_sure, best_piece.len())) {
            best = Some((sure, piece));
        }
    }
    Err(best.map(|(sure, piece)| Complaint { wrong: diagnose(piece), sure }))
}

fn prefixes(letters: &[Letter]) -> impl Iterator<Item = usize> {
    letters
        .windows(PREFIX.len())
        .enumerate()
        .filter(|(_, window)| window.iter().map(|letter| letter.upper).eq(PREFIX.bytes()))
        .map(|(index, _)| index)
}

/// The offer right here, whatever follows it.
fn offer_at(after: &[Letter]) -> Option<OfferCode> {
    let values = values(after, MAX_SYMBOLS);
    let bytes = to_bytes(&values);
    let (offer, len) = decode_offer(&bytes).ok()?;
    let bytes = bytes.get(..len)?.to_vec();
    spare_bits_are_zero(&values, len).then_some(OfferCode { offer, bytes })
}

/// The letters up to the first word with lower case in it, if the code itself has none: what somebody wrote after it.
/// Where that can't be told apart, all.
fn before_prose(after: &[Letter]) -> &[Letter] {
    let after = after.get(..MAX_SYMBOLS).unwrap_or(after);
    let mut words = after.chunk_by(|_, next| !next.first);
    let Some(first) = words.next() else { return after };
    if first.iter().any(|letter| letter.lower) {
        return after;
    }
    let rest: usize =
        words.take_while(|word| !word.iter().any(|letter| letter.lower)).map(<[Letter]>::len).sum();
    after.get(..first.len() + rest).unwrap_or(after)
}

/// Whether this was meant to be an offer: surely, perhaps, or not at all.
fn looks_meant(piece: &[Letter], alone: bool) -> Option<bool> {
    let Some(first) = piece.first() else { return alone.then_some(true) };
    let word = piece.chunk_by(|_, next| !next.first).next().map_or(0, <[Letter]>::len);
    if first.value() == Some(FIRST_SYMBOL) && (alone || piece.len() >= A_BEGINNING_AT_LEAST) {
        return Some(true);
    }
    (A_CODE_AT_LEAST..MAX_SYMBOLS).contains(&word).then_some(false)
}

/// What is wrong with letters that are no offer.
fn diagnose(piece: &[Letter]) -> Wrong {
    let symbols = values(piece, MAX_SYMBOLS);
    let bytes = to_bytes(&symbols);
    match decode_offer(&bytes) {
        Ok((_, len)) => wrong_at(Some(symbols_for(len) - 1)),
        Err(DecodeError::Check { len }) => wrong_at(suspect_for_check(&bytes, len)),
        Err(DecodeError::Truncated { .. }) => truncated(piece, symbols.len(), &bytes),
        Err(_) if offer_check_agrees(&bytes) => Wrong::Newer,
        Err(DecodeError::Version(version)) => match suspect(&bytes, HEADER, is_whole) {
            None if version > VERSION => Wrong::NewerOrWrong,
            at => wrong_at(at),
        },
        Err(DecodeError::Kind(_) | DecodeError::Field(_)) => wrong_at(suspect_for_structure(&bytes)),
    }
}

/// The structure asks for more than `symbols`, which are all there are, all that have a value, or all that are read.
fn truncated(piece: &[Letter], symbols: usize, bytes: &[u8]) -> Wrong {
    if symbols == MAX_SYMBOLS {
        return wrong_at(None);
    }
    if symbols < piece.len() {
        return wrong_at(Some(symbols));
    }
    match suspect_for_structure(bytes) {
        None => Wrong::CutOff { chars: PREFIX.len() + piece.len() },
        at => wrong_at(at),
    }
}

/// Counted from 1, prefix included, as a person counts.
fn wrong_at(index: Option<usize>) -> Wrong {
    Wrong::WrongCharacter { at: index.map(|index| PREFIX.len() + index + 1) }
}

/// The structure is sound, so its length is taken for right.
fn suspect_for_check(bytes: &[u8], len: usize) -> Option<usize> {
    suspect(bytes.get(..len)?, 0..symbols_for(len), offer_check_agrees)
}

/// Something in the header or the addresses makes the structure unsound, or longer than it is.
fn suspect_for_structure(bytes: &[u8]) -> Option<usize> {
    let addresses = offer_fixed_len(false) * 8 / 5 - 4;
    let end = symbols_for(bytes.len());
    suspect(bytes, HEADER, is_whole).or_else(|| suspect(bytes, addresses..end, is_whole))
}

/// Whether these bytes, all of them, are an offer.
fn is_whole(bytes: &[u8]) -> bool {
    decode_offer(bytes).is_ok_and(|(_, len)| len == bytes.len())
}
