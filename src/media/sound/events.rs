//! What the sound has to tell a person, and how it is said. Knows no device.

use crate::call::event::Notice;
use crate::media::device::DeviceKind;
use crate::media::device::keeper::DeviceChange;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// What goes on meanwhile, without it.
fn meanwhile(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Microphone => "silence is sent meanwhile",
        DeviceKind::Speaker => "nothing is heard meanwhile",
    }
}

/// Something about the sound that a person should know. The call goes on in every case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SoundEvent {
    /// There is no such device, or it cannot be opened. Looked for again every few seconds.
    DeviceMissing {
        /// Which kind.
        kind: DeviceKind,
        /// Why, as the system says it.
        reason: String,
    },
    /// A device in use is gone.
    DeviceLost {
        /// Which kind.
        kind: DeviceKind,
        /// Its name.
        name: String,
    },
    /// A device is in use again, or at last.
    DeviceBack {
        /// Which kind.
        kind: DeviceKind,
        /// Its name.
        name: String,
    },
    /// The microphone has delivered nothing but exact zeros for three seconds.
    Silence {
        /// Its name.
        name: String,
    },
    /// And now it delivers sound.
    SilenceEnded,
    /// The WAV file cannot be written any more.
    FileFailed {
        /// Why, as the system says it.
        reason: String,
    },
    /// The first frame of the friend's sound was played.
    FirstRemoteFrame {
        /// When, on the call's clock.
        at: Duration,
    },
}

/// Where events go. Never waits: an event that nobody takes is dropped.
#[derive(Debug, Clone)]
pub(super) struct Teller(pub(super) Sender<SoundEvent>);

impl Teller {
    pub(super) fn tell(&self, event: SoundEvent) {
        if let Err(error) = self.0.try_send(event) {
            log::debug!("nobody takes the sound's events: {error}");
        }
    }

    /// What happened to a device.
    pub(super) fn device(&self, kind: DeviceKind, change: DeviceChange) {
        self.tell(match change {
            DeviceChange::Missing(error) => SoundEvent::DeviceMissing { kind, reason: error.to_string() },
            DeviceChange::Lost { name } => SoundEvent::DeviceLost { kind, name },
            DeviceChange::Back { name } => SoundEvent::DeviceBack { kind, name },
        });
    }
}

impl SoundEvent {
    /// How it is said to a person; `None` for what is not a warning.
    pub fn notice(&self) -> Option<Notice> {
        let (code, message, help) = match self {
            Self::DeviceMissing { kind: kind @ DeviceKind::Microphone, reason } => (
                "no_microphone",
                format!("no microphone: {reason}; {}", meanwhile(*kind)),
                "`p2pcall devices` lists what there is; it is used as soon as it is plugged in.",
            ),
            Self::DeviceMissing { kind: kind @ DeviceKind::Speaker, reason } => (
                "no_speaker",
                format!("no speaker: {reason}; {}", meanwhile(*kind)),
                "`p2pcall devices` lists what there is; it is used as soon as it is plugged in.",
            ),
            Self::DeviceLost { kind, name } => (
                match kind {
                    DeviceKind::Microphone => "microphone_lost",
                    DeviceKind::Speaker => "speaker_lost",
                },
                format!("the {} \"{}\" is gone; {}", kind.name(), printable(name), meanwhile(*kind)),
                "Plug it in again, or choose another default in the system's sound settings.",
            ),
            Self::DeviceBack { .. } | Self::SilenceEnded | Self::FirstRemoteFrame { .. } => return None,
            Self::Silence { name } => (
                "microphone_silent",
                format!("the microphone \"{}\" delivers only silence", printable(name)),
                silence_help(),
            ),
            Self::FileFailed { reason } => (
                "speaker_file",
                format!("the sound file cannot be written any more: {reason}"),
                "Is the disk full?",
            ),
        };
        Some(Notice { code, message, help: help.to_owned() })
    }
}

/// Why a microphone delivers exact zeros, by platform.
fn silence_help() -> &'static str {
    if cfg!(target_os = "macos") {
        "Allow this terminal to use the microphone (System Settings, Privacy & Security, Microphone) and \
         start again, or check the input level in the sound settings."
    } else if cfg!(windows) {
        "Allow desktop apps to use the microphone (Settings, Privacy, Microphone), or unmute it in the sound \
         settings."
    } else {
        "It is probably muted in the system: unmute it (a key on the keyboard or headset, pavucontrol, \
         alsamixer), or choose another one with --audio mic:NAME."
    }
}

/// Device names come from outside: no control characters, and not too long.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trouble_has_words_and_good_news_has_none() {
        let name = "Bad\u{1b}[31m Mic".to_owned();
        let kind = DeviceKind::Microphone;
        for (event, code) in [
            (SoundEvent::DeviceMissing { kind, reason: "none found".into() }, Some("no_microphone")),
            (SoundEvent::DeviceLost { kind, name: name.clone() }, Some("microphone_lost")),
            (SoundEvent::DeviceLost { kind: DeviceKind::Speaker, name: name.clone() }, Some("speaker_lost")),
            (SoundEvent::Silence { name: name.clone() }, Some("microphone_silent")),
            (SoundEvent::FileFailed { reason: "full".into() }, Some("speaker_file")),
            (SoundEvent::DeviceBack { kind, name }, None),
            (SoundEvent::SilenceEnded, None),
        ] {
            let notice = event.notice();
            assert_eq!(notice.as_ref().map(|n| n.code), code);
            assert!(notice.is_none_or(|n| !n.message.contains('\u{1b}') && !n.help.is_empty()));
        }
    }
}
