//! Allocate and Refresh (RFC 8656 §7, §8).

use std::net::IpAddr;

use super::allocation::{Allocation, Extras, Relayed};
use super::auth::Standing;
use super::clock::Seconds;
use super::credentials::quota_name;
use super::doorbell::Doorbell;
use super::event::{Ended, Event, printable};
use super::ports::Wish;
use super::quota::Spent;
use super::refusal::Refusal;
use super::table::Id;
use super::{Request, Server, Sockets};
use crate::stun::guest::Guest;
use crate::stun::{AddressFamily, Builder, ErrorCode, Message, attr};

/// RFC 8656 §7.2: what a client gets that asks for nothing, and the least.
const SHORTEST_LIFETIME: u32 = 600;
/// RFC 8656 §7.2: the recommended most.
const LONGEST_LIFETIME: u32 = 3600;
/// How often another port is tried when somebody else on this machine has one.
const OPEN_TRIES: usize = 8;

/// What an Allocate asks for, checked in the order of RFC 8656 §7.2.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    v6: bool,
    additional_v6: bool,
    port: Wish,
    /// Points at the port to be tried first.
    favourite: Option<u64>,
    token: Option<u64>,
    lifetime: Seconds,
}

impl Wanted {
    fn read(message: &Message<'_>) -> Result<Self, Refusal> {
        match message.get(attr::REQUESTED_TRANSPORT) {
            None => return Err(Refusal::bad_request("REQUESTED-TRANSPORT is missing")),
            Some(attr::UDP) => {}
            Some(_) => return Err(Refusal::new(442, "Only UDP is relayed")),
        }
        let family = requested_family(message)?;
        let additional = message.contains(attr::ADDITIONAL_ADDRESS_FAMILY);
        let even = message.get(attr::EVEN_PORT).map(|flags| flags & attr::RESERVE_NEXT != 0);
        let token = message.get(attr::RESERVATION_TOKEN);
        if message.contains(attr::RESERVATION_TOKEN)
            && (token.is_none() || even.is_some() || family.is_some() || additional)
        {
            return Err(Refusal::bad_request("RESERVATION-TOKEN stands alone"));
        }
        if additional {
            let alone = family.is_none() && even != Some(true);
            if !alone || message.get(attr::ADDITIONAL_ADDRESS_FAMILY) != Some(AddressFamily::V6) {
                return Err(Refusal::bad_request("ADDITIONAL-ADDRESS-FAMILY stands alone and is IPv6"));
            }
        }
        let port = match even {
            None => Wish::Any,
            Some(false) => Wish::Even,
            Some(true) => Wish::EvenAndNext,
        };
        let v6 = family == Some(AddressFamily::V6);
        let lifetime = lifetime(message);
        Ok(Self { v6, additional_v6: additional, port, favourite: None, token, lifetime })
    }
}

/// REQUESTED-ADDRESS-FAMILY; 440 for one that does not exist.
fn requested_family(message: &Message<'_>) -> Result<Option<AddressFamily>, Refusal> {
    match message.get(attr::REQUESTED_ADDRESS_FAMILY) {
        Some(AddressFamily::Other(_)) => Err(Refusal::new(440, "Address Family not Supported")),
        None if message.contains(attr::REQUESTED_ADDRESS_FAMILY) => {
            Err(Refusal::bad_request("REQUESTED-ADDRESS-FAMILY is malformed"))
        }
        family => Ok(family),
    }
}

/// LIFETIME, brought into range.
fn lifetime(message: &Message<'_>) -> Seconds {
    message.get(attr::LIFETIME).unwrap_or(SHORTEST_LIFETIME).clamp(SHORTEST_LIFETIME, LONGEST_LIFETIME)
}

