//! What gathering has found so far, and whether it is worth waiting for more. Pure.

use crate::call::event::{PathKind, Protocol};
use std::net::SocketAddr;

use super::TransportEvent;
use super::binding::BindingEvent;
use super::candidate::{LocalCandidate, ServerFailure, ServerName, ServerProblem, Sighting};
use super::router::LinkId;

/// What gathering found by its deadline.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gathered {
    /// Host candidates first, then srflx and relay ones in the order in which they came.
    pub candidates: Vec<LocalCandidate>,
    /// Servers that have failed, or not answered yet.
    pub failures: Vec<ServerFailure>,
    /// What each server that answered saw, the latest of each.
    pub sightings: Vec<Sighting>,
}

/// How far one server is.
#[derive(Debug)]
enum Progress {
    /// Its name is being resolved, or it is silent so far.
    Pending,
    /// It has answered.
    Answered,
    /// It is of no use.
    Failed(ServerProblem),
}

/// One server.
#[derive(Debug)]
struct Entry {
    name: ServerName,
    progress: Progress,
    /// Of a STUN server: the questions without an answer.
    asked: Vec<(LinkId, SocketAddr)>,
    /// Which transports are tried.
    protocols: Vec<Protocol>,
    /// What the session has been told of last.
    said: Option<ServerProblem>,
}

impl Entry {
    fn new(name: ServerName, protocols: Vec<Protocol>) -> Self {
        Self { name, progress: Progress::Pending, asked: Vec::new(), protocols, said: None }
    }
}

/// The book of one gathering.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    candidates: Vec<LocalCandidate>,
    stun: Vec<Entry>,
    relays: Vec<Entry>,
    sightings: Vec<Sighting>,
    /// The router has been asked for a port and has not answered yet.
    mapping_awaited: bool,
    finished: bool,
}

impl Ledger {
    /// A socket of our own.
    pub(super) fn host(&mut self, candidate: LocalCandidate) -> Option<TransportEvent> {
        self.learn(candidate)
    }

    /// A STUN server to ask; returns its index.
    pub(super) fn stun(&mut self, name: String) -> usize {
        self.stun.push(Entry::new(ServerName::Stun(name), vec![Protocol::Udp]));
        self.stun.len() - 1
    }

    /// A relay to ask; returns its index.
    pub(super) fn relay(&mut self, name: String, protocols: Vec<Protocol>) -> usize {
        self.relays.push(Entry::new(ServerName::Relay(name), protocols));
        self.relays.len() - 1
    }

    /// The questions that a STUN server is asked.
    pub(super) fn stun_asked(&mut self, index: usize, asked: Vec<(LinkId, SocketAddr)>) {
        if let Some(entry) = self.stun.get_mut(index) {
            entry.asked = asked;
        }
    }

    /// A STUN server that cannot be asked.
    pub(super) fn stun_failed(&mut self, index: usize, problem: ServerProblem) -> Option<TransportEvent> {
        self.stun.get_mut(index)?.progress = Progress::Failed(problem.clone());
        self.failure(problem, index, false)
    }

    /// A Binding transaction ended. `host` is the candidate of the socket it was about.
    pub(super) fn binding(&mut self, event: BindingEvent, host: &LocalCandidate) -> Option<TransportEvent> {
        match event {
            BindingEvent::Mapped { link, server, mapped } => {
                self.answered(link, server, true);
                self.sightings.push(Sighting { base: host.base, server, mapped });
                let candidate = LocalCandidate { kind: PathKind::Srflx, address: mapped, ..*host };
                // RFC 8445 §5.1.3: redundant if the same as another one; without a NAT it is the host candidate.
                self.learn(candidate)
            }
            BindingEvent::Changed { old, new, .. } => {
                for seen in self.sightings.iter_mut().filter(|seen| seen.mapped == old) {
                    seen.mapped = new;
                }
                self.candidates.retain(|one| one.address != old || one.kind != PathKind::Srflx);
                self.learn(LocalCandidate { kind: PathKind::Srflx, address: new, ..*host });
                Some(TransportEvent::MappingChanged { old, new })
            }
            BindingEvent::Failed { link, server } => {
                let silent = self.answered(link, server, false)?;
                // One server that answers is enough: nobody needs to hear of the others.
                if self.stun_answered() {
                    return None;
                }
                self.failure(ServerProblem::Silent(vec![Protocol::Udp]), silent, false)
            }
        }
    }

