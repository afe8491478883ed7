//! How late the remote end's sound and picture are, and what it is told so that it can say as much of this end's.

use super::Peer;
use crate::media::frame::{MediaKind, Moment};
use std::time::Duration;

impl Peer {
    /// How long before this moment the remote end captured what was then heard or seen, as far as its sender reports
    /// tell; wrong by half of what the two ways differ.
    pub fn age(&self, kind: MediaKind, moment: Moment) -> Option<Duration> {
        self.media.counters().age(kind, moment.timestamp, moment.at)
    }

    /// Own sound is stamped so many microseconds later than it is captured, which sender reports make good.
    pub fn sound_late(&self, micros: i64) {
        self.media.set_sound_late(micros);
    }
}
