//! CreatePermission and ChannelBind (RFC 8656 §10, §12).

use std::net::{IpAddr, SocketAddr};

use super::allocation::{BindError, MAX_PEERS};
use super::refusal::Refusal;
use super::{Request, Server, Sockets};
use crate::stun::{ChannelNumber, attr};

const TOO_MANY: Refusal = Refusal::new(508, "The allocation has too many peers");

impl Server {
    pub(super) fn create_permission(&mut self, request: &Request<'_>) -> Result<Vec<u8>, Refusal> {
        let peers = request.message.all(attr::XOR_PEER_ADDRESS).take(MAX_PEERS + 1);
        let ips: Vec<IpAddr> = peers.map(|peer| self.settings.peers.canonical(peer).ip()).collect();
        if ips.is_empty() {
            return Err(Refusal::bad_request("XOR-PEER-ADDRESS is missing"));
        }
        // RFC 8656 §10.2: one that is refused refuses all.
        for &ip in &ips {
            self.may_reach(request, SocketAddr::new(ip, 0))?;
        }
        let (_, allocation) = self.own_allocation(request)?;
        if !allocation.has_room_for(&ips, request.seconds) {
            return Err(TOO_MANY);
        }
        for ip in ips {
            allocation.permit(ip, request.seconds);
        }
        Ok(Self::success(request, |reply| reply))
    }

    pub(super) fn channel_bind(
        &mut self,
        request: &Request<'_>,
        sockets: &mut impl Sockets,
    ) -> Result<Vec<u8>, Refusal> {
        let number = request.message.get(attr::CHANNEL_NUMBER).and_then(ChannelNumber::new);
        let number = number.ok_or(Refusal::bad_request("CHANNEL-NUMBER is missing or out of range"))?;
        let peer = request.message.get(attr::XOR_PEER_ADDRESS);
        let peer = peer.ok_or(Refusal::bad_request("XOR-PEER-ADDRESS is missing"))?;
        let peer = self.settings.peers.canonical(peer);
        let second = self.may_reach(request, peer)?;
        let services = &self.settings.peers.services;
        let own_service = self.settings.peers.own.contains(&peer.ip()) && services.contains(&peer.port());
        if own_service {
            return Err(Refusal::forbidden());
        }
        let (id, allocation) = self.own_allocation(request)?;
        let relay = id.relay(second);
        allocation.expire_channels(request.seconds, |channel| sockets.unbound(relay, channel.number.get()));
        if !allocation.has_room_for(&[peer.ip()], request.seconds) {
            return Err(TOO_MANY);
        }
        let new = allocation.bind(number, peer, request.seconds).map_err(|error| match error {
            BindError::Taken => Refusal::bad_request("The channel or the peer is bound otherwise"),
            BindError::Full => TOO_MANY,
        })?;
        // RFC 8656 §12.2: binding creates or refreshes the permission too.
        allocation.permit(peer.ip(), request.seconds);
        if new {
            sockets.bound(relay, number.get(), peer);
        }
        Ok(Self::success(request, |reply| reply))
    }

    /// Whether this allocation may have this peer (443 for the other family, 403 for the forbidden), and
    /// which of its relayed addresses serves it.
    fn may_reach(&mut self, request: &Request<'_>, peer: SocketAddr) -> Result<bool, Refusal> {
        let permitted = self.settings.peers.permit(peer.ip());
        let (_, allocation) = self.own_allocation(request)?;
        let (second, _) = allocation
            .relayed_for(peer.ip())
            .ok_or(Refusal::new(443, "The allocation has no address of the peer's family"))?;
        let at_home = allocation.visit().is_none_or(|visit| {
            visit
                .peers()
                .iter()
                .flatten()
                .any(|host| host.ip() == peer.ip() && [0, host.port()].contains(&peer.port()))
        });
        if permitted && at_home { Ok(second) } else { Err(Refusal::forbidden()) }
    }
}