    /// A relay gave an address.
    pub(super) fn relay_ready(&mut self, index: usize, candidate: LocalCandidate) -> Option<TransportEvent> {
        let entry = self.relays.get_mut(index)?;
        entry.progress = Progress::Answered;
        entry.said = None;
        self.learn(candidate)
    }

    /// A relay failed, or lost us.
    pub(super) fn relay_failed(&mut self, index: usize, problem: ServerProblem) -> Option<TransportEvent> {
        self.relays.get_mut(index)?.progress = Progress::Failed(problem.clone());
        self.failure(problem, index, true)
    }

    /// A relayed address is no more.
    pub(super) fn forget(&mut self, candidate: &LocalCandidate) {
        self.candidates.retain(|one| one != candidate);
    }

    /// The router is being asked for a port.
    pub(super) fn await_mapping(&mut self) {
        self.mapping_awaited = true;
    }

    /// The router gave a port, or none.
    pub(super) fn mapped(&mut self, candidate: Option<LocalCandidate>) -> Option<TransportEvent> {
        self.mapping_awaited = false;
        self.learn(candidate?)
    }

    /// Nothing more will come.
    pub(super) fn is_settled(&self) -> bool {
        !self.mapping_awaited
            && self.stun.iter().chain(&self.relays).all(|one| !matches!(one.progress, Progress::Pending))
            && self.stun.iter().all(|one| one.asked.is_empty() || matches!(one.progress, Progress::Failed(_)))
    }

    /// What may still come is hardly worth waiting for: all relays have spoken, and a STUN server has.
    pub(super) fn is_satisfied(&self) -> bool {
        self.relays.iter().all(|one| !matches!(one.progress, Progress::Pending))
            && (self.stun.is_empty() || self.stun_answered())
    }

    /// The result; from now on news are events.
    pub(super) fn finish(&mut self) -> Gathered {
        self.finished = true;
        let satisfied = self.stun_answered();
        let failures = self.stun.iter_mut().chain(&mut self.relays).filter_map(|entry| {
            let problem = match &entry.progress {
                Progress::Answered => return None,
                Progress::Failed(problem) => problem.clone(),
                Progress::Pending => ServerProblem::Silent(entry.protocols.clone()),
            };
            // One STUN server that answers is enough: nobody needs to hear that another is slow.
            let silent = matches!(problem, ServerProblem::Silent(_));
            if satisfied && silent && matches!(entry.name, ServerName::Stun(_)) {
                return None;
            }
            entry.said = Some(problem.clone());
            Some(ServerFailure { server: entry.name.clone(), problem })
        });
        Gathered {
            failures: failures.collect(),
            candidates: self.candidates.clone(),
            sightings: self.sightings.clone(),
        }
    }

    fn stun_answered(&self) -> bool {
        self.stun.iter().any(|one| matches!(one.progress, Progress::Answered))
    }

    fn learn(&mut self, candidate: LocalCandidate) -> Option<TransportEvent> {
        if self.candidates.iter().any(|one| one.address == candidate.address) {
            return None;
        }
        self.candidates.push(candidate);
        self.finished.then_some(TransportEvent::CandidateLearnt(candidate))
    }

    /// What is known already is not said again.
    fn failure(&mut self, problem: ServerProblem, index: usize, relay: bool) -> Option<TransportEvent> {
        let entry = if relay { self.relays.get_mut(index) } else { self.stun.get_mut(index) }?;
        if !self.finished || entry.said.as_ref() == Some(&problem) {
            return None;
        }
        entry.said = Some(problem.clone());
        Some(TransportEvent::ServerFailed(ServerFailure { server: entry.name.clone(), problem }))
    }

