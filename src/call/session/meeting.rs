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
//! Only the answerer rings, so that no two rings cross. A path that comes back by itself ends the search, unless a
//! new one is found already. It decides nothing about the call.

use super::converse::Joined;
use super::credentials;
use super::handshake::{Terms, Unmet, meet_again};
use crate::call::Role;
use crate::code::keys::IceCredentials;
use crate::transport::{Agent, AgentId, Credentials, OfferId, Transport, TransportEvent};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};

/// How often the offerer knocks, and the answerer looks whether there is something to begin anew: RFC 8445 §14.3 has
/// an RTO of at least 500 ms.
const INTERVAL: Duration = Duration::from_millis(500);
/// Addresses where the friend may be that are tried at the most.
const MAX_PLACES: usize = 24;
/// Of these, such as the friend has knocked from.
const MAX_KNOCKS: usize = 8;

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
    /// Ports or places are others than those of the last attempt.
    news: bool,
    ticks: tokio::time::Interval,
}

impl Meeting {
    /// From now on the friend may come again.
    pub(super) fn new(transport: &Transport, terms: Terms) -> Self {
        let served = match terms.role {
            Role::Offerer => transport.serve(&credentials(&terms.keys.offer_ice)),
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
        match self.terms.role {
            Role::Offerer => self.rung(transport, *agent, remote),
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
                        return joined;
                    }
                    Ok(Err(error)) => log::info!("not met again yet: {error}"),
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => log::error!("meeting again broke: {error}"),
                },
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
    fn rung(&mut self, transport: &Transport, ring: AgentId, remote: &str) {
        let Some(agent) = transport.attach(ring) else { return };
        self.begin(remote.to_owned(), agent, Vec::new());
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

    /// Rings by an agent of its own name, so that it and the one that is silent are told apart.
    fn ring(&mut self, transport: &Transport) {
        let ufrag = STANDARD_NO_PAD.encode(super::random::<6>());
        let local = Credentials { ufrag: ufrag.clone(), pwd: self.terms.keys.answer_ice.pwd.clone() };
        let agent = transport.call(&local, Some(&credentials(&self.terms.keys.offer_ice)));
        let mut places = self.knocked_from.clone();
        places.extend(self.places.iter().filter(|place| !self.knocked_from.contains(place)));
        places.truncate(MAX_PLACES);
        self.begin(ufrag, agent, places);
    }

    fn begin(&mut self, answerer: String, agent: Agent, places: Vec<SocketAddr>) {
        let mut terms = self.terms.clone();
        terms.keys.answer_ice = IceCredentials { ufrag: answerer, ..terms.keys.answer_ice };
        let found = Arc::new(AtomicBool::new(false));
        let path_found = {
            let found = Arc::clone(&found);
            move || found.store(true, Ordering::Relaxed)
        };
        let task = self.handshakes.spawn(meet_again(terms, agent, places, path_found));
        self.attempts.push(Attempt { task, found });
    }
}
