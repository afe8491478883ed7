//! I/O: everything after an authenticated friend was met: greeting, consent, media, hang-up.

use super::again::{Again, Came};
use super::files::Files;
use super::handshake::Bond;
use super::media::Running;
use super::recording::Recordings;
use super::{Session, sleep_until, step};
use crate::call::channel::{Message, Talk};
use crate::call::ending::Ending;
use crate::call::event::{CallEvent, Command, PathEvent, PathKind};
use crate::call::peer::{Agreement, Peer, PeerEvent, PeerStreams};
use crate::call::stats::{Meter, Sample};
use crate::call::verify::Verification;
use crate::call::{Call, Effect, Input};
use crate::media::MediaEvent;
use crate::media::frame::MediaKind;
use crate::transport::{Agent, Port};
use std::sync::Arc;
use std::time::Duration;

/// How often stats are told.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

/// The connection to a friend.
pub(super) struct Joined {
    /// Its place in the transport; keeps the ports open.
    pub(super) _agent: Agent,
    /// Its ports, in the order of the peer's indexes.
    pub(super) ports: Vec<Port>,
    /// The connection.
    pub(super) peer: Arc<Peer>,
    /// What comes out of it.
    pub(super) streams: PeerStreams,
}

/// How the conversation begins.
pub(super) enum First {
    /// With an authenticated friend, who is still to be let in.
    Verified(Verification, Box<Bond>),
    /// With whole descriptions exchanged by hand: media can flow.
    Agreed(Agreement),
}

/// A call with a friend.
pub(super) struct Conversation {
    pub(super) link: Joined,
    pub(super) media: Option<Running>,
    /// How the friend is met again; not one whose description came by hand.
    pub(super) again: Again,
    pub(super) files: Files,
    pub(super) recordings: Recordings,
    /// How the friend is called.
    pub(super) friend: String,
    meter: Meter,
    /// When media could first flow.
    pub(super) connected: Option<Duration>,
    /// Which first frames were told.
    told_first: (bool, bool),
    pub(super) told_path: Option<PathEvent>,
    /// The path told last goes through a relay, at either end.
    pub(super) relayed: bool,
    pub(super) muted: bool,
    /// What was told since the start.
    headphones: Option<bool>,
    pub(super) video_on: bool,
    /// The friend's camera.
    friend_video_on: bool,
}

impl Session {
    /// Talks until the call is over, and cleans up.
    pub(super) async fn converse(mut self, mut life: Call, joined: Joined, first: First) -> Ending {
        let mut talk = Conversation {
            link: joined,
            media: None,
            again: Again::default(),
            files: Files::new(self.config.save_to.clone()),
            recordings: Recordings::new(self.config.save_to.clone()),
            friend: "friend".into(),
            meter: Meter::default(),
            connected: None,
            told_first: (false, false),
            told_path: None,
            relayed: false,
            muted: false,
            headphones: None,
            video_on: true,
            friend_video_on: true,
        };
        self.transport.keep_alive(false);
        let first = match first {
            First::Verified(verification, bond) => {
                talk.again.bond = Some(*bond);
                step(&mut life, &self.line, Input::Verified(verification))
            }
            First::Agreed(agreement) => talk.media_ready(&mut self, &mut life, agreement).await,
        };
        let mut ending = talk.carry_out(&mut self, &mut life, first).await;
        talk.say_seen().await;
        let mut second = tokio::time::interval(STATS_INTERVAL);
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        while ending.is_none() {
            if !life.is_connected() {
                life.explain(self.last_explanation());
            }
            let effects = talk.next(&mut self, &mut life, &mut second).await;
            ending = talk.carry_out(&mut self, &mut life, effects).await;
        }
        let ending = ending.unwrap_or(Ending::Lost { relayed: talk.relayed });
        talk.close(&ending).await;
        self.transport.close().await;
        ending
    }
}

