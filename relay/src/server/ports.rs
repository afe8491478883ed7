//! Which relay ports are taken, and by which shard: one byte a port, shared by all shards without a lock.
//!
//! It is bitmap and directory in one: a packet for one of our own relayed addresses finds its shard here.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU8, Ordering};

use super::random::Random;

/// A port that nobody has.
const FREE: u8 = 0;
/// A port kept for whoever brings the RESERVATION-TOKEN.
const RESERVED: u8 = u8::MAX;
/// How many ports are tried at random before all are looked at in order.
const PROBES: usize = 16;

/// One part of the relay that owns its own clients: a thread, or the task that serves streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard(u8);

impl Shard {
    /// How many there can be.
    pub const MAX: usize = 64;

    /// `None` from [`Shard::MAX`] on.
    pub fn new(number: usize) -> Option<Self> {
        (number < Self::MAX).then_some(Self(number as u8))
    }

    /// Its number, from 0.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What kind of port an allocation asks for (RFC 8656 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Any,
    Even,
    /// An even port, and the next one kept back.
    EvenAndNext,
}

/// The ports of one relay address.
#[derive(Debug)]
pub(super) struct Ports {
    first: u16,
    owners: Box<[AtomicU8]>,
}

impl Ports {
    pub(super) fn new(range: &RangeInclusive<u16>) -> Self {
        let count = usize::from(range.end().saturating_sub(*range.start())) + 1;
        Self { first: *range.start(), owners: (0..count).map(|_| AtomicU8::new(FREE)).collect() }
    }

    /// Takes a free port: the one that `favourite` points at if it is free, or else one at random, so that nobody
    /// can guess it (RFC 8656 §7.2, RFC 6056).
    pub(super) fn take(
        &self,
        shard: Shard,
        wish: Wish,
        favourite: Option<u64>,
        random: &mut Random,
    ) -> Option<u16> {
        let count = self.owners.len() as u64;
        let at = |index: u64| self.first + (index % count) as u16;
        let probes = favourite.into_iter().chain((0..PROBES).map(|_| random.next_u64()));
        let probes = probes.map(at).find(|&port| self.try_take(port, shard, wish));
        probes.or_else(|| {
            let start = random.next_u64() % count;
            (0..count).map(|step| at(start + step)).find(|&port| self.try_take(port, shard, wish))
        })
    }

    /// Takes over a reserved port.
    pub(super) fn claim(&self, port: u16, shard: Shard) -> bool {
        self.change(port, RESERVED, shard.0 + 1)
    }

    /// Gives a port back, taken or reserved.
    pub(super) fn release(&self, port: u16) {
        if let Some(owner) = self.slot(port) {
            owner.store(FREE, Ordering::Release);
        }
    }

    /// Who serves this port.
    pub(super) fn owner(&self, port: u16) -> Option<Shard> {
        match self.slot(port)?.load(Ordering::Acquire) {
            FREE | RESERVED => None,
            taken => Some(Shard(taken - 1)),
        }
    }

    fn try_take(&self, port: u16, shard: Shard, wish: Wish) -> bool {
        match wish {
            Wish::Any => self.change(port, FREE, shard.0 + 1),
            Wish::Even => port.is_multiple_of(2) && self.change(port, FREE, shard.0 + 1),
            Wish::EvenAndNext => {
                if !port.is_multiple_of(2) || !self.change(port, FREE, shard.0 + 1) {
                    return false;
                }
                let reserved = self.change(port.saturating_add(1), FREE, RESERVED);
                if !reserved {
                    self.release(port);
                }
                reserved
            }
        }
    }

    fn change(&self, port: u16, from: u8, to: u8) -> bool {
        let slot = self.slot(port);
        slot.is_some_and(|owner| {
            owner.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
        })
    }

    fn slot(&self, port: u16) -> Option<&AtomicU8> {
        self.owners.get(usize::from(port.checked_sub(self.first)?))
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.owners.iter().filter(|owner| owner.load(Ordering::Relaxed) != FREE).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARD: Shard = Shard(3);

    #[test]
    fn every_port_of_the_range_is_given_out_once() {
        let (ports, mut random) = (Ports::new(&(40_000..=40_099)), Random::new(&[1; 32], 0));
        let mut taken: Vec<u16> =
            (0..100).map(|_| ports.take(SHARD, Wish::Any, None, &mut random).unwrap()).collect();
        taken.sort_unstable();
        assert_eq!(taken, (40_000..=40_099).collect::<Vec<_>>());
        assert_eq!(ports.take(SHARD, Wish::Any, None, &mut random), None);
        assert_eq!(ports.owner(40_050), Some(SHARD));
        ports.release(40_050);
        assert_eq!(
            (ports.owner(40_050), ports.take(SHARD, Wish::Any, None, &mut random)),
            (None, Some(40_050))
        );
    }

    #[test]
    fn a_favourite_is_taken_where_it_is_free_and_costs_nobody_a_port() {
        let (ports, mut random) = (Ports::new(&(40_000..=40_003)), Random::new(&[4; 32], 0));
        let mut take = |wish, favourite| ports.take(SHARD, wish, Some(favourite), &mut random);
        assert_eq!(take(Wish::Any, 4 * 1000 + 2), Some(40_002), "any number points somewhere");
        let second = take(Wish::Any, 2).unwrap();
        assert_ne!(second, 40_002);
        ports.release(40_002);
        assert_eq!(take(Wish::Any, 2), Some(40_002));
        ports.release(second);
        ports.release(40_002);
        assert_eq!(take(Wish::Even, 1).unwrap() % 2, 0, "what was asked for counts more");
        assert!((0..3).all(|_| take(Wish::Any, 1).is_some()) && take(Wish::Any, 1).is_none());
    }

    #[test]
    fn even_ports_leak_nothing_over_20_000_rounds() {
        let (ports, mut random) = (Ports::new(&(49_152..=65_535)), Random::new(&[2; 32], 0));
        for round in 0..20_000 {
            let port = ports.take(SHARD, Wish::EvenAndNext, None, &mut random).expect("none leaked");
            assert_eq!((port % 2, ports.owner(port + 1)), (0, None));
            if round % 2 == 0 {
                assert!(ports.claim(port + 1, SHARD) && !ports.claim(port + 1, SHARD));
            }
            ports.release(port);
            ports.release(port + 1);
        }
        assert_eq!(ports.taken(), 0);
    }

    #[test]
    fn the_last_port_has_no_next_one() {
        let (ports, mut random) = (Ports::new(&(65_534..=65_534)), Random::new(&[3; 32], 0));
        assert_eq!(ports.take(SHARD, Wish::EvenAndNext, None, &mut random), None);
        assert_eq!(ports.take(SHARD, Wish::Even, None, &mut random), Some(65_534));
        let (ports, mut random) = (Ports::new(&(65_535..=65_535)), Random::new(&[3; 32], 0));
        assert_eq!(ports.take(SHARD, Wish::Even, None, &mut random), None);
    }
}
