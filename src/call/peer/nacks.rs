//! Which missing packets to ask for now. The stack's own generator knows no round trip: it asks again while
//! the answer is still on its way, and over 200 ms each lost packet came three or four times. Pure.

use std::collections::HashMap;
use std::time::Duration;

/// Until the path's round trip is known.
const TYPICAL_ROUND_TRIP: Duration = Duration::from_millis(100);
/// What an answer may take beyond the round trip: scheduling at both ends, some jitter.
const SLACK: Duration = Duration::from_millis(20);
/// Requests that are remembered; more would be no picture any more.
const MAX_ASKED: usize = 2_048;

/// What was asked for, and when.
#[derive(Debug, Default)]
pub(super) struct Asked {
    at: HashMap<(u32, u16), Duration>,
}

impl Asked {
    /// Of the missing packets of a stream, those that were not asked for within the last round trip.
    pub(super) fn now(
        &mut self,
        now: Duration,
        round_trip: Option<Duration>,
        ssrc: u32,
        missing: impl IntoIterator<Item = u16>,
    ) -> Vec<u16> {
        let wait = round_trip.unwrap_or(TYPICAL_ROUND_TRIP) + SLACK;
        if self.at.len() >= MAX_ASKED {
            self.at.retain(|_, asked| now.saturating_sub(*asked) < wait);
        }
        let mut due = Vec::new();
        for sequence in missing {
            let asked = self.at.get(&(ssrc, sequence));
            if asked.is_some_and(|asked| now.saturating_sub(*asked) < wait) || self.at.len() >= MAX_ASKED {
                continue;
            }
            self.at.insert((ssrc, sequence), now);
            due.push(sequence);
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
    fn a_packet_is_asked_for_once_a_round_trip() {
        let mut asked = Asked::default();
        let times: Vec<u64> =
            (0..700).step_by(20).filter(|at| !asked.now(ms(*at), Some(ms(200)), 1, [7]).is_empty()).collect();
        assert_eq!(times, [0, 220, 440, 660]);
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
