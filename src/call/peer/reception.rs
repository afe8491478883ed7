//! One incoming RTP stream: which packets are new, how many are missing, how unevenly they come
//! (RFC 3550 §6.4.1, appendix A.8). Pure.

use std::time::Duration;

/// How far behind the newest packet one may still be told from a copy; a power of two.
const WINDOW: u16 = 1_024;
/// A jump beyond this is another start, not a loss (RFC 3550 appendix A.1, `MAX_DROPOUT`).
const MAX_JUMP: u16 = 3_000;

/// What is known of a stream.
#[derive(Debug, Clone)]
pub(super) struct Reception {
    clock: f64,
    newest: Option<u16>,
    expected: u64,
    /// Of these, since the stream (last) started.
    span: u64,
    received: u64,
    seen: Box<[bool]>,
    transit: Option<f64>,
    jitter: f64,
}

impl Reception {
    /// A stream whose timestamps count `clock` a second.
    pub(super) fn new(clock: u32) -> Self {
        Self {
            clock: f64::from(clock),
            newest: None,
            expected: 0,
            span: 0,
            received: 0,
            seen: vec![false; usize::from(WINDOW)].into_boxed_slice(),
            transit: None,
            jitter: 0.0,
        }
    }

    /// Takes a packet; `false` for one that came before, or too late to tell.
    pub(super) fn take(&mut self, sequence: u16, timestamp: u32, arrived: Duration) -> bool {
        let ahead = match self.newest {
            None => 1,
            Some(newest) => sequence.wrapping_sub(newest),
        };
        // RFC 3550's modulo arithmetic: half the numbers are ahead, half behind.
        if ahead == 0 || ahead > u16::MAX / 2 {
            return self.take_late(sequence, ahead);
        }
        if ahead > MAX_JUMP {
            self.seen.fill(false);
            self.transit = None;
            self.expected += 1;
            self.span = 1;
        } else {
            for step in 1..ahead {
                self.mark(sequence.wrapping_sub(step), false);
            }
            self.expected += u64::from(ahead);
            self.span += u64::from(ahead);
        }
        self.newest = Some(sequence);
        self.mark(sequence, true);
        self.received += 1;
        self.measure(timestamp, arrived);
        true
    }

    /// Packets that should have come and have not.
    pub(super) fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.received)
    }

    /// Interarrival jitter.
    pub(super) fn jitter(&self) -> Duration {
        Duration::try_from_secs_f64(self.jitter / self.clock).unwrap_or_default()
    }

    fn take_late(&mut self, sequence: u16, ahead: u16) -> bool {
        let behind = ahead.wrapping_neg();
        if behind >= WINDOW || self.was_seen(sequence) {
            return false;
        }
        self.mark(sequence, true);
        // Before the very first one nothing was expected.
        let earlier = (u64::from(behind) + 1).saturating_sub(self.span);
        self.span += earlier;
        self.expected += earlier;
        self.received += 1;
        true
    }

    fn was_seen(&self, sequence: u16) -> bool {
        self.seen.get(usize::from(sequence % WINDOW)).copied().unwrap_or_default()
    }

    fn mark(&mut self, sequence: u16, seen: bool) {
        if let Some(slot) = self.seen.get_mut(usize::from(sequence % WINDOW)) {
            *slot = seen;
        }
    }

    /// Only for packets in order: a retransmitted one says nothing about the path's evenness.
    fn measure(&mut self, timestamp: u32, arrived: Duration) {
        let transit = arrived.as_secs_f64() * self.clock - f64::from(timestamp);
        if let Some(last) = self.transit {
            let wrap = 2f64.powi(32);
            let difference = (transit - last).abs();
            let difference = difference.min((wrap - difference).abs());
            self.jitter += (difference - self.jitter) / 16.0;
        }
        self.transit = Some(transit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(sequences: &[u16]) -> (Vec<bool>, u64) {
        let mut reception = Reception::new(48_000);
        let new = sequences.iter().map(|sequence| reception.take(*sequence, 0, Duration::ZERO)).collect();
        (new, reception.lost())
    }

    #[test]
    fn gaps_are_losses_until_they_are_filled() {
        for (sequences, lost) in [
            (&[1u16, 2, 3][..], 0),
            (&[1, 2, 5], 2),
            (&[1, 2, 5, 4], 1),
            (&[1, 2, 5, 4, 3], 0),
            (&[65_534, 65_535, 1], 1),
            (&[65_534, 65_535, 1, 0], 0),
            (&[10, 9], 0),
            (&[1, 2, 20_000, 20_001], 0),
        ] {
            let (new, counted) = taken(sequences);
            assert_eq!(counted, lost, "{sequences:?}");
            assert!(new.iter().all(|new| *new), "{sequences:?}");
        }
    }

    #[test]
    fn copies_are_told() {
        assert_eq!(taken(&[7, 7, 9, 8, 8, 9]).0, [true, false, true, true, false, false]);
    }

    #[test]
    fn what_is_far_too_late_is_dropped() {
        assert_eq!(taken(&[5_000, 5_001, 3_000]).0, [true, true, false]);
    }

    #[test]
    fn even_arrival_has_no_jitter_and_uneven_has_its_mean() {
        let mut even = Reception::new(48_000);
        let mut uneven = Reception::new(48_000);
        for i in 0..500u16 {
            let due = Duration::from_millis(u64::from(i) * 20);
            even.take(i, u32::from(i) * 960, due);
            let late = Duration::from_millis(if i % 2 == 0 { 0 } else { 8 });
            uneven.take(i, u32::from(i) * 960, due + late);
        }
        assert_eq!(even.jitter().as_millis(), 0);
        assert!((7..=8).contains(&uneven.jitter().as_millis()), "{:?}", uneven.jitter());
    }

    #[test]
    fn a_timestamp_that_wraps_is_no_jitter() {
        let mut reception = Reception::new(48_000);
        for i in 0..10u16 {
            let timestamp = (u32::MAX - 4_800).wrapping_add(u32::from(i) * 960);
            reception.take(i, timestamp, Duration::from_millis(u64::from(i) * 20));
        }
        assert_eq!(reception.jitter().as_millis(), 0);
    }

    proptest! {
        #[test]
        fn any_stream_is_counted_without_panic(packets: Vec<(u16, u32, u32)>) {
            let mut reception = Reception::new(90_000);
            let mut new = 0;
            for (sequence, timestamp, ms) in &packets {
                new += u64::from(reception.take(*sequence, *timestamp, Duration::from_millis((*ms).into())));
            }
            prop_assert_eq!(reception.received, new);
            prop_assert!(reception.expected >= reception.received);
        }
    }
}
