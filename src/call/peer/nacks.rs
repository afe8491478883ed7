//! Which missing packets to ask for now. The stack's own generator knows no round trip: it asks again while
//! the answer is still on its way, and over 200 ms each lost packet came three or four times; nor does it know
//! when the picture goes on without the packet. Pure.

use crate::media::picture::useful;
use std::collections::HashMap;
use std::time::Duration;

/// Until the path's round trip is known.
const TYPICAL_ROUND_TRIP: Duration = Duration::from_millis(100);
/// What an answer may take beyond the round trip: scheduling at both ends, some jitter.
const SLACK: Duration = Duration::from_millis(20);
/// The stack goes on asking for as long as it remembers; after so long a number may be another packet's.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// Requests that are remembered; more would be no picture any more.
const MAX_ASKED: usize = 2_048;

/// What was asked for, and when.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// When each was asked for first, and last.
    at: HashMap<(u32, u16), (Duration, Duration)>,
}

impl Asked {
    /// Of the missing packets of a stream, those that were not asked for within the last round trip, and whose
    /// answer is of use yet.
    pub(super) fn now(
        &mut self,
        now: Duration,
        round_trip: Option<Duration>,
        ssrc: u32,
        missing: impl IntoIterator<Item = u16>,
    ) -> Vec<u16> {
        let round_trip = round_trip.unwrap_or(TYPICAL_ROUND_TRIP);
        let (wait, useful) = (round_trip + SLACK, useful(round_trip));
        if self.at.len() >= MAX_ASKED {
            self.at.retain(|_, (first, _)| now.saturating_sub(*first) < useful * 4);
        }
        let mut due = Vec::new();
        for sequence in missing {
            let asked = self.at.get(&(ssrc, sequence)).copied();
            let asked = asked.filter(|(first, _)| now.saturating_sub(*first) < FORGOTTEN);
            let due_now = match asked {
                None => round_trip <= useful && self.at.len() < MAX_ASKED,
                Some((first, last)) => {
                    now.saturating_sub(last) >= wait && now.saturating_sub(first) + round_trip <= useful
                }
            };
            if due_now {
                self.at.insert((ssrc, sequence), (asked.map_or(now, |(first, _)| first), now));
                due.push(sequence);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_packet_is_asked_for_once_a_round_trip_while_it_is_of_use() {
        for (round_trip, expected) in
            [(20, &[0, 40][..]), (100, &[0, 120]), (200, &[0, 220]), (400, &[0]), (800, &[])]
        {
            let mut asked = Asked::default();
            let ask = |at: &u64| !asked.now(ms(*at), Some(ms(round_trip)), 1, [7]).is_empty();
            let times: Vec<u64> = (0..700).step_by(20).filter(ask).collect();
            assert_eq!(times, expected, "{round_trip}");
        }
    }

    #[test]
    fn packets_and_streams_are_told_apart() {
        let mut asked = Asked::default();
        assert_eq!(asked.now(ms(0), None, 1, [7, 8]), [7, 8]);
        assert_eq!(asked.now(ms(20), None, 1, [7, 8, 9]), [9]);
        assert_eq!(asked.now(ms(20), None, 2, [7]), [7]);
    }

    #[test]
    fn a_flood_of_losses_is_not_remembered_without_end() {
        let mut asked = Asked::default();
        for round in 0..100 {
            asked.now(ms(round), None, round as u32, 0..1_000);
        }
        assert!(asked.at.len() <= MAX_ASKED);
        assert_eq!(asked.now(ms(10_000), None, 1, [1]), [1]);
    }
}
