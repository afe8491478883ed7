//! PURE: a path that says nothing any more: how long to wait for it, and when it is sure that nobody comes back.
//!
//! ```text
//! 0 s       2.5 s                    5 s                                             --reconnect
//! last      noticed: reconnecting    sure: the friend's port refuses -> FriendGone   GivenUp
//! packet
//! ```
//! It knows no socket: who hears refusals says so.

use super::ending::{Ending, seconds};
use std::time::Duration;

/// After so long without a packet the path is called silent. RFC 7675 §5.1 allows 30 s; a person does not wait so
/// long for a word.
pub const NOTICED_AFTER: Duration = Duration::from_millis(2_500);

/// Counted from then: so long a friend may be busy, or change networks, whatever else is heard of its machine.
const SURE_AFTER: Duration = Duration::from_millis(2_500);

/// One silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    noticed: Duration,
    relayed: bool,
    refused: bool,
}

impl Silence {
    /// A silence that was noticed at `now`.
    pub fn new(now: Duration, relayed: bool) -> Self {
        Self { noticed: now, relayed, refused: false }
    }

    /// The friend's port is closed.
    pub fn refused(&mut self) {
        self.refused = true;
    }

    /// When to wait no longer.
    pub fn ends(&self, patience: Duration) -> Duration {
        self.noticed + if self.refused { SURE_AFTER } else { patience.max(SURE_AFTER) }
    }

    /// What has ended the call then.
    pub fn ending(&self, patience: Duration) -> Ending {
        match self.refused {
            true => Ending::FriendGone,
            false => Ending::GivenUp { relayed: self.relayed, after: patience.max(SURE_AFTER) },
        }
    }
}

/// What is going on, for a person.
pub fn words(friend: Option<&str>, patience: Duration) -> String {
    let friend = friend.unwrap_or("your friend");
    let patience = seconds(patience.max(SURE_AFTER));
    format!("Nothing comes from {friend}: trying to reach the other end again, for {patience} at the most.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);
    const PATIENCE: Duration = Duration::from_secs(120);

    #[test]
    fn an_unreachable_friend_is_waited_for_and_one_whose_port_refuses_is_not() {
        let mut silence = Silence::new(NOW, false);
        assert_eq!(silence.ends(PATIENCE), NOW + PATIENCE);
        assert_eq!(silence.ending(PATIENCE), Ending::GivenUp { relayed: false, after: PATIENCE });
        silence.refused();
        assert_eq!(silence.ends(PATIENCE), NOW + SURE_AFTER);
        assert_eq!(silence.ending(PATIENCE), Ending::FriendGone);
    }

    #[test]
    fn without_any_patience_it_is_still_made_sure() {
        assert_eq!(Silence::new(NOW, true).ends(Duration::ZERO), NOW + SURE_AFTER);
    }

    #[test]
    fn a_dead_peer_is_known_within_six_seconds() {
        assert!(NOTICED_AFTER + SURE_AFTER <= Duration::from_millis(5_500));
    }
}