impl Conversation {
    /// Waits for the next thing to happen.
    async fn next(
        &mut self,
        session: &mut Session,
        life: &mut Call,
        second: &mut tokio::time::Interval,
    ) -> Vec<Effect> {
        let (improve, recording) = (self.again.due(), self.recordings.due());
        tokio::select! {
            event = self.link.streams.events.recv(), if !self.again.dead => {
                self.peer_event(session, life, event.unwrap_or(PeerEvent::Failed)).await
            }
            came = Again::next(&mut self.again, &session.transport) => match came {
                Came::Joined(joined) => self.move_over(session, life, *joined).await,
                Came::Late(bytes) => self.late(session, life, &bytes).await,
            },
            command = session.line.commands.recv() => match command {
                Some(Command::Stats) => {
                    self.stats(session).await;
                    Vec::new()
                }
                Some(command) => step(life, &session.line, Input::Told(command)),
                None => step(life, &session.line, Input::Told(Command::Hangup)),
            },
            Some(event) = Running::event(&mut self.media) => {
                self.media_event(session, event).await;
                Vec::new()
            }
            Some(bytes) = self.link.streams.files.recv() => {
                self.file_message(session, &bytes).await;
                Vec::new()
            }
            Some(news) = self.files.next() => {
                self.file_news(session, news).await;
                Vec::new()
            }
            Some(news) = self.recordings.next() => {
                self.recording_news(session, news).await;
                Vec::new()
            }
            Some(event) = session.transport_events.recv() => {
                self.transport_event(session, life, event).await
            }
            _ = second.tick() => {
                // The first one comes a whole second after connecting.
                if self.connected.is_some_and(|connected| session.now() >= connected + STATS_INTERVAL) {
                    self.stats(session).await;
                }
                Vec::new()
            }
            () = sleep_until(session.line.started, improve) => {
                self.improve(session, life).await;
                Vec::new()
            }
            () = sleep_until(session.line.started, recording) => {
                self.recording_tick(session).await;
                Vec::new()
            }
            () = sleep_until(session.line.started, life.poll_timeout()) => step(life, &session.line, Input::Tick),
        }
    }

    async fn peer_event(&mut self, session: &mut Session, life: &mut Call, event: PeerEvent) -> Vec<Effect> {
        match event {
            PeerEvent::ChannelMessage(bytes) => self.message(session, life, &bytes).await,
            PeerEvent::NewPath { .. } => {
                self.say_seen().await;
                self.path(session).await;
                Vec::new()
            }
            PeerEvent::Connected => step(life, &session.line, Input::PathUp),
            PeerEvent::Disconnected => step(life, &session.line, Input::PathDown { relayed: self.relayed }),
            PeerEvent::Failed | PeerEvent::ChannelClosed => self.broken(session, life, &event),
            PeerEvent::KeyFrameWanted => {
                if let Some(media) = &self.media {
                    media.media().key_frame();
                }
                Vec::new()
            }
            PeerEvent::Track { kind, codec } => {
                if kind == MediaKind::Video {
                    self.link.peer.request_key_frame();
                }
                self.media.iter().for_each(|media| media.receives(codec));
                Vec::new()
            }
            PeerEvent::Quiet => {
                self.listen_closely(session, life).await;
                Vec::new()
            }
            PeerEvent::Heard => {
                self.calm_down(session, life);
                Vec::new()
            }
            PeerEvent::ChannelOpen => Vec::new(),
        }
    }

    pub(super) async fn message(
        &mut self,
        session: &mut Session,
        life: &mut Call,
        bytes: &[u8],
    ) -> Vec<Effect> {
        match Message::decode(bytes) {
            Ok(Message::Talk(Talk::Seen { address })) => {
                session.path.seen_by_them = Some(address);
                self.path(session).await;
                Vec::new()
            }
            Ok(Message::Talk(Talk::Approach { ufrag, candidates })) => {
                self.approached(session, ufrag, &candidates).await;
                Vec::new()
            }
            Ok(Message::Talk(Talk::Punch { ufrag, hard, address })) => {
                self.proposed(session, ufrag, hard, address);
                Vec::new()
            }
            Ok(Message::Talk(talk)) => {
                if let Talk::Hello { name, .. } = &talk {
                    self.friend.clone_from(name);
                }
                if let Talk::Hello { candidates, .. } | Talk::Candidates { candidates } = &talk {
                    session.path.theirs.clone_from(candidates);
                    let relays = candidates.iter().filter(|one| one.kind == PathKind::Relay);
                    session.transport.set_remote_relays(relays.map(|one| one.address).collect());
                    self.path(session).await;
                }
                step(life, &session.line, Input::Heard(talk))
            }
            // A second authentication changes nothing; a later version may say what this one does not know.
            Ok(Message::Auth(_)) => Vec::new(),
            Err(error) => {
                log::warn!("dropped what the other end said: {error}");
                Vec::new()
            }
        }
    }

