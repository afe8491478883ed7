//! Whose an inbound datagram is, when several ICE agents share one set of sockets, and strangers knock.
//!
//! ```text
//!             Binding request to our ufrag, integrity right -> the agent of its tie-breaker, or a new ring
//! datagram -> Binding response to an agent's request        -> that agent (a refusal is told apart)
//!             anything else from an address of an agent     -> that agent
//!             the rest                                      -> dropped, counted, no state kept
//! ```
//! Pure: knows no socket, no clock and no queue; whoever holds the queues makes one when a ring begins.

mod agents;
mod paths;

use p2pcall_relay::stun::{Builder, Class, Demux, Integrity, Key, Message, Method, Seal, attr};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::tally::Tally;
use agents::{Agent, Offer, Owner, Ring};
use paths::Paths;

/// How many unauthenticated remotes may ring an offer at a time.
const MAX_RINGS: usize = 8;

/// How long a ring may stay before another takes its place: so nobody makes us build peer connections faster
/// than eight a second, and a friend who comes in between repeats its checks. Whoever holds two more than the
/// newcomer has to make room at once, or many agents at one address would keep everybody else waiting.
const RING_TERM: Duration = Duration::from_secs(1);

/// RFC 8656 §19: Forbidden. Known to every STUN stack as final, and unlike 401 no invitation to try again.
const CODE_USED: u16 = 403;

/// The reason phrase beside [`CODE_USED`].
const CODE_USED_REASON: &str = "code used";

/// What datagrams come in by: a host socket or an allocation. Never reused within a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub(super) u32);

/// One ICE agent, that is one peer connection. Never reused within a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentId(u64);

/// One offer that waits for rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OfferId(u64);

/// An ICE user name fragment and password (RFC 8445 §5.3). `Debug` shows only the ufrag.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name fragment.
    pub ufrag: String,
    /// The password.
    pub pwd: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, …)", self.ufrag)
    }
}

/// What to do with a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is this agent's.
    Deliver(AgentId),
    /// It is one of these agents', and only their keys can tell whose.
    DeliverAll(Vec<AgentId>),
    /// Somebody who knows the code rings: the datagram is the new agent's.
    Ring {
        /// Which offer is rung.
        offer: OfferId,
        /// The agent to be.
        agent: AgentId,
        /// What the remote agent calls itself: its ufrag.
        remote: String,
        /// Made room for it; its queues and peer connection are to go.
        evicted: Option<AgentId>,
    },
    /// Send these bytes back where the datagram came from.
    Respond(Vec<u8>),
    /// The remote says that its code is used. The agent should not see this datagram.
    Refused(AgentId),
    /// Nobody's.
    Drop,
}

/// What was dropped, and why, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// Binding requests to one of our ufrags with a wrong or no MESSAGE-INTEGRITY.
    pub wrong_integrity: u64,
    /// Binding requests refused because the code is used.
    pub refused: u64,
    /// All else that belongs to nobody.
    pub unknown: u64,
}

/// The routing table of one set of sockets.
#[derive(Debug, Default)]
pub struct Router {
    next: u64,
    offers: HashMap<OfferId, Offer>,
    agents: HashMap<AgentId, Agent>,
    by_ufrag: HashMap<String, Owner>,
    paths: Paths,
    pub(super) tally: Tally,
    dropped: Dropped,
}

impl Router {
    /// A table without agents: drops everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on Binding requests to these credentials are rings.
    pub fn serve(&mut self, local: &Credentials) -> OfferId {
        let id = OfferId(self.take_id());
        self.by_ufrag.insert(local.ufrag.clone(), Owner::Offer(id));
        self.offers.insert(id, Offer::new(local));
        id
    }

    /// The offer is over: nobody rings any more. Agents it has brought forth live on until detached.
    pub fn withdraw(&mut self, offer: OfferId) {
        if let Some(offer) = self.offers.get_mut(&offer) {
            offer.withdrawn = true;
        }
        self.bury(offer);
    }

    /// Forgets a withdrawn offer once its last agent is gone.
    fn bury(&mut self, id: OfferId) {
        let Some(offer) = self.offers.get(&id) else { return };
        if !offer.withdrawn || !offer.rings.is_empty() {
            return;
        }
        if self.by_ufrag.get(&offer.ufrag) == Some(&Owner::Offer(id)) {
            self.by_ufrag.remove(&offer.ufrag);
        }
        self.offers.remove(&id);
    }

