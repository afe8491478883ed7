//! The GUEST attribute: a one-call account that an allocation's owner registers for the friend it calls.
//!
//! Value = plaintext xor keystream; plaintext = length of the user name (1 byte), user name, password (all
//! ASCII without control characters); keystream block i = HMAC-SHA256(long-term key of the owner,
//! `p2pcall-guest` || transaction ID || i as one byte). The transaction ID is fresh for every request, so no
//! keystream is used for two plaintexts; a retransmission repeats both. MESSAGE-INTEGRITY covers the
//! attribute like any other, and its HMAC input begins with two zero bits, `p` does not: the two uses of the
//! key cannot meet. An empty value withdraws the guest.
//!
//! Knows neither how user and password are chosen nor what a server does with them.

use super::header::TransactionId;
use super::integrity::Key;

/// The longest user name, in bytes.
pub const MAX_USER: usize = 32;
/// The longest password, in bytes.
pub const MAX_PASSWORD: usize = 64;
/// The longest value of the attribute, in bytes.
pub const MAX_SEALED: usize = 1 + MAX_USER + MAX_PASSWORD;

const LABEL: &[u8] = b"p2pcall-guest";

/// A guest's user name and password. `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Guest {
    user: String,
    password: String,
}

impl std::fmt::Debug for Guest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guest").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Guest {
    /// `None` if one is empty, too long or holds anything but printable ASCII.
    pub fn new(user: &str, password: &str) -> Option<Self> {
        let good = |text: &str, longest| {
            (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        (good(user, MAX_USER) && good(password, MAX_PASSWORD))
            .then(|| Self { user: user.to_owned(), password: password.to_owned() })
    }

    /// Who logs in.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// With what.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The attribute's value, under the owner's long-term key, for the request with this transaction ID.
    pub fn seal(&self, owner: &Key, id: &TransactionId) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + self.user.len() + self.password.len());
        bytes.push(self.user.len() as u8);
        bytes.extend(self.user.bytes());
        bytes.extend(self.password.bytes());
        apply_keystream(&mut bytes, owner, id);
        bytes
    }

    /// The inverse of [`Guest::seal`]; `None` if it is none.
    pub fn open(value: &[u8], owner: &Key, id: &TransactionId) -> Option<Self> {
        if value.len() > MAX_SEALED {
            return None;
        }
        let mut bytes = value.to_vec();
        apply_keystream(&mut bytes, owner, id);
        let (&length, rest) = bytes.split_first()?;
        let (user, password) = rest.split_at_checked(usize::from(length))?;
        Self::new(std::str::from_utf8(user).ok()?, std::str::from_utf8(password).ok()?)
    }
}

fn apply_keystream(bytes: &mut [u8], owner: &Key, id: &TransactionId) {
    for (block, counter) in bytes.chunks_mut(32).zip(0u8..) {
        let keystream = owner.sha256(&[LABEL, &id.0, &[counter]]);
        block.iter_mut().zip(keystream).for_each(|(byte, key)| *byte ^= key);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: TransactionId = TransactionId([3; 12]);

    #[test]
    fn a_sealed_guest_hides_what_it_holds_and_differs_each_time() {
        let owner = Key::short_term("owner");
        let guest = Guest::new("guest", "password").unwrap();
        let sealed = guest.seal(&owner, &ID);
        assert!(!sealed.windows(5).any(|window| window == b"guest"));
        assert_ne!(sealed, guest.seal(&owner, &TransactionId([4; 12])));
        assert!(!format!("{guest:?}").contains("password"));
    }

    #[test]
    fn control_characters_and_lengths_out_of_range_are_no_guest() {
        for (user, password) in [("", "p"), ("u", ""), ("a\nb", "p"), ("a b", "p"), ("ü", "p")] {
            assert_eq!(Guest::new(user, password), None);
        }
        assert_eq!(Guest::new(&"u".repeat(33), "p"), None);
        assert_eq!(Guest::new("u", &"p".repeat(65)), None);
    }

    proptest! {
        #[test]
        fn open_undoes_seal(user in "[!-~]{1,32}", password in "[!-~]{1,64}", key: String, id: [u8; 12]) {
            let (owner, id) = (Key::short_term(&key), TransactionId(id));
            let guest = Guest::new(&user, &password).unwrap();
            let sealed = guest.seal(&owner, &id);
            prop_assert!(sealed.len() <= MAX_SEALED);
            prop_assert_eq!(Guest::open(&sealed, &owner, &id), Some(guest));
        }

        #[test]
        fn opening_anything_never_panics(value: Vec<u8>) {
            let _ = Guest::open(&value, &Key::short_term("k"), &ID);
        }
    }
}
