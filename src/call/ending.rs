//! PURE: how a call can end, each way with its reason, its exit code, its sentence and its remedy: one
//! table, so that the screen, the headless lines and the exit code can't disagree.

use super::channel::Talk;
use super::event::{CallEvent, CallState, EndReason, Notice, StateEvent};
use crate::error::{Exit, Failure};
use crate::nat::explain::Explanation;
use std::time::Duration;

/// The ways a call ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// This end hung up, connected or not.
    HungUp {
        /// Whether media had flowed.
        connected: bool,
    },
    /// The friend hung up.
    RemoteHungUp {
        /// Whether media had flowed.
        connected: bool,
    },
    /// The time given by `--duration` is over.
    DurationOver,
    /// The offer's code expired, or `--timeout` passed, before anybody authenticated.
    NobodyAnswered,
    /// The answerer found no path in time.
    NoPath {
        /// Whether a reply code was on the screen.
        reply_shown: bool,
    },
    /// The offerer's person said no.
    Refused,
    /// This end's person said no.
    WeRefused,
    /// Nobody decided about the consent in time.
    NoConsent,
    /// Somebody else used the code first.
    CodeUsed,
    /// The other end authenticated and then broke the protocol or fell silent.
    Misbehaved(String),
    /// The path went away before media flowed.
    LostEarly,
    /// The connection was closed in mid-call, by the other end without a word or by this end's stack.
    Lost {
        /// It went through a relay.
        relayed: bool,
    },
    /// The path fell silent in mid-call and did not come back in time.
    GivenUp {
        /// It went through a relay.
        relayed: bool,
        /// Time waited for it.
        after: Duration,
    },
    /// The friend's machine is there, and the friend's program no longer.
    FriendGone,
    /// Something at this end broke.
    Broken(Failure),
}

impl Ending {
    /// The process's exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::HungUp { connected: true }
            | Self::RemoteHungUp { connected: true }
            | Self::DurationOver => Exit::Ok,
            Self::HungUp { connected: false } => Exit::Interrupted,
            Self::Lost { .. } | Self::GivenUp { .. } | Self::FriendGone => Exit::Lost,
            Self::Broken(failure) => failure.exit,
            _ => Exit::NoConnection,
        }
    }

    /// What the other end was told with it.
    pub fn last_word(&self) -> Option<Talk> {
        match self {
            Self::HungUp { .. } | Self::DurationOver | Self::NoConsent | Self::Broken(_) => {
                Some(Talk::Hangup)
            }
            Self::WeRefused => Some(Talk::Refused),
            _ => None,
        }
    }

    /// The stable word for scripts.
    pub fn reason(&self) -> EndReason {
        match self {
            Self::HungUp { .. } | Self::DurationOver | Self::WeRefused => EndReason::Hangup,
            Self::RemoteHungUp { .. } | Self::Refused => EndReason::RemoteHangup,
            Self::NobodyAnswered | Self::NoPath { .. } | Self::NoConsent => EndReason::Timeout,
            Self::CodeUsed
            | Self::LostEarly
            | Self::Lost { .. }
            | Self::GivenUp { .. }
            | Self::FriendGone => EndReason::Failed,
            Self::Misbehaved(_) | Self::Broken(_) => EndReason::Error,
        }
    }

    /// What happened, and what to do.
    pub fn words(&self) -> (String, String) {
        let (message, help) = match self {
            Self::HungUp { connected: true } => ("You hung up.", ""),
            Self::HungUp { connected: false } => ("Stopped before a call came about.", ""),
            Self::RemoteHungUp { connected: true } => ("Your friend hung up.", ""),
            Self::RemoteHungUp { connected: false } => (
                "Your friend stopped before the call came about.",
                "The code is used up: make a new one with `p2pcall offer`.",
            ),
            Self::DurationOver => ("The time given with --duration is over.", ""),
            Self::NobodyAnswered => (
                "Nobody answered in time.",
                "The code is dead now: make a new one with `p2pcall offer`. If your friend did try, a relay helps: see --relay.",
            ),
            Self::NoPath { reply_shown: false } => (
                "No path to your friend was found.",
                "Ask whether `p2pcall offer` is still running there with this very code, or use a relay: one of p2pcall's own at the one who makes the call is enough, see --relay.",
            ),
            Self::NoPath { reply_shown: true } => (
                "No path to your friend was found, though a reply code was shown.",
                "Is `p2pcall offer` still running there with this very code, and was the reply entered? If so, both networks hide their ports: use a relay. One of p2pcall's own at the one who makes the call is enough, any other is needed on both sides: see --relay.",
            ),
            Self::Refused => ("Your friend did not let you in.", "The code is used up: ask for a new one."),
            Self::WeRefused => (
                "You did not let the caller in.",
                "The code is used up: whoever answered had it. Make a new one and share it another way.",
            ),
            Self::NoConsent => {
                ("Nobody decided in time whether the call begins.", "Make a new code with `p2pcall offer`.")
            }
            Self::CodeUsed => (
                "This code was already used.",
                "A code works once. Ask for a new one; and if nobody else should have had it, share that one another way.",
            ),
            Self::LostEarly => (
                "The path to your friend was lost before the call began.",
                "Try again with a new code; if it happens again, use a relay: see --relay.",
            ),
            Self::Lost { relayed: true } => (
                "The connection to your friend was lost. It went through a relay.",
                "The relay ended, their program did, or a network on the way. Check the relay, and call again with a new code.",
            ),
            Self::Lost { relayed: false } => (
                "The connection to your friend was lost.",
                "Their program ended, or a network on the way did. Call again with a new code.",
            ),
            Self::FriendGone => (
                "Your friend's program ended without saying goodbye: its machine refuses our packets.",
                "Ask what happened there, and call again with a new code.",
            ),
            Self::GivenUp { relayed, after } => return given_up(*relayed, *after),
            Self::Misbehaved(what) => {
                let message = format!("The other end does not speak as p2pcall does: {what}.");
                return (message, "Ask which version they run: `p2pcall --version`.".into());
            }
            Self::Broken(failure) => return (failure.message.clone(), failure.help.clone()),
        };
        (message.into(), help.into())
    }

    /// What is told before the last event, where something broke: with a word for scripts.
    pub fn error(&self) -> Option<CallEvent> {
        let code = match self {
            Self::Broken(failure) => failure.code,
            Self::Misbehaved(_) => "misbehaved",
            _ => return None,
        };
        let (message, help) = self.words();
        Some(CallEvent::Error(Notice { code, message, help }))
    }

    /// The last event of the call.
    pub fn event(&self) -> CallEvent {
        self.explained(None)
    }

    /// The same, of an attempt that can be explained: the likely cause, and one next command.
    pub fn explained(&self, explanation: Option<&Explanation>) -> CallEvent {
        let explanation = explanation.filter(|one| self.is_explained_by(one));
        let (mut message, mut help) = self.words();
        if let (Some(begin), Some(verdict)) =
            (self.beginning(), explanation.and_then(|one| one.verdict.as_ref()))
        {
            message = format!("{begin} {}", verdict.cause);
            verdict.advice.clone_into(&mut help);
        }
        CallEvent::State(StateEvent {
            state: CallState::Ended,
            name: None,
            reason: Some(self.reason()),
            message: Some(message),
            help: (!help.is_empty()).then_some(help),
            explanation: explanation.cloned().map(Box::new),
        })
    }

    /// No call came about, though something was tried. Whoever hangs up on a friend who is there knows why.
    fn is_explained_by(&self, explanation: &Explanation) -> bool {
        let unmet = || explanation.pairs.iter().all(|pair| pair.answered == 0);
        self.beginning().is_some() || (matches!(self, Self::HungUp { connected: false }) && unmet())
    }

    /// What happened, before the cause.
    fn beginning(&self) -> Option<&'static str> {
        match self {
            Self::NobodyAnswered => Some("Nobody answered in time, and the code is dead now."),
            Self::NoPath { .. } => Some("No path to your friend was found."),
            Self::LostEarly => Some("The path to your friend was lost before the call began."),
            _ => None,
        }
    }
}

