//! Birthday punching: how two ends become direct of which one has a NAT that gives each peer another port (*hard*), and
//! the other one a NAT that lets in only whom it wrote to by address and port. Nobody can tell which port the hard
//! NAT will give; but of many that it has given, one is soon hit.
//!
//! ```text
//! hard end: 256 sockets, one knock each --> the easy end's one address    256 outside ports wait for answers from it
//! easy end: its call socket             --> the hard end's address, any of 64,512 ports, 300 a second
//! the first knock that comes through    --> the hard end keeps the socket that it came to; the others are closed
//! ```
//! A guess hits with 256 in 64,512: after 252 of them it is more likely than not, and all 1,200 miss in one of 120
//! calls. Routers at home remember every peer that was written to, some only a thousand or two for the whole
//! house: hence no more than that, and no more than twice in a call.
//!
//! Pure: which knock is due where and when. [`sockets`] sends them and hears the answers.

pub(super) mod sockets;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Sockets of the hard end.
pub(super) const SOCKETS: usize = 256;
/// Ports that the easy end guesses.
const GUESSES: usize = 1_200;
/// Paths that need no guessing have so much of a start.
const HEAD_START: Duration = Duration::from_millis(300);
/// What the hard end sends at first is given out so slowly.
const OPENING_INTERVAL: Duration = Duration::from_millis(1);
/// Then, when most that could be hit has been hit, once more: guesses that came too early for a port have opened the easy
/// end's NAT for it, and a knock may have been lost.
const SECOND_OPENING: Duration = Duration::from_secs(3);
/// Guesses wait until the first sockets have knocked.
const GUESSES_BEGIN: Duration = Duration::from_millis(150);
/// 300 a second: 30 kB/s.
const GUESS_INTERVAL: Duration = Duration::from_micros(3_333);
/// The last one may take so long to be answered.
const LAST_ANSWER: Duration = Duration::from_millis(750);
/// RFC 6056 §3.2: the ports that are dealt out.
const FIRST_PORT: u16 = 1_024;

/// One knock: from which of the sockets, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Knock {
    pub(super) socket: usize,
    pub(super) to: SocketAddr,
}

/// What one end has still to send, each at its time since the start.
#[derive(Debug)]
pub(super) struct Plan {
    knocks: VecDeque<(Duration, Knock)>,
    ends: Duration,
}

impl Plan {
    /// The hard end's, which has so many sockets.
    pub(super) fn opening(sockets: usize, to: SocketAddr) -> Self {
        let round = |begins: Duration| {
            let at = move |socket: usize| begins + OPENING_INTERVAL * u32::try_from(socket).unwrap_or(0);
            (0..sockets.min(SOCKETS)).map(move |socket| (at(socket), Knock { socket, to }))
        };
        Self::new(round(HEAD_START).chain(round(SECOND_OPENING)))
    }

    /// The easy end's: ports in an order that `random` gives, none of them twice.
    pub(super) fn guesses(to: IpAddr, mut random: impl FnMut() -> u32) -> Self {
        let mut ports: Vec<u16> = (FIRST_PORT..=u16::MAX).collect();
        // Fisher and Yates, as far as it is needed.
        for at in 0..GUESSES {
            let rest = ports.len() - at;
            ports.swap(at, at + random() as usize % rest);
        }
        let knock = |port| Knock { socket: 0, to: SocketAddr::new(to, port) };
        let begins = HEAD_START + GUESSES_BEGIN;
        let at = (0..).map(|index| begins + GUESS_INTERVAL * index);
        Self::new(at.zip(ports.into_iter().take(GUESSES).map(knock)))
    }

    fn new(knocks: impl Iterator<Item = (Duration, Knock)>) -> Self {
        let knocks: VecDeque<_> = knocks.collect();
        // Both ends listen for as long as either sends.
        let guessed = HEAD_START + GUESSES_BEGIN + GUESS_INTERVAL * GUESSES as u32;
        Self { knocks, ends: guessed + LAST_ANSWER }
    }

    /// A knock that is due.
    pub(super) fn poll(&mut self, now: Duration) -> Option<Knock> {
        let (due, knock) = *self.knocks.front()?;
        (due <= now).then(|| {
            self.knocks.pop_front();
            knock
        })
    }

    /// When to poll again; `None` when it has been in vain.
    pub(super) fn poll_timeout(&self, now: Duration) -> Option<Duration> {
        match self.knocks.front() {
            Some((due, _)) => Some(*due),
            None => (now < self.ends).then_some(self.ends),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Marsaglia's xorshift.
    fn random(mut seed: u32) -> impl FnMut() -> u32 {
        move || {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            seed
        }
    }

    fn address() -> SocketAddr {
        "203.0.113.9:4000".parse().unwrap()
    }

    /// All knocks with the time at which they were sent, polled as a driver does, and the end.
    fn run(mut plan: Plan) -> (Vec<(Duration, Knock)>, Duration) {
        let (mut sent, mut now) = (Vec::new(), Duration::ZERO);
        loop {
            while let Some(knock) = plan.poll(now) {
                sent.push((now, knock));
            }
            match plan.poll_timeout(now) {
                Some(next) => now = next,
                None => return (sent, now),
            }
        }
    }

    #[test]
    fn the_easy_end_tries_each_port_once_and_not_too_many_nor_too_fast() {
        let (sent, end) = run(Plan::guesses(address().ip(), random(1)));
        let ports: HashSet<u16> = sent.iter().map(|(_, knock)| knock.to.port()).collect();
        assert_eq!((sent.len(), ports.len()), (GUESSES, GUESSES));
        assert!(sent.iter().all(|(_, knock)| knock.socket == 0 && knock.to.port() >= FIRST_PORT));
        for second in 0..6 {
            let within = sent.iter().filter(|(at, _)| at.as_secs() == second).count();
            assert!(within <= 302, "{within} in one second");
        }
        assert!(end < Duration::from_millis(5_300), "{end:?}");
    }

    #[test]
    fn the_hard_end_opens_every_socket_twice_and_goes_on_listening() {
        let (sent, end) = run(Plan::opening(SOCKETS, address()));
        for socket in 0..SOCKETS {
            assert_eq!(sent.iter().filter(|(_, knock)| knock.socket == socket).count(), 2);
        }
        assert!(sent.iter().all(|(_, knock)| knock.to == address()));
        assert_eq!(end, run(Plan::guesses(address().ip(), random(2))).1, "both end at once");
        assert_eq!(run(Plan::opening(3, address())).0.len(), 6, "as many as there are");
    }

    #[test]
    fn nineteen_of_twenty_become_direct() {
        let mut seeds = random(42);
        let hits = (0..1_000).filter(|_| {
            let mut nat = random(seeds() | 1);
            let open: HashSet<u16> = (0..SOCKETS)
                .map(|_| FIRST_PORT + (nat() % u32::from(u16::MAX - FIRST_PORT)) as u16)
                .collect();
            let guesses = run(Plan::guesses(address().ip(), random(seeds() | 1))).0;
            guesses.iter().any(|(_, knock)| open.contains(&knock.to.port()))
        });
        let hits = hits.count();
        assert!(hits >= 970, "{hits} of 1,000");
    }
}
