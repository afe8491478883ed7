//! What media tell the call: sound's and picture's events in one stream and one vocabulary.

use super::device::DeviceKind;
use super::frame::MediaKind;
use super::picture::PictureEvent;
use super::sound::SoundEvent;
use crate::call::event::Notice;
use tokio::sync::mpsc;

/// Something that media did or saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaEvent {
    /// A remote picture is lost: ask the peer for a key frame. Comes again until one does.
    KeyFrameNeeded,
    /// The first remote frame of a kind was played or shown.
    FirstRemoteFrame(MediaKind),
    /// A person should know; the call goes on.
    Trouble(Notice),
    /// The trouble of this code is over.
    Mended(&'static str),
}

/// Where they come from.
#[derive(Debug)]
pub struct MediaEvents {
    sound: mpsc::Receiver<SoundEvent>,
    picture: mpsc::Receiver<PictureEvent>,
}

impl MediaEvents {
    pub(super) fn new(sound: mpsc::Receiver<SoundEvent>, picture: mpsc::Receiver<PictureEvent>) -> Self {
        Self { sound, picture }
    }

    /// The next event; `None` when media ended. Safe to cancel.
    pub async fn recv(&mut self) -> Option<MediaEvent> {
        tokio::select! {
            Some(event) = self.sound.recv() => Some(of_sound(&event)),
            Some(event) = self.picture.recv() => Some(of_picture(&event)),
            else => None,
        }
    }
}

fn of_sound(event: &SoundEvent) -> MediaEvent {
    if let Some(notice) = event.notice() {
        return MediaEvent::Trouble(notice);
    }
    match event {
        SoundEvent::DeviceBack { kind: DeviceKind::Microphone, .. } => MediaEvent::Mended("microphone_lost"),
        SoundEvent::DeviceBack { kind: DeviceKind::Speaker, .. } => MediaEvent::Mended("speaker_lost"),
        SoundEvent::FirstRemoteFrame { .. } => MediaEvent::FirstRemoteFrame(MediaKind::Audio),
        _ => MediaEvent::Mended("microphone_silent"),
    }
}

fn of_picture(event: &PictureEvent) -> MediaEvent {
    if let Some(notice) = event.notice() {
        return MediaEvent::Trouble(notice);
    }
    match event {
        PictureEvent::KeyFrameNeeded => MediaEvent::KeyFrameNeeded,
        PictureEvent::FirstRemoteFrame { .. } => MediaEvent::FirstRemoteFrame(MediaKind::Video),
        PictureEvent::BlackEnded => MediaEvent::Mended("camera_black"),
        _ => MediaEvent::Mended("camera_lost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_said_in_the_calls_words() {
        let trouble = of_picture(&PictureEvent::Black);
        assert!(matches!(trouble, MediaEvent::Trouble(notice) if notice.code == "camera_black"));
        assert_eq!(of_picture(&PictureEvent::BlackEnded), MediaEvent::Mended("camera_black"));
        assert_eq!(of_picture(&PictureEvent::DeviceBack), MediaEvent::Mended("camera_lost"));
        assert_eq!(of_sound(&SoundEvent::SilenceEnded), MediaEvent::Mended("microphone_silent"));
        let kind = DeviceKind::Speaker;
        assert_eq!(
            of_sound(&SoundEvent::DeviceBack { kind, name: String::new() }),
            MediaEvent::Mended("speaker_lost")
        );
    }
}
