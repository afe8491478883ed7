//! PURE: who records a call, and who knows it. Nothing is recorded before the friend's end has said that it shows it;
//! that one records is a state, told again wherever the friend may have missed it. Time comes in as a value.
//!
//! ```text
//! Off --wished--> Asked --shown--> On --wished, failed--> Off
//!                   `--nothing for 8 s--> Off
//! ```

use super::channel::RecordingTalk;
use super::event::{CallEvent, Notice, RecordingEvent, Side};
use std::path::PathBuf;
use std::time::Duration;

/// The friend's end is told again after so long without an answer …
const AGAIN: Duration = Duration::from_secs(2);
/// … and after so many times nothing is recorded.
const TIMES: u32 = 4;

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Tell the person.
    Emit(CallEvent),
    /// Tell the other end.
    Say(RecordingTalk),
    /// Begin, in this file, folder, or wherever files are kept.
    Begin(Option<PathBuf>),
    /// End.
    End,
}

/// This end's own recording.
#[derive(Debug, Default)]
enum Own {
    #[default]
    Off,
    /// The friend's end was told so often, and last at this time.
    Asked { path: Option<PathBuf>, times: u32, told: Duration },
    /// Under way, in this file as soon as there is one.
    On { path: Option<String> },
}

/// See the module.
#[derive(Debug, Default)]
pub struct Recording {
    own: Own,
    /// The friend's end has heard of a recording of this one's.
    told: bool,
    friend: bool,
}

impl Recording {
    /// Whether one of this end's is under way, or still being completed.
    pub fn is_on(&self) -> bool {
        matches!(self.own, Own::On { .. })
    }

    /// A person wishes that it begins, or ends.
    pub fn wish(&mut self, now: Duration, on: bool, path: Option<PathBuf>) -> Vec<Act> {
        match (&self.own, on) {
            (Own::Off, true) => {
                self.own = Own::Asked { path, times: 1, told: now };
                self.told = true;
                vec![Act::Say(RecordingTalk::State { on: true })]
            }
            (Own::Asked { .. }, false) => self.off(None),
            // It is off when its file is whole.
            (Own::On { .. }, false) => vec![Act::End],
            (Own::Off, false) | (Own::Asked { .. } | Own::On { .. }, true) => Vec::new(),
        }
    }

    /// The other end speaks of recordings.
    pub fn heard(&mut self, talk: &RecordingTalk) -> Vec<Act> {
        match *talk {
            RecordingTalk::State { on } => {
                let shown = Act::Say(RecordingTalk::Shown { on });
                if std::mem::replace(&mut self.friend, on) == on {
                    return vec![shown];
                }
                let event = RecordingEvent { from: Side::Remote, on, path: None };
                vec![Act::Emit(CallEvent::Recording(event)), shown]
            }
            RecordingTalk::Shown { on: true } => match std::mem::take(&mut self.own) {
                Own::Asked { path, .. } => {
                    self.own = Own::On { path: None };
                    vec![Act::Begin(path)]
                }
                other => {
                    self.own = other;
                    Vec::new()
                }
            },
            RecordingTalk::Shown { on: false } => Vec::new(),
        }
    }

    /// It is in this file from now on.
    pub fn is_in(&mut self, file: String) -> Vec<Act> {
        let Own::On { path } = &mut self.own else { return Vec::new() };
        *path = Some(file.clone());
        vec![emit(true, Some(file))]
    }

    /// It has ended; a notice says why, where nobody wished it.
    pub fn ended(&mut self, why: Option<Notice>) -> Vec<Act> {
        let warning = why.map(|why| Act::Emit(CallEvent::Warning(why)));
        let path = match &mut self.own {
            Own::On { path } => path.take(),
            Own::Off | Own::Asked { .. } => None,
        };
        warning.into_iter().chain(self.off(path)).collect()
    }

    /// The friend may have missed something.
    pub fn met_again(&self) -> Vec<Act> {
        let on = !matches!(self.own, Own::Off);
        self.told.then_some(Act::Say(RecordingTalk::State { on })).into_iter().collect()
    }

    /// When [`Recording::tick`] has something to do.
    pub fn due(&self) -> Option<Duration> {
        match &self.own {
            Own::Asked { told, .. } => Some(*told + AGAIN),
            Own::Off | Own::On { .. } => None,
        }
    }