    /// Carries effects out, and those that follow from them.
    async fn carry_out(
        &mut self,
        session: &mut Session,
        life: &mut Call,
        effects: Vec<Effect>,
    ) -> Option<Ending> {
        let mut queue = std::collections::VecDeque::from(effects);
        while let Some(effect) = queue.pop_front() {
            match effect {
                Effect::Emit(event) => {
                    if event.is_the_end() {
                        self.end_recording(session).await;
                        self.files_end(session).await;
                    }
                    if let CallEvent::Remote { video_off, .. } = event {
                        self.friend_video_on = !video_off;
                        self.media.iter().for_each(|media| media.media().set_remote_video(!video_off));
                    }
                    session.emit(event).await;
                }
                Effect::Send(talk @ (Talk::Hangup | Talk::Refused)) => self.say_now(talk).await,
                Effect::Send(talk) => self.say(talk).await,
                Effect::OfferMedia => queue.extend(self.offer_media(session, life).await),
                Effect::TakeDescription(kind, sdp) => {
                    queue.extend(self.take_description(session, life, kind, &sdp).await);
                }
                Effect::Mute(muted) => {
                    self.muted = muted;
                    self.media.iter().for_each(|media| media.media().set_muted(muted));
                }
                Effect::Headphones(on) => {
                    self.headphones = Some(on);
                    self.media.iter().for_each(|media| media.media().set_headphones(on));
                }
                Effect::Video(on) => {
                    self.video_on = on;
                    self.media.iter().for_each(|media| media.media().set_video(on));
                }
                Effect::SendFile(path) => self.send_file(session, &path).await,
                Effect::DecideFile(yes) => self.decide_file(session, yes).await,
                Effect::FileHeard(talk) => self.heard_of_file(session, talk).await,
                Effect::Record { on, path } => self.record_as_typed(session, on, path).await,
                Effect::RecordingHeard(talk) => self.heard_of_recording(session, talk).await,
                Effect::Seek => self.seek(session).await,
                Effect::Resume => self.resume(session).await,
                Effect::Finish(ending) => return Some(ending),
                // Devices open when it is known which codecs the friend takes; a reply is of no use any more.
                Effect::OpenMedia | Effect::ShowReply => {}
            }
        }
        None
    }

    /// Says it now, or when the friend is there again.
    pub(super) async fn say(&mut self, talk: Talk) {
        if let Some(talk) = self.again.keep(talk) {
            self.say_now(talk).await;
        }
    }

    pub(super) async fn say_now(&self, talk: Talk) {
        if let Err(error) = self.link.peer.send(&Message::Talk(talk).encode()).await {
            log::warn!("not said: {error}");
        }
    }

    pub(super) async fn say_seen(&self) {
        if let Some((_, address)) = self.link.peer.path() {
            self.say_now(Talk::Seen { address }).await;
        }
    }

    /// Descriptions are exchanged: media can flow.
    pub(super) async fn media_ready(
        &mut self,
        session: &mut Session,
        life: &mut Call,
        agreement: Agreement,
    ) -> Vec<Effect> {
        if self.media.is_some() {
            return Vec::new();
        }
        self.connected = Some(session.now());
        self.again.begin(&session.transport, life.nonces());
        let effects = step(life, &session.line, Input::MediaReady);
        match Running::start(session, &self.link.peer, &mut self.link.streams, agreement).await {
            Ok(media) => {
                media.media().set_muted(self.muted);
                if let Some(on) = self.headphones {
                    media.media().set_headphones(on);
                }
                media.media().set_video(self.video_on);
                media.media().set_remote_video(self.friend_video_on);
                self.media = Some(media);
            }
            Err(failure) => return step(life, &session.line, Input::Broke(failure)),
        }
        self.told_path = None;
        for effect in &effects {
            if let Effect::Emit(event) = effect {
                session.emit(event.clone()).await;
            }
        }
        self.path(session).await;
        if let Some(path) = session.config.record.clone() {
            self.record(session, true, Some(path)).await;
        }
        effects.into_iter().filter(|effect| !matches!(effect, Effect::Emit(_))).collect()
    }

    async fn media_event(&mut self, session: &Session, event: MediaEvent) {
        match event {
            MediaEvent::KeyFrameNeeded => self.link.peer.request_key_frame(),
            MediaEvent::FirstRemoteFrame(kind) => self.first_frame(session, kind).await,
            MediaEvent::Trouble(notice) => session.emit(CallEvent::Warning(notice)).await,
            MediaEvent::Mended(code) => session.emit(CallEvent::Mended { code }).await,
        }
    }

    async fn first_frame(&mut self, session: &Session, kind: MediaKind) {
        let Some(connected) = self.connected else { return };
        let told = match kind {
            MediaKind::Audio => &mut self.told_first.0,
            MediaKind::Video => &mut self.told_first.1,
        };
        if !std::mem::replace(told, true) {
            let after_connect_ms = session.now().saturating_sub(connected).as_millis() as u64;
            session.emit(CallEvent::Media { kind, after_connect_ms }).await;
        }
    }

    async fn stats(&mut self, session: &Session) {
        let Some(media) = &self.media else { return };
        let relayed_bytes = session.transport.relayed();
        let sample = Sample { relayed_bytes, ..media.sample(&self.link.peer) };
        let stats = self.meter.take(session.now(), sample);
        session.emit(CallEvent::Stats(Box::new(stats))).await;
    }
}
