//! The friend's packets come from another address than before: its NAT has forgotten the mapping, or has another public
//! address, and nobody told the agent, which stays with the pair that it has chosen and would send into the void.
//! Whoever knows this end's password and asks from another address while the old one is silent is the friend; so what
//! the agent sends to the old address goes to the new one, and what comes from there seems to come from the old one.
//! Also knows when packets that came all the time come no more, and when nothing comes at all. Pure: told the time,
//! knows no socket.

use super::checks::Path;
use crate::call::silence::NOTICED_AFTER;
use std::net::SocketAddr;
use std::time::Duration;

/// So long nothing has come from the old address: sound comes every 20 to 60 ms. A longer silence is no proof either;
/// but whenever the old address speaks again, packets go there again.
const SILENT: Duration = Duration::from_millis(300);
/// Packets that come in such a row flow: half a second of sound and more.
const FLOW: u32 = 25;
/// A row is broken by such a pause.
const PAUSE: Duration = Duration::from_millis(300);
/// So long without a packet where they flowed before, and it is time to look for the friend. Long enough for the
/// hiccups of a wireless network, and shorter by far than a person waits before asking "are you still there?".
const QUIET: Duration = Duration::from_secs(1);

/// The address of the chosen pair, and where the friend really is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moved {
    chosen: Path,
    real: SocketAddr,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Follow {
    moved: Option<Moved>,
    /// When something came from where the friend is.
    heard: Option<Duration>,
    flow: Flow,
}

/// Whether data comes.
#[derive(Debug, Default)]
struct Flow {
    row: u32,
    last: Duration,
    quiet: bool,
}

impl Follow {
    /// Where a packet goes that the agent sends by this path.
    pub(super) fn outbound(&self, path: Path) -> SocketAddr {
        self.moved.filter(|moved| moved.chosen == path).map_or(path.1, |moved| moved.real)
    }

    /// A packet came by this path, while the agent's data goes by the `chosen` one: where the agent is to see it come
    /// from. `asks` when it is a check, whose password the router has compared.
    pub(super) fn inbound(
        &mut self,
        now: Duration,
        path: Path,
        chosen: Option<Path>,
        asks: bool,
    ) -> SocketAddr {
        let (port, from) = path;
        let Some(chosen) = chosen else { return from };
        // The agent has chosen anew by itself.
        self.moved = self.moved.filter(|moved| moved.chosen == chosen);
        if port != chosen.0 {
            return from;
        }
        let heard = *self.heard.get_or_insert(now);
        if from == self.outbound(chosen) {
            self.heard = Some(now);
            return chosen.1;
        }
        if from == chosen.1 || (asks && now.saturating_sub(heard) >= SILENT) {
            log::info!("the friend has moved from {} to {from}", self.outbound(chosen));
            self.moved = (from != chosen.1).then_some(Moved { chosen, real: from });
            self.heard = Some(now);
            return chosen.1;
        }
        from
    }

    /// Nothing at all has come from where the friend is for [`NOTICED_AFTER`]: no sound, and no check either.
    pub(super) fn is_silent(&self, now: Duration) -> bool {
        self.heard.is_none_or(|heard| now.saturating_sub(heard) >= NOTICED_AFTER)
    }

    /// Data came: sound, picture, or a word on them.
    pub(super) fn data(&mut self, now: Duration) {
        let flow = &mut self.flow;
        let pause = now.saturating_sub(flow.last) >= PAUSE;
        flow.row = if pause { 1 } else { flow.row.saturating_add(1) };
        flow.last = now;
    }

