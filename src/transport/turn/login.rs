//! How a TURN client proves who it is: long-term credentials (RFC 8489 §9.2), and time-limited ones out of a
//! shared secret. Pure; the wall clock is told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p2pcall_relay::server::{Credential, time_limited};
use p2pcall_relay::stun::{Builder, Integrity, Key, Message, PasswordAlgorithm, Seal, attr};

use crate::config::RelayLogin;

/// How long credentials out of a secret are valid. A day, so that a clock that is hours off does no harm.
const SECRET_LIFETIME: u64 = 24 * 3600;

/// RFC 8489 §9.2: a nonce that begins so carries the security features in its next four characters.
const NONCE_COOKIE: &str = "obMatJos2";

/// RFC 8489 §18.1: the bit of the password algorithms among 24 features, numbered from the left.
const FEATURE_ALGORITHMS: u8 = 0x80;

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    credential: Credential,
    from_secret: bool,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({}, …)", self.credential.user)
    }
}

impl Login {
    /// What a link says, at this time (Unix seconds); `None` if it says nothing.
    pub fn of(login: &RelayLogin, unix_now: u64) -> Option<Self> {
        match login {
            RelayLogin::Password(credential) => {
                Some(Self { credential: credential.clone(), from_secret: false })
            }
            RelayLogin::Secret(secret) => {
                let credential = time_limited(secret, unix_now + SECRET_LIFETIME, None);
                Some(Self { credential, from_secret: true })
            }
            RelayLogin::None => None,
        }
    }

    /// Whether it was made from a secret, so that a clock may be to blame for a refusal.
    pub fn is_from_secret(&self) -> bool {
        self.from_secret
    }
}

/// What a server has said about how to authenticate.
#[derive(Debug)]
pub(super) struct Challenge {
    realm: String,
    nonce: String,
    /// The PASSWORD-ALGORITHMS as offered, where SHA-256 is among them.
    offered: Option<Vec<u8>>,
    key: Key,
}

impl Challenge {
    /// RFC 8489 §9.2.4: REALM and NONCE out of a 401 or 438; a 438 may leave the realm out.
    pub(super) fn read(message: &Message<'_>, login: &Login, before: Option<&Self>) -> Option<Self> {
        let nonce = message.get(attr::NONCE)?.to_owned();
        let realm = message.get(attr::REALM).or(before.map(|before| before.realm.as_str()))?.to_owned();
        let offered = message.get(attr::PASSWORD_ALGORITHMS).filter(|list| offers_sha256(&nonce, list));
        let algorithm = if offered.is_some() { PasswordAlgorithm::Sha256 } else { PasswordAlgorithm::Md5 };
        let Credential { user, password } = &login.credential;
        let key = Key::long_term(algorithm, user, &realm, password);
        Some(Self { realm, nonce, offered: offered.map(<[u8]>::to_vec), key })
    }

    /// Adds what an authenticated request carries.
    pub(super) fn put<'b>(&self, builder: Builder<'b>, login: &Login) -> Builder<'b> {
        let builder = builder
            .put(attr::USERNAME, login.credential.user.as_str())
            .put(attr::REALM, self.realm.as_str())
            .put(attr::NONCE, self.nonce.as_str());
        match &self.offered {
            Some(list) => builder
                .put(attr::PASSWORD_ALGORITHMS, list.as_slice())
                .put(attr::PASSWORD_ALGORITHM, PasswordAlgorithm::Sha256),
            None => builder,
        }
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    pub(super) fn seal(&self) -> Seal<'_> {
        Seal::with(&self.key, self.integrity())
    }

    /// Whether a message was made by somebody who knows the password.
    pub(super) fn verifies(&self, message: &Message<'_>) -> bool {
        message.verify(&self.key, self.integrity()).is_ok()
    }

    /// RFC 8489 §9.2.4: where algorithms are offered, MESSAGE-INTEGRITY-SHA256.
    fn integrity(&self) -> Integrity {
        if self.offered.is_some() { Integrity::Sha256 } else { Integrity::Sha1 }
    }
}

/// RFC 8489 §9.2.1: the list counts only if the nonce says that nobody has taken it out or put it in.
fn offers_sha256(nonce: &str, list: &[u8]) -> bool {
    let features = nonce.strip_prefix(NONCE_COOKIE).and_then(|rest| rest.get(..4));
    let features = features.and_then(|features| STANDARD.decode(features).ok());
    let protected =
        features.and_then(|features| features.first().copied()).unwrap_or(0) & FEATURE_ALGORITHMS != 0;
    protected && first_algorithms(list).any(|number| number == PasswordAlgorithm::Sha256.number())
}

/// RFC 8489 §14.11: number, length of parameters, parameters padded to four bytes.
fn first_algorithms(mut list: &[u8]) -> impl Iterator<Item = u16> {
    std::iter::from_fn(move || {
        let (&[n1, n0, l1, l0], rest) = list.split_first_chunk()?;
        let parameters = usize::from(u16::from_be_bytes([l1, l0])).next_multiple_of(4);
        list = rest.get(parameters..).unwrap_or_default();
        Some(u16::from_be_bytes([n1, n0]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_makes_the_password_that_coturn_expects() {
        // printf 1700086400 | openssl dgst -sha1 -hmac north -binary | base64
        let login = Login::of(&RelayLogin::Secret("north".into()), 1_700_000_000).unwrap();
        assert_eq!(
            (login.credential.user.as_str(), login.credential.password.as_str()),
            ("1700086400", "K+RlgFj3QLvB7WAVHfjfgMgyBeA=")
        );
        assert!(login.is_from_secret());
    }

    #[test]
    fn algorithms_count_only_with_a_nonce_that_vouches_for_them() {
        let list = PasswordAlgorithm::LIST;
        for (nonce, list, expect) in [
            ("obMatJos2gAAAxyz", list, true),
            ("obMatJos2AAAAxyz", list, false),
            ("obMatJos2", list, false),
            ("xyz", list, false),
            ("obMatJos2gAAAxyz", &[0, 1, 0, 0], false),
            ("obMatJos2gAAAxyz", &[0, 2], false),
        ] {
            assert_eq!(offers_sha256(nonce, list), expect, "{nonce}");
        }
    }

    #[test]
    fn neither_password_nor_secret_is_ever_printed() {
        let credential = Credential { user: "u".into(), password: "hush".into() };
        let login = Login::of(&RelayLogin::Password(credential), 0).unwrap();
        assert_eq!(format!("{login:?}"), "Login(u, …)");
    }
}
