//! Sound and picture: capture, coding, playout.

pub mod assemble;
pub mod audio;
pub mod device;
pub mod frame;
pub mod jitter;
pub mod level;
pub mod quiet;
pub mod rehearsal;
pub mod resample;
pub mod sink;
pub mod slot;
pub mod sound;
pub mod source;
pub mod video;

use crate::config::MediaConfig;
use crate::error::Failure;
use frame::{Codec, EncodedFrame, MediaKind, MediaPacket};

/// stub
#[derive(Debug)]
pub enum MediaEvent {
    KeyFrameNeeded,
    FirstRemoteFrame(MediaKind),
}
/// stub
pub fn video_codecs() -> Vec<Codec> {
    vec![Codec::H264]
}
/// stub
#[derive(Debug)]
pub struct Media;
impl Media {
    /// stub
    pub fn start(
        _config: &MediaConfig,
        _video: Option<Codec>,
    ) -> Result<
        (Self, tokio::sync::mpsc::Receiver<MediaEvent>, tokio::sync::mpsc::Receiver<EncodedFrame>),
        Failure,
    > {
        let (_, e) = tokio::sync::mpsc::channel(1);
        let (_, f) = tokio::sync::mpsc::channel(1);
        Ok((Self, e, f))
    }
    /// stub
    pub fn packet(&self, _p: MediaPacket) {}
}
