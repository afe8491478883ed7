//! Who may have an allocation: users with passwords, and time-limited credentials from a shared secret.
//!
//! The latter are the scheme that coturn calls `use-auth-secret`: user = `EXPIRY` or `EXPIRY:NAME` (seconds
//! since 1970), password = base64(HMAC-SHA1(secret, user)), so either side's tools work with the other.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::stun::{Key, PasswordAlgorithm};

/// A user name and the password that goes with it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The user name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The credential that is good until `expires` (seconds since 1970) at every server with this secret.
pub fn time_limited(secret: &str, expires: u64, name: Option<&str>) -> Credential {
    let user = name.map_or_else(|| expires.to_string(), |name| format!("{expires}:{name}"));
    let password = password_of(secret, &user);
    Credential { user, password }
}

fn password_of(secret: &str, user: &str) -> String {
    STANDARD.encode(Key::short_term(secret).sha1(&[user.as_bytes()]))
}

/// All that the owner configured. `Debug` shows no secret.
#[derive(Clone, Default)]
pub struct Credentials {
    realm: String,
    users: HashMap<String, UserKeys>,
    secrets: Vec<String>,
}

#[derive(Clone)]
struct UserKeys {
    md5: Key,
    sha256: Key,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (users, secrets) = (self.users.len(), self.secrets.len());
        f.debug_struct("Credentials")
            .field("users", &users)
            .field("secrets", &secrets)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Several secrets are all good, so that one can be replaced without a gap. With neither users nor secrets
    /// nobody gets in.
    pub fn new(realm: &str, users: &[Credential], secrets: Vec<String>) -> Self {
        let key = |algorithm, user: &Credential| Key::long_term(algorithm, &user.user, realm, &user.password);
        let keys = |user: &Credential| UserKeys {
            md5: key(PasswordAlgorithm::Md5, user),
            sha256: key(PasswordAlgorithm::Sha256, user),
        };
        let users = users.iter().map(|user| (user.user.clone(), keys(user))).collect();
        Self { realm: realm.to_owned(), users, secrets }
    }

    /// Whose users these are.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// A key that is the same after a restart with the same users and secrets, in whatever order they are given.
    pub(super) fn lasting_key(&self, purpose: &[u8]) -> Key {
        let secrets = self.secrets.iter().map(|secret| Key::short_term(secret).sha256(&[purpose]));
        let users = self.users.values().map(|keys| keys.sha256.sha256(&[purpose]));
        let mut parts: Vec<[u8; 32]> = secrets.chain(users).collect();
        parts.sort_unstable();
        let parts: Vec<&[u8]> = parts.iter().map(<[u8; 32]>::as_slice).collect();
        Key::derived(purpose, &parts)
    }

    /// The keys that this user may have signed with at this time.
    pub(super) fn keys(&self, user: &str, algorithm: PasswordAlgorithm, unix: u64) -> Vec<Key> {
        if let Some(keys) = self.users.get(user) {
            return match algorithm {
                PasswordAlgorithm::Md5 => vec![keys.md5.clone()],
                PasswordAlgorithm::Sha256 => vec![keys.sha256.clone()],
            };
        }
        if self.secrets.is_empty() || expiry(user).is_none_or(|expiry| expiry <= unix) {
            return Vec::new();
        }
        let key = |secret: &String| Key::long_term(algorithm, user, &self.realm, &password_of(secret, user));
        self.secrets.iter().map(key).collect()
    }
}

/// Until when a time-limited user name is good.
fn expiry(user: &str) -> Option<u64> {
    let (time, _) = split(user);
    time?.parse().ok()
}

/// Who counts for a quota: the name without the time before it.
pub(super) fn quota_name(user: &str) -> &str {
    split(user).1
}

fn split(user: &str) -> (Option<&str>, &str) {
    let digits =
        |text: &str| !text.is_empty() && text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    match user.split_once(':') {
        Some((time, name)) if digits(time) => (Some(time), name),
        None if digits(user) => (Some(user), ""),
        _ => (None, user),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(credentials: &Credentials, given: &Credential, unix: u64) -> bool {
        let key = Key::long_term(PasswordAlgorithm::Md5, &given.user, "p2p", &given.password);
        credentials.keys(&given.user, PasswordAlgorithm::Md5, unix).contains(&key)
    }

    fn user(user: &str, password: &str) -> Credential {
        Credential { user: user.to_owned(), password: password.to_owned() }
    }

    #[test]
    fn a_time_limited_password_is_the_one_of_the_common_scheme() {
        // printf %s 1700000000:alice | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(
            time_limited("north", 1_700_000_000, Some("alice")).password,
            "Cd/49soE35ICqcJF/bCTn8Z4OyE="
        );
    }

    #[test]
    fn a_time_limited_credential_ends_at_its_time() {
        let credentials = Credentials::new("p2p", &[], vec!["north".into(), "south".into()]);
        for secret in ["north", "south"] {
            let given = time_limited(secret, 2000, Some("alice"));
            assert!(accepts(&credentials, &given, 1999));
            assert!(!accepts(&credentials, &given, 2000));
            assert!(accepts(&credentials, &time_limited(secret, 2000, None), 1999));
        }
        assert!(!accepts(&credentials, &time_limited("east", 2000, Some("alice")), 1));
    }

    #[test]
    fn only_known_users_get_in() {
        let credentials = Credentials::new("p2p", &[user("alice", "wonder")], vec![]);
        assert!(accepts(&credentials, &user("alice", "wonder"), 0));
        assert!(!accepts(&credentials, &user("alice", "wander"), 0));
        assert!(!accepts(&credentials, &user("bob", "wonder"), 0));
        assert!(!accepts(&Credentials::default(), &time_limited("", u64::MAX, None), 0));
    }

    #[test]
    fn a_lasting_key_depends_on_who_gets_in_and_not_on_their_order() {
        let key = |users: &[(&str, &str)], secrets: &[&str]| {
            let users: Vec<_> = users.iter().map(|(name, password)| user(name, password)).collect();
            let secrets = secrets.iter().map(|&secret| secret.to_owned()).collect();
            Credentials::new("p2p", &users, secrets).lasting_key(b"test")
        };
        let (alice, bob) = (("alice", "one"), ("bob", "two"));
        assert_eq!(key(&[alice, bob], &["north", "south"]), key(&[bob, alice], &["south", "north"]));
        for other in [
            key(&[alice], &["north", "south"]),
            key(&[alice, ("bob", "one")], &["north", "south"]),
            key(&[], &[]),
        ] {
            assert_ne!(other, key(&[alice, bob], &["north", "south"]));
        }
    }

    #[test]
    fn quotas_count_people_not_times() {
        for (user, name) in
            [("1700000000:alice", "alice"), ("1700000000", ""), ("alice", "alice"), ("a:b", "a:b")]
        {
            assert_eq!(quota_name(user), name);
        }
    }
}
