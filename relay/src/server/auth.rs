//! Who is asking: long-term credentials with a nonce that needs no memory (RFC 8489 §9.2).
//!
//! A nonce is its time and eight bytes of an HMAC over time and client address, so the server remembers
//! nothing of anybody who has not authenticated. The time stands in clear: a client whose time-limited
//! credential is refused can see from it that its clock is off.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::allocation::{Client, User};
use super::clock::Now;
use super::refusal::Refusal;
use super::shared::Shared;
use crate::stun::{Integrity, Key, Message, PasswordAlgorithm, attr, equal};

/// A nonce is good for so many seconds; then 438 brings a new one.
const NONCE_SECONDS: u64 = 3600;

/// RFC 8489 §9.2: says that the server supports password algorithms (bit 0 of the security features).
pub const SHA256_NONCE_PREFIX: &str = "obMatJos2gAAA";

/// What an authenticated user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Whatever the quotas allow.
    Member,
    /// One allocation towards its host.
    Guest,
}

/// Issues and checks credentials for one shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gate<'s> {
    pub(super) shared: &'s Shared,
    /// Offer SHA-256.
    pub(super) sha256: bool,
}

impl Gate<'_> {
    /// A fresh nonce for this client.
    pub(super) fn nonce(&self, client: IpAddr, now: Now) -> String {
        let time = (now.unix as u32).to_be_bytes();
        let mut bytes = [0; 12];
        let (head, tail) = bytes.split_at_mut(4);
        head.copy_from_slice(&time);
        tail.copy_from_slice(&self.shared.nonce_mac(time, client));
        let prefix = if self.sha256 { SHA256_NONCE_PREFIX } else { "" };
        format!("{prefix}{}", STANDARD.encode(bytes))
    }

    fn is_fresh(&self, nonce: &str, client: IpAddr, now: Now) -> bool {
        let nonce = nonce.strip_prefix(SHA256_NONCE_PREFIX).unwrap_or(nonce);
        let Ok(bytes) = STANDARD.decode(nonce) else { return false };
        let Some((&time, mac)) = bytes.split_first_chunk() else { return false };
        let age = now.unix.saturating_sub(u64::from(u32::from_be_bytes(time)));
        age < NONCE_SECONDS && equal(mac, &self.shared.nonce_mac(time, client))
    }

    /// Walks through RFC 8489 §9.2.4. `known` is the user of the client's allocation, whose key need not be
    /// derived again and who may go on after a time-limited credential has ended.
    pub(super) fn check(
        &self,
        now: Now,
        client: &Client,
        message: &Message<'_>,
        known: Option<(&Arc<User>, Standing)>,
    ) -> Result<(Arc<User>, Standing), Refusal> {
        let integrity = match (
            message.contains(attr::MESSAGE_INTEGRITY_SHA256),
            message.contains(attr::MESSAGE_INTEGRITY),
        ) {
            (true, _) => Integrity::Sha256,
            (false, true) => Integrity::Sha1,
            (false, false) => return Err(Refusal::challenge(401, "Unauthenticated")),
        };
        let credentials = self.shared.credentials();
        let (Some(name), Some(realm), Some(nonce)) =
            (message.get(attr::USERNAME), message.get(attr::REALM), message.get(attr::NONCE))
        else {
            return Err(Refusal::bad_request("USERNAME, REALM or NONCE is missing"));
        };
        let algorithm = self.algorithm(message)?;
        if !self.is_fresh(nonce, client.address.ip(), now) {
            return Err(Refusal::challenge(438, "Stale Nonce"));
        }
        let wrong = Refusal::challenge(401, "Wrong user or password");
        if realm != credentials.realm() {
            return Err(wrong);
        }
        let signed_by = |key: &Key| message.verify(key, integrity).is_ok();
        if let Some((user, standing)) = known
            && *user.name == *name
            && user.integrity == integrity
            && signed_by(&user.key)
        {
            return Ok((Arc::clone(user), standing));
        }
        let mut standing = Standing::Member;
        let mut keys = credentials.keys(name, algorithm, now.unix);
        if keys.is_empty()
            && let Some(password) = self.shared.guests.password(name)
        {
            standing = Standing::Guest;
            keys.push(Key::long_term(algorithm, name, realm, &password));
        }
        let key = keys.into_iter().find(signed_by).ok_or(wrong)?;
        Ok((Arc::new(User { name: name.into(), key, integrity }), standing))
    }

    /// RFC 8489 §9.2.4: both attributes and one of our list, or neither, which means MD5.
    fn algorithm(&self, message: &Message<'_>) -> Result<PasswordAlgorithm, Refusal> {
        match (message.contains(attr::PASSWORD_ALGORITHM), message.get(attr::PASSWORD_ALGORITHMS)) {
            (false, None) => Ok(PasswordAlgorithm::Md5),
            (true, Some(list)) if self.sha256 && list == PasswordAlgorithm::LIST => message
                .get(attr::PASSWORD_ALGORITHM)
                .ok_or(Refusal::bad_request("Unknown PASSWORD-ALGORITHM")),
            _ => Err(Refusal::bad_request("PASSWORD-ALGORITHMS is not what was offered")),
        }
    }
}
