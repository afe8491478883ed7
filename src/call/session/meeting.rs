//! I/O: two ends that have met find each other again, by any path that there is: over the same sockets, allocations
//! and doorbell as at the start, with keys of the call ([`crate::code::words::again_keys`]) and the certificates
//! that they know. What comes out is a connection that can take over from the one that fell silent.
//!
//! ```text
//! offerer                                             answerer
//! serves rings from the start                         serves knocks from the start
//! while looking: knocks wherever it knew the friend ---> rings there too, from then on
//!                                         <--- while looking: rings wherever it knew the friend
//! ICE, DTLS, channel, both authenticate, offer and answer of the media: both move over
//! ```
//! A relayed call is looked after in the same way: now and then the answerer rings past the relay, and says so before
//! on the channel, so that the offerer's NATs are open.
//!
//! Only the answerer rings, so that no two rings cross. A path that comes back by itself ends the search, unless a
//! new one is found already. It decides nothing about the call.

use super::converse::Joined;
use super::credentials;
use super::handshake::{Terms, Unmet, meet_again};
use crate::call::Role;
use crate::code::keys::IceCredentials;
use crate::nat::glance::Shown;
use crate::transport::{Agent, AgentId, Agreed, Credentials, OfferId, Punching, Transport, TransportEvent};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

/// How often the offerer knocks, and the answerer looks whether there is something to begin anew: RFC 8445 §14.3 has
/// an RTO of at least 500 ms.
const INTERVAL: Duration = Duration::from_millis(500);
/// A ring past the relay has so long to find a path: what two NATs need, several times over.
const DIRECT_PATIENCE: Duration = Duration::from_secs(4);
/// How often a NAT is opened for such a ring, [`INTERVAL`] apart.
const OPENINGS: u32 = 8;
/// Addresses where the friend may be that are tried at the most.
const MAX_PLACES: usize = 24;
/// Of these, such as the friend has knocked from.
const MAX_KNOCKS: usize = 8;

/// What the name of an agent begins with that rings past the relay, so that it is not let in through it. Of all names
/// these alone are so long (RFC 8445 §5.3: 4 to 256 characters).
const DIRECT: char = '+';
const DIRECT_LENGTH: usize = 9;

/// One handshake.
struct Attempt {
    task: AbortHandle,
    /// There is a path, and only the authentication is left: not to be disturbed.
    found: Arc<AtomicBool>,
}

/// How two ends meet again.
pub(super) struct Meeting {
    terms: Terms,
    /// Rings at the offerer, knocks at the answerer.
    served: OfferId,
    handshakes: JoinSet<Result<Joined, Unmet>>,
    attempts: Vec<Attempt>,
    /// Where the friend was before, and said that it is.
    places: Vec<SocketAddr>,
    knocked_from: Vec<SocketAddr>,
    looking: bool,
    /// The friend's ring past the relay: what it calls itself, where it comes from, and how often more to open the
    /// NATs.
    approach: Option<(String, Vec<SocketAddr>, u32)>,
    /// A hard NAT's ports are being guessed.
    punching: Option<Punching>,
    /// How the friend calls itself when it knocks for that.
    puncher: Option<String>,
    /// The friend's last ring: what it called itself, and where it came from.
    rung_from: Option<(String, SocketAddr)>,
    /// Ports or places are others than those of the last attempt.
    news: bool,
    ticks: tokio::time::Interval,
}

impl Meeting {
    /// From now on the friend may come again.
    pub(super) fn new(transport: &Transport, terms: Terms) -> Self {
        let served = match terms.role {
            Role::Offerer => {
                transport.set_doorbell(&terms.keys.offer_ice.ufrag);
                transport.serve(&credentials(&terms.keys.offer_ice))
            }
            Role::Answerer => transport.serve(&credentials(&terms.keys.answer_ice)),
        };
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Self {
            terms,
            served,
            handshakes: JoinSet::new(),
            attempts: Vec::new(),
            places: Vec::new(),
            knocked_from: Vec::new(),
            looking: false,
            approach: None,
            punching: None,
            puncher: None,
            rung_from: None,
            news: false,
            ticks,
        }
    }

    /// The path is silent: look for the friend, at these places first.
    pub(super) fn look(&mut self, transport: &Transport, places: Vec<SocketAddr>) {
        self.looking = true;
        self.places = places;
        transport.keep_alive(true);
        self.ticks.reset_immediately();
    }

