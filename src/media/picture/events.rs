//! What the picture has to tell the call, and how it is said to a person. Knows no device.

use crate::call::event::Notice;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// Something about the picture. The call goes on in every case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PictureEvent {
    /// A remote picture is lost: send a PLI (RFC 4585 §6.3.1). Comes again until a key frame does.
    KeyFrameNeeded,
    /// The first remote picture was shown.
    FirstRemoteFrame {
        /// When, on the call's clock.
        at: Duration,
    },
    /// There is a camera, but it does not open; the test card is sent instead where none was asked for.
    DeviceMissing {
        /// Why.
        reason: String,
    },
    /// The camera (or file) in use gives no more pictures. It is tried again every few seconds.
    DeviceLost {
        /// Why.
        reason: String,
    },
    /// And now it does.
    DeviceBack,
    /// The camera has given nothing but black for three seconds.
    Black,
    /// And now it gives a picture.
    BlackEnded,
    /// The codec refuses own pictures.
    EncoderFailed {
        /// Why.
        reason: String,
    },
}

impl PictureEvent {
    /// How it is said to a person; `None` for what is not a warning.
    pub fn notice(&self) -> Option<Notice> {
        let (code, message, help) = match self {
            Self::DeviceMissing { reason } => (
                "no_camera",
                format!("no picture from the camera: {reason}"),
                "Is another program using it? `p2pcall devices` lists what there is.",
            ),
            Self::DeviceLost { reason } => (
                "camera_lost",
                format!("own picture stopped: {reason}; nothing is sent meanwhile"),
                "Plug the camera in again; it is used as soon as it is back.",
            ),
            Self::Black => ("camera_black", "the camera gives only black".to_owned(), black_help()),
            Self::EncoderFailed { reason } => (
                "encoder_failed",
                format!("own picture cannot be coded: {reason}"),
                "Try another --size, or --video none.",
            ),
            Self::KeyFrameNeeded | Self::FirstRemoteFrame { .. } | Self::DeviceBack | Self::BlackEnded => {
                return None;
            }
        };
        Some(Notice { code, message, help: help.to_owned() })
    }
}

/// Why a camera gives black, by platform.
fn black_help() -> &'static str {
    if cfg!(target_os = "macos") {
        "Is the lens covered? Else allow this terminal to use the camera (System Settings, Privacy & \
         Security, Camera) and start again."
    } else {
        "Is the lens covered, or a privacy switch on? Choose another one with --video camera:N."
    }
}

/// Where events go. Never waits: an event that nobody takes is dropped.
#[derive(Debug, Clone)]
pub(super) struct Teller(pub(super) Sender<PictureEvent>);

impl Teller {
    pub(super) fn tell(&self, event: PictureEvent) {
        if let Err(error) = self.0.try_send(event) {
            log::debug!("nobody takes the picture's events: {error}");
        }
    }
}
