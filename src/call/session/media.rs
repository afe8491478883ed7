//! I/O: a call's media while it runs, pumped by a task of its own so that neither a slow screen nor a
//! description holds up sound.

use super::Session;
use crate::call::event::Notice;
use crate::call::peer::{Agreement, Peer, PeerStreams};
use crate::call::stats::Sample;
use crate::error::Failure;
use crate::media::frame::MediaKind;
use crate::media::{Media, MediaEvent};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Media that runs.
pub(super) struct Running {
    media: Arc<Media>,
    events: mpsc::Receiver<MediaEvent>,
    pump: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Opens the devices and begins to pump.
    pub(super) fn start(
        session: &Session,
        peer: &Arc<Peer>,
        streams: &mut PeerStreams,
        agreement: Agreement,
    ) -> Result<Self, Failure> {
        let (media, events, mut frames) = Media::start(&session.config.media, agreement.video)?;
        let media = Arc::new(media);
        let (mut audio, mut video) = (streams.take_audio(), streams.take_video());
        let (peer, sink) = (Arc::clone(peer), Arc::clone(&media));
        let pump = tokio::spawn(async move {
            loop {
                tokio::select! {
                    Some(packet) = audio.recv() => sink.packet(packet),
                    Some(packet) = video.recv() => sink.packet(packet),
                    Some(frame) = frames.recv() => { peer.send_frame(frame); }
                    else => return,
                }
            }
        });
        Ok(Self { media, events, pump })
    }

    /// The next event, of media that may not run yet.
    pub(super) async fn event(running: &mut Option<Self>) -> Option<MediaEvent> {
        match running {
            Some(running) => running.events.recv().await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn key_frame(&self) {}

    pub(super) fn set_muted(&self, _muted: bool) {}

    pub(super) fn set_video(&self, _on: bool) {}

    pub(super) fn sample(&self, peer: &Peer) -> Sample {
        let counted = peer.sample();
        Sample {
            audio: counted.audio,
            video: counted.video,
            check_rtt: counted.round_trip,
            ..Sample::default()
        }
    }

    /// Closes the devices.
    pub(super) async fn stop(self) {
        self.pump.abort();
        let _ = self.pump.await;
    }
}

/// Whether this is a first remote frame, and of which kind.
pub(super) fn first_frames(event: &MediaEvent) -> Option<MediaKind> {
    match event {
        MediaEvent::FirstRemoteFrame(kind) => Some(*kind),
        MediaEvent::KeyFrameNeeded => None,
    }
}

/// What a person should know of it.
pub(super) fn notice(_event: &MediaEvent) -> Option<Notice> {
    None
}