    /// The path is back.
    pub(super) fn rest(&mut self, transport: &Transport) {
        self.looking = false;
        self.knocked_from.clear();
        transport.keep_alive(false);
        self.abandon();
    }

    /// There are other sockets, allocations or places than before.
    pub(super) fn news(&mut self) {
        self.news = true;
        self.ticks.reset_immediately();
    }

    /// Takes what the transport tells; `true` when it was about this.
    pub(super) fn heard(&mut self, transport: &Transport, event: &TransportEvent) -> bool {
        let TransportEvent::Ring { offer, agent, from, remote, .. } = event else { return false };
        if *offer != self.served {
            return false;
        }
        if self.puncher.as_ref() == Some(remote) {
            // The knock's agent has done its work.
            drop(transport.attach(*agent));
            self.punching.iter().for_each(|punching| punching.heard(*from));
            return true;
        }
        match self.terms.role {
            Role::Offerer => self.rung(transport, *agent, *from, remote),
            Role::Answerer => self.knocked(transport, *agent, *from),
        }
        true
    }

    /// The next connection; for ever busy in between.
    pub(super) async fn next(&mut self, transport: &Transport) -> Joined {
        loop {
            tokio::select! {
                Some(done) = self.handshakes.join_next() => match done {
                    Ok(Ok(joined)) => {
                        self.attempts.iter().for_each(|attempt| attempt.task.abort());
                        self.attempts.clear();
                        self.punching = None;
                        return joined;
                    }
                    Ok(Err(error)) => log::info!("not met again yet: {error}"),
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => log::error!("meeting again broke: {error}"),
                },
                Some(from) = Punching::hit(&mut self.punching) => self.reached(transport, from),
                _ = self.ticks.tick() => self.tick(transport),
            }
        }
    }

    fn tick(&mut self, transport: &Transport) {
        self.attempts.retain(|attempt| !attempt.task.is_finished());
        if std::mem::take(&mut self.news) {
            // The ports of an attempt are fixed: begin anew, with those there are now.
            self.abandon();
        }
        if let Some((ufrag, places, openings)) =
            self.approach.as_mut().filter(|(_, _, openings)| *openings > 0)
        {
            *openings -= 1;
            let remote = Credentials { ufrag: ufrag.clone(), pwd: self.terms.keys.answer_ice.pwd.clone() };
            transport.knock(places, &self.terms.keys.offer_ice.ufrag, &remote);
        }
        if !self.looking {
            return;
        }
        match self.terms.role {
            Role::Offerer => {
                let remote = credentials(&self.terms.keys.answer_ice);
                transport.knock(&self.places, &self.terms.keys.offer_ice.ufrag, &remote);
            }
            Role::Answerer if self.attempts.is_empty() => self.ring(transport),
            Role::Answerer => {}
        }
    }

    /// Ends what has found no path yet.
    fn abandon(&mut self) {
        self.attempts.retain(|attempt| {
            let found = attempt.found.load(Ordering::Relaxed);
            if !found {
                attempt.task.abort();
            }
            found
        });
    }

    /// The friend's ring, by an agent that calls itself `remote`.
    fn rung(&mut self, transport: &Transport, ring: AgentId, from: SocketAddr, remote: &str) {
        let Some(agent) = transport.attach(ring) else { return };
        // Rung by our doorbell it tells how the friend's NAT looks from outside.
        self.rung_from = Some((remote.to_owned(), from));
        self.open_to_ring();
        let direct = remote.len() == DIRECT_LENGTH && remote.starts_with(DIRECT);
        self.begin(remote.to_owned(), agent, Vec::new(), direct);
    }

    /// The friend is there, and asks to be rung.
    fn knocked(&mut self, transport: &Transport, ring: AgentId, from: SocketAddr) {
        // The knock's agent has done its work.
        drop(transport.attach(ring));
        if !self.looking {
            log::info!("the friend asks to be rung at {from}");
            self.looking = true;
        }
        if !self.places.contains(&from) && !self.knocked_from.contains(&from) {
            self.knocked_from.truncate(MAX_KNOCKS - 1);
            self.knocked_from.insert(0, from);
            self.news();
        }
    }