    /// Strikes out a question; the index of a server that has failed by that.
    fn answered(&mut self, link: LinkId, server: SocketAddr, success: bool) -> Option<usize> {
        let question = (link, server);
        let index = self.stun.iter().position(|one| one.asked.contains(&question))?;
        let entry = self.stun.get_mut(index)?;
        entry.asked.retain(|one| *one != question);
        if success {
            entry.progress = Progress::Answered;
        } else if entry.asked.is_empty() && matches!(entry.progress, Progress::Pending) {
            entry.progress = Progress::Failed(ServerProblem::Silent(entry.protocols.clone()));
            return Some(index);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: LinkId = LinkId(1);

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn host() -> LocalCandidate {
        let address = address("192.168.1.5:4000");
        LocalCandidate {
            kind: PathKind::Host,
            address,
            base: address,
            default_route: true,
            bridge: false,
            lonely: false,
            relay: None,
        }
    }

    fn with_host() -> Ledger {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.host(host()), None, "known from the start");
        ledger
    }

    fn mapped(ledger: &mut Ledger, server: &str, mapped: &str) -> Option<TransportEvent> {
        let event = BindingEvent::Mapped { link: LINK, server: address(server), mapped: address(mapped) };
        ledger.binding(event, &host())
    }

    fn failed(ledger: &mut Ledger, server: &str) -> Option<TransportEvent> {
        ledger.binding(BindingEvent::Failed { link: LINK, server: address(server) }, &host())
    }

    /// A ledger with one STUN server on each of these addresses, asked from one socket.
    fn asked(servers: &[&str]) -> Ledger {
        let mut ledger = with_host();
        for server in servers {
            let index = ledger.stun((*server).to_owned());
            assert!(!ledger.is_settled());
            ledger.stun_asked(index, vec![(LINK, address(server))]);
        }
        ledger
    }

    #[test]
    fn without_servers_there_is_nothing_to_wait_for() {
        let ledger = with_host();
        assert!(ledger.is_settled() && ledger.is_satisfied());
    }

    #[test]
    fn one_answer_satisfies_and_all_settle() {
        let mut ledger = asked(&["192.0.2.1:1", "192.0.2.2:2"]);
        assert!(!ledger.is_satisfied());
        mapped(&mut ledger, "192.0.2.1:1", "203.0.113.9:4000");
        assert!(ledger.is_satisfied() && !ledger.is_settled());
        failed(&mut ledger, "192.0.2.2:2");
        assert!(ledger.is_settled());
        assert_eq!(ledger.finish().failures, [], "one that answers is enough");
    }

    #[test]
    fn an_address_is_listed_once_and_not_at_all_where_there_is_no_nat() {
        let mut ledger = asked(&["192.0.2.1:1", "192.0.2.2:2"]);
        mapped(&mut ledger, "192.0.2.1:1", "203.0.113.9:4000");
        mapped(&mut ledger, "192.0.2.2:2", "203.0.113.9:4000");
        assert_eq!(ledger.finish().candidates.len(), 2);
        let mut ledger = asked(&["192.0.2.1:1"]);
        mapped(&mut ledger, "192.0.2.1:1", "192.168.1.5:4000");
        assert_eq!(ledger.finish().candidates, [host()]);
    }

    #[test]
    fn what_comes_late_is_an_event() {
        let mut ledger = asked(&["192.0.2.1:1"]);
        assert_eq!(ledger.finish().failures.len(), 1);
        assert_eq!(failed(&mut ledger, "192.0.2.1:1"), None, "its silence was in the result");
        let mut ledger = asked(&["192.0.2.1:1"]);
        ledger.finish();
        let event = mapped(&mut ledger, "192.0.2.1:1", "203.0.113.9:4000");
        assert!(matches!(event, Some(TransportEvent::CandidateLearnt(one)) if one.kind == PathKind::Srflx));
    }

    #[test]
    fn a_relays_loss_is_told_each_time_and_its_silence_once() {
        let mut ledger = Ledger::default();
        let index = ledger.relay("turn.example.org".into(), vec![Protocol::Udp]);
        let relayed = LocalCandidate { kind: PathKind::Relay, ..host() };
        ledger.finish();
        for _ in 0..2 {
            assert!(ledger.relay_ready(index, relayed).is_some());
            ledger.forget(&relayed);
            assert!(ledger.relay_failed(index, ServerProblem::Lost).is_some());
            let silent = || ServerProblem::Silent(vec![Protocol::Udp]);
            assert!(ledger.relay_failed(index, silent()).is_some());
            assert!(ledger.relay_failed(index, silent()).is_none());
        }
    }

    #[test]
    fn a_new_mapping_takes_the_place_of_the_old_one() {
        let mut ledger = asked(&["192.0.2.1:1"]);
        mapped(&mut ledger, "192.0.2.1:1", "203.0.113.9:4000");
        let (old, new) = (address("203.0.113.9:4000"), address("203.0.113.9:4001"));
        let event = ledger.binding(BindingEvent::Changed { link: LINK, old, new }, &host());
        assert_eq!(event, Some(TransportEvent::MappingChanged { old, new }));
        let addresses: Vec<_> = ledger.finish().candidates.iter().map(|one| one.address).collect();
        assert_eq!(addresses, [host().address, new]);
    }
}