impl Server {
    pub(super) fn allocate(
        &mut self,
        request: &Request<'_>,
        sockets: &mut impl Sockets,
    ) -> Result<Vec<u8>, Refusal> {
        if let Some(id) = self.allocations.of_client(&request.client) {
            // RFC 8656 §7.2: a retransmission gets the same answer, anything else 437.
            let known =
                self.allocations.get_mut(id).filter(|known| known.transaction == request.message.id());
            known.ok_or(Refusal::mismatch("There is an allocation already"))?;
            return self.allocated(request, id, None);
        }
        if self.shared.draining() {
            let refusal = Refusal::new(508, "The relay is shutting down");
            return Err(self.settings.alternate_server.map_or(refusal, Refusal::alternate));
        }
        if self.shared.budget.spent() {
            return Err(Refusal::new(508, "The relay's monthly transfer budget is spent"));
        }
        let wanted = Wanted { favourite: self.favourite(request), ..Wanted::read(&request.message)? };
        let quota = quota_name(&request.user.name);
        let ticket = self.shared.quotas.take(&self.settings.limits, quota, request.client.address.ip());
        let ticket = ticket.map_err(|spent| match spent {
            Spent::Relay => Refusal::new(508, "The relay has no room for another allocation"),
            Spent::User => Refusal::new(486, "This user has too many allocations"),
            Spent::Address => Refusal::new(486, "There are too many allocations from this address"),
        })?;
        let visit = match request.standing {
            Standing::Member => None,
            Standing::Guest => {
                let visit = self.shared.guests.visit(&request.user.name);
                Some(visit.ok_or(Refusal::new(486, "This guest has too many allocations"))?)
            }
        };
        let id = self.allocations.vacant();
        let (first, reserved) = self.open_first(id, &wanted, sockets)?;
        let second = if wanted.additional_v6 { self.open(id, true, &wanted, sockets) } else { None };
        let token = reserved.and_then(|port| self.reserve(first.relay, port, request.seconds));
        let transaction = request.message.id();
        let user = std::sync::Arc::clone(&request.user);
        let mut allocation =
            Allocation::new(request.client, user, [Some(first), second], transaction, ticket);
        allocation.granted = wanted.lifetime;
        allocation.until = request.seconds + wanted.lifetime;
        if visit.is_some() || token.is_some() {
            *allocation.extras_mut() = Extras { visit, token, ..Extras::default() };
        }
        self.allocations.insert(id, allocation);
        self.wheel.insert(request.seconds + wanted.lifetime, id);
        self.register(request, id);
        self.counters.allocations += 1;
        self.tell(Event::Allocated {
            user: printable(&request.user.name),
            client: request.client.address,
            relayed: self.settings.peers.external(first.address()),
        });
        let missing = wanted.additional_v6 && second.is_none();
        self.allocated(request, id, missing.then_some(AddressFamily::V6))
    }

    /// The success response, from what the allocation says, so that it can be given again.
    fn allocated(
        &mut self,
        request: &Request<'_>,
        id: Id,
        missing: Option<AddressFamily>,
    ) -> Result<Vec<u8>, Refusal> {
        let peers = &self.settings.peers;
        let allocation = self.allocations.get_mut(id).ok_or(Refusal::mismatch("There is no allocation"))?;
        let token = allocation.extras().and_then(|extras| extras.token);
        let reply = Self::success(request, |mut reply| {
            for relayed in allocation.relayed.iter().flatten() {
                reply = reply.put(attr::XOR_RELAYED_ADDRESS, peers.external(relayed.address()));
            }
            reply = reply.put(attr::LIFETIME, allocation.granted).put_some(attr::RESERVATION_TOKEN, token);
            reply = reply.put(attr::XOR_MAPPED_ADDRESS, request.client.address);
            if let Some(family) = missing {
                let error = ErrorCode { code: 440, reason: "" };
                reply = reply.put(attr::ADDRESS_ERROR_CODE, (family, error));
            }
            registered(reply, request, allocation)
        });
        Ok(reply)
    }

