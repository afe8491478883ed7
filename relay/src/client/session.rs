//! Who we are to a server: credential, realm, nonce (RFC 8489 §9.2). Pure but for random transaction IDs.

use crate::server::{Credential, SHA256_NONCE_PREFIX};
use crate::stun::{
    Builder, Class, Integrity, Key, Message, Method, PasswordAlgorithm, Seal, TransactionId, attr,
};

/// The longest request.
const MAX_REQUEST: usize = 2048;

/// An error response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The code.
    pub code: u16,
    /// The server's words, made printable.
    pub reason: String,
    /// Asking again with what the server gave may help.
    pub again: bool,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.reason.as_str() {
            "" => write!(f, "refused with {}", self.code),
            reason => write!(f, "refused with {}: {reason}", self.code),
        }
    }
}

/// Credential and what the server said to it.
#[derive(Clone, Debug)]
pub struct Session {
    credential: Option<Credential>,
    challenge: Option<Challenge>,
}

#[derive(Clone, Debug)]
struct Challenge {
    realm: String,
    nonce: String,
    algorithms: Option<Vec<u8>>,
    key: Key,
}

impl Session {
    /// Without a credential only Binding requests make sense.
    pub fn new(credential: Option<Credential>) -> Self {
        Self { credential, challenge: None }
    }

    /// The server's clock, if its nonce tells it: our own relay's does (seconds since 1970).
    pub fn server_time(&self) -> Option<u64> {
        use base64::Engine as _;
        let nonce = &self.challenge.as_ref()?.nonce;
        let nonce = nonce.strip_prefix(SHA256_NONCE_PREFIX).unwrap_or(nonce);
        // coturn's has the same length, and is nothing but random hexadecimal digits.
        if nonce.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let bytes = base64::engine::general_purpose::STANDARD.decode(nonce).ok()?;
        let (&time, mac) = bytes.split_first_chunk()?;
        (mac.len() == 8).then(|| u64::from(u32::from_be_bytes(time)))
    }

    /// A request and its transaction ID. `fill` is given the key that will sign it, once there is one.
    pub(super) fn request(
        &self,
        method: Method,
        fill: impl for<'b> Fn(Builder<'b>, Option<(&Key, &TransactionId)>) -> Builder<'b>,
        signed: bool,
    ) -> Option<(TransactionId, Vec<u8>)> {
        let id = TransactionId(crate::random_bytes()?);
        let mut buffer = [0; MAX_REQUEST];
        let builder = Builder::new(&mut buffer, Class::Request, method, id);
        let bytes = match (&self.credential, self.challenge.as_ref().filter(|_| signed)) {
            (Some(credential), Some(challenge)) => {
                let builder = fill(builder, Some((&challenge.key, &id)))
                    .put(attr::USERNAME, &credential.user)
                    .put(attr::REALM, &challenge.realm)
                    .put(attr::NONCE, &challenge.nonce);
                match &challenge.algorithms {
                    Some(list) => builder
                        .put(attr::PASSWORD_ALGORITHMS, list)
                        .put(attr::PASSWORD_ALGORITHM, PasswordAlgorithm::Sha256)
                        .finish(Seal::signed_sha256(&challenge.key)),
                    None => builder.finish(Seal::signed(&challenge.key)),
                }
            }
            _ => fill(builder, None).finish(Seal::NONE),
        };
        Some((id, bytes.ok()?.to_vec()))
    }

    /// Takes an answer: remembers a challenge, checks who answered.
    pub(super) fn learn(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let refused = |code, reason: &str, again| Refused { code, reason: reason.to_owned(), again };
        let Ok(answer) = Message::parse(bytes) else {
            return Err(refused(0, "the answer is no STUN", false));
        };
        if answer.class() == Class::Success {
            // RFC 8489 §9.2.5: an answer to a signed request that is not signed by the same key is none.
            let forged = self.challenge.as_ref().is_some_and(|challenge| {
                let integrity =
                    if challenge.algorithms.is_some() { Integrity::Sha256 } else { Integrity::Sha1 };
                answer.method() != Method::BINDING && answer.verify(&challenge.key, integrity).is_err()
            });
            return if forged { Err(refused(0, "the answer is not the server's", false)) } else { Ok(()) };
        }
        let error = answer.get(attr::ERROR_CODE);
        let code = error.map_or(0, |error| error.code);
        let reason: String =
            error.map_or("", |error| error.reason).chars().filter(|c| !c.is_control()).take(127).collect();
        let first = self.challenge.is_none();
        let challenged = matches!(code, 401 | 438) && self.take_challenge(&answer);
        Err(Refused { code, reason, again: challenged && (code == 438 || first) })
    }

    fn take_challenge(&mut self, answer: &Message<'_>) -> bool {
        let (Some(credential), Some(realm), Some(nonce)) =
            (&self.credential, answer.get(attr::REALM), answer.get(attr::NONCE))
        else {
            return false;
        };
        let offered = answer.get(attr::PASSWORD_ALGORITHMS).filter(|_| nonce.starts_with("obMatJos2"));
        let algorithms = offered.filter(|list| *list == PasswordAlgorithm::LIST).map(<[u8]>::to_vec);
        let algorithm = if algorithms.is_some() { PasswordAlgorithm::Sha256 } else { PasswordAlgorithm::Md5 };
        let key = Key::long_term(algorithm, &credential.user, realm, &credential.password);
        self.challenge =
            Some(Challenge { realm: realm.to_owned(), nonce: nonce.to_owned(), algorithms, key });
        true
    }
}
