//! I/O: what a conversation does while nothing comes from the friend, and when it moves to another connection.

use super::converse::{Conversation, Joined};
use super::handshake::Bond;
use super::meeting::Meeting;
use super::punch::Proposals;
use super::{Session, step};
use crate::call::channel::{Candidate, Message, Talk};
use crate::call::event::{CallEvent, PathEvent, PathKind};
use crate::call::path::LocalEnd;
use crate::call::peer::PeerEvent;
use crate::call::{Call, Effect, Input};
use crate::nat::turns;
use crate::transport::{Transport, TransportEvent};
use bytes::Bytes;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// What a person says while the friend is away, at the most: lines of chat, mostly.
const MAX_UNSAID: usize = 64;
/// Lines of text said again over another connection.
const MOST_LINES: usize = 32;
/// Addresses that a NAT is opened for when the friend says so.
const MAX_OPENED: usize = 8;
/// A way past the relay is looked for as soon as there is a call through one, again after so long, then after twice as
/// long, …
const FIRST_PAUSE: Duration = Duration::from_secs(6);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// What is still on its way by the connection that was left arrives within this.
const FORMER_LINGERS: Duration = Duration::from_secs(2);

/// How the friend is met again, and what waits for that.
#[derive(Default)]
pub(super) struct Again {
    /// What is known of the friend; `None` where a description came by hand, and after the beginning.
    pub(super) bond: Option<Bond>,
    /// `None` before media flows.
    pub(super) meeting: Option<Meeting>,
    /// Nothing more comes from the connection.
    pub(super) dead: bool,
    /// Nothing comes from the friend: what is said waits here.
    unsaid: Option<Vec<Talk>>,
    /// The last lines of text: what was said before a silence was noticed may be lost with the connection.
    lines: VecDeque<Talk>,
    /// Another connection than before the silence.
    moved: bool,
    former: Option<(Joined, tokio::time::Instant)>,
    /// When to look for a way past the relay, and how long to wait after that.
    next_try: Option<(Duration, Duration)>,
    pub(super) punch: Proposals,
}

/// What comes to a conversation beside what the friend says.
pub(super) enum Came {
    /// The next connection.
    Joined(Box<Joined>),
    /// What the friend said by the connection that was left, before it left it too.
    Late(Bytes),
}

impl Again {
    /// The call stands: from now on the friend may come again.
    pub(super) fn begin(&mut self, transport: &Transport, nonces: Option<&[[u8; 32]; 2]>) {
        if let (Some(bond), Some(nonces)) = (self.bond.take(), nonces) {
            self.meeting = Some(Meeting::new(transport, bond.again(nonces)));
        }
    }