    /// An agent that calls somebody, or that a session description was exchanged for. With the remote's
    /// credentials a refusal can be believed.
    pub fn call(&mut self, local: &Credentials, remote: Option<&Credentials>) -> AgentId {
        let id = AgentId(self.take_id());
        self.by_ufrag.insert(local.ufrag.clone(), Owner::Agent(id));
        let remote = remote.map(|remote| Key::short_term(&remote.pwd));
        self.agents.insert(id, Agent::calling(local, remote));
        id
    }

    /// This ring authenticated: its offer's code is used, and every other agent is told so from now on.
    /// Returns the other rings, which are to be thrown away.
    pub fn burn(&mut self, agent: AgentId) -> Vec<AgentId> {
        let ring = self.agents.get(&agent).and_then(|agent| agent.ring);
        let Some(Ring { offer, tie_breaker, .. }) = ring else { return Vec::new() };
        let Some(offer) = self.offers.get_mut(&offer) else { return Vec::new() };
        offer.burnt_by = Some(tie_breaker);
        let others: Vec<_> = offer.rings.values().copied().filter(|other| *other != agent).collect();
        for other in &others {
            self.detach(*other);
        }
        others
    }

    /// Lets new agents ring a burnt offer again: the friend whose call was lost may come back as a new agent.
    pub fn reopen(&mut self, offer: OfferId) {
        if let Some(offer) = self.offers.get_mut(&offer) {
            offer.burnt_by = None;
        }
    }

    /// The agent is gone: its addresses are nobody's. Its remote may ring again.
    pub fn detach(&mut self, id: AgentId) {
        let Some(agent) = self.agents.remove(&id) else { return };
        self.paths.forget(id);
        match agent.ring {
            Some(ring) => {
                if let Some(offer) = self.offers.get_mut(&ring.offer) {
                    offer.rings.remove(&ring.tie_breaker);
                }
                self.bury(ring.offer);
            }
            None => {
                // A later agent may have taken the ufrag over.
                if self.by_ufrag.get(&agent.ufrag) == Some(&Owner::Agent(id)) {
                    self.by_ufrag.remove(&agent.ufrag);
                }
            }
        }
    }

    /// Notes what an agent sends, so that the answers find it.
    pub fn outbound(&mut self, agent: AgentId, link: LinkId, to: SocketAddr, bytes: &[u8]) {
        if !self.agents.contains_key(&agent) {
            return;
        }
        match Demux::of(bytes) {
            Demux::Stun => {
                self.paths.checked(agent, link, to);
                if let Ok(message) = Message::parse(bytes)
                    && message.class() == Class::Request
                {
                    self.paths.asked(agent, message.id());
                    self.tally.sent(link, to);
                }
            }
            _ => self.paths.sent_data(agent, link, to),
        }
    }

    /// Decides about one inbound datagram.
    pub fn inbound(&mut self, now: Instant, link: LinkId, from: SocketAddr, bytes: &[u8]) -> Verdict {
        let verdict = match Demux::of(bytes) {
            Demux::Stun => match Message::parse(bytes) {
                Ok(message) => self.stun(now, link, from, &message),
                Err(_) => Verdict::Drop,
            },
            _ => self.data(link, from, bytes),
        };
        if verdict == Verdict::Drop {
            self.dropped.unknown += 1;
        }
        verdict
    }

    /// Whether an agent sends more than checks there.
    pub fn talks_with(&self, remote: SocketAddr) -> bool {
        self.paths.carries_data(remote)
    }

    /// What was dropped so far.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Data on a path that two agents share: one fell silent, say, and the other is to take over.
    fn data(&self, link: LinkId, from: SocketAddr, bytes: &[u8]) -> Verdict {
        if is_handshake(bytes) {
            return self.paths.newest(link, from).map_or(Verdict::Drop, Verdict::Deliver);
        }
        let talking = self.paths.talking(link, from);
        if talking.len() < 2 { self.by_path(link, from) } else { Verdict::DeliverAll(talking) }
    }

    fn by_path(&self, link: LinkId, from: SocketAddr) -> Verdict {
        self.paths.owner(link, from).map_or(Verdict::Drop, Verdict::Deliver)
    }

    fn stun(&mut self, now: Instant, link: LinkId, from: SocketAddr, message: &Message<'_>) -> Verdict {
        match (message.class(), message.method()) {
            (Class::Request, Method::BINDING) => self.request(now, link, from, message),
            (Class::Indication, _) => self.by_path(link, from),
            (Class::Success, _) => self.answered(link, from, message),
            (Class::Error, _) => self.error_response(message),
            (Class::Request, _) => Verdict::Drop,
        }
    }

