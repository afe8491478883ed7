//! What is remembered of an attempt to connect, so that it can be explained: while it lasts, every two seconds, and when
//! it comes to nothing. The counts are the transport's, the conclusions those of [`crate::nat::explain`].

use super::Session;
use crate::call::channel::Candidate;
use crate::call::event::{CallEvent, Notice, PathKind};
use crate::code::facts::{self, AddressKind, Host, Item};
use crate::nat::explain::{self, Attempt, Explanation, Pair, Reply};
use crate::nat::meet::{Ours, meeting_by_reply};
use crate::nat::predict::Meeting;
use crate::transport::interfaces::is_public;
use crate::transport::{PairCount, ServerName, ServerProblem};
use std::net::SocketAddr;
use std::time::Duration;

/// How often it is told what was tried so far.
const INTERVAL: Duration = Duration::from_secs(2);
/// Most paths are there sooner: until then nothing is concluded.
const EARLY: Duration = Duration::from_secs(8);

/// What is known of an attempt beside its counts.
#[derive(Debug, Default)]
pub(super) struct Trying {
    /// This end made the code.
    pub(super) we_offer: bool,
    /// What is known of both networks.
    pub(super) meeting: Meeting,
    /// Where code or reply say that the friend is.
    pub(super) remotes: Vec<Candidate>,
    /// What became of the reply code.
    pub(super) reply: Reply,
    /// When it began.
    pub(super) since: Option<Duration>,
    /// This end, when the code was made.
    ours: Ours,
    told: Option<Explanation>,
}

impl Session {
    /// What is to be said of the attempt, if it ends now.
    pub(super) fn explanation(&self) -> Option<Explanation> {
        explain::explain(&self.attempt(false))
    }

    /// Says what was tried so far, unless that was said already.
    pub(super) async fn tell_attempt(&mut self) {
        let since = self.trying.since.unwrap_or_default();
        let early = self.now().saturating_sub(since) < EARLY;
        let explanation = explain::explain(&self.attempt(early));
        if explanation.is_some() && explanation != self.trying.told {
            self.trying.told.clone_from(&explanation);
            if let Some(explanation) = explanation {
                self.emit(CallEvent::Pairs(Box::new(explanation))).await;
            }
        }
    }

    /// Says that there is no path so far, and why.
    pub(super) async fn warn_of_no_path(&mut self, message: &str) {
        self.tell_attempt().await;
        let Some(verdict) = self.explanation().and_then(|explanation| explanation.verdict) else { return };
        let message = format!("{message} {}", verdict.cause);
        let notice = Notice { code: "no_path", message, help: verdict.advice.to_owned() };
        self.emit(CallEvent::Warning(notice)).await;
    }

    /// A code was made, by this end as far as it is known.
    pub(super) fn offered(&mut self, ours: Ours) {
        let meeting = Meeting { ours: ours.network, ..Meeting::default() };
        self.trying = Trying { we_offer: true, meeting, ours, ..Trying::default() };
    }

    /// The friend's reply says where it is.
    pub(super) fn reply_entered(&mut self, reply: &facts::Reply) {
        let remotes = candidates(&reply.items);
        let outside = |one: &Candidate| one.kind != PathKind::Host || is_public(one.address.ip());
        self.trying.reply = Reply::Entered { outside: remotes.iter().any(outside) };
        self.trying.meeting = meeting_by_reply(&self.trying.ours, reply);
        self.trying.remotes = remotes;
        self.trying.since = Some(self.now());
    }

    fn attempt(&self, early: bool) -> Attempt {
        let silent = self.failures_told.iter().any(|one| {
            matches!((&one.server, &one.problem), (ServerName::Stun(_), ServerProblem::Silent(_)))
        });
        let mut relays =
            self.failures_told.iter().rev().filter(|one| matches!(one.server, ServerName::Relay(_)));
        let lost = |one: &&crate::transport::ServerFailure| one.problem != ServerProblem::Lost;
        let Trying { we_offer, meeting, reply, .. } = self.trying;
        Attempt {
            we_offer,
            meeting,
            pairs: self.transport.pairs().iter().map(|one| self.pair(one)).collect(),
            servers_silent: silent && meeting.ours.udp == crate::code::network::Udp::Unknown,
            reply,
            code_unknown: relays.clone().any(|one| one.problem == ServerProblem::NoSuchGuest),
            relay_trouble: relays.find(lost).map(|one| super::sentence(&one.to_string())),
            early,
        }
    }

    fn pair(&self, counted: &PairCount) -> Pair {
        let known = self.trying.remotes.iter().find(|one| one.address == counted.remote);
        Pair {
            local: counted.local.address,
            local_kind: counted.local.kind,
            protocol: counted.local.relay.map_or(crate::call::event::Protocol::Udp, |path| path.protocol),
            remote: counted.remote,
            remote_kind: known.map_or(PathKind::Prflx, |one| one.kind),
            sent: counted.count.sent,
            answered: counted.count.answered,
            heard: counted.count.heard,
            refused: counted.count.refused,
            forbidden: counted.count.forbidden,
        }
    }
}

/// When to tell of it.
pub(super) fn ticks() -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks
}

/// The addresses of a code, with their kinds.
pub(super) fn candidates(items: &[Item]) -> Vec<Candidate> {
    let candidate = |item: &Item| {
        let Item::Address { kind, host, port } = item else { return None };
        let kind = match kind {
            AddressKind::Host => PathKind::Host,
            AddressKind::Srflx => PathKind::Srflx,
            AddressKind::Relay => PathKind::Relay,
        };
        let address = match host {
            Host::V4(ip) => SocketAddr::new((*ip).into(), *port),
            Host::V6(ip) => SocketAddr::new((*ip).into(), *port),
            Host::Name(_) => return None,
        };
        Some(Candidate { kind, address })
    };
    items.iter().filter_map(candidate).collect()
}
