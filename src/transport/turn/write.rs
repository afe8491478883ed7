//! How a TURN client's messages are written.

use p2pcall_relay::stun::{
    AddressFamily, Builder, CHANNEL_HEADER, ChannelData, Class, Method, Seal, TransactionId, attr,
};
use std::net::SocketAddr;

use super::requests::Request;
use super::{Framing, TurnClient};

/// Room for a request with every attribute there is.
const MAX_REQUEST: usize = 2_048;

/// The header of an indication, XOR-PEER-ADDRESS for IPv6 and the head of DATA.
const INDICATION_OVERHEAD: usize = 20 + 24 + 4 + 3;

impl TurnClient {
    pub(super) fn build(&self, id: TransactionId, request: Request) -> Option<Vec<u8>> {
        let method = match request {
            Request::Allocate => Method::ALLOCATE,
            Request::Refresh | Request::Release | Request::Clear => Method::REFRESH,
            Request::Permit(_) => Method::CREATE_PERMISSION,
            Request::Bind(..) => Method::CHANNEL_BIND,
        };
        let mut buffer = [0; MAX_REQUEST];
        let builder = Builder::new(&mut buffer, Class::Request, method, id);
        let builder = match request {
            Request::Allocate => {
                let family = self.v6.then_some(AddressFamily::V6);
                let builder = builder
                    .put(attr::REQUESTED_TRANSPORT, attr::UDP)
                    .put_some(attr::REQUESTED_ADDRESS_FAMILY, family);
                self.put_extras(builder, id)
            }
            Request::Refresh => self.put_extras(builder, id),
            Request::Release | Request::Clear => builder.put(attr::LIFETIME, 0),
            // RFC 8656 §9: the port does not matter.
            Request::Permit(peer) => builder.put(attr::XOR_PEER_ADDRESS, SocketAddr::new(peer, 0)),
            Request::Bind(peer, number) => {
                builder.put(attr::CHANNEL_NUMBER, number.get()).put(attr::XOR_PEER_ADDRESS, peer)
            }
        };
        let built = match (&self.challenge, &self.login) {
            (Some(challenge), Some(login)) => challenge.put(builder, login).finish(challenge.seal()),
            _ => builder.finish(Seal::NONE),
        };
        built.ok().map(|bytes| bytes.to_vec())
    }

    fn put_extras<'b>(&self, builder: Builder<'b>, id: TransactionId) -> Builder<'b> {
        // An empty value withdraws what was registered, an absent one changes nothing.
        let withdrawn = self.taken.doorbell.then_some("");
        let builder = builder.put_some(attr::DOORBELL, self.extras.doorbell.as_deref().or(withdrawn));
        match (&self.extras.guest, &self.challenge) {
            (Some(guest), Some(challenge)) => {
                builder.put(attr::GUEST, guest.seal(challenge.key(), &id).as_slice())
            }
            (None, Some(_)) if self.taken.guest => builder.put(attr::GUEST, &[]),
            _ => builder,
        }
    }

    pub(super) fn send_indication(&mut self, peer: SocketAddr, bytes: &[u8]) {
        let mut buffer = vec![0; INDICATION_OVERHEAD + bytes.len()];
        let id = (self.ids)();
        let indication = Builder::new(&mut buffer, Class::Indication, Method::SEND, id)
            .put(attr::XOR_PEER_ADDRESS, peer)
            .put(attr::DATA, bytes)
            .finish(Seal::NONE);
        if let Ok(length) = indication.map(|bytes| bytes.len()) {
            buffer.truncate(length);
            self.transmit(buffer);
        }
    }

    pub(super) fn send_on_channel(&mut self, data: ChannelData<'_>) {
        let length = CHANNEL_HEADER + data.data.len();
        let padded = if self.framing == Framing::Stream { length.next_multiple_of(4) } else { length };
        let mut buffer = vec![0; padded];
        if data.write(&mut buffer).is_some() {
            self.transmit(buffer);
        }
    }
}