    /// Time passed.
    pub fn tick(&mut self, now: Duration) -> Vec<Act> {
        let due = self.due().is_some_and(|due| now >= due);
        match &mut self.own {
            Own::Asked { times, told, .. } if due && *times < TIMES => {
                (*times, *told) = (*times + 1, now);
                vec![Act::Say(RecordingTalk::State { on: true })]
            }
            Own::Asked { .. } if due => self.ended(Some(untold())),
            _ => Vec::new(),
        }
    }

    fn off(&mut self, path: Option<String>) -> Vec<Act> {
        self.own = Own::Off;
        let said = Act::Say(RecordingTalk::State { on: false });
        let event = path.map(|path| emit(false, Some(path)));
        event.into_iter().chain([said]).collect()
    }
}

fn emit(on: bool, path: Option<String>) -> Act {
    Act::Emit(CallEvent::Recording(RecordingEvent { from: Side::Local, on, path }))
}

fn untold() -> Notice {
    Notice {
        code: "recording_untold",
        message: "Nothing is recorded: the friend's end does not say that it shows a recording.".into(),
        help: "Its p2pcall may be an older one, or it is a browser, or away: try again.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: Act = Act::Say(RecordingTalk::State { on: true });
    const OVER: Act = Act::Say(RecordingTalk::State { on: false });

    fn seconds(at: u64) -> Duration {
        Duration::from_secs(at)
    }

    #[test]
    fn it_begins_when_the_friend_s_end_shows_it_and_not_before() {
        let mut recording = Recording::default();
        assert_eq!(recording.wish(seconds(0), true, Some("a.mkv".into())), [TOLD]);
        assert_eq!(recording.wish(seconds(0), true, None), []);
        let shown = RecordingTalk::Shown { on: true };
        assert_eq!(recording.heard(&shown), [Act::Begin(Some("a.mkv".into()))]);
        assert_eq!(recording.heard(&shown), []);
        assert_eq!(recording.is_in("/a.mkv".into()), [emit(true, Some("/a.mkv".into()))]);
        assert_eq!(recording.met_again(), [TOLD]);
        assert_eq!(recording.wish(seconds(9), false, None), [Act::End]);
        assert!(recording.is_on(), "its file is still to be completed");
        assert_eq!(recording.ended(None), [emit(false, Some("/a.mkv".into())), OVER]);
        assert!(!recording.is_on());
        assert_eq!(recording.met_again(), [OVER]);
    }

    #[test]
    fn a_friend_whose_end_says_nothing_is_not_recorded() {
        let mut recording = Recording::default();
        recording.wish(seconds(0), true, None);
        for at in [2, 4, 6] {
            assert_eq!(recording.tick(Duration::from_millis(at * 1_000 - 1)), []);
            assert_eq!(recording.tick(seconds(at)), [TOLD]);
        }
        assert_eq!(recording.tick(seconds(8)), [Act::Emit(CallEvent::Warning(untold())), OVER]);
        assert_eq!(recording.due(), None);
        assert_eq!(recording.heard(&RecordingTalk::Shown { on: true }), [], "it comes too late");
    }

    #[test]
    fn a_recording_that_fails_is_over_for_both() {
        let mut recording = Recording::default();
        recording.wish(seconds(0), true, None);
        recording.heard(&RecordingTalk::Shown { on: true });
        recording.is_in("/a.mkv".into());
        let why = Notice { code: "recording_failed", message: "m".into(), help: "h".into() };
        let warning = Act::Emit(CallEvent::Warning(why.clone()));
        assert_eq!(recording.ended(Some(why)), [warning, emit(false, Some("/a.mkv".into())), OVER]);
    }

    #[test]
    fn the_friend_s_is_told_once_for_each_change_and_answered_each_time() {
        let mut recording = Recording::default();
        for (on, news) in [(true, true), (true, false), (false, true), (false, false)] {
            let acts = recording.heard(&RecordingTalk::State { on });
            assert_eq!(acts.last(), Some(&Act::Say(RecordingTalk::Shown { on })));
            assert_eq!(acts.len(), 1 + usize::from(news), "{acts:?}");
        }
        assert_eq!(recording.met_again(), []);
    }
}