    /// Whether it has become quiet since this was last asked, or is so no longer.
    pub(super) fn news(&mut self, now: Duration) -> Option<bool> {
        let flow = &mut self.flow;
        let silent = now.saturating_sub(flow.last) >= QUIET;
        let quiet = silent && (flow.quiet || flow.row >= FLOW);
        (std::mem::replace(&mut flow.quiet, quiet) != quiet).then_some(quiet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        ([203, 0, 113, 9], port).into()
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    const DIRECT: usize = 0;
    const RELAY: usize = 1;

    /// A friend at port 1, heard until 1 s.
    fn followed() -> Follow {
        let mut follow = Follow::default();
        for now in (0..=1_000).step_by(20) {
            assert_eq!(follow.inbound(ms(now), (DIRECT, at(1)), Some((DIRECT, at(1))), false), at(1));
        }
        follow
    }

    fn asks(follow: &mut Follow, now: u64, port: usize, from: u16) -> SocketAddr {
        follow.inbound(ms(now), (port, at(from)), Some((DIRECT, at(1))), true)
    }

    #[test]
    fn a_friend_that_asks_from_elsewhere_while_the_old_place_is_silent_is_followed() {
        let mut follow = followed();
        assert_eq!(asks(&mut follow, 1_100, DIRECT, 2), at(2), "too early");
        assert_eq!(asks(&mut follow, 1_400, DIRECT, 2), at(1));
        assert_eq!(follow.outbound((DIRECT, at(1))), at(2));
        assert_eq!(follow.outbound((DIRECT, at(7))), at(7), "others are left alone");
        let data = follow.inbound(ms(1_420), (DIRECT, at(2)), Some((DIRECT, at(1))), false);
        assert_eq!(data, at(1));
    }

    #[test]
    fn data_alone_or_by_another_port_moves_nobody() {
        let mut follow = followed();
        let data = follow.inbound(ms(9_000), (DIRECT, at(2)), Some((DIRECT, at(1))), false);
        assert_eq!((data, asks(&mut follow, 9_000, RELAY, 2)), (at(2), at(2)));
        assert_eq!(follow.outbound((DIRECT, at(1))), at(1));
    }

    #[test]
    fn a_friend_may_move_again_and_back() {
        let mut follow = followed();
        for (now, from) in [(2_000, 2), (3_000, 3)] {
            asks(&mut follow, now, DIRECT, from);
            assert_eq!(follow.outbound((DIRECT, at(1))), at(from));
        }
        assert_eq!(follow.inbound(ms(3_010), (DIRECT, at(1)), Some((DIRECT, at(1))), false), at(1));
        assert_eq!(follow.outbound((DIRECT, at(1))), at(1));
    }

    #[test]
    fn when_the_agent_chooses_anew_nothing_is_renamed_any_more() {
        let mut follow = followed();
        asks(&mut follow, 2_000, DIRECT, 2);
        assert_eq!(follow.inbound(ms(2_010), (DIRECT, at(2)), Some((DIRECT, at(2))), false), at(2));
        assert_eq!(follow.outbound((DIRECT, at(1))), at(1));
    }

    #[test]
    fn a_friend_is_silent_when_nothing_comes_from_where_it_is() {
        assert!(Follow::default().is_silent(ms(0)), "nobody is known yet");
        let mut follow = followed();
        assert_eq!([3_499, 3_500].map(|now| follow.is_silent(ms(now))), [false, true]);
        follow.inbound(ms(3_600), (DIRECT, at(2)), Some((DIRECT, at(1))), false);
        assert!(follow.is_silent(ms(3_600)), "it is a stranger who speaks");
        follow.inbound(ms(3_700), (DIRECT, at(1)), Some((DIRECT, at(1))), false);
        assert!(!follow.is_silent(ms(3_700)));
    }

    #[test]
    fn what_flowed_and_stops_is_told_once_and_again_when_it_flows() {
        let mut follow = Follow::default();
        assert_eq!(follow.news(ms(5_000)), None, "nothing flowed yet");
        for now in (5_000..6_000).step_by(20) {
            follow.data(ms(now));
            assert_eq!(follow.news(ms(now)), None);
        }
        assert_eq!(follow.news(ms(6_900)), None);
        assert_eq!([6_990, 7_500].map(|now| follow.news(ms(now))), [Some(true), None]);
        follow.data(ms(8_000));
        assert_eq!([8_010, 8_020].map(|now| follow.news(ms(now))), [Some(false), None]);
    }

    #[test]
    fn single_packets_now_and_then_are_no_flow() {
        let mut follow = Follow::default();
        for now in (0..60_000).step_by(400) {
            follow.data(ms(now));
        }
        assert_eq!(follow.news(ms(70_000)), None);
    }
}
