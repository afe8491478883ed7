//! The doorbell: a friend without any account may ring at an allocation's relayed address.
//!
//! The owner registers its ICE ufrag; a STUN Binding request whose USERNAME begins with that ufrag and a
//! colon is let through without a permission. Everything else a stranger sends stays outside. Only the two
//! ends know the ufrag, and rings are few, so a doorbell is no hole in the relay.

use std::net::SocketAddr;

use super::bucket::{Bucket, Rate};
use super::clock::Seconds;
use crate::stun::{Class, Demux, Message, Method, attr};

/// Rings that pass in a second.
const RINGS: Rate = Rate { per_second: 10, burst: 10 };
/// Peers that ring at a time.
const MAX_RINGING: usize = 16;
/// A peer counts as ringing for so long after its last ring.
const RINGING_SECONDS: Seconds = 30;

/// One allocation's doorbell.
#[derive(Debug)]
pub(super) struct Doorbell {
    ufrag: Box<str>,
    ringing: Vec<(SocketAddr, Seconds)>,
    bucket: Bucket,
}

impl Doorbell {
    /// `None` unless it is 8 to 32 characters of an ICE ufrag (RFC 8445 §5.3).
    pub(super) fn new(ufrag: &str) -> Option<Self> {
        let ice_char = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
        let good = (8..=32).contains(&ufrag.len()) && ufrag.bytes().all(ice_char);
        good.then(|| Self { ufrag: ufrag.into(), ringing: Vec::new(), bucket: Bucket::default() })
    }

    pub(super) fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// Whether this packet of a peer without a permission passes.
    pub(super) fn rings(&mut self, from: SocketAddr, packet: &[u8], now: Seconds, millis: u64) -> bool {
        if Demux::of(packet) != Demux::Stun || !self.is_for_us(packet) {
            return false;
        }
        self.ringing.retain(|&(_, until)| until > now);
        let known = self.ringing.iter().position(|&(peer, _)| peer == from);
        if (known.is_none() && self.ringing.len() >= MAX_RINGING) || !self.bucket.take(RINGS, millis, 1) {
            return false;
        }
        let until = now + RINGING_SECONDS;
        match known.and_then(|at| self.ringing.get_mut(at)) {
            Some(entry) => entry.1 = until,
            None => self.ringing.push((from, until)),
        }
        true
    }

    fn is_for_us(&self, packet: &[u8]) -> bool {
        let Ok(message) = Message::parse(packet) else { return false };
        let binding = message.class() == Class::Request && message.method() == Method::BINDING;
        let target = message.get(attr::USERNAME).and_then(|name| name.split_once(':'));
        binding && target.is_some_and(|(ufrag, _)| ufrag == &*self.ufrag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stun::{Builder, Seal, TransactionId};

    fn ring(class: Class, method: Method, name: &str) -> Vec<u8> {
        let builder = Builder::new(&mut [0; 128], class, method, TransactionId([1; 12]))
            .put(attr::USERNAME, name)
            .finish(Seal::NONE)
            .map(|b| b.to_vec());
        builder.unwrap()
    }

    fn from(port: u16) -> SocketAddr {
        SocketAddr::from(([198, 51, 100, 7], port))
    }

    #[test]
    fn only_a_binding_request_with_exactly_this_ufrag_rings() {
        let mut bell = Doorbell::new("offerer1").unwrap();
        let request = Class::Request;
        for (packet, passes) in [
            (ring(request, Method::BINDING, "offerer1:answerer"), true),
            (ring(request, Method::BINDING, "offerer:answerer"), false),
            (ring(request, Method::BINDING, "offerer12:answerer"), false),
            (ring(request, Method::BINDING, "offerer1"), false),
            (ring(request, Method::ALLOCATE, "offerer1:answerer"), false),
            (ring(Class::Indication, Method::BINDING, "offerer1:answerer"), false),
            (vec![0x80; 40], false),
            (vec![], false),
        ] {
            assert_eq!(bell.rings(from(1), &packet, 0, 0), passes, "{packet:?}");
        }
    }

    #[test]
    fn ten_rings_a_second_pass() {
        let mut bell = Doorbell::new("offerer1").unwrap();
        let packet = ring(Class::Request, Method::BINDING, "offerer1:x");
        let mut passed = |millis| (0..50).filter(|_| bell.rings(from(1), &packet, 0, millis)).count();
        assert_eq!((passed(0), passed(500), passed(2000)), (10, 5, 10));
    }

    #[test]
    fn sixteen_peers_ring_at_a_time() {
        let mut bell = Doorbell::new("offerer1").unwrap();
        let packet = ring(Class::Request, Method::BINDING, "offerer1:x");
        let mut tries = |ports: std::ops::Range<u16>, now: Seconds| {
            ports.filter(|&port| bell.rings(from(port), &packet, now, u64::from(port) * 1000)).count()
        };
        assert_eq!(tries(1..30, 0), 16);
        assert_eq!(tries(1..5, 10), 4, "those that ring may go on");
        assert_eq!(tries(100..130, RINGING_SECONDS + 10), 16, "the old ones have left");
    }

    #[test]
    fn a_ufrag_has_8_to_32_ice_characters() {
        for (ufrag, good) in [
            ("1234567", false),
            ("12345678", true),
            ("a+/b5678", true),
            ("a:345678", false),
            ("é2345678", false),
        ] {
            assert_eq!(Doorbell::new(ufrag).is_some(), good, "{ufrag}");
        }
        assert!(Doorbell::new(&"a".repeat(32)).is_some() && Doorbell::new(&"a".repeat(33)).is_none());
    }
}
