//! What a round sends, gathered by the socket it leaves through.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use super::slots::{Place, Receiver};
use super::sys::Sender;
use crate::net::socket::set_dont_fragment;
use crate::server::{Client, Header, RelayId, Via};

/// The socket something leaves through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Listener(u16),
    Relay(RelayId),
}

/// The bytes of a datagram after its header.
enum Data {
    /// In the receiver's slots, where they came in.
    Place(Place),
    /// Its own.
    Own(Vec<u8>),
}

struct Item {
    exit: Exit,
    to: SocketAddr,
    header: Option<Header>,
    data: Data,
    whole: bool,
}

/// A datagram ready to be sent.
pub(super) struct Datagram<'d> {
    pub(super) to: SocketAddr,
    pub(super) header: &'d [u8],
    pub(super) data: &'d [u8],
    pub(super) padding: usize,
}

impl Datagram<'_> {
    /// Its length on the wire.
    pub(super) fn length(&self) -> usize {
        self.header.len() + self.data.len() + self.padding
    }
}

/// Everything that waits for the end of the round.
#[derive(Default)]
pub(super) struct Queue {
    /// By listener.
    to_clients: Vec<Vec<Item>>,
    to_peers: Vec<Item>,
    dropped: u64,
}

impl Queue {
    /// Packets that sockets did not take.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// A message to a client.
    pub(super) fn reply(&mut self, to: Client, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.push(to, None, Data::Own(bytes));
        }
    }

    /// Data to a client, its own bytes.
    pub(super) fn own_to_client(&mut self, to: Client, header: Header, data: Vec<u8>) {
        self.push(to, Some(header), Data::Own(data));
    }

    /// Data to a client, in a slot.
    pub(super) fn relay_to_client(&mut self, to: Client, header: Header, data: Place) {
        self.push(to, Some(header), Data::Place(data));
    }

    /// Data to a peer, in a slot.
    pub(super) fn relay_to_peer(&mut self, relay: RelayId, to: SocketAddr, data: Place, whole: bool) {
        let data = Data::Place(data);
        self.to_peers.push(Item { exit: Exit::Relay(relay), to, header: None, data, whole });
    }

    fn push(&mut self, to: Client, header: Option<Header>, data: Data) {
        // Streams are the portable shard's; a client of this one has come by UDP.
        let Via::Udp(at) = to.via else { return };
        if self.to_clients.len() <= usize::from(at) {
            self.to_clients.resize_with(usize::from(at) + 1, Vec::new);
        }
        if let Some(items) = self.to_clients.get_mut(usize::from(at)) {
            items.push(Item { exit: Exit::Listener(at), to: to.address, header, data, whole: false });
        }
    }

    /// Sends all. What a socket does not take is dropped and counted.
    pub(super) fn flush<'s>(
        &mut self,
        receiver: &Receiver,
        sender: &mut Sender,
        socket: impl Fn(Exit) -> Option<&'s UdpSocket>,
    ) {
        for items in self.to_clients.iter_mut().chain([&mut self.to_peers]) {
            for group in items.chunk_by(|a, b| a.exit == b.exit && a.whole == b.whole) {
                let Some(first) = group.first() else { continue };
                // The allocation may have ended since: then so has what it wanted to send.
                let Some(socket) = socket(first.exit) else { continue };
                let v6 = first.to.is_ipv6();
                let whole = first.whole && set_dont_fragment(socket, v6, true).is_ok();
                self.dropped +=
                    sender.send(socket.as_fd(), &group.iter().map(|item| item.datagram(receiver))) as u64;
                if whole {
                    let _ = set_dont_fragment(socket, v6, false);
                }
            }
            items.clear();
        }
    }
}

impl Item {
    fn datagram<'d>(&'d self, receiver: &'d Receiver) -> Datagram<'d> {
        let data = match &self.data {
            Data::Place(place) => receiver.at(*place),
            Data::Own(bytes) => bytes,
        };
        let header = self.header.as_ref().map_or(&[][..], AsRef::as_ref);
        let padding = self.header.as_ref().map_or(0, |header| usize::from(header.padding));
        Datagram { to: self.to, header, data, padding }
    }
}
