//! What the offerer sends to the address in a reply: a connectivity check, made by hand. Pure.
//!
//! Any packet opens the NATs on this side for what comes from there (RFC 4787 §5). A check does more: the friend's
//! agent learns from it where we are (RFC 8445 §7.3.1.3), which is not what our code says if our NAT gives each peer
//! another port. Nobody waits for the answer.

use p2pcall_relay::stun::{Builder, Class, Key, Method, Seal, TransactionId, attr};

use super::router::Credentials;

/// RFC 8445 §5.1.2: of a peer-reflexive candidate, the first of its kind.
const PRIORITY: u32 = (110 << 24) | (65_535 << 8) | 255;
/// Only two agents in the same role compare it (RFC 8445 §7.3.1.1), and the friend's is the other.
const TIE_BREAKER: u64 = 0;
/// A check is a third of it.
const ROOM: usize = 512;

/// A check from the controlling agent `local` to `remote`; `None` if their names are too long for one.
pub(super) fn check(id: TransactionId, local: &Credentials, remote: &Credentials) -> Option<Vec<u8>> {
    let name = format!("{}:{}", remote.ufrag, local.ufrag);
    let key = Key::short_term(&remote.pwd);
    let mut buffer = [0; ROOM];
    let check = Builder::new(&mut buffer, Class::Request, Method::BINDING, id)
        .put(attr::USERNAME, name.as_str())
        .put(attr::PRIORITY, PRIORITY)
        .put(attr::ICE_CONTROLLING, TIE_BREAKER)
        .finish(Seal::signed(&key).with_fingerprint());
    check.ok().map(|bytes| bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::super::LinkId;
    use super::super::router::{Router, Verdict};
    use super::*;

    fn credentials(ufrag: &str, pwd: &str) -> Credentials {
        Credentials { ufrag: ufrag.into(), pwd: pwd.into() }
    }

    #[test]
    fn the_friends_agent_takes_it_for_a_check_from_wherever_it_comes() {
        let alice = credentials("aliceali", "0123456789abcdef01234567");
        let bob = credentials("bobbobbo", "abcdef0123456789abcdef01");
        let mut router = Router::new();
        let agent = router.call(&bob, Some(&alice));
        let check = check(TransactionId([7; 12]), &alice, &bob).unwrap();
        let from = "198.51.100.9:61000".parse().unwrap();
        #[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning")]
        let now = std::time::Instant::now();
        assert_eq!(router.inbound(now, LinkId(1), from, &check), Verdict::Deliver(agent));
    }
}
