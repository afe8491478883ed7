//! The safety words: four words that both ends read to each other, to know that nobody sits in between.
//!
//! The offerer commits to its nonce before it sees the answerer's, so that somebody in the middle, who needs the same
//! words on two calls, has one guess in 2^32 and cannot try out nonces:
//!
//! ```text
//! offerer                          answerer
//!    | -- commit(nA) ----------------> |
//!    | <----------------------- nB --- |
//!    | -- nA ------------------------> |   checks it against the commitment
//! words(nA, nB, certificates, code)   words(nA, nB, certificates, code)
//! ```
//!
//! Knows nothing of how the nonces travel or come to be.

mod list;

use hkdf::Hkdf;
use sha2::{Digest, Sha256};

use super::keys::{CallKeys, Key, SALT, expand};
use list::WORDS;

/// 32 random bytes, fresh for each exchange.
pub type Nonce = [u8; 32];

/// What the offerer sends first.
pub fn commit(offerer_nonce: &Nonce) -> [u8; 32] {
    Sha256::digest(offerer_nonce).into()
}

/// Whether the nonce that was revealed is the one that was committed to. Both are public by now.
pub fn commitment_holds(commitment: &[u8; 32], offerer_nonce: &Nonce) -> bool {
    commit(offerer_nonce) == *commitment
}

/// What goes into the words.
#[derive(Debug, Clone, Copy)]
pub struct SafetyInput<'a> {
    /// nA.
    pub offerer_nonce: &'a Nonce,
    /// nB.
    pub answerer_nonce: &'a Nonce,
    /// SHA-256 of the offerer's DER certificate.
    pub offerer_hash: &'a [u8; 32],
    /// SHA-256 of the answerer's DER certificate.
    pub answerer_hash: &'a [u8; 32],
    /// [`CallKeys::sas`](super::keys::CallKeys::sas), which stands for the code.
    pub sas: &'a Key,
}

/// The four words, the same at both ends.
pub fn safety_words(input: &SafetyInput<'_>) -> [&'static str; 4] {
    expand::<4>(&input.hkdf(), "sas").map(word)
}

/// The keys with which two ends that have met find each other again. Nobody else has them: the nonces went through
/// the encrypted connection, while the code may have been seen on its way.
pub fn again_keys(input: &SafetyInput<'_>) -> CallKeys {
    CallKeys::expand(&input.hkdf(), "again ")
}

impl SafetyInput<'_> {
    fn hkdf(&self) -> Hkdf<Sha256> {
        let material = [
            self.offerer_nonce.as_slice(),
            self.answerer_nonce,
            self.offerer_hash,
            self.answerer_hash,
            &self.sas.0,
        ];
        Hkdf::<Sha256>::new(Some(SALT), &material.concat())
    }
}

#[expect(clippy::indexing_slicing, reason = "a byte is always within 256 words")]
fn word(byte: u8) -> &'static str {
    WORDS[usize::from(byte)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five fields that are always the same but for one.
    fn with<T>(change: u8, make: impl Fn(&SafetyInput<'_>) -> T) -> T {
        let fields: [[u8; 32]; 5] =
            std::array::from_fn(|i| [if i == usize::from(change) { 99 } else { i as u8 }; 32]);
        make(&SafetyInput {
            offerer_nonce: &fields[0],
            answerer_nonce: &fields[1],
            offerer_hash: &fields[2],
            answerer_hash: &fields[3],
            sas: &Key(fields[4]),
        })
    }

    fn words(change: u8) -> [&'static str; 4] {
        with(change, safety_words)
    }

    #[test]
    fn whatever_differs_gives_other_keys_to_meet_again() {
        let keys = |change| {
            let keys = with(change, again_keys);
            (keys.offer_ice, keys.answer_ice, keys.auth)
        };
        assert_eq!(keys(9), keys(9));
        for change in 0..5 {
            let (same, other) = (keys(9), keys(change));
            assert_ne!(same.0, other.0, "field {change}");
            assert_ne!(same.1, other.1, "field {change}");
            assert_ne!(same.2, other.2, "field {change}");
        }
    }

    #[test]
    fn whatever_differs_gives_other_words() {
        let same = words(9);
        assert_eq!(same, words(9));
        for change in 0..5 {
            assert_ne!(words(change), same, "field {change}");
        }
    }

    #[test]
    fn a_nonce_that_was_not_committed_to_is_found_out() {
        let commitment = commit(&[1; 32]);
        assert!(commitment_holds(&commitment, &[1; 32]));
        assert!(!commitment_holds(&commitment, &[2; 32]));
    }

    #[test]
    fn no_two_words_can_be_taken_for_each_other() {
        for (index, word) in WORDS.iter().enumerate() {
            assert!((4..=8).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase()), "{word}");
            for other in &WORDS[index + 1..] {
                assert!(word < other, "in order: {word}, {other}");
                assert!(edits(word, other) >= 3, "{word} and {other}");
            }
        }
    }

    /// Letters to change, add or leave out to make one of the other (Levenshtein).
    fn edits(a: &str, b: &str) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.bytes().enumerate() {
            let mut diagonal = std::mem::replace(&mut row[0], i + 1);
            for (j, y) in b.bytes().enumerate() {
                let best = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
                diagonal = std::mem::replace(&mut row[j + 1], best);
            }
        }
        row[b.len()]
    }
}
