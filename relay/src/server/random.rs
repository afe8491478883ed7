//! Unpredictable numbers from a seed that the I/O provides: HMAC-SHA256 of a counter.

use crate::stun::Key;

/// 32 bytes from the operating system's generator.
pub type Seed = [u8; 32];

/// A deterministic generator whose output tells nothing about what comes next.
#[derive(Debug)]
pub(super) struct Random {
    key: Key,
    counter: u64,
}

impl Random {
    pub(super) fn new(seed: &Seed, shard: u8) -> Self {
        Self { key: Key::derived(seed, &[b"random", &[shard]]), counter: 0 }
    }

    pub(super) fn next_u64(&mut self) -> u64 {
        self.counter += 1;
        let mac = self.key.sha256(&[&self.counter.to_be_bytes()]);
        mac.first_chunk().copied().map_or(self.counter, u64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_and_every_call_gets_another_number() {
        let mut seen: Vec<u64> = (0..4)
            .flat_map(|shard| {
                let mut random = Random::new(&[7; 32], shard);
                (0..100).map(move |_| random.next_u64())
            })
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 400);
    }
}
