//! What is to be sent after a packet came in: at most one thing, its data still where it came in.

use std::net::SocketAddr;

use super::allocation::{Client, RelayId};
use super::ports::Shard;
use crate::stun::{
    Builder, ChannelData, ChannelNumber, Class, MAGIC_COOKIE, Method, Seal, TransactionId, attr,
};

/// The longest header before data: STUN header, XOR-PEER-ADDRESS for IPv6, the head of DATA.
const MAX_HEADER: usize = 20 + 24 + 4;

/// What goes before the data of a packet to a client: a ChannelData header, or that of a Data indication.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    bytes: [u8; MAX_HEADER],
    length: u8,
    /// Zeros after the data, 0 to 3: a Data indication is padded, ChannelData only on a stream.
    pub padding: u8,
}

impl Header {
    pub(super) fn channel(channel: ChannelNumber, length: usize, padded: bool) -> Self {
        let mut bytes = [0; MAX_HEADER];
        let header = ChannelData::header(channel, length as u16);
        bytes.iter_mut().zip(header).for_each(|(to, from)| *to = from);
        let padding = if padded { length.wrapping_neg() % 4 } else { 0 };
        Self { bytes, length: header.len() as u8, padding: padding as u8 }
    }

    /// The head of a Data indication (RFC 8656 §11.3) for `length` bytes of data.
    pub(super) fn indication(peer: SocketAddr, length: usize, id: TransactionId) -> Self {
        let mut bytes = [0; MAX_HEADER];
        let builder =
            Builder::new(&mut bytes, Class::Indication, Method::DATA, id).put(attr::XOR_PEER_ADDRESS, peer);
        let head = builder.put(attr::DATA, &[]).finish(Seal::NONE).map_or(0, |message| message.len());
        let padding = length.wrapping_neg() % 4;
        let total = (head.saturating_sub(20) + length + padding) as u16;
        for (at, field) in [(2, total), (head.saturating_sub(2), length as u16)] {
            if let Some(room) = bytes.get_mut(at..at + 2) {
                room.copy_from_slice(&field.to_be_bytes());
            }
        }
        Self { bytes, length: head as u8, padding: padding as u8 }
    }
}

impl AsRef<[u8]> for Header {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// What the I/O has to do. A full socket drops it, counted.
#[derive(Debug)]
pub enum Output<'p> {
    /// Nothing.
    Nothing,
    /// Send a message to a client.
    Reply {
        /// To whom, and out of which listener or connection.
        to: Client,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Send data to a client.
    ToClient {
        /// To whom.
        to: Client,
        /// What goes before the data.
        header: Header,
        /// The data, inside the packet that came in.
        data: &'p [u8],
    },
    /// Send data to a peer.
    ToPeer {
        /// Out of which relay socket.
        relay: RelayId,
        /// To whom.
        to: SocketAddr,
        /// The data, inside the packet that came in.
        data: &'p [u8],
        /// With the DF bit set (RFC 8656 §14).
        dont_fragment: bool,
    },
    /// Give data to another shard: call its `handle_relayed`.
    ToShard {
        /// Which one.
        shard: Shard,
        /// The relayed address it is for.
        to: SocketAddr,
        /// The relayed address it is from.
        from: SocketAddr,
        /// The data, inside the packet that came in.
        data: &'p [u8],
    },
}

/// An identifier for an indication: nobody answers, so it need only differ.
pub(super) fn indication_id(counter: u64) -> TransactionId {
    let mut id = [0; 12];
    id.iter_mut().zip(counter.to_be_bytes()).for_each(|(to, from)| *to = from);
    id.iter_mut().rev().zip(MAGIC_COOKIE.to_be_bytes()).for_each(|(to, from)| *to = from);
    TransactionId(id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stun::Message;

    fn join(header: &Header, data: &[u8]) -> Vec<u8> {
        [header.as_ref(), data, &[0; 3][..usize::from(header.padding)]].concat()
    }

    proptest! {
        #[test]
        fn an_indication_is_the_message_a_builder_would_write(peer: SocketAddr, data: Vec<u8>, counter: u64) {
            let peer = SocketAddr::new(peer.ip(), peer.port());
            let header = Header::indication(peer, data.len(), indication_id(counter));
            let bytes = join(&header, &data);
            let message = Message::parse(&bytes).unwrap();
            prop_assert_eq!(message.get(attr::XOR_PEER_ADDRESS), Some(peer));
            prop_assert_eq!(message.get(attr::DATA), Some(&data[..]));
            prop_assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
        }

        #[test]
        fn channel_data_is_padded_on_streams_only(number in 0x4000u16..0x7FFF, data: Vec<u8>, stream: bool) {
            let channel = ChannelNumber::new(number).unwrap();
            let bytes = join(&Header::channel(channel, data.len(), stream), &data);
            let expect = if stream { (4 + data.len()).next_multiple_of(4) } else { 4 + data.len() };
            prop_assert_eq!(bytes.len(), expect);
            prop_assert_eq!(ChannelData::parse(&bytes), Some(ChannelData { channel, data: &data }));
        }
    }
}