    fn answered(&mut self, link: LinkId, from: SocketAddr, message: &Message<'_>) -> Verdict {
        let Some(agent) = self.paths.asker(message.id()) else { return Verdict::Drop };
        self.tally.answered(link, from);
        Verdict::Deliver(agent)
    }

    fn error_response(&self, message: &Message<'_>) -> Verdict {
        let Some(id) = self.paths.asker(message.id()) else { return Verdict::Drop };
        let used = message.get(attr::ERROR_CODE).is_some_and(|error| error.code == CODE_USED);
        let remote = self.agents.get(&id).and_then(|agent| agent.remote.as_ref());
        match remote {
            Some(key) if used && message.verify(key, Integrity::Sha1).is_ok() => Verdict::Refused(id),
            _ => Verdict::Deliver(id),
        }
    }

    /// RFC 8445 §7.3: USERNAME is our ufrag, a colon, theirs; the key is our pwd.
    fn request(&mut self, now: Instant, link: LinkId, from: SocketAddr, message: &Message<'_>) -> Verdict {
        let Some((ufrag, remote)) = message.get(attr::USERNAME).and_then(|name| name.split_once(':')) else {
            return Verdict::Drop;
        };
        let Some(&owner) = self.by_ufrag.get(ufrag) else { return Verdict::Drop };
        let key = match owner {
            Owner::Offer(id) => self.offers.get(&id).map(|offer| &offer.key),
            Owner::Agent(id) => self.agents.get(&id).map(|agent| &agent.key),
        };
        let Some(key) = key else { return Verdict::Drop };
        if message.verify(key, Integrity::Sha1).is_err() {
            self.dropped.wrong_integrity += 1;
            return Verdict::Drop;
        }
        self.tally.heard(link, from);
        match owner {
            Owner::Agent(id) => self.deliver(id, link, from),
            Owner::Offer(id) => self.rung(now, id, (link, from), remote, message),
        }
    }

    fn deliver(&mut self, agent: AgentId, link: LinkId, from: SocketAddr) -> Verdict {
        self.paths.checked(agent, link, from);
        Verdict::Deliver(agent)
    }

    fn rung(
        &mut self,
        now: Instant,
        id: OfferId,
        path: (LinkId, SocketAddr),
        remote: &str,
        message: &Message<'_>,
    ) -> Verdict {
        let (link, from) = path;
        // RFC 8445 §7.1.3: every check carries one of the two, and an agent keeps its value.
        let tie_breaker = message.get(attr::ICE_CONTROLLED).or_else(|| message.get(attr::ICE_CONTROLLING));
        let (Some(tie_breaker), Some(offer)) = (tie_breaker, self.offers.get(&id)) else {
            return Verdict::Drop;
        };
        if !is_ufrag(remote) {
            return Verdict::Drop;
        }
        if let Some(&agent) = offer.rings.get(&tie_breaker) {
            return self.deliver(agent, link, from);
        }
        if offer.withdrawn {
            return Verdict::Drop;
        }
        if offer.burnt_by.is_some_and(|friend| friend != tie_breaker) {
            self.dropped.refused += 1;
            return refusal(message, &offer.key).map_or(Verdict::Drop, Verdict::Respond);
        }
        let full = offer.rings.len() >= MAX_RINGS;
        let evicted = if full { self.least_deserving(id, from.ip()) } else { None };
        if let Some((evicted, greedy)) = evicted {
            let ring = self.agents.get(&evicted).and_then(|agent| agent.ring);
            if !greedy && ring.is_some_and(|ring| now.saturating_duration_since(ring.since) < RING_TERM) {
                return Verdict::Drop;
            }
            self.detach(evicted);
        }
        let evicted = evicted.map(|(evicted, _)| evicted);
        let agent = AgentId(self.take_id());
        if let Some(offer) = self.offers.get_mut(&id) {
            offer.rings.insert(tie_breaker, agent);
            let ring = Ring { offer: id, tie_breaker, from: from.ip(), since: now };
            self.agents.insert(agent, Agent::rung(offer, ring));
        }
        self.paths.checked(agent, link, from);
        Verdict::Ring { offer: id, agent, remote: remote.to_owned(), evicted }
    }

