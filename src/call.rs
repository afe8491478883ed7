//! PURE: the life of a call as a state machine: `handle(now, Input) -> Vec<Effect>`, `poll_timeout()`.
//! It begins when a code is out (offerer) or checks have begun (answerer) and ends with an [`Ending`].
//! It knows no socket, clock, device or screen; `call/session` carries its effects out.
//!
//! ```text
//! Ringing --Verified--> Greeting --hello, safety words--> Consent --accepted--> Opening --MediaReady--> Talking
//!    |                     |                                 |                     |           silence |  | up
//!    +---------------------+---------------------------------+---------------------+--------> Ended <--+--+
//! ```
//! A path that falls silent is waited for ([`silence`]): for long once media flowed, else for a moment.

pub mod channel;
pub mod ending;
pub mod event;
pub mod identity;
pub mod path;
pub mod peer;
pub mod rate;
pub mod recording;
mod said;
pub mod session;
pub mod silence;
pub mod stats;
pub mod steps;
pub mod verify;

pub use event::state;
pub use steps::{ANSWER_TIMEOUT, Effect, Input, LifeConfig, REPLY_AFTER, Role};

use crate::nat::explain::Explanation;
use channel::{DescriptionKind, Talk};
use ending::Ending;
use event::{CallEvent, CallState, Command, StateEvent};
use said::Said;
use silence::Silence;
use std::time::Duration;
use steps::{CONSENT_TIMEOUT, GREETING_TIMEOUT, OPENING_TIMEOUT};
use verify::{SafetyWords, Verification};

/// Where the life is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Ringing { reply_shown: bool },
    Greeting { since: Duration },
    Consent { since: Duration },
    Opening { since: Duration },
    Talking { since: Duration },
    Ended,
}

/// The life of one call.
#[derive(Debug)]
pub struct Call {
    config: LifeConfig,
    phase: Phase,
    started: Duration,
    /// The path is silent.
    silence: Option<Silence>,
    words: SafetyWords,
    remote_name: Option<String>,
    /// What was tried so far.
    explanation: Option<Explanation>,
    said: Said,
}

