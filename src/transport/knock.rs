//! A ring that only says "I am here": what one end of a call sends when the other can't know where to ring. Pure.

use p2pcall_relay::stun::{Builder, Class, Integrity, Key, Message, Method, Seal, TransactionId, attr};

use super::router::Credentials;

/// RFC 8445 §5.1.2.1: a peer-reflexive candidate of the only component. Nobody looks at it; a check carries one.
const PRIORITY: u32 = (110 << 24) | (65_535 << 8) | 255;

/// A connectivity check (RFC 8445 §7.2.2) by an agent of its own: its tie-breaker is drawn from the transaction's
/// random number, so that a knock on each way counts for itself.
pub(super) fn knock(id: TransactionId, ufrag: &str, remote: &Credentials) -> Vec<u8> {
    let tie_breaker = id.0.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let mut buffer = [0; 256];
    let request = Builder::new(&mut buffer, Class::Request, Method::BINDING, id)
        .put(attr::USERNAME, format!("{}:{ufrag}", remote.ufrag).as_str())
        .put(attr::PRIORITY, PRIORITY)
        .put(attr::ICE_CONTROLLING, tie_breaker)
        .finish(Seal::signed(&Key::short_term(&remote.pwd)).with_fingerprint());
    request.map(|bytes| bytes.to_vec()).unwrap_or_default()
}

/// What opens a NAT of this side for whoever answers to nothing else: an indication (RFC 8445 §11), which nobody heeds
/// should it arrive.
pub(super) fn opening(id: TransactionId) -> Vec<u8> {
    let mut buffer = [0; 64];
    let indication = Builder::new(&mut buffer, Class::Indication, Method::BINDING, id);
    indication.finish(Seal::NONE.with_fingerprint()).map(|bytes| bytes.to_vec()).unwrap_or_default()
}

/// Whether this is a knock for `local` by somebody who knows its password and calls itself `remote`.
pub(super) fn is_knock(bytes: &[u8], local: &Credentials, remote: &str) -> bool {
    let Ok(message) = Message::parse(bytes) else { return false };
    let name = message.get(attr::USERNAME).and_then(|name| name.split_once(':'));
    (message.class(), message.method()) == (Class::Request, Method::BINDING)
        && name == Some((local.ufrag.as_str(), remote))
        && message.verify(&Key::short_term(&local.pwd), Integrity::Sha1).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::router::{LinkId, Router, Verdict};
    use super::*;

    #[test]
    fn an_agent_that_rings_hears_a_knock_as_a_check_from_wherever_it_comes() {
        let credentials = |ufrag: &str| Credentials { ufrag: ufrag.into(), pwd: "a long password".into() };
        let now = tokio::time::Instant::now().into_std();
        let mut router = Router::new();
        let agent = router.call(&credentials("answrufr"), None);
        let message = knock(TransactionId([1; 12]), "offerufr", &credentials("answrufr"));
        let verdict = router.inbound(now, LinkId(1), ([192, 0, 2, 1], 61_000).into(), &message);
        assert_eq!(verdict, Verdict::Deliver(agent));
    }

    #[test]
    fn an_opening_is_nobodys() {
        let now = tokio::time::Instant::now().into_std();
        let mut router = Router::new();
        router.serve(&Credentials { ufrag: "offerufr".into(), pwd: "a long password".into() });
        let message = opening(TransactionId([1; 12]));
        assert!(!message.is_empty());
        assert_eq!(router.inbound(now, LinkId(1), ([192, 0, 2, 1], 5).into(), &message), Verdict::Drop);
    }

    #[test]
    fn a_knock_is_known_by_both_names_and_the_password() {
        let credentials = |ufrag: &str, pwd: &str| Credentials {
            ufrag: ufrag.into(),
            pwd: format!("a long {pwd} password"),
        };
        let message = knock(TransactionId([1; 12]), "friend", &credentials("ours", "right"));
        for (ufrag, pwd, remote, known) in [
            ("ours", "right", "friend", true),
            ("ours", "wrong", "friend", false),
            ("other", "right", "friend", false),
            ("ours", "right", "stranger", false),
        ] {
            assert_eq!(is_knock(&message, &credentials(ufrag, pwd), remote), known, "{ufrag} {pwd} {remote}");
        }
        for length in 0..message.len() {
            assert!(!is_knock(&message[..length], &credentials("ours", "right"), "friend"));
        }
    }

    #[test]
    fn whoever_serves_the_credentials_hears_a_knock_as_a_ring_and_nobody_else_does() {
        let credentials =
            |pwd: &str| Credentials { ufrag: "answrufr".into(), pwd: format!("a long {pwd} password") };
        let now = tokio::time::Instant::now().into_std();
        let mut router = Router::new();
        router.serve(&credentials("right"));
        let mut heard = |id: u8, pwd| {
            let message = knock(TransactionId([id; 12]), "offerufr", &credentials(pwd));
            router.inbound(now, LinkId(1), ([192, 0, 2, 1], 5).into(), &message)
        };
        assert_eq!(heard(1, "wrong"), Verdict::Drop);
        for id in 1..3 {
            let ring = heard(id, "right");
            assert!(matches!(ring, Verdict::Ring { ref remote, .. } if remote == "offerufr"), "{ring:?}");
        }
    }
}