    /// The oldest ring of the address that holds most of them (the newcomer's own counts as one more), so
    /// that one stranger with many agents drives out himself and not the friend. And whether that address holds
    /// so many more than the newcomer's that nobody would be worse off for it.
    fn least_deserving(&self, offer: OfferId, newcomer: IpAddr) -> Option<(AgentId, bool)> {
        let offer = self.offers.get(&offer)?;
        let mut rings: HashMap<IpAddr, (usize, AgentId)> = HashMap::new();
        for id in offer.rings.values() {
            let from = self.agents.get(id)?.ring?.from;
            let ring = rings.entry(from).or_insert((usize::from(from == newcomer), *id));
            *ring = (ring.0 + 1, ring.1.min(*id));
        }
        let own = rings.get(&newcomer).map_or(1, |(count, _)| *count);
        rings
            .into_values()
            .max_by_key(|(count, oldest)| (*count, std::cmp::Reverse(*oldest)))
            .map(|(count, oldest)| (oldest, count > own))
    }

    fn take_id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// RFC 8839 §5.4: what a ufrag is made of. It goes into a description, where another character could say anything.
fn is_ufrag(text: &str) -> bool {
    (4..=256).contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'+' || c == b'/')
}

/// A DTLS record (RFC 7983 §7) of epoch 0 (RFC 6347 §4.1): not encrypted yet.
fn is_handshake(bytes: &[u8]) -> bool {
    matches!(bytes, [20..=63, _, _, 0, 0, ..])
}

