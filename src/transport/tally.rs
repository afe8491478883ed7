//! What happened on each pair of a link and a remote address: checks that left, their answers, checks that came. It is
//! what an attempt that fails is explained with. Pure, and bounded.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::router::LinkId;

/// Pairs that are counted. An attempt has a few dozen; what comes later, such as from somebody who has the code and
/// sends from everywhere, is not counted.
const MAX_PAIRS: usize = 128;

/// What happened on one pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Checks that left.
    pub sent: u32,
    /// Answers to them that came.
    pub answered: u32,
    /// Checks of the remote that came, proven by their integrity.
    pub heard: u32,
    /// The remote's machine said that nobody has the port open. Anybody can forge that.
    pub refused: bool,
    /// Our relay sends nothing there.
    pub forbidden: bool,
}

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pairs: HashMap<(LinkId, SocketAddr), Count>,
}

impl Tally {
    /// A check left.
    pub(super) fn sent(&mut self, link: LinkId, to: SocketAddr) {
        self.count(link, to, |count| count.sent = count.sent.saturating_add(1));
    }

    /// A check was answered.
    pub(super) fn answered(&mut self, link: LinkId, from: SocketAddr) {
        self.count(link, from, |count| count.answered = count.answered.saturating_add(1));
    }

    /// A check came.
    pub(super) fn heard(&mut self, link: LinkId, from: SocketAddr) {
        self.count(link, from, |count| count.heard = count.heard.saturating_add(1));
    }

    /// The port is closed; said of what was sent to only.
    pub(super) fn refused(&mut self, link: LinkId, remote: SocketAddr) {
        if let Some(count) = self.pairs.get_mut(&(link, remote)) {
            count.refused = true;
        }
    }

    /// The relay of this link refuses a permission for the address.
    pub(super) fn forbidden(&mut self, link: LinkId, peer: IpAddr) {
        let there = self.pairs.iter_mut().filter(|((one, to), _)| *one == link && to.ip() == peer);
        there.for_each(|(_, count)| count.forbidden = true);
    }

    /// All there are, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = (LinkId, SocketAddr, Count)> {
        self.pairs.iter().map(|((link, remote), count)| (*link, *remote, *count))
    }

    fn count(&mut self, link: LinkId, remote: SocketAddr, change: impl FnOnce(&mut Count)) {
        let pair = (link, remote);
        if self.pairs.len() < MAX_PAIRS || self.pairs.contains_key(&pair) {
            change(self.pairs.entry(pair).or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn each_pair_counts_for_itself() {
        let mut tally = Tally::default();
        let [one, other] = [LinkId(1), LinkId(2)];
        tally.refused(one, at(5));
        assert_eq!(tally.all().count(), 0, "nothing was sent there");
        tally.sent(one, at(5));
        tally.sent(one, at(5));
        tally.answered(one, at(5));
        tally.heard(other, at(6));
        tally.sent(other, at(6));
        tally.refused(one, at(5));
        tally.forbidden(other, at(9).ip());
        let mut all: Vec<_> = tally.all().collect();
        all.sort_by_key(|(link, ..)| *link);
        let expect = [
            (one, at(5), Count { sent: 2, answered: 1, refused: true, ..Count::default() }),
            (other, at(6), Count { sent: 1, heard: 1, forbidden: true, ..Count::default() }),
        ];
        assert_eq!(all, expect);
    }

    #[test]
    fn memory_is_bounded_and_known_pairs_go_on() {
        let mut tally = Tally::default();
        (1..1_000).for_each(|port| tally.heard(LinkId(1), at(port)));
        tally.heard(LinkId(1), at(1));
        assert_eq!(tally.all().count(), MAX_PAIRS);
        assert!(tally.all().any(|(_, from, count)| from == at(1) && count.heard == 2));
    }
}
