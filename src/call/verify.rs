//! PURE: the safety words' exchange. The offerer commits to a nonce, the answerer sends its own, the
//! offerer reveals: neither can choose the words, and whoever sits in the middle gets other ones on the two
//! screens. Knows neither the word list nor how words are derived.

use super::Role;
use super::channel::Talk;
use sha2::{Digest, Sha256};
use std::fmt;

/// Turns the offerer's and the answerer's nonce into words.
pub type Derive = Box<dyn Fn(&[u8; 32], &[u8; 32]) -> String + Send + Sync>;

/// Who authenticated, and what the safety words need.
pub struct Verification {
    /// 32 random bytes of this end.
    pub nonce: [u8; 32],
    /// How words are made, bound to the code and both certificates.
    pub derive: Derive,
}

impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verification")
    }
}

/// A step that the exchange does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// A message at the wrong time, or twice.
    #[error("a nonce out of order")]
    OutOfOrder,
    /// The revealed nonce is not the one that was committed to: somebody tries to choose the words.
    #[error("a nonce that was changed after the commitment")]
    WrongReveal,
}

/// One end of the exchange.
#[derive(Debug, Default)]
pub struct SafetyWords(Step);

#[derive(Debug, Default)]
enum Step {
    #[default]
    Idle,
    /// The offerer committed and waits for the answerer's nonce.
    Committed(Verification),
    /// The answerer waits for the commitment.
    Expecting(Verification),
    /// The answerer sent its nonce and waits for the reveal.
    Sent(Verification, [u8; 32]),
    /// Over: the words, and the offerer's and the answerer's nonce.
    Done(String, [[u8; 32]; 2]),
}

impl SafetyWords {
    /// Begins; the offerer's first message comes with it.
    pub fn begin(role: Role, verification: Verification) -> (Self, Option<Talk>) {
        match role {
            Role::Offerer => {
                let digest = Sha256::digest(verification.nonce).into();
                (Self(Step::Committed(verification)), Some(Talk::SasCommit { digest }))
            }
            Role::Answerer => (Self(Step::Expecting(verification)), None),
        }
    }

    /// Takes the other end's message; what to say next.
    pub fn heard(&mut self, talk: &Talk) -> Result<Option<Talk>, ExchangeError> {
        let (step, reply) = match (std::mem::take(&mut self.0), talk) {
            (Step::Committed(own), Talk::SasNonce { nonce }) => {
                let words = (own.derive)(&own.nonce, nonce);
                (Step::Done(words, [own.nonce, *nonce]), Some(Talk::SasReveal { nonce: own.nonce }))
            }
            (Step::Expecting(own), Talk::SasCommit { digest }) => {
                let nonce = own.nonce;
                (Step::Sent(own, *digest), Some(Talk::SasNonce { nonce }))
            }
            (Step::Sent(own, digest), Talk::SasReveal { nonce }) => {
                if <[u8; 32]>::from(Sha256::digest(nonce)) != digest {
                    return Err(ExchangeError::WrongReveal);
                }
                (Step::Done((own.derive)(nonce, &own.nonce), [*nonce, own.nonce]), None)
            }
            _ => return Err(ExchangeError::OutOfOrder),
        };
        self.0 = step;
        Ok(reply)
    }

    /// The words, once both nonces are known.
    pub fn words(&self) -> Option<&str> {
        match &self.0 {
            Step::Done(words, _) => Some(words),
            _ => None,
        }
    }

    /// The offerer's and the answerer's nonce, once both are known: a secret of these two ends.
    pub fn nonces(&self) -> Option<&[[u8; 32]; 2]> {
        match &self.0 {
            Step::Done(_, nonces) => Some(nonces),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verification(nonce: u8) -> Verification {
        Verification { nonce: [nonce; 32], derive: Box::new(|a, b| format!("{} {}", a[0], b[0])) }
    }

    #[test]
    fn both_ends_get_the_same_words() {
        let (mut alice, commit) = SafetyWords::begin(Role::Offerer, verification(1));
        let (mut bob, nothing) = SafetyWords::begin(Role::Answerer, verification(2));
        assert_eq!(nothing, None);
        let nonce = bob.heard(&commit.unwrap()).unwrap().unwrap();
        let reveal = alice.heard(&nonce).unwrap().unwrap();
        assert_eq!(bob.heard(&reveal), Ok(None));
        assert_eq!(alice.words(), Some("1 2"));
        assert_eq!(bob.words(), alice.words());
        assert_eq!(alice.nonces(), Some(&[[1; 32], [2; 32]]));
        assert_eq!(bob.nonces(), alice.nonces());
    }

    #[test]
    fn a_nonce_changed_after_the_commitment_is_noticed() {
        let (_, commit) = SafetyWords::begin(Role::Offerer, verification(1));
        let (mut bob, _) = SafetyWords::begin(Role::Answerer, verification(2));
        bob.heard(&commit.unwrap()).unwrap();
        assert_eq!(bob.heard(&Talk::SasReveal { nonce: [9; 32] }), Err(ExchangeError::WrongReveal));
        assert_eq!(bob.words(), None);
    }

    #[test]
    fn a_second_commitment_is_out_of_order() {
        let (mut bob, _) = SafetyWords::begin(Role::Answerer, verification(2));
        bob.heard(&Talk::SasCommit { digest: [0; 32] }).unwrap();
        assert_eq!(bob.heard(&Talk::SasCommit { digest: [0; 32] }), Err(ExchangeError::OutOfOrder));
    }
}
