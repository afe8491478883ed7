//! PURE: when the packets that were played were heard, for a recording: the sound's own time, 20 ms a frame, held beside
//! the playout's, which is stretched and shortened by a few milliseconds now and then.

use crate::media::frame::SAMPLE_RATE;
use bytes::Bytes;
use std::time::Duration;

/// The two may differ by so much …
const SLACK: Duration = Duration::from_millis(20);
/// … then they come nearer by so much with each packet …
const STEP: Duration = Duration::from_millis(1);
/// … and at once where they are further apart: the stream began anew.
const JUMP: Duration = Duration::from_millis(200);

/// A packet that was played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The packet.
    pub packet: Bytes,
    /// When its sound began, on the clock of the playout.
    pub at: Duration,
}

/// Gives packets their time.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// When the next one is due by the sound's own time.
    next: Option<Duration>,
}

impl Places {
    /// The time of a packet of so many samples that is played at `at`.
    pub(super) fn packet(&mut self, at: Duration, samples: usize) -> Duration {
        let place = match self.next {
            Some(next) if at.abs_diff(next) <= SLACK => next,
            Some(next) if at.abs_diff(next) > JUMP => at,
            Some(next) if at > next => next + STEP,
            Some(next) => next.saturating_sub(STEP),
            None => at,
        };
        self.next = Some(place + length(samples));
        place
    }

    /// So many samples were played that no packet brought.
    pub(super) fn gap(&mut self, samples: usize) {
        self.next = self.next.map(|next| next + length(samples));
    }

    /// Nothing comes any more.
    pub(super) fn end(&mut self) {
        self.next = None;
    }
}

/// How long so many samples last.
pub(super) fn length(samples: usize) -> Duration {
    Duration::from_nanos(samples as u64 * 1_000_000_000 / u64::from(SAMPLE_RATE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(at: u64) -> Duration {
        Duration::from_millis(at)
    }

    #[test]
    fn packets_follow_each_other_without_a_gap_while_the_playout_wavers() {
        let mut places = Places::default();
        let placed: Vec<Duration> =
            (0..100).map(|n| places.packet(ms(1_000 + n * 20 + n * 7 % 15), 960)).collect();
        assert!(placed.windows(2).all(|pair| pair[1] - pair[0] == ms(20)), "{placed:?}");
    }

    #[test]
    fn a_playout_that_went_elsewhere_is_followed_gently_and_after_a_jump_at_once() {
        let mut places = Places::default();
        assert_eq!(places.packet(ms(0), 960), ms(0));
        assert_eq!(places.packet(ms(60), 960), ms(21));
        assert_eq!(places.packet(ms(300), 960), ms(300));
        places.gap(1_920);
        assert_eq!(places.packet(ms(365), 960), ms(360));
        places.end();
        assert_eq!(places.packet(ms(500), 960), ms(500));
    }
}