    pub(super) fn refresh(
        &mut self,
        request: &Request<'_>,
        sockets: &mut impl Sockets,
    ) -> Result<Vec<u8>, Refusal> {
        let family = requested_family(&request.message)?;
        let asked_for_none = request.message.get(attr::LIFETIME) == Some(0);
        let spent = self.shared.budget.spent();
        let (id, allocation) = self.own_allocation(request)?;
        let [first, second] = allocation.relayed;
        let has = |relayed: Option<Relayed>| {
            relayed
                .is_some_and(|relayed| family.is_none_or(|family| family == AddressFamily::of(relayed.local)))
        };
        // RFC 8656 §8.2: the family has to be one that the allocation has.
        if !has(first) && !has(second) {
            return Err(Refusal::new(443, "The allocation has no address of this family"));
        }
        let uninvited = allocation.visit().is_some_and(|visit| !visit.welcome());
        if asked_for_none {
            if family.is_some() && first.is_some() && second.is_some() {
                self.end_one(id, has(second), sockets);
            } else {
                self.end(id, Ended::Deleted, sockets);
            }
            return Ok(Self::success(request, |reply| reply.put(attr::LIFETIME, 0)));
        }
        if uninvited {
            self.end(id, Ended::HostLeft, sockets);
            return Err(Refusal::mismatch("The host of this guest has left"));
        }
        if spent {
            return Err(Refusal::new(508, "The relay's monthly transfer budget is spent"));
        }
        let granted = lifetime(&request.message);
        allocation.until = request.seconds + granted;
        self.register(request, id);
        let (_, allocation) = self.own_allocation(request)?;
        Ok(Self::success(request, |reply| {
            registered(reply.put(attr::LIFETIME, granted), request, allocation)
        }))
    }

    /// Takes DOORBELL and GUEST of an Allocate or Refresh. What cannot be taken is not echoed; that is how
    /// the client knows.
    fn register(&mut self, request: &Request<'_>, id: Id) {
        let (doorbells, guests) = (self.settings.doorbell, self.settings.guest);
        let Some(allocation) = self.allocations.get_mut(id).filter(|allocation| allocation.visit().is_none())
        else {
            return;
        };
        if let Some(ufrag) = request.message.get(attr::DOORBELL).filter(|_| doorbells) {
            let same = allocation.doorbell_mut().is_some_and(|doorbell| doorbell.ufrag() == ufrag);
            if !same {
                allocation.extras_mut().doorbell = Doorbell::new(ufrag);
            }
        }
        let Some(sealed) = request.message.get(attr::GUEST).filter(|_| guests) else { return };
        let guest = Guest::open(sealed, &request.user.key, &request.message.id());
        let hosted = allocation.extras().and_then(|extras| extras.hosts.as_ref());
        if guest.as_ref().is_some_and(|guest| hosted.is_some_and(|hosted| hosted.is(guest))) {
            return;
        }
        let peers = allocation.relayed.map(|relayed| relayed.map(|relayed| relayed.address()));
        allocation.extras_mut().hosts = None;
        let owner = quota_name(&request.user.name);
        allocation.extras_mut().hosts =
            guest.and_then(|guest| self.shared.guests.register(guest, owner, peers));
    }

    /// The first relayed address, and the port reserved beside it.
    fn open_first(
        &mut self,
        id: Id,
        wanted: &Wanted,
        sockets: &mut impl Sockets,
    ) -> Result<(Relayed, Option<u16>), Refusal> {
        if let Some(token) = wanted.token {
            // RFC 8656 §7.2: 508 for a token that is not, or no longer, good.
            let refusal = Refusal::new(508, "The reserved port is gone");
            let reservation = self.shared.claim(token, self.shard).ok_or_else(|| refusal.clone())?;
            let local =
                self.settings.peers.relays.get(reservation.relay).ok_or_else(|| refusal.clone())?.local;
            let relayed = Relayed { relay: reservation.relay, port: reservation.port, local };
            if !sockets.open(id.relay(false), relayed.address()) {
                self.close(id, false, relayed, sockets);
                return Err(refusal);
            }
            return Ok((relayed, None));
        }
        if !self.settings.peers.relays.iter().any(|relay| relay.local.is_ipv6() == wanted.v6) {
            return Err(Refusal::new(440, "The relay has no address of this family"));
        }
        let relayed = self.open(id, false, wanted, sockets);
        let relayed = relayed.ok_or(Refusal::new(508, "The relay has no free port"))?;
        Ok((relayed, (wanted.port == Wish::EvenAndNext).then(|| relayed.port + 1)))
    }

