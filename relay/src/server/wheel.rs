//! A coarse timer wheel: one entry an allocation, a second a slot.
//!
//! Entries are not moved when a lifetime is prolonged: whoever owns them looks at the real deadline when an
//! entry comes up, and puts it in again.

use super::clock::Seconds;

/// Seconds in one turn. A later deadline comes up early, once a turn.
const SLOTS: u32 = 1024;

#[derive(Debug)]
pub(super) struct Wheel<T> {
    slots: Vec<Vec<T>>,
    /// All slots before this second have been emptied.
    at: Seconds,
    entries: usize,
}

impl<T> Wheel<T> {
    pub(super) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| Vec::new()).collect(), at: 0, entries: 0 }
    }

    /// Has `entry` come up at `deadline`, or within a turn if that is farther away.
    pub(super) fn insert(&mut self, deadline: Seconds, entry: T) {
        let at = deadline.clamp(self.at, self.at + SLOTS - 1);
        if let Some(slot) = self.slots.get_mut((at % SLOTS) as usize) {
            slot.push(entry);
            self.entries += 1;
        }
    }

    /// Takes out all that is due at `now`.
    pub(super) fn due(&mut self, now: Seconds) -> Vec<T> {
        let mut due = Vec::new();
        let last = now.min(self.at.saturating_add(SLOTS - 1));
        while self.at <= last {
            if let Some(slot) = self.slots.get_mut((self.at % SLOTS) as usize) {
                due.append(slot);
                slot.shrink_to(4);
            }
            self.at += 1;
        }
        self.at = self.at.max(now.saturating_add(1));
        self.entries -= due.len();
        due
    }

    /// When to look again, if there is anything in it.
    pub(super) fn next(&self) -> Option<Seconds> {
        (self.entries > 0).then_some(self.at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_comes_up_in_its_second() {
        let mut wheel = Wheel::new();
        wheel.insert(5, 'a');
        wheel.insert(7, 'b');
        assert_eq!((wheel.due(4), wheel.due(5), wheel.due(6)), (vec![], vec!['a'], vec![]));
        assert_eq!(wheel.next(), Some(7));
        assert_eq!((wheel.due(100), wheel.next()), (vec!['b'], None));
    }

    #[test]
    fn a_deadline_in_the_past_comes_up_next() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.due(50), vec![]);
        wheel.insert(3, 'a');
        assert_eq!(wheel.due(51), vec!['a']);
    }

    #[test]
    fn a_far_deadline_comes_up_once_a_turn() {
        let mut wheel = Wheel::new();
        wheel.insert(3600, 'a');
        assert_eq!(wheel.due(SLOTS - 1), vec!['a']);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_late(
            inserts in proptest::collection::vec((0u32..2000, 0u32..5000), 1..50),
        ) {
            let mut inserts = inserts;
            inserts.sort_unstable();
            let mut wheel = Wheel::new();
            let mut out = 0;
            for &(now, deadline) in &inserts {
                for late in wheel.due(now) {
                    prop_assert!(late <= now || now >= SLOTS - 1, "{late} came up at {now}");
                    out += 1;
                }
                wheel.insert(deadline, deadline);
            }
            let mut now = 2000;
            while wheel.next().is_some() {
                now += 500;
                out += wheel.due(now).len();
            }
            prop_assert_eq!(out, inserts.len());
        }
    }
}
