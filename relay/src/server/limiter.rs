//! How many replies strangers get: a reply is what a forger of source addresses wants to aim at somebody.
//!
//! A table of fixed size, so a flood of sources costs no memory; a bucket for each hash of a /24 (IPv4) or
//! /56 (IPv6). Colliding networks share a bucket. Loopback is exempt: no one can forge it from outside.

use std::hash::BuildHasher;
use std::net::IpAddr;

use super::bucket::{Bucket, Rate};

const BUCKETS: usize = 4096;
/// All networks together get so many times what one gets: a flood from everywhere must leave time for calls.
const ALL: u32 = 25;

/// Sheds replies to whoever has not authenticated.
#[derive(Debug)]
pub(super) struct Limiter {
    buckets: Vec<Bucket>,
    rate: Rate,
    all: Bucket,
    hasher: std::collections::hash_map::RandomState,
}

impl Limiter {
    /// `per_second` replies to each network, four times as many at once.
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            buckets: vec![Bucket::default(); BUCKETS],
            rate: Rate { per_second, burst: per_second.saturating_mul(4) },
            all: Bucket::default(),
            hasher: std::collections::hash_map::RandomState::new(),
        }
    }

    /// Whether one more reply may go to this address.
    pub(super) fn admit(&mut self, to: IpAddr, millis: u64) -> bool {
        if to.is_loopback() {
            return true;
        }
        let network = match to {
            IpAddr::V4(ip) => u64::from(u32::from(ip) >> 8),
            IpAddr::V6(ip) => (u128::from(ip) >> 72) as u64 | 1 << 63,
        };
        let index = self.hasher.hash_one(network) as usize % BUCKETS;
        let all = Rate {
            per_second: self.rate.per_second.saturating_mul(ALL),
            burst: self.rate.burst.saturating_mul(ALL),
        };
        let one = self.buckets.get_mut(index).is_some_and(|bucket| bucket.take(self.rate, millis, 1));
        one && self.all.take(all, millis, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(limiter: &mut Limiter, address: &str, tries: usize) -> usize {
        let address = address.parse().unwrap();
        (0..tries).filter(|_| limiter.admit(address, 1000)).count()
    }

    #[test]
    fn a_network_shares_one_allowance() {
        let mut limiter = Limiter::new(10);
        assert_eq!(admitted(&mut limiter, "203.0.113.1", 30), 30);
        assert_eq!(admitted(&mut limiter, "203.0.113.77", 30), 10);
        assert_eq!(admitted(&mut limiter, "203.0.113.99", 30), 0);
        assert_eq!(admitted(&mut limiter, "2001:db8:0:1::1", 30), 30);
        assert_eq!(admitted(&mut limiter, "2001:db8:0:2::1", 30), 10);
    }

    #[test]
    fn all_networks_together_have_an_allowance_too() {
        let mut limiter = Limiter::new(10);
        let address = |n: u32| IpAddr::from((n << 8 | 0x0B00_0001).to_be_bytes());
        assert_eq!((0..5000).filter(|&n| limiter.admit(address(n), 1000)).count(), 40 * ALL as usize);
    }

    #[test]
    fn loopback_is_never_limited() {
        assert_eq!(admitted(&mut Limiter::new(1), "127.0.0.9", 100), 100);
    }
}