    /// The two ends of a call have the same ports again after the relay was restarted, so that the call they
    /// knew each other by goes on: a host is known by its doorbell, a guest by its name. Both come from the
    /// call's own secret, so without that and the owner's nobody can tell the port.
    fn favourite(&self, request: &Request<'_>) -> Option<u64> {
        let ufrag = request.message.get(attr::DOORBELL).filter(|_| self.settings.doorbell);
        match request.standing {
            Standing::Guest => Some(self.shared.favourite_port(b"guest", &request.user.name)),
            Standing::Member => {
                let ufrag = ufrag.filter(|ufrag| Doorbell::new(ufrag).is_some())?;
                Some(self.shared.favourite_port(b"doorbell", ufrag))
            }
        }
    }

    /// Takes a port and opens a socket on it. The second address is any IPv6 one.
    fn open(&mut self, id: Id, second: bool, wanted: &Wanted, sockets: &mut impl Sockets) -> Option<Relayed> {
        let (v6, wish) = if second { (true, Wish::Any) } else { (wanted.v6, wanted.port) };
        let of_family = |ip: &IpAddr| ip.is_ipv6() == v6;
        let relays = self.settings.peers.relays.iter().enumerate().map(|(index, relay)| (index, relay.local));
        for (relay, local) in relays.filter(|(_, local)| of_family(local)) {
            let ports = self.shared.ports(relay)?;
            let mut favourite = wanted.favourite;
            for _ in 0..OPEN_TRIES {
                let port = ports.take(self.shard, wish, favourite.take(), &mut self.random);
                let Some(port) = port else { break };
                let relayed = Relayed { relay, port, local };
                if sockets.open(id.relay(second), relayed.address()) {
                    return Some(relayed);
                }
                ports.release(port);
                if wish == Wish::EvenAndNext {
                    ports.release(port + 1);
                }
            }
        }
        None
    }

    /// Keeps the next port for whoever brings the token.
    fn reserve(&mut self, relay: usize, port: u16, now: Seconds) -> Option<u64> {
        let token = self.random.next_u64();
        if self.shared.reserve(token, relay, port, now) {
            return Some(token);
        }
        self.shared.ports(relay)?.release(port);
        None
    }

    /// Ends one of two relayed addresses.
    fn end_one(&mut self, id: Id, second: bool, sockets: &mut impl Sockets) {
        if let Some(relayed) = self.allocations.detach(id, second) {
            self.close(id, second, relayed, sockets);
        }
    }
}

/// Says which of DOORBELL and GUEST were taken, or withdrawn.
fn registered<'b>(mut reply: Builder<'b>, request: &Request<'_>, allocation: &Allocation) -> Builder<'b> {
    let extras = allocation.extras();
    if let Some(asked) = request.message.get(attr::DOORBELL) {
        let rings = extras.and_then(|extras| extras.doorbell.as_ref()).map_or("", Doorbell::ufrag);
        reply = reply.put_some(attr::DOORBELL, (rings == asked).then_some(rings));
    }
    if let Some(asked) = request.message.get(attr::GUEST) {
        let hosts = extras.is_some_and(|extras| extras.hosts.is_some());
        reply = reply.put_some(attr::GUEST, (hosts != asked.is_empty()).then_some(&[]));
    }
    reply
}
