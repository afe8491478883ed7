//! What gathering has found so far, and whether it is worth waiting for more. Pure.

use crate::call::event::{PathKind, Protocol};
use std::net::SocketAddr;

use super::TransportEvent;
use super::binding::BindingEvent;
use super::candidate::{LocalCandidate, ServerFailure, ServerName, ServerProblem};
use super::router::LinkId;

/// What gathering found by its deadline.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gathered {
    /// Host candidates first, then srflx and relay ones in the order in which they came.
    pub candidates: Vec<LocalCandidate>,
    /// Servers that have failed, or not answered yet.
    pub failures: Vec<ServerFailure>,
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
}

/// The book of one gathering.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    candidates: Vec<LocalCandidate>,
    stun: Vec<Entry>,
    relays: Vec<Entry>,
    finished: bool,
}

impl Ledger {
    /// Host candidates are known from the start.
    pub(super) fn new(candidates: Vec<LocalCandidate>) -> Self {
        Self { candidates, ..Self::default() }
    }

    /// A STUN server to ask; returns its index.
    pub(super) fn stun(&mut self, name: String) -> usize {
        let name = ServerName::Stun(name);
        let protocols = vec![Protocol::Udp];
        self.stun.push(Entry { name, progress: Progress::Pending, asked: Vec::new(), protocols });
        self.stun.len() - 1
    }

    /// A relay to ask; returns its index.
    pub(super) fn relay(&mut self, name: String, protocols: Vec<Protocol>) -> usize {
        let name = ServerName::Relay(name);
        self.relays.push(Entry { name, progress: Progress::Pending, asked: Vec::new(), protocols });
        self.relays.len() - 1
    }

    /// The questions that a STUN server was asked; none if its name has no address.
    pub(super) fn stun_asked(
        &mut self,
        index: usize,
        asked: Vec<(LinkId, SocketAddr)>,
    ) -> Option<TransportEvent> {
        let entry = self.stun.get_mut(index)?;
        if asked.is_empty() {
            entry.progress = Progress::Failed(ServerProblem::Unresolved);
            return self.failure(ServerProblem::Unresolved, index, false);
        }
        entry.asked = asked;
        None
    }

    /// A Binding transaction ended. `host` is the candidate of the socket it was about.
    pub(super) fn binding(&mut self, event: BindingEvent, host: &LocalCandidate) -> Option<TransportEvent> {
        match event {
            BindingEvent::Mapped { link, server, mapped } => {
                self.answered(link, server, true);
                let candidate = LocalCandidate { kind: PathKind::Srflx, address: mapped, ..*host };
                // RFC 8445 §5.1.3: redundant if the same as another one; without a NAT it is the host candidate.
                self.learn(candidate)
            }
            BindingEvent::Changed { old, new, .. } => {
                self.candidates.retain(|one| one.address != old || one.kind != PathKind::Srflx);
                self.learn(LocalCandidate { kind: PathKind::Srflx, address: new, ..*host });
                Some(TransportEvent::MappingChanged { old, new })
            }
            BindingEvent::Failed { link, server } => {
                let silent = self.answered(link, server, false)?;
                self.failure(ServerProblem::Silent(vec![Protocol::Udp]), silent, false)
            }
        }
    }

    /// A relay gave an address.
    pub(super) fn relay_ready(&mut self, index: usize, candidate: LocalCandidate) -> Option<TransportEvent> {
        self.relays.get_mut(index)?.progress = Progress::Answered;
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

    /// Nothing more will come.
    pub(super) fn is_settled(&self) -> bool {
        self.stun.iter().chain(&self.relays).all(|one| !matches!(one.progress, Progress::Pending))
            && self.stun.iter().all(|one| one.asked.is_empty() || matches!(one.progress, Progress::Failed(_)))
    }

    /// What may still come is hardly worth waiting for: all relays have spoken, and a STUN server has.
    pub(super) fn is_satisfied(&self) -> bool {
        self.relays.iter().all(|one| !matches!(one.progress, Progress::Pending))
            && (self.stun.is_empty()
                || self.stun.iter().any(|one| matches!(one.progress, Progress::Answered)))
    }

    /// The result; from now on news are events.
    pub(super) fn finish(&mut self) -> Gathered {
        self.finished = true;
        let satisfied = self.stun.iter().any(|one| matches!(one.progress, Progress::Answered));
        let failures = self.stun.iter().chain(&self.relays).filter_map(|entry| {
            let problem = match &entry.progress {
                Progress::Failed(problem) => problem.clone(),
                // A second STUN server that is slower than the first has not failed.
                Progress::Pending if satisfied && matches!(entry.name, ServerName::Stun(_)) => return None,
                Progress::Pending => ServerProblem::Silent(entry.protocols.clone()),
                Progress::Answered => return None,
            };
            Some(ServerFailure { server: entry.name.clone(), problem })
        });
        Gathered { candidates: self.candidates.clone(), failures: failures.collect() }
    }

    fn learn(&mut self, candidate: LocalCandidate) -> Option<TransportEvent> {
        if self.candidates.iter().any(|one| one.address == candidate.address) {
            return None;
        }
        self.candidates.push(candidate);
        self.finished.then_some(TransportEvent::CandidateLearnt(candidate))
    }

    fn failure(&self, problem: ServerProblem, index: usize, relay: bool) -> Option<TransportEvent> {
        let entry = if relay { self.relays.get(index) } else { self.stun.get(index) }?;
        let failure = ServerFailure { server: entry.name.clone(), problem };
        self.finished.then_some(TransportEvent::ServerFailed(failure))
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