impl Call {
    /// A call whose code is out, or whose checks have begun, at `now`.
    pub fn new(now: Duration, config: LifeConfig) -> Self {
        Self {
            config,
            phase: Phase::Ringing { reply_shown: false },
            started: now,
            silence: None,
            words: SafetyWords::default(),
            remote_name: None,
            explanation: None,
            said: Said::default(),
        }
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Whether media flows, or did until the path broke.
    pub fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Talking { .. })
    }

    /// Whether nothing comes from the friend.
    pub fn is_silent(&self) -> bool {
        self.silence.is_some()
    }

    /// The nonces behind the safety words, the offerer's first, once both are known: a secret of the two ends.
    pub fn nonces(&self) -> Option<&[[u8; 32]; 2]> {
        self.words.nonces()
    }

    /// Whether anybody may still authenticate.
    pub fn is_ringing(&self) -> bool {
        matches!(self.phase, Phase::Ringing { .. })
    }

    /// When `Input::Tick` is due.
    pub fn poll_timeout(&self) -> Option<Duration> {
        [self.phase_timeout(), self.silence_timeout()].into_iter().flatten().min()
    }

    fn phase_timeout(&self) -> Option<Duration> {
        match self.phase {
            Phase::Ringing { reply_shown } => Some(match self.config.reply_deadline {
                Some(last) if reply_shown => last,
                Some(_) => (self.started + REPLY_AFTER).min(self.config.deadline),
                None => self.config.deadline,
            }),
            Phase::Greeting { since } => Some(since + GREETING_TIMEOUT),
            Phase::Consent { since } => Some(since + CONSENT_TIMEOUT),
            Phase::Opening { since } => Some(since + OPENING_TIMEOUT),
            Phase::Talking { since } => self.config.duration.map(|duration| since + duration),
            Phase::Ended => None,
        }
    }

    fn silence_timeout(&self) -> Option<Duration> {
        let patience = if self.is_connected() { self.config.reconnect } else { Duration::ZERO };
        self.silence.filter(|_| !self.is_over()).map(|silence| silence.ends(patience))
    }

    /// One step.
    pub fn handle(&mut self, now: Duration, input: Input) -> Vec<Effect> {
        if self.is_over() {
            return Vec::new();
        }
        match input {
            Input::Verified(verification) => self.verified(now, verification),
            Input::Heard(talk) => self.heard(now, talk),
            Input::MediaReady => self.media_ready(now),
            Input::PathUp => self.path_up(),
            Input::PathDown { relayed } => self.path_down(now, relayed),
            Input::PortRefuses => self.port_refuses(now),
            Input::PathFailed { relayed } if self.is_connected() => self.end(Ending::Lost { relayed }),
            Input::PathFailed { .. } if !self.is_ringing() => self.end(Ending::LostEarly),
            Input::CodeUsed if self.is_ringing() => self.end(Ending::CodeUsed),
            // A stranger who goes does not end the offer; a code is used by this very call.
            Input::PathFailed { .. } | Input::CodeUsed => Vec::new(),
            Input::Told(command) => self.told(now, command),
            Input::Broke(failure) => self.end(Ending::Broken(failure)),
            Input::Tick => self.tick(now),
        }
    }

    fn verified(&mut self, now: Duration, verification: Verification) -> Vec<Effect> {
        if !self.is_ringing() {
            return Vec::new();
        }
        self.phase = Phase::Greeting { since: now };
        let (words, commitment) = SafetyWords::begin(self.config.role, verification);
        self.words = words;
        let hello =
            Talk::Hello { name: self.config.name.clone(), candidates: self.config.candidates.clone() };
        [Some(hello), commitment].into_iter().flatten().map(Effect::Send).collect()
    }

    fn heard(&mut self, now: Duration, talk: Talk) -> Vec<Effect> {
        if self.is_ringing() {
            return Vec::new();
        }
        match talk {
            Talk::Hello { name, .. } => self.greeted(now, name),
            Talk::SasCommit { .. } | Talk::SasNonce { .. } | Talk::SasReveal { .. } => self.nonce(now, &talk),
            Talk::Accepted => self.accepted(now),
            Talk::Refused => self.end(Ending::Refused),
            Talk::Description { kind, sdp } => self.described(kind, sdp),
            Talk::Devices { muted, video_off } => told(self.said.heard_devices(muted, video_off)),
            Talk::Chat { text, number } if self.is_connected() => told(self.said.heard_line(text, number)),
            Talk::File(talk) if self.is_connected() => vec![Effect::FileHeard(talk)],
            Talk::Recording(talk) if self.is_connected() => vec![Effect::RecordingHeard(talk)],
            // Which path it is: the session's business; chat before the call: nobody's.
            Talk::Seen { .. }
            | Talk::Candidates { .. }
            | Talk::Approach { .. }
            | Talk::Punch { .. }
            | Talk::Chat { .. }
            | Talk::Recording(_)
            | Talk::File(_) => Vec::new(),
            Talk::Hangup => self.end(Ending::RemoteHungUp { connected: self.is_connected() }),
        }
    }

    fn greeted(&mut self, now: Duration, name: String) -> Vec<Effect> {
        if self.remote_name.is_some() {
            return Vec::new();
        }
        self.remote_name = Some(if name.is_empty() { "friend".into() } else { name });
        self.try_consent(now)
    }

    fn nonce(&mut self, now: Duration, talk: &Talk) -> Vec<Effect> {
        let reply = match self.words.heard(talk) {
            Ok(reply) => reply,
            Err(what) => return self.end(Ending::Misbehaved(what.to_string())),
        };
        let mut effects: Vec<_> = reply.map(Effect::Send).into_iter().collect();
        effects.extend(self.try_consent(now));
        effects
    }

    /// The name and the safety words are there: now a person can decide.
    fn try_consent(&mut self, now: Duration) -> Vec<Effect> {
        let (Phase::Greeting { .. }, Some(name), Some(words)) =
            (self.phase, self.remote_name.clone(), self.words.words())
        else {
            return Vec::new();
        };
        self.phase = Phase::Consent { since: now };
        let mut effects = vec![
            Effect::Emit(state(CallState::Answered, Some(name))),
            Effect::Emit(CallEvent::Verify { words: words.to_owned(), verified: false }),
        ];
        if self.config.role == Role::Offerer && self.config.auto_accept {
            effects.extend(self.accept(now));
        }
        effects
    }

    fn accept(&mut self, now: Duration) -> Vec<Effect> {
        let (Phase::Consent { .. }, Role::Offerer) = (self.phase, self.config.role) else {
            return Vec::new();
        };
        let mut effects = vec![Effect::Send(Talk::Accepted)];
        effects.extend(self.open(now));
        effects.push(Effect::OfferMedia);
        effects
    }

    fn accepted(&mut self, now: Duration) -> Vec<Effect> {
        match (self.phase, self.config.role) {
            (Phase::Consent { .. }, Role::Answerer) => self.open(now),
            _ => Vec::new(),
        }
    }

    fn open(&mut self, now: Duration) -> Vec<Effect> {
        self.phase = Phase::Opening { since: now };
        vec![Effect::Emit(state(CallState::Connecting, None)), Effect::OpenMedia]
    }

    /// A description is taken only when both persons want the call.
    fn described(&self, kind: DescriptionKind, sdp: String) -> Vec<Effect> {
        match self.phase {
            Phase::Opening { .. } | Phase::Talking { .. } => vec![Effect::TakeDescription(kind, sdp)],
            _ => Vec::new(),
        }
    }

    fn media_ready(&mut self, now: Duration) -> Vec<Effect> {
        let (Phase::Opening { .. } | Phase::Ringing { .. }) = self.phase else { return Vec::new() };
        self.phase = Phase::Talking { since: now };
        let mut effects = vec![Effect::Emit(state(CallState::Connected, self.remote_name.clone()))];
        if self.said.muted || self.said.video_off {
            effects.push(Effect::Send(self.said.devices()));
        }
        effects
    }

    fn path_down(&mut self, now: Duration, relayed: bool) -> Vec<Effect> {
        if self.is_ringing() || self.silence.is_some() {
            return Vec::new();
        }
        self.silence = Some(Silence::new(now, relayed));
        if !self.is_connected() {
            return Vec::new();
        }
        let message = silence::words(self.remote_name.as_deref(), self.config.reconnect);
        let event = StateEvent { message: Some(message), ..StateEvent::new(CallState::Reconnecting, None) };
        vec![Effect::Emit(CallEvent::State(event)), Effect::Seek]
    }

    fn path_up(&mut self) -> Vec<Effect> {
        if self.silence.take().is_none() || !self.is_connected() {
            return Vec::new();
        }
        vec![Effect::Emit(state(CallState::Connected, self.remote_name.clone())), Effect::Resume]
    }

    /// Refusals are believed of a friend who is silent as well: anybody can forge one.
    fn port_refuses(&mut self, now: Duration) -> Vec<Effect> {
        if let Some(silence) = &mut self.silence {
            silence.refused();
        }
        self.tick(now)
    }

    fn told(&mut self, now: Duration, command: Command) -> Vec<Effect> {
        match command {
            Command::Mute(muted) => {
                self.said.muted = muted;
                self.devices(Effect::Mute(muted))
            }
            Command::Headphones(on) => vec![Effect::Headphones(on)],
            Command::Video(on) => {
                self.said.video_off = !on;
                self.devices(Effect::Video(on))
            }
            Command::Say(text) => self.say(&text),
            Command::Send(path) if self.is_connected() => vec![Effect::SendFile(path)],
            Command::Record { on, path } if self.is_connected() => vec![Effect::Record { on, path }],
            Command::Send(_) | Command::Record { .. } => vec![Effect::nobody_yet()],
            Command::Verify => self.words.words().map_or_else(Vec::new, |words| {
                vec![Effect::Emit(CallEvent::Verify { words: words.to_owned(), verified: true })]
            }),
            Command::Accept if self.is_connected() => vec![Effect::DecideFile(true)],
            Command::Refuse if self.is_connected() => vec![Effect::DecideFile(false)],
            Command::Accept => self.accept(now),
            Command::Refuse => self.refuse(),
            Command::Hangup => {
                let connected = self.is_connected();
                self.end_telling(Talk::Hangup, Ending::HungUp { connected })
            }
            Command::Paste(_) | Command::Stats => Vec::new(),
        }
    }

    fn devices(&self, effect: Effect) -> Vec<Effect> {
        let mut effects = vec![effect];
        if self.is_connected() {
            effects.push(Effect::Send(self.said.devices()));
        }
        effects
    }

    fn say(&mut self, text: &str) -> Vec<Effect> {
        if !self.is_connected() {
            return vec![Effect::nobody_yet()];
        }
        let Some((talk, event)) = self.said.line(text) else { return Vec::new() };
        vec![Effect::Send(talk), Effect::Emit(event)]
    }

    fn refuse(&mut self) -> Vec<Effect> {
        match (self.phase, self.config.role) {
            (Phase::Consent { .. }, Role::Offerer) => self.end_telling(Talk::Refused, Ending::WeRefused),
            _ => Vec::new(),
        }
    }

    fn tick(&mut self, now: Duration) -> Vec<Effect> {
        if let Some(silence) = self.silence
            && self.silence_timeout().is_some_and(|due| now >= due)
        {
            let patience = self.config.reconnect;
            return self.end(if self.is_connected() { silence.ending(patience) } else { Ending::LostEarly });
        }
        if self.phase_timeout().is_none_or(|due| now < due) {
            return Vec::new();
        }
        match self.phase {
            Phase::Ringing { reply_shown: false }
                if self.config.reply_deadline.is_some() && now < self.config.deadline =>
            {
                self.phase = Phase::Ringing { reply_shown: true };
                vec![Effect::ShowReply]
            }
            Phase::Ringing { reply_shown } => self.end(match self.config.role {
                Role::Offerer => Ending::NobodyAnswered,
                Role::Answerer => Ending::NoPath { reply_shown },
            }),
            Phase::Greeting { .. } => {
                self.end_telling(Talk::Hangup, Ending::Misbehaved("it authenticated and fell silent".into()))
            }
            Phase::Consent { .. } => self.end_telling(Talk::Hangup, Ending::NoConsent),
            Phase::Opening { .. } => self.end_telling(Talk::Hangup, Ending::LostEarly),
            Phase::Talking { .. } => self.end_telling(Talk::Hangup, Ending::DurationOver),
            Phase::Ended => Vec::new(),
        }
    }

    fn end(&mut self, ending: Ending) -> Vec<Effect> {
        self.phase = Phase::Ended;
        let last = ending.explained(self.explanation.as_ref());
        let events = ending.error().into_iter().chain([last]);
        let mut effects: Vec<Effect> = events.map(Effect::Emit).collect();
        effects.push(Effect::Finish(ending));
        effects
    }

    /// Ends, and tells the other end first if there is one.
    fn end_telling(&mut self, talk: Talk, ending: Ending) -> Vec<Effect> {
        let told = (!self.is_ringing()).then_some(Effect::Send(talk));
        told.into_iter().chain(self.end(ending)).collect()
    }
}

fn told(event: Option<CallEvent>) -> Vec<Effect> {
    event.map(Effect::Emit).into_iter().collect()
}

#[cfg(test)]
mod tests;
