//! The slots that a round's datagrams are received into, and where in them the core's outputs lie.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::BorrowedFd;

use super::sys::{self, Control, MESSAGES, Name, empty_name};

/// Datagrams that one round can hold.
const SLOTS: usize = MESSAGES;
/// The longest datagram, joined ones included.
const SLOT: usize = 65_536;

/// What is known about a received datagram.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    from: Option<SocketAddr>,
    length: usize,
    /// The length of each of the joined datagrams but the last; `length` if it came alone.
    segment: usize,
}

/// A stretch of a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    start: usize,
    length: usize,
}

/// The slots that datagrams are received into.
pub(super) struct Receiver {
    buffer: Box<[u8]>,
    arrivals: Vec<Arrival>,
    names: Vec<Name>,
    controls: Vec<Control>,
}

impl Receiver {
    pub(super) fn new() -> Self {
        // Zeroed memory costs nothing until it is written to: pages that no datagram reaches do not exist.
        let buffer = vec![0; SLOTS * SLOT].into_boxed_slice();
        let (names, controls) = (vec![empty_name(); SLOTS], vec![[0; 8]; SLOTS]);
        Self { buffer, arrivals: Vec::with_capacity(SLOTS), names, controls }
    }

    pub(super) fn is_full(&self) -> bool {
        self.arrivals.len() >= SLOTS
    }

    /// Frees all slots.
    pub(super) fn clear(&mut self) {
        self.arrivals.clear();
    }

    /// Receives up to `most` datagrams, as far as there are slots, and says which ones they went into.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>, most: usize) -> io::Result<Range<usize>> {
        let first = self.arrivals.len();
        let slots = self.buffer.chunks_mut(SLOT).zip(&mut self.names).zip(&mut self.controls).skip(first);
        let slots = slots.take(most).map(|((slot, name), control)| (slot, name, control));
        let arrivals = &mut self.arrivals;
        let received = sys::receive(socket, slots, |from, length, joined| {
            arrivals.push(Arrival { from, length, segment: joined.unwrap_or(length).max(1) });
        })?;
        Ok(first..first + received)
    }

    /// The datagrams in a slot and where they came from.
    pub(super) fn packets(&self, slot: usize) -> Option<(SocketAddr, std::slice::Chunks<'_, u8>)> {
        let arrival = self.arrivals.get(slot)?;
        let bytes = self.buffer.get(slot * SLOT..slot * SLOT + arrival.length)?;
        Some((arrival.from?, bytes.chunks(arrival.segment)))
    }

    /// Where these bytes of a slot are.
    pub(super) fn place(&self, slot: usize, data: &[u8]) -> Place {
        let within = (data.as_ptr() as usize).saturating_sub(self.buffer.as_ptr() as usize);
        debug_assert!(
            data.is_empty() || within / SLOT == slot,
            "the core's outputs lie in the packet that came in"
        );
        Place { start: within, length: data.len() }
    }

    /// The bytes of a place.
    pub(super) fn at(&self, place: Place) -> &[u8] {
        self.buffer.get(place.start..place.start + place.length).unwrap_or_default()
    }

    /// Whether these slots hold several datagrams in a row of one sender.
    pub(super) fn is_burst(&self, slots: Range<usize>) -> bool {
        let arrivals = self.arrivals.get(slots).unwrap_or_default();
        arrivals.iter().any(|arrival| arrival.segment < arrival.length)
            || (arrivals.len() >= 4
                && arrivals.windows(2).filter(|w| matches!(w, [a, b] if a.from == b.from)).count() * 2
                    > arrivals.len())
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd as _;

    use super::super::queue::Datagram;
    use super::super::sys::{Sender, join_packets};
    use super::*;

    fn pair() -> (UdpSocket, UdpSocket) {
        let socket = || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        (socket(), socket())
    }

    fn received(receiver: &Receiver, slots: Range<usize>) -> Vec<Vec<u8>> {
        slots.flat_map(|slot| receiver.packets(slot).unwrap().1.map(<[u8]>::to_vec)).collect()
    }

    #[test]
    fn what_is_sent_in_one_call_arrives_in_order_split_or_not() {
        let (a, b) = pair();
        let to = b.local_addr().unwrap();
        let bytes: Vec<Vec<u8>> = [(5, 100), (1, 40), (3, 100), (1, 0), (1, 200)]
            .into_iter()
            .flat_map(|(count, length)| (0..count).map(move |n| vec![n as u8; length]))
            .collect();
        for (joins, splits) in [(false, true), (false, false), (true, true)] {
            join_packets(&b, joins);
            let mut sender = Sender::default();
            if !splits {
                sender.splits = false;
            }
            let datagrams =
                bytes.iter().map(|data| Datagram { to, header: b"head", data, padding: data.len() % 4 });
            assert_eq!(sender.send(a.as_fd(), &datagrams), 0);
            let mut receiver = Receiver::new();
            let slots = receiver.receive(b.as_fd(), SLOTS).unwrap();
            let expect: Vec<_> =
                bytes.iter().map(|data| [b"head", &data[..], &[0; 4][..data.len() % 4]].concat()).collect();
            assert_eq!(received(&receiver, slots), expect, "joins {joins} splits {splits}");
        }
    }

    #[test]
    fn slots_are_filled_in_turn_and_freed_together() {
        let (a, b) = pair();
        let to = b.local_addr().unwrap();
        (0..100u8).for_each(|n| assert_eq!(a.send_to(&[n], to).unwrap(), 1));
        let mut receiver = Receiver::new();
        assert_eq!(receiver.receive(b.as_fd(), 10).unwrap(), 0..10);
        assert_eq!(receiver.receive(b.as_fd(), 64).unwrap(), 10..64);
        assert!(receiver.is_full() && receiver.is_burst(0..64));
        let (from, mut packets) = receiver.packets(63).unwrap();
        let packet = packets.next().unwrap();
        assert_eq!((from, packet), (a.local_addr().unwrap(), &[63][..]));
        assert_eq!(receiver.at(receiver.place(63, packet)), [63]);
        receiver.clear();
        assert_eq!(receiver.receive(b.as_fd(), 64).unwrap(), 0..36);
        assert_eq!(receiver.receive(b.as_fd(), 64).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
