//! A ring that only says "I am here": what one end of a call sends when the other can't know where to ring. Pure.

use p2pcall_relay::stun::{Builder, Class, Key, Method, Seal, TransactionId, attr};

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
