//! What both ends derive from an offer: ICE credentials, authentication, the reply's check, the guest account.
//!
//! Everything comes out of all bytes of the offer, check included: whatever changed on the way gives other keys and
//! no connection, never a silent redirection. Knows nothing of connections or messages.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// HKDF's salt (RFC 5869 §2.2): keys of another version of the format have nothing in common with these.
pub(super) const SALT: &[u8] = b"p2pcall/1";

/// ICE's short-term credentials of one side (RFC 8445 §5.3); all in `ice-char`, `A-Za-z0-9+/`.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// 8 characters, 48 bits.
    pub ufrag: String,
    /// 24 characters, 144 bits; RFC 8445 asks for 128.
    pub pwd: String,
}

/// A secret that both ends know. Never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key(pub [u8; 32]);

/// All keys of one call.
#[derive(Clone)]
pub struct CallKeys {
    /// The offerer's.
    pub offer_ice: IceCredentials,
    /// The answerer's.
    pub answer_ice: IceCredentials,
    /// For [`CallKeys::auth_mac`].
    pub auth: Key,
    /// For [`CallKeys::reply_check`].
    pub reply: Key,
    /// The code's share in the safety words.
    pub sas: Key,
    /// USERNAME of the one-call guest at the offerer's relay: 16 characters.
    pub guest_user: String,
    /// The guest's password: 24 characters.
    pub guest_key: String,
}

/// Who speaks, in an authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Made the code.
    Offerer,
    /// Was given it.
    Answerer,
}

/// SHA-256 of a DER certificate, as [`Fingerprint`](super::facts::Fingerprint) and the authentication use it.
pub fn certificate_hash(der: &[u8]) -> [u8; 32] {
    Sha256::digest(der).into()
}

impl CallKeys {
    /// From the bytes of an offer, header to check, as they were sent.
    pub fn derive(offer: &[u8]) -> Self {
        Self::expand(&Hkdf::<Sha256>::new(Some(SALT), offer), "")
    }

    /// From a secret, each by its label behind a prefix.
    pub(super) fn expand(hkdf: &Hkdf<Sha256>, prefix: &str) -> Self {
        let label = |name: &str| format!("{prefix}{name}");
        let ice = |ufrag, pwd| IceCredentials {
            ufrag: STANDARD_NO_PAD.encode(expand::<6>(hkdf, &label(ufrag))),
            pwd: STANDARD_NO_PAD.encode(expand::<18>(hkdf, &label(pwd))),
        };
        Self {
            offer_ice: ice("o-ufrag", "o-pwd"),
            answer_ice: ice("a-ufrag", "a-pwd"),
            auth: Key(expand(hkdf, &label("auth"))),
            reply: Key(expand(hkdf, &label("reply"))),
            sas: Key(expand(hkdf, &label("sas"))),
            guest_user: STANDARD_NO_PAD.encode(expand::<12>(hkdf, &label("guest-user"))),
            guest_key: STANDARD_NO_PAD.encode(expand::<18>(hkdf, &label("guest-key"))),
        }
    }

    /// The check bytes of a reply to this call's offer, over all that comes before them.
    pub fn reply_check(&self, before: &[u8]) -> [u8; 2] {
        let [first, second, ..] = <[u8; 32]>::from(mac(&self.reply, &[before]).finalize().into_bytes());
        [first, second]
    }

    /// Whether `reply`, check included, was made for this call. In constant time.
    pub fn reply_agrees(&self, reply: &[u8]) -> bool {
        reply
            .split_last_chunk::<2>()
            .is_some_and(|(before, check)| mac(&self.reply, &[before]).verify_truncated_left(check).is_ok())
    }

    /// What `role` sends first on the data channel, over both certificates ([`certificate_hash`]).
    pub fn auth_mac(&self, role: Role, offerer_hash: &[u8; 32], answerer_hash: &[u8; 32]) -> [u8; 32] {
        self.auth(role, offerer_hash, answerer_hash).finalize().into_bytes().into()
    }

