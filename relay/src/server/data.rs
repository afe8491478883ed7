//! The hot path: data between clients and peers (RFC 8656 §11, §12). Nothing here allocates or copies.
//!
//! ```text
//! client -ChannelData, Send-> channel_data, send_indication -> forward -> relay socket -> peer
//!                                                                  \-> another shard's handle_relayed
//! peer -> relay socket -> handle_peer --------------------------> deliver -> header + data -> client
//! ```

use std::net::SocketAddr;

use super::bucket::Rate;
use super::output::{Header, indication_id};
use super::peers::Route;
use super::table::Id;
use super::{Client, Now, Output, RelayId, Server, Via};
use crate::stun::{Builder, ChannelData, Class, Icmp, Message, Method, Seal, attr};

impl Server {
    pub(super) fn channel_data<'p>(&mut self, now: Now, client: &Client, packet: &'p [u8]) -> Output<'p> {
        let Some(message) = ChannelData::parse(packet) else {
            self.counters.malformed += 1;
            return Output::Nothing;
        };
        let seconds = self.shared.clock.seconds(now);
        let found = self.allocations.of_client(client).and_then(|id| {
            let allocation = self.allocations.get_mut(id).filter(|allocation| allocation.until > seconds)?;
            Some((id, allocation.channel(message.channel, seconds)?))
        });
        let Some((id, peer)) = found else { return self.unwanted() };
        self.forward(now, id, peer, message.data, false)
    }

    /// RFC 8656 §11.2.
    pub(super) fn send_indication<'p>(
        &mut self,
        now: Now,
        client: &Client,
        message: &Message<'p>,
    ) -> Output<'p> {
        let (Some(peer), Some(data)) = (message.get(attr::XOR_PEER_ADDRESS), message.get(attr::DATA)) else {
            return self.unwanted();
        };
        // RFC 8489 §6.3.2: an indication with unknown required attributes is dropped.
        if message.unknown_required().next().is_some() {
            return self.unwanted();
        }
        let seconds = self.shared.clock.seconds(now);
        let peer = self.settings.peers.canonical(peer);
        let found = self.allocations.of_client(client).filter(|&id| {
            let allocation = self.allocations.get_mut(id).filter(|allocation| allocation.until > seconds);
            allocation.is_some_and(|allocation| allocation.permits(peer.ip(), seconds))
        });
        let Some(id) = found else { return self.unwanted() };
        self.forward(now, id, peer, data, message.contains(attr::DONT_FRAGMENT))
    }

    /// A datagram came to a relay socket.
    pub fn handle_peer<'p>(
        &mut self,
        now: Now,
        relay: RelayId,
        from: SocketAddr,
        data: &'p [u8],
    ) -> Output<'p> {
        let from = self.settings.peers.canonical(from);
        self.deliver(now, relay.into(), from, data)
    }

    /// Another shard's client sends to one of our relayed addresses.
    pub fn handle_relayed<'p>(
        &mut self,
        now: Now,
        to: SocketAddr,
        from: SocketAddr,
        data: &'p [u8],
    ) -> Output<'p> {
        let relay = self.settings.peers.relays.iter().position(|relay| relay.local == to.ip());
        let Some(id) = relay.and_then(|relay| self.allocations.at(relay, to.port())) else {
            return self.unwanted();
        };
        self.counters.packets_inside += 1;
        self.deliver(now, id, from, data)
    }

    /// A peer's network said that a datagram of this relay socket did not arrive (RFC 8656 §11.5).
    pub fn handle_icmp<'p>(&mut self, now: Now, relay: RelayId, peer: SocketAddr, icmp: Icmp) -> Output<'p> {
        let seconds = self.shared.clock.seconds(now);
        let peer = self.settings.peers.canonical(peer);
        self.indications += 1;
        let id = indication_id(self.indications);
        let Some(allocation) = self.allocations.get_mut(relay.into()) else { return Output::Nothing };
        if !allocation.permits(peer.ip(), seconds) {
            return Output::Nothing;
        }
        let mut buffer = [0; 128];
        let message = Builder::new(&mut buffer, Class::Indication, Method::DATA, id)
            .put(attr::XOR_PEER_ADDRESS, self.settings.peers.external(peer))
            .put(attr::ICMP, icmp)
            .finish(Seal::NONE);
        let bytes = message.map_or_else(|_| Vec::new(), |message| message.to_vec());
        Output::Reply { to: allocation.client, bytes }
    }

    /// Data of an allocation's client, for a peer that it may reach.
    fn forward<'p>(
        &mut self,
        now: Now,
        id: Id,
        peer: SocketAddr,
        data: &'p [u8],
        dont_fragment: bool,
    ) -> Output<'p> {
        let length = data.len() as u64;
        let cap = cap(self.settings.limits.kilobits);
        let Some(allocation) = self.allocations.get_mut(id) else { return self.unwanted() };
        if let Some(rate) = cap
            && !allocation.bucket.take(rate, self.shared.clock.millis(now), data.len() as u32)
        {
            self.counters.capped += 1;
            return Output::Nothing;
        }
        let Some((second, relayed)) = allocation.relayed_for(peer.ip()) else { return self.unwanted() };
        if allocation.visit().is_some_and(|visit| !visit.may_reach(peer)) {
            return self.unwanted();
        }
        let shared = &self.shared;
        let taken = |relay, port| shared.owner(relay, port).is_some();
        let route = self.settings.peers.route(peer, taken);
        if route == Route::Refused {
            return self.unwanted();
        }
        allocation.sent += length;
        self.counters.packets_from_clients += 1;
        self.counters.bytes_from_clients += length;
        let from = relayed.address();
        match route {
            Route::Own(relay, port) => match self.shared.owner(relay, port) {
                Some(shard) if shard != self.shard => Output::ToShard { shard, to: peer, from, data },
                Some(_) => self.handle_relayed(now, peer, from, data),
                None => self.unwanted(),
            },
            Route::Outside | Route::Refused => {
                self.unbilled += length;
                Output::ToPeer { relay: id.relay(second), to: peer, data, dont_fragment }
            }
        }
    }

    /// Data of a peer (in canonical form), for an allocation's client (RFC 8656 §11.3, §12.7).
    fn deliver<'p>(&mut self, now: Now, id: Id, from: SocketAddr, data: &'p [u8]) -> Output<'p> {
        let seconds = self.shared.clock.seconds(now);
        let cap = cap(self.settings.limits.kilobits);
        let Some(allocation) = self.allocations.get_mut(id).filter(|allocation| allocation.until > seconds)
        else {
            return self.unwanted();
        };
        let guest_of_another = allocation.visit().is_some_and(|visit| !visit.may_reach(from));
        if guest_of_another {
            return self.unwanted();
        }
        let millis = self.shared.clock.millis(now);
        if !allocation.permits(from.ip(), seconds) {
            let permitted = self.settings.peers.permit(from.ip());
            let rings = allocation
                .doorbell_mut()
                .is_some_and(|bell| permitted && bell.rings(from, data, seconds, millis));
            if !rings {
                return self.unwanted();
            }
            self.counters.rings += 1;
        }
        if let Some(rate) = cap
            && !allocation.bucket.take(rate, millis, data.len() as u32)
        {
            self.counters.capped += 1;
            return Output::Nothing;
        }
        let length = data.len();
        allocation.received += length as u64;
        self.unbilled += length as u64;
        self.counters.packets_to_clients += 1;
        self.counters.bytes_to_clients += length as u64;
        let to = allocation.client;
        let header = if let Some(channel) = allocation.channel_to(from, seconds) {
            Header::channel(channel, length, matches!(to.via, Via::Stream(_)))
        } else {
            self.indications += 1;
            Header::indication(self.settings.peers.external(from), length, indication_id(self.indications))
        };
        Output::ToClient { to, header, data }
    }

    fn unwanted<'p>(&mut self) -> Output<'p> {
        self.counters.unwanted += 1;
        Output::Nothing
    }
}

/// The bandwidth cap in bytes: half a second of it at once.
fn cap(kilobits: Option<u32>) -> Option<Rate> {
    let per_second = kilobits?.saturating_mul(125);
    Some(Rate { per_second, burst: (per_second / 2).max(3000) })
}