/// A Binding error response that only somebody who knows the code could have made.
fn refusal(request: &Message<'_>, key: &Key) -> Option<Vec<u8>> {
    let mut buffer = [0; 128];
    let error = p2pcall_relay::stun::ErrorCode { code: CODE_USED, reason: CODE_USED_REASON };
    let response = Builder::new(&mut buffer, Class::Error, Method::BINDING, request.id())
        .put(attr::ERROR_CODE, error)
        .finish(Seal::signed(key).with_fingerprint());
    response.ok().map(|bytes| bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2pcall_relay::stun::TransactionId;

    const LINK: LinkId = LinkId(1);

    fn ours() -> Credentials {
        Credentials { ufrag: "offerufr".into(), pwd: "the offerer's long password".into() }
    }

    fn theirs() -> Credentials {
        Credentials { ufrag: "answrufr".into(), pwd: "the answerer's long password".into() }
    }

    fn from(port: u16) -> SocketAddr {
        SocketAddr::from(([203, 0, 113, 5], port))
    }

    /// A check as the answerer with this tie-breaker would send it.
    fn check(tie_breaker: u64, pwd: &str) -> Vec<u8> {
        check_by(&theirs().ufrag, tie_breaker, pwd)
    }

    fn check_by(ufrag: &str, tie_breaker: u64, pwd: &str) -> Vec<u8> {
        let mut buffer = [0; 256];
        let id = TransactionId([tie_breaker as u8; 12]);
        let name = format!("{}:{ufrag}", ours().ufrag);
        Builder::new(&mut buffer, Class::Request, Method::BINDING, id)
            .put(attr::USERNAME, name.as_str())
            .put(attr::ICE_CONTROLLED, tie_breaker)
            .finish(Seal::signed(&Key::short_term(pwd)).with_fingerprint())
            .unwrap()
            .to_vec()
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning")]
    fn now() -> Instant {
        Instant::now()
    }

    fn ring(router: &mut Router, tie_breaker: u64, from: SocketAddr) -> Verdict {
        ring_at(now(), router, tie_breaker, from)
    }

    fn ring_at(now: Instant, router: &mut Router, tie_breaker: u64, from: SocketAddr) -> Verdict {
        router.inbound(now, LINK, from, &check(tie_breaker, &ours().pwd))
    }

    fn rung(verdict: &Verdict) -> AgentId {
        let Verdict::Ring { agent, .. } = verdict else { panic!("{verdict:?}") };
        *agent
    }

    #[test]
    fn a_name_that_would_break_a_description_does_not_ring() {
        let mut router = Router::new();
        router.serve(&ours());
        let mut heard = |name: &str| {
            let bytes = check_by(name, 7, &ours().pwd);
            router.inbound(now(), LINK, from(5), &bytes)
        };
        for name in ["", "abc", "answ\r\na=ice-lite", "answ:rufr", "answ rufr"] {
            assert_eq!(heard(name), Verdict::Drop, "{name:?}");
        }
        assert!(matches!(heard("+Answ/rufr"), Verdict::Ring { remote, .. } if remote == "+Answ/rufr"));
    }

    #[test]
    fn one_remote_agent_rings_once_from_many_addresses() {
        let mut router = Router::new();
        router.serve(&ours());
        let agent = rung(&ring(&mut router, 7, from(1)));
        assert_eq!(ring(&mut router, 7, from(2)), Verdict::Deliver(agent));
        assert_ne!(rung(&ring(&mut router, 8, from(3))), agent);
        let dtls = [22, 254, 253];
        assert_eq!(router.inbound(now(), LINK, from(2), &dtls), Verdict::Deliver(agent));
        assert_eq!(router.inbound(now(), LINK, from(9), &dtls), Verdict::Drop);
    }

    #[test]
    fn wrong_passwords_leave_no_trace_but_a_count() {
        let mut router = Router::new();
        router.serve(&ours());
        let wrong = check(7, "a guess");
        for port in 1..=1_000 {
            assert_eq!(router.inbound(now(), LINK, from(port), &wrong), Verdict::Drop);
        }
        assert_eq!(router.dropped().wrong_integrity, 1_000);
        assert!(router.agents.is_empty());
        rung(&ring(&mut router, 7, from(1)));
    }

    #[test]
    fn a_stranger_with_many_agents_drives_out_his_own_and_not_the_friend() {
        let mut router = Router::new();
        let offer = router.serve(&ours());
        let mut now = now();
        let friend = rung(&ring_at(now, &mut router, 1, "198.51.100.1:5".parse().unwrap()));
        for tie_breaker in 2..100 {
            let verdict = ring_at(now, &mut router, tie_breaker, from(6));
            let Verdict::Ring { evicted, .. } = verdict else { panic!("{verdict:?}") };
            assert_ne!(evicted, Some(friend));
            assert_eq!(evicted.is_some(), tie_breaker > MAX_RINGS as u64);
            now += RING_TERM;
        }
        assert_eq!(router.offers[&offer].rings.len(), MAX_RINGS);
        assert_eq!(ring(&mut router, 1, from(7)), Verdict::Deliver(friend));
    }

    #[test]
    fn a_friend_need_not_wait_for_a_stranger_who_rings_all_the_time() {
        let mut router = Router::new();
        router.serve(&ours());
        for tie_breaker in 2..100 {
            ring_at(now(), &mut router, tie_breaker, from(6));
        }
        let friend = ring_at(now(), &mut router, 1, "198.51.100.1:5".parse().unwrap());
        let Verdict::Ring { agent: friend, .. } = friend else { panic!("{friend:?}") };
        for tie_breaker in 100..200 {
            assert_eq!(ring_at(now(), &mut router, tie_breaker, from(6)), Verdict::Drop);
        }
        assert_eq!(ring(&mut router, 1, from(7)), Verdict::Deliver(friend));
    }

    #[test]
    fn strangers_cannot_ring_faster_than_peer_connections_are_made() {
        let mut router = Router::new();
        router.serve(&ours());
        let (begun, second) = (now(), Duration::from_secs(1));
        let rings = (0..10_000u32).filter(|number| {
            let now = begun + second * *number / 1_000;
            matches!(ring_at(now, &mut router, (*number).into(), from(6)), Verdict::Ring { .. })
        });
        assert!(rings.count() <= 11 * MAX_RINGS);
        let friend = ring_at(begun + second * 11, &mut router, 77_777, "198.51.100.1:5".parse().unwrap());
        rung(&friend);
    }

    #[test]
    fn a_burnt_code_refuses_others_provably_and_takes_its_friend_back() {
        let mut router = Router::new();
        router.serve(&ours());
        let friend = rung(&ring(&mut router, 1, from(1)));
        let stranger = rung(&ring(&mut router, 2, from(2)));
        assert_eq!(router.burn(friend), [stranger]);

        let Verdict::Respond(refusal) = ring(&mut router, 2, from(2)) else { panic!() };
        let mut answerer = Router::new();
        let agent = answerer.call(&theirs(), Some(&ours()));
        answerer.outbound(agent, LINK, from(9), &check(2, &ours().pwd));
        assert_eq!(answerer.inbound(now(), LINK, from(9), &refusal), Verdict::Refused(agent));

        router.detach(friend);
        let back = rung(&ring(&mut router, 1, from(3)));
        assert!(matches!(ring(&mut router, 2, from(2)), Verdict::Respond(_)));
        assert_eq!(ring(&mut router, 1, from(1)), Verdict::Deliver(back));
    }

    #[test]
    fn a_refusal_that_anybody_could_have_made_is_not_believed() {
        let mut answerer = Router::new();
        let agent = answerer.call(&theirs(), Some(&ours()));
        let request = check(2, &ours().pwd);
        answerer.outbound(agent, LINK, from(9), &request);
        let forged = refusal(&Message::parse(&request).unwrap(), &Key::short_term("a guess")).unwrap();
        assert_eq!(answerer.inbound(now(), LINK, from(9), &forged), Verdict::Deliver(agent));
    }

    #[test]
    fn a_reopened_offer_can_be_rung_by_a_new_agent() {
        let mut router = Router::new();
        let offer = router.serve(&ours());
        let friend = rung(&ring(&mut router, 1, from(1)));
        router.burn(friend);
        router.reopen(offer);
        rung(&ring(&mut router, 2, from(1)));
    }

    #[test]
    fn answers_find_the_agent_that_asked() {
        let mut router = Router::new();
        let (one, two) = (router.call(&ours(), None), router.call(&theirs(), None));
        let mut buffer = [0; 64];
        for (agent, number) in [(one, 1), (two, 2)] {
            let id = TransactionId([number; 12]);
            let request =
                Builder::new(&mut buffer, Class::Request, Method::BINDING, id).finish(Seal::NONE).unwrap();
            router.outbound(agent, LINK, from(9), request);
            let answer =
                Builder::new(&mut buffer, Class::Success, Method::BINDING, id).finish(Seal::NONE).unwrap();
            assert_eq!(router.inbound(now(), LINK, from(9), answer), Verdict::Deliver(agent));
        }
        let id = TransactionId([3; 12]);
        let stray =
            Builder::new(&mut buffer, Class::Success, Method::BINDING, id).finish(Seal::NONE).unwrap();
        assert_eq!(router.inbound(now(), LINK, from(9), stray), Verdict::Drop);
    }

    #[test]
    fn a_second_agent_on_the_same_path_does_not_take_the_first_ones_media() {
        let mut router = Router::new();
        let (one, two) = (router.call(&ours(), None), router.call(&theirs(), None));
        let media = [128, 0, 0, 1];
        router.outbound(one, LINK, from(9), &media);
        router.outbound(two, LINK, from(9), &check(1, "any"));
        assert_eq!(router.inbound(now(), LINK, from(9), &media), Verdict::Deliver(one));
        router.outbound(two, LINK, from(9), &media);
        assert_eq!(router.inbound(now(), LINK, from(9), &media), Verdict::DeliverAll(vec![one, two]));
        // What is not encrypted begins something: it is the newer one's.
        let hello = [22, 254, 253, 0, 0, 0, 0];
        assert_eq!(router.inbound(now(), LINK, from(9), &hello), Verdict::Deliver(two));
        router.detach(one);
        assert_eq!(router.inbound(now(), LINK, from(9), &media), Verdict::Deliver(two));
        assert_eq!(router.inbound(now(), LinkId(2), from(9), &media), Verdict::Drop);
    }

    #[test]
    fn a_withdrawn_offer_keeps_its_agents_and_takes_no_new_ones() {
        let mut router = Router::new();
        let offer = router.serve(&ours());
        let friend = rung(&ring(&mut router, 1, from(1)));
        router.withdraw(offer);
        assert_eq!(ring(&mut router, 1, from(2)), Verdict::Deliver(friend));
        assert_eq!(ring(&mut router, 2, from(2)), Verdict::Drop);
        router.detach(friend);
        assert_eq!(ring(&mut router, 1, from(2)), Verdict::Drop);
        assert!(router.offers.is_empty() && router.by_ufrag.is_empty());
    }

    #[test]
    fn an_agent_that_sends_everywhere_stays_small() {
        let mut router = Router::new();
        let agent = router.call(&ours(), None);
        router.outbound(agent, LINK, from(1), &[128, 0]);
        for port in 2u16..5_000 {
            let mut request = check(1, "any");
            request[8..10].copy_from_slice(&port.to_be_bytes());
            router.outbound(agent, LINK, from(port), &request);
        }
        assert_eq!(router.paths.len(), (128, 256));
        assert_eq!(
            router.inbound(now(), LINK, from(1), &[128, 0]),
            Verdict::Deliver(agent),
            "the path with media stays"
        );
        router.detach(agent);
        assert_eq!(router.paths.len(), (0, 0));
    }
}