    /// Whether `received` is what `role` must have sent. In constant time.
    pub fn auth_agrees(
        &self,
        role: Role,
        offerer_hash: &[u8; 32],
        answerer_hash: &[u8; 32],
        received: &[u8],
    ) -> bool {
        self.auth(role, offerer_hash, answerer_hash).verify_slice(received).is_ok()
    }

    fn auth(&self, role: Role, offerer_hash: &[u8; 32], answerer_hash: &[u8; 32]) -> Hmac<Sha256> {
        let role = match role {
            Role::Offerer => 0x00,
            Role::Answerer => 0x01,
        };
        mac(&self.auth, &[&[role], offerer_hash, answerer_hash])
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104 §3)")]
fn mac(key: &Key, parts: &[&[u8]]) -> Hmac<Sha256> {
    let mac = Hmac::new_from_slice(&key.0).expect("HMAC takes a key of any length");
    parts.iter().fold(mac, Hmac::chain_update)
}

#[expect(
    clippy::expect_used,
    reason = "N is a constant of some 32 bytes, the limit is 8,160 (RFC 5869 §2.3)"
)]
pub(super) fn expand<const N: usize>(hkdf: &Hkdf<Sha256>, label: &str) -> [u8; N] {
    let mut out = [0; N];
    hkdf.expand(label.as_bytes(), &mut out).expect("a key is far shorter than HKDF's limit");
    out
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceCredentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

impl fmt::Debug for CallKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallKeys")
            .field("offer_ice", &self.offer_ice)
            .field("answer_ice", &self.answer_ice)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_as_long_as_ice_wants_them() {
        let keys = CallKeys::derive(b"an offer");
        for ice in [&keys.offer_ice, &keys.answer_ice] {
            assert_eq!((ice.ufrag.len(), ice.pwd.len()), (8, 24));
        }
        assert_eq!((keys.guest_user.len(), keys.guest_key.len()), (16, 24));
        assert_ne!(keys.offer_ice, keys.answer_ice);
    }

    #[test]
    fn one_bit_of_the_offer_changes_every_key() {
        let (a, b) = (CallKeys::derive(b"an offer"), CallKeys::derive(b"an offes"));
        assert_ne!(a.offer_ice, b.offer_ice);
        assert_ne!(a.answer_ice, b.answer_ice);
        assert_ne!((a.auth, a.reply, a.sas), (b.auth, b.reply, b.sas));
        assert_ne!((a.guest_user, a.guest_key), (b.guest_user, b.guest_key));
    }

    #[test]
    fn an_authentication_holds_for_its_role_and_its_two_certificates_only() {
        let keys = CallKeys::derive(b"an offer");
        let (alice, bob) = (certificate_hash(b"alice"), certificate_hash(b"bob"));
        let sent = keys.auth_mac(Role::Offerer, &alice, &bob);
        assert!(keys.auth_agrees(Role::Offerer, &alice, &bob, &sent));
        assert!(!keys.auth_agrees(Role::Answerer, &alice, &bob, &sent), "reflected");
        assert!(!keys.auth_agrees(Role::Offerer, &bob, &alice, &sent));
        assert!(!keys.auth_agrees(Role::Offerer, &alice, &bob, &sent[..31]), "shortened");
        assert!(!keys.auth_agrees(Role::Offerer, &alice, &bob, &[]));
        let other = CallKeys::derive(b"another offer");
        assert!(!other.auth_agrees(Role::Offerer, &alice, &bob, &sent));
    }

    #[test]
    fn a_reply_agrees_with_its_own_offer_only() {
        let keys = CallKeys::derive(b"an offer");
        let mut reply = b"reply".to_vec();
        reply.extend(keys.reply_check(b"reply"));
        assert!(keys.reply_agrees(&reply));
        assert!(!CallKeys::derive(b"another offer").reply_agrees(&reply));
        assert!(!keys.reply_agrees(b"x"));
    }

    #[test]
    fn keys_are_not_printed() {
        let keys = CallKeys::derive(b"an offer");
        let printed = format!("{keys:?}");
        assert!(!printed.contains(&keys.offer_ice.pwd) && !printed.contains(&keys.guest_key), "{printed}");
    }
}
