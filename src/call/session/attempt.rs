//! What is remembered of an attempt to connect, so that it can be explained: while it lasts, every two seconds, and when
//! it comes to nothing. The counts are the transport's, the conclusions those of [`crate::nat::explain`].

use super::Session;
use crate::call::channel::Candidate;
use crate::call::event::{CallEvent, PathKind};
use crate::code::facts::{self, AddressKind, Host, Item};
use crate::nat::explain::{self, Attempt, Explanation, Pair, Reply};
use crate::nat::meet::{Ours, meeting_by_reply};
use crate::nat::predict::Meeting;
use crate::nat::turns;
use crate::transport::interfaces::is_public;
use crate::transport::{PairCount, ServerName, ServerProblem};
use std::net::SocketAddr;
use std::time::Duration;

/// How often it is told what was tried so far.
const INTERVAL: Duration = Duration::from_secs(2);
const NOTHING_TRIED: &str =
    "There is no address there that could be tried from here: use a relay, see --relay.";
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
    /// What is to be said of an attempt that ends now; nothing is concluded before its time.
    pub(super) fn explanation(&self) -> Option<Explanation> {
        let early = self.trying.since.is_none_or(|since| self.now().saturating_sub(since) < EARLY);
        explain::explain(&self.attempt(early))
    }

    /// The same of a path that was found and did not last.
    pub(super) fn last_explanation(&self) -> Option<Explanation> {
        explain::explain(&self.attempt(false))
    }

    /// What is to be done every two seconds: tells of it, and keeps our NAT open where the friend may come from.
    pub(super) async fn attempt_goes_on(&mut self) {
        self.transport.let_in(&self.guesses());
        self.tell_attempt().await;
    }

    /// Says what was tried so far, unless that was said already.
    pub(super) async fn tell_attempt(&mut self) {
        let Some(explanation) = self.explanation() else { return };
        self.trying.since.get_or_insert(self.line.now());
        if self.trying.told.as_ref() != Some(&explanation) {
            self.trying.told = Some(explanation.clone());
            self.emit(CallEvent::Pairs(Box::new(explanation))).await;
        }
    }

    /// Says that there is no path so far, and why.
    pub(super) async fn warn_of_no_path(&mut self, message: &str) {
        self.tell_attempt().await;
        let (message, help) = match self.explanation().and_then(|explanation| explanation.verdict) {
            Some(verdict) => (format!("{message} {}", verdict.cause), verdict.advice),
            None => (message.to_owned(), NOTHING_TRIED),
        };
        self.warn("no_path", message, help).await;
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

    /// Where the friend's packets may come from, if its NAT deals its ports out in turn and ours has one for everybody:
    /// guesses, a dozen at the most.
    fn guesses(&self) -> Vec<SocketAddr> {
        let Meeting { ours, theirs, .. } = self.trying.meeting;
        if !turns::deals_in_turn(theirs) || turns::hides(ours) || self.config.network.relay_only {
            return Vec::new();
        }
        let public = self.trying.remotes.iter().filter(|one| one.kind == PathKind::Srflx);
        turns::next(&public.map(|one| one.address).collect::<Vec<_>>())
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
    // Most attempts are over by then, and nobody needs to hear of them.
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + INTERVAL, INTERVAL);
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
