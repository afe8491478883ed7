//! How many packets to ask a socket for, and whether the kernel should join them.
//!
//! Joining (GRO) saves a lot where packets of one sender come in bursts (video), and costs a little where they
//! do not (audio), so it is switched on only for sockets on which bursts are seen.

use std::net::UdpSocket;
use std::ops::Range;

use super::slots::Receiver;
use super::sys;

/// Packets asked for at first, and at most.
const FEWEST: usize = 2;
const MOST: usize = 32;
/// A burst counts for so much more than a lonely packet.
const BURST: u16 = 4;
/// Joining begins at this score and ends at zero.
const BEGIN: u16 = 32;
const TOP: u16 = 256;

/// What one socket has seen lately.
#[derive(Debug)]
pub(super) struct Bursts {
    most: usize,
    score: u16,
    joining: bool,
}

impl Default for Bursts {
    fn default() -> Self {
        Self { most: FEWEST, score: 0, joining: false }
    }
}

impl Bursts {
    /// How many packets to ask for now.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Learns from what came.
    pub(super) fn saw(&mut self, socket: &UdpSocket, receiver: &Receiver, slots: Range<usize>) {
        let count = slots.len();
        self.most =
            if count >= self.most { (self.most * 2).min(MOST) } else { (count + 1).clamp(FEWEST, MOST) };
        let joining = self.joining;
        self.learn(receiver.is_burst(slots), count);
        if self.joining != joining {
            sys::join_packets(socket, self.joining);
        }
    }

    fn learn(&mut self, burst: bool, count: usize) {
        if burst {
            self.score = (self.score + BURST).min(TOP);
        } else {
            self.score = self.score.saturating_sub(count as u16);
        }
        self.joining = if self.joining { self.score > 0 } else { self.score >= BEGIN };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_begins_with_bursts_and_ends_with_lonely_packets() {
        let mut bursts = Bursts::default();
        let mut rounds = |burst, rounds: usize| {
            (0..rounds).for_each(|_| bursts.learn(burst, 1));
            bursts.joining
        };
        assert!(!rounds(false, 100));
        assert!(!rounds(true, 7));
        assert!(rounds(true, 1));
        assert!(rounds(false, 31));
        assert!(!rounds(false, 1));
    }
}
