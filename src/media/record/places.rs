//! PURE: when frames were played or shown, for a recording: the stream's own time, even, held beside the playout's, which
//! wavers by a few milliseconds.

use std::time::Duration;

/// They come nearer by so much with each frame …
const STEP: Duration = Duration::from_millis(1);
/// … and at once where they are further apart: the stream began anew, or stood still.
const JUMP: Duration = Duration::from_millis(200);

/// Gives frames their time.
#[derive(Debug)]
pub(in crate::media) struct Places {
    /// The two may differ by so much.
    slack: Duration,
    /// The stream's own time.
    next: Option<Duration>,
}

impl Places {
    pub(in crate::media) fn new(slack: Duration) -> Self {
        Self { slack, next: None }
    }

    /// The stream went on by so much.
    pub(in crate::media) fn advance(&mut self, by: Duration) {
        self.next = self.next.map(|next| next.saturating_add(by));
    }

    /// The time of a frame that is played at `at`.
    pub(in crate::media) fn place(&mut self, at: Duration) -> Duration {
        let place = match self.next {
            Some(next) if at.abs_diff(next) <= self.slack => next,
            Some(next) if at.abs_diff(next) > JUMP => at,
            Some(next) if at > next => next + STEP,
            Some(next) => next.saturating_sub(STEP),
            None => at,
        };
        self.next = Some(place);
        place
    }

    /// Nothing comes any more.
    pub(in crate::media) fn end(&mut self) {
        self.next = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(at: u64) -> Duration {
        Duration::from_millis(at)
    }

    #[test]
    fn frames_follow_each_other_evenly_while_the_playout_wavers() {
        let mut places = Places::new(ms(20));
        let frame = |n: u64| {
            let placed = places.place(ms(1_000 + n * 20 + n * 7 % 15));
            places.advance(ms(20));
            placed
        };
        let placed: Vec<Duration> = (0..100).map(frame).collect();
        assert!(placed.windows(2).all(|pair| pair[1] == pair[0] + ms(20)), "{placed:?}");
    }

    #[test]
    fn a_playout_that_went_elsewhere_is_followed_gently_and_after_a_jump_at_once() {
        let mut places = Places::new(ms(20));
        assert_eq!(places.place(ms(0)), ms(0));
        places.advance(ms(20));
        assert_eq!(places.place(ms(60)), ms(21));
        assert_eq!(places.place(ms(300)), ms(300));
        places.advance(ms(60));
        assert_eq!(places.place(ms(335)), ms(359));
        places.end();
        assert_eq!(places.place(ms(500)), ms(500));
    }
}