fn given_up(relayed: bool, after: Duration) -> (String, String) {
    let way = if relayed { ", which went through a relay," } else { "" };
    let message =
        format!("The connection to your friend{way} was lost and did not come back in {}.", seconds(after));
    let help = match relayed {
        true => {
            "A network on the way, the relay, or their program ended: check the relay, and call again with a new code."
        }
        false => {
            "A network on the way or their program ended: call again with a new code. --reconnect says how long to try."
        }
    };
    (message, help.into())
}

/// A duration in words, whole seconds.
pub(super) fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        1 => "1 second".into(),
        seconds => format!("{seconds} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::{PathKind, Protocol};
    use super::*;
    use crate::nat::explain::{Attempt, Pair, explain};

    #[test]
    fn an_attempt_that_came_to_nothing_is_explained_and_a_call_is_not() {
        let explanation = |answered| {
            let pair = Pair {
                local: ([192, 0, 2, 1], 1).into(),
                local_kind: PathKind::Host,
                protocol: Protocol::Udp,
                remote: ([192, 0, 2, 2], 2).into(),
                remote_kind: PathKind::Srflx,
                sent: 9,
                answered,
                heard: 0,
                refused: false,
                forbidden: false,
            };
            explain(&Attempt { pairs: vec![pair], ..Attempt::default() }).unwrap()
        };
        for (ending, answered, explained, begins) in [
            (
                Ending::NoPath { reply_shown: true },
                0,
                true,
                "No path to your friend was found. Nobody answers",
            ),
            (Ending::NobodyAnswered, 0, true, "Nobody answered in time, and the code is dead now. Nobody"),
            (
                Ending::LostEarly,
                5,
                true,
                "The path to your friend was lost before the call began. The two ends",
            ),
            (Ending::HungUp { connected: false }, 0, true, "Stopped before a call came about."),
            (Ending::HungUp { connected: false }, 5, false, "Stopped before a call came about."),
            (Ending::HungUp { connected: true }, 5, false, "You hung up."),
            (Ending::CodeUsed, 0, false, "This code was already used."),
        ] {
            let CallEvent::State(event) = ending.explained(Some(&explanation(answered))) else { panic!() };
            assert_eq!(event.explanation.is_some(), explained, "{ending:?}");
            assert!(event.message.unwrap().starts_with(begins), "{ending:?}");
        }
    }

    #[test]
    fn exit_codes_are_those_of_the_contract() {
        let table = [
            (Ending::HungUp { connected: true }, 0),
            (Ending::RemoteHungUp { connected: true }, 0),
            (Ending::DurationOver, 0),
            (Ending::NobodyAnswered, 3),
            (Ending::NoPath { reply_shown: true }, 3),
            (Ending::CodeUsed, 3),
            (Ending::Lost { relayed: false }, 4),
            (Ending::Lost { relayed: true }, 4),
            (Ending::GivenUp { relayed: true, after: Duration::from_secs(120) }, 4),
            (Ending::FriendGone, 4),
            (Ending::HungUp { connected: false }, 130),
        ];
        for (ending, code) in table {
            assert_eq!(ending.exit() as u8, code, "{ending:?}");
        }
    }
}
