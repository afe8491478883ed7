//! I/O: a call's media while it runs, pumped by a task of its own so that neither a slow screen nor a
//! description holds up sound.

use super::Session;
use crate::call::event::{AudioStats, CodecNames, Notice, VideoStats};
use crate::call::peer::{Agreement, Peer, PeerStreams};
use crate::call::stats::Sample;
use crate::error::Failure;
use crate::media::frame::{Codec, MediaKind};
use crate::media::{Media, MediaEvent, MediaEvents, MediaStats, Negotiated};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Media that runs.
pub(super) struct Running {
    media: Arc<Media>,
    events: MediaEvents,
    pump: tokio::task::JoinHandle<()>,
    agreement: Agreement,
    muted: AtomicBool,
}

impl Running {
    /// Opens the devices and begins to pump.
    pub(super) fn start(
        session: &Session,
        peer: &Arc<Peer>,
        streams: &mut PeerStreams,
        agreement: Agreement,
    ) -> Result<Self, Failure> {
        let negotiated = Negotiated { audio: agreement.audio.is_some(), video: agreement.video };
        let (media, events, mut frames) =
            Media::start(&session.config.media, negotiated, session.line.started)?;
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
        Ok(Self { media, events, pump, agreement, muted: AtomicBool::new(false) })
    }

    /// The next event, of media that may not run yet.
    pub(super) async fn event(running: &mut Option<Self>) -> Option<MediaEvent> {
        match running {
            Some(running) => running.events.recv().await,
            None => std::future::pending().await,
        }
    }

    /// The friend asked for a key frame.
    pub(super) fn key_frame(&self) {
        self.media.key_frame();
    }

    pub(super) fn set_muted(&self, muted: bool) {
        self.muted.store(muted, Ordering::Relaxed);
        self.media.set_muted(muted);
    }

    pub(super) fn set_video(&self, on: bool) {
        self.media.set_video(on);
    }

    /// Everything that is counted, now; tells media in passing what the network does.
    pub(super) fn sample(&self, peer: &Peer) -> Sample {
        let counted = peer.sample();
        let round_trip = counted.video.round_trip.or(counted.audio.round_trip).or(counted.round_trip);
        self.media.set_network(round_trip, counted.audio.remote_loss);
        let media = self.media.stats();
        Sample {
            audio: counted.audio,
            video: counted.video,
            check_rtt: counted.round_trip,
            frames_sent: media.picture.frames_sent,
            frames_shown: media.picture.frames_decoded,
            picture: picture_stats(&media),
            sound: sound_stats(&media, self.muted.load(Ordering::Relaxed)),
            target_kbps: media.target_kbps.0 + media.target_kbps.1,
            codecs: CodecNames {
                audio: self.agreement.audio.map(codec_name),
                video_sent: self.agreement.video.map(codec_name),
                video_received: media.picture.codec.map(codec_name),
                cipher: None,
            },
        }
    }

    /// Closes the devices, which can take a moment.
    pub(super) async fn stop(self) {
        self.pump.abort();
        let _ = self.pump.await;
        let _ = tokio::task::spawn_blocking(move || drop(self.media)).await;
    }
}

fn codec_name(codec: Codec) -> String {
    codec.name().to_owned()
}

/// What the picture says of itself; the rates are the meter's.
fn picture_stats(media: &MediaStats) -> VideoStats {
    let picture = &media.picture;
    VideoStats {
        sent_fps: picture.sent_fps,
        shown_fps: picture.shown_fps,
        width: picture.width,
        height: picture.height,
        frames_decoded: picture.frames_decoded,
        freezes: picture.freezes,
        freeze_ms: picture.freeze_ms,
    }
}

fn sound_stats(media: &MediaStats, muted: bool) -> AudioStats {
    AudioStats {
        level_in_dbfs: media.levels.input_dbfs.filter(|_| !muted),
        level_out_dbfs: Some(media.levels.output_dbfs),
        concealed_ms: media.sound.jitter.concealed.as_millis() as u64,
        buffer_ms: media.sound.jitter.delay.as_millis() as u32,
    }
}

/// Whether this is a first remote frame, and of which kind.
pub(super) fn first_frames(event: &MediaEvent) -> Option<MediaKind> {
    match event {
        MediaEvent::FirstRemoteFrame(kind) => Some(*kind),
        _ => None,
    }
}

/// What a person should know of it.
pub(super) fn notice(event: &MediaEvent) -> Option<Notice> {
    match event {
        MediaEvent::Trouble(notice) => Some(notice.clone()),
        _ => None,
    }
}
