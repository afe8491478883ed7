//! PURE: what two ends say that may have to be said anew, because a connection took it with it: which devices are off,
//! and lines of text.

use super::channel::{self, Talk, clean};
use super::event::{CallEvent, Side};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// This end's microphone and camera.
    pub(super) muted: bool,
    pub(super) video_off: bool,
    /// The friend's.
    friends: (bool, bool),
    /// Lines of this end's, and the number of the friend's last.
    lines: u32,
    heard: u32,
}

impl Said {
    /// Which of this end's devices are off.
    pub(super) fn devices(&self) -> Talk {
        Talk::Devices { muted: self.muted, video_off: self.video_off }
    }

    /// Which of the friend's are, if that is news.
    pub(super) fn heard_devices(&mut self, muted: bool, video_off: bool) -> Option<CallEvent> {
        let known = std::mem::replace(&mut self.friends, (muted, video_off));
        (known != (muted, video_off)).then_some(CallEvent::Remote { muted, video_off })
    }

    /// A line for the friend, and for this end's own screen; `None` of nothing.
    pub(super) fn line(&mut self, text: &str) -> Option<(Talk, CallEvent)> {
        let text = clean(text, channel::MAX_CHAT);
        if text.is_empty() {
            return None;
        }
        self.lines = self.lines.saturating_add(1);
        let event = CallEvent::Chat { from: Side::Local, text: text.clone() };
        Some((Talk::Chat { text, number: self.lines }, event))
    }

    /// A line of the friend's, unless it came before: they come in order, and anew from the beginning on.
    pub(super) fn heard_line(&mut self, text: String, number: u32) -> Option<CallEvent> {
        if text.is_empty() || (number != 0 && number <= self.heard) {
            return None;
        }
        self.heard = self.heard.max(number);
        Some(CallEvent::Chat { from: Side::Remote, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_anew_is_heard_once() {
        let mut said = Said::default();
        assert_eq!(said.heard_devices(false, false), None, "all is on at first");
        let off = CallEvent::Remote { muted: true, video_off: false };
        assert_eq!(said.heard_devices(true, false), Some(off));
        assert_eq!(said.heard_devices(true, false), None);
        let line = |text: &str| Some(CallEvent::Chat { from: Side::Remote, text: text.into() });
        assert_eq!(said.heard_line("a".into(), 1), line("a"));
        assert_eq!(said.heard_line("b".into(), 2), line("b"));
        assert_eq!(said.heard_line("a".into(), 1), None);
        assert_eq!(said.heard_line("b".into(), 2), None);
        assert_eq!(said.heard_line("c".into(), 3), line("c"));
        // Who gives no numbers repeats nothing.
        assert_eq!(said.heard_line("c".into(), 0), line("c"));
    }

    #[test]
    fn lines_are_numbered_and_clean() {
        let mut said = Said::default();
        assert_eq!(said.line(" \u{1b} \r\n"), None);
        for (number, text, clean) in [(1, "a\u{1b}b", "a b"), (2, "c", "c")] {
            let talk = Talk::Chat { text: clean.into(), number };
            assert_eq!(
                said.line(text),
                Some((talk, CallEvent::Chat { from: Side::Local, text: clean.into() }))
            );
        }
    }
}