    /// The next connection, or what comes late by the one before.
    pub(super) async fn next(this: &mut Self, transport: &Transport) -> Came {
        let former = async {
            match &mut this.former {
                Some((former, until)) => tokio::time::timeout_at(*until, late(former)).await.ok(),
                None => std::future::pending().await,
            }
        };
        let next = async {
            match &mut this.meeting {
                Some(meeting) => meeting.next(transport).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(next);
        tokio::select! {
            joined = &mut next => return Came::Joined(Box::new(joined)),
            late = former => if let Some(bytes) = late {
                return Came::Late(bytes);
            }
        }
        this.former = None;
        Came::Joined(Box::new(next.await))
    }

    /// From now on a way past the relay is looked for, or no more.
    pub(super) fn plan(&mut self, now: Duration, relayed: bool) {
        if relayed && self.meeting.is_some() {
            self.next_try.get_or_insert((now, FIRST_PAUSE));
        } else {
            self.next_try = None;
        }
    }

    /// When a way past the relay is to be looked for.
    pub(super) fn due(&self) -> Option<Duration> {
        self.next_try.map(|(due, _)| due)
    }

    /// Takes what the transport tells; `true` when it was about meeting again.
    pub(super) fn heard(&mut self, transport: &Transport, event: &TransportEvent) -> bool {
        self.meeting.as_mut().is_some_and(|meeting| meeting.heard(transport, event))
    }

    /// Whether the friend can be met again, as one who came by a p2pcall code.
    pub(super) fn is_possible(&self) -> bool {
        self.meeting.is_some()
    }

    /// Keeps what can't be said now; gives back what can.
    pub(super) fn keep(&mut self, talk: Talk) -> Option<Talk> {
        if matches!(talk, Talk::Chat { .. }) {
            self.lines.truncate(MOST_LINES - 1);
            self.lines.push_front(talk.clone());
        }
        let Some(unsaid) = &mut self.unsaid else { return Some(talk) };
        // Of states the last one counts.
        if matches!(talk, Talk::Candidates { .. } | Talk::Devices { .. }) {
            unsaid.retain(|older| std::mem::discriminant(older) != std::mem::discriminant(&talk));
        }
        if unsaid.len() < MAX_UNSAID {
            unsaid.push(talk);
        }
        None
    }
}

/// Where the friend's packets may come from besides.
fn guesses(session: &Session) -> Vec<SocketAddr> {
    let public = |candidates: &[Candidate]| -> Vec<SocketAddr> {
        let public = candidates.iter().filter(|one| one.kind == PathKind::Srflx);
        public.map(|one| one.address).collect()
    };
    turns::guesses(&public(&session.path.own), &public(&session.path.theirs))
}

impl Conversation {
    /// Something happened to the sockets or the servers.
    pub(super) async fn transport_event(
        &mut self,
        session: &mut Session,
        life: &mut Call,
        event: TransportEvent,
    ) -> Vec<Effect> {
        if self.again.heard(&session.transport, &event) {
            return Vec::new();
        }
        match event {
            TransportEvent::CandidateLearnt(candidate) => {
                self.learnt(session, None, Some(super::told(&candidate))).await;
            }
            TransportEvent::CandidateLost(candidate) => {
                self.learnt(session, Some(candidate.address), None).await;
            }
            TransportEvent::MappingChanged { old, new } => {
                let candidate = Candidate { kind: PathKind::Srflx, address: new };
                self.learnt(session, Some(old), Some(candidate)).await;
            }
            // What happens to servers matters only to a call that goes through one of them.
            TransportEvent::ServerFailed(failure) if self.relayed => session.server_failed(failure).await,
            TransportEvent::PortClosed { remote } if self.is_friends_own(session, remote) => {
                return step(life, &session.line, Input::PortRefuses);
            }
            _ => {}
        }
        Vec::new()
    }

    /// Whether packets go straight to a port of the friend's machine: one that a NAT has lent refuses also when the
    /// NAT has forgotten whose it was.
    fn is_friends_own(&self, session: &Session, remote: SocketAddr) -> bool {
        let own = |candidate: &Candidate| candidate.address == remote && candidate.kind == PathKind::Host;
        self.link.peer.path().is_some_and(|(_, to)| to == remote) && session.path.theirs.iter().any(own)
    }

    /// Nothing comes any more: looks for the friend everywhere.
    pub(super) async fn seek(&mut self, session: &Session) {
        self.again.unsaid.get_or_insert_default();
        self.look(session).await;
    }

    /// Sound and picture have stopped. Nothing to trouble a person with yet, nor to be sure of, as the agents may still
    /// hear each other's checks; but time to look for the friend.
    pub(super) async fn listen_closely(&mut self, session: &Session, life: &Call) {
        if life.is_connected() && !life.is_silent() {
            log::info!("it has become quiet");
            self.look(session).await;
        }
    }

    /// They come again.
    pub(super) fn calm_down(&mut self, session: &Session, life: &Call) {
        if let Some(meeting) = self.again.meeting.as_mut().filter(|_| !life.is_silent()) {
            log::info!("it is quiet no longer");
            meeting.rest(&session.transport);
        }
    }

    async fn look(&mut self, session: &Session) {
        let mut places: Vec<SocketAddr> =
            self.link.peer.path().map(|(_, remote)| remote).into_iter().collect();
        let told = session.ways_to(&session.path.theirs).await.into_iter();
        places
            .extend(told.filter(|address| Some(address) != self.link.peer.path().map(|(_, to)| to).as_ref()));
        if let Some(meeting) = &mut self.again.meeting {
            meeting.look(&session.transport, places);
        }
    }

    /// Now and then, while the call goes through a relay: rings past it.
    pub(super) async fn improve(&mut self, session: &Session, life: &Call) {
        let now = session.now();
        let Some((_, pause)) = self.again.next_try else { return };
        self.again.next_try = Some((now + pause, (pause * 2).min(LONGEST_PAUSE)));
        if life.is_silent() {
            return;
        }
        let Some(meeting) = &mut self.again.meeting else { return };
        session.transport.let_in(&guesses(session));
        let places = session.ways_to(&session.path.theirs).await;
        if let Some(ufrag) = meeting.ring_directly(&session.transport, places) {
            let own = session.path.own.iter().filter(|one| one.kind != PathKind::Relay);
            self.say_now(Talk::Approach { ufrag, candidates: own.copied().collect() }).await;
        }
        self.propose(session).await;
    }

    /// What the friend said by the connection that was left; where it saw this end there is of no interest any more.
    pub(super) async fn late(&mut self, session: &mut Session, life: &mut Call, bytes: &[u8]) -> Vec<Effect> {
        match Message::decode(bytes) {
            Ok(Message::Talk(Talk::Seen { .. })) => Vec::new(),
            _ => self.message(session, life, bytes).await,
        }
    }

    /// The friend rings past the relay.
    pub(super) async fn approached(&mut self, session: &Session, ufrag: String, candidates: &[Candidate]) {
        session.transport.let_in(&guesses(session));
        let mut places = session.ways_to(candidates).await;
        places.truncate(MAX_OPENED);
        if let Some(meeting) = &mut self.again.meeting {
            meeting.approached(ufrag, places);
        }
    }

    /// The path is back: sound comes by itself, a picture needs a whole one to go on from.
    pub(super) async fn resume(&mut self, session: &Session) {
        if let Some(meeting) = &mut self.again.meeting {
            meeting.rest(&session.transport);
        }
        self.link.peer.request_key_frame();
        if let Some(media) = &self.media {
            media.media().key_frame();
        }
        let moved = std::mem::take(&mut self.again.moved);
        if moved {
            for line in self.again.lines.iter().rev() {
                self.say_now(line.clone()).await;
            }
        }
        for talk in self.again.unsaid.take().unwrap_or_default() {
            self.say_now(talk).await;
        }
        // Also where nothing is to be said: what waits in the connection for its next timer is then missed at once.
        self.say_now(Talk::Devices { muted: self.muted, video_off: !self.video_on }).await;
        self.recording_meets_again(session).await;
        if moved {
            self.files_meet_again(session).await;
        }
        self.told_path = None;
        self.path(session).await;
    }

    /// The connection is of no use any more. Where the friend can be met again that is no more than a silence; but a
    /// friend who closes it in mid-call, and is there, wants no other.
    pub(super) fn broken(&mut self, session: &Session, life: &mut Call, how: &PeerEvent) -> Vec<Effect> {
        let relayed = self.relayed;
        if self.again.meeting.is_none() || (*how == PeerEvent::ChannelClosed && !life.is_silent()) {
            return step(life, &session.line, Input::PathFailed { relayed });
        }
        self.again.dead = true;
        step(life, &session.line, Input::PathDown { relayed })
    }

    /// Moves to another connection. The one before is left as it is, for what is still on its way.
    pub(super) async fn move_over(
        &mut self,
        session: &mut Session,
        life: &mut Call,
        joined: Joined,
    ) -> Vec<Effect> {
        log::info!("moving to another connection: {:?}", joined.peer);
        let former = std::mem::replace(&mut self.link, joined);
        self.again.former = Some((former, tokio::time::Instant::now() + FORMER_LINGERS));
        (self.again.dead, self.again.moved) = (false, true);
        if let Some(media) = &mut self.media {
            media.move_to(&self.link.peer, &mut self.link.streams);
        }
        session.path.seen_by_them = None;
        self.say_seen().await;
        self.say_now(Talk::Candidates { candidates: session.path.own.clone() }).await;
        let effects = step(life, &session.line, Input::PathUp);
        if effects.is_empty() {
            self.resume(session).await;
        }
        effects
    }

    /// Tells the path, once for each change.
    pub(super) async fn path(&mut self, session: &Session) {
        // Whoever is asked for consent wants to know it before the call is connected.
        let wanted = self.connected.is_some() || !session.config.auto_accept;
        let Some(path) = self.link.peer.path().filter(|_| wanted) else { return };
        let Some(port) = self.link.ports.get(path.0) else { return };
        let local = LocalEnd { kind: port.kind(), address: port.address(), protocol: port.protocol() };
        let event = session.path.describe(local, path.1, self.link.peer.sample().round_trip);
        let same = |told: &PathEvent| *told == PathEvent { rtt_ms: told.rtt_ms, ..event.clone() };
        if self.told_path.as_ref().is_some_and(same) {
            return;
        }
        self.relayed = event.kind == PathKind::Relay;
        let improvable = self.relayed && self.connected.is_some() && !session.config.network.relay_only;
        self.again.plan(session.now(), improvable);
        self.told_path = Some(event.clone());
        session.emit(CallEvent::Path(event)).await;
    }

    /// This end's addresses are others than before: the friend should know.
    async fn learnt(&mut self, session: &mut Session, old: Option<SocketAddr>, new: Option<Candidate>) {
        session.path.own.retain(|candidate| Some(candidate.address) != old);
        session.path.own.extend(new);
        if let Some(meeting) = &mut self.again.meeting {
            meeting.news();
        }
        if let Some((due, _)) = &mut self.again.next_try {
            *due = session.now();
        }
        self.say(Talk::Candidates { candidates: session.path.own.clone() }).await;
    }
}

/// What the friend says by a connection that was left. One that breaks off has been left, too.
async fn late(former: &mut Joined) -> Bytes {
    while let Some(event) = former.streams.events.recv().await {
        if let PeerEvent::ChannelMessage(bytes) = event {
            return bytes;
        }
    }
    std::future::pending().await
}