    /// Rings past the relay, at these places (a doorbell among them is no path, but tells the friend where we are);
    /// says how the ring calls itself. Only the answerer does, and only while nothing else is tried.
    pub(super) fn ring_directly(&mut self, transport: &Transport, places: Vec<SocketAddr>) -> Option<String> {
        self.attempts.retain(|attempt| !attempt.task.is_finished());
        if std::mem::take(&mut self.news) {
            self.abandon();
        }
        if self.terms.role == Role::Offerer || self.looking || !self.attempts.is_empty() || places.is_empty()
        {
            return None;
        }
        Some(self.ring_past(transport, places))
    }

    fn ring_past(&mut self, transport: &Transport, places: Vec<SocketAddr>) -> String {
        let name = format!("{DIRECT}{}", name());
        let agent = self.agent(transport, &name);
        self.begin(name.clone(), agent, places, true);
        name
    }

    /// The friend is about to do so.
    pub(super) fn approached(&mut self, ufrag: String, places: Vec<SocketAddr>) {
        self.approach = Some((ufrag, places, OPENINGS));
        self.open_to_ring();
        self.ticks.reset_immediately();
    }

    /// The ring may come before the word of it, or after.
    fn open_to_ring(&mut self) {
        let Some((ufrag, places, _)) = &mut self.approach else { return };
        let from = self.rung_from.as_ref().filter(|(remote, _)| remote == ufrag).map(|(_, from)| *from);
        if let Some(from) = from.filter(|from| !places.contains(from)) {
            places.push(from);
            self.ticks.reset_immediately();
        }
    }

    /// Both ends have said how NATs show them, and it is worth guessing: this one calls itself `name` for it.
    pub(super) fn punch(
        &mut self,
        transport: &Transport,
        (name, own): (String, Shown),
        (friends_name, friend): (String, SocketAddr),
    ) {
        let keys = &self.terms.keys;
        let (local, remote) = match self.terms.role {
            Role::Offerer => (&keys.offer_ice, &keys.answer_ice),
            Role::Answerer => (&keys.answer_ice, &keys.offer_ice),
        };
        self.puncher = Some(friends_name.clone());
        self.punching = Some(transport.punch(Agreed {
            hard: own.hard,
            base: own.base,
            friend,
            local: credentials(local),
            friends_name,
            remote: credentials(remote),
            name,
        }));
    }

    /// There is a hole in the hard NAT: rings through it.
    fn reached(&mut self, transport: &Transport, from: SocketAddr) {
        if self.terms.role == Role::Answerer && !self.looking {
            self.ring_past(transport, vec![from]);
        }
    }

    /// An agent of its own name, so that it and the one in use are told apart.
    fn agent(&self, transport: &Transport, name: &str) -> Agent {
        let local = Credentials { ufrag: name.to_owned(), pwd: self.terms.keys.answer_ice.pwd.clone() };
        transport.call(&local, Some(&credentials(&self.terms.keys.offer_ice)))
    }

    fn ring(&mut self, transport: &Transport) {
        let ufrag = name();
        let agent = self.agent(transport, &ufrag);
        let mut places = self.knocked_from.clone();
        places.extend(self.places.iter().filter(|place| !self.knocked_from.contains(place)));
        places.truncate(MAX_PLACES);
        self.begin(ufrag, agent, places, false);
    }

    fn begin(&mut self, answerer: String, agent: Agent, places: Vec<SocketAddr>, direct: bool) {
        let mut terms = Terms { direct, ..self.terms.clone() };
        terms.keys.answer_ice = IceCredentials { ufrag: answerer, ..terms.keys.answer_ice };
        let found = Arc::new(AtomicBool::new(false));
        let path_found = {
            let found = Arc::clone(&found);
            move || found.store(true, Ordering::Relaxed)
        };
        let meeting = meet_again(terms, agent, places, path_found);
        let patience = if direct { DIRECT_PATIENCE } else { Duration::MAX };
        let limited = async move { timeout(patience, meeting).await.map_err(|_| Unmet::Silent)? };
        let task = self.handshakes.spawn(limited);
        self.attempts.push(Attempt { task, found });
    }
}

/// A name for an agent or for a knock, of eight characters (RFC 8445 §5.3).
pub(super) fn name() -> String {
    STANDARD_NO_PAD.encode(super::random::<6>())
}
