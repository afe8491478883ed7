//! I/O: a call's media while it runs, pumped by a task of its own so that neither a slow screen nor a
//! description holds up sound.

use super::Session;
use super::course::{Course, steer};
use crate::call::event::{AudioStats, CodecNames, VideoStats};
use crate::call::peer::{Agreement, KindSample, Peer, PeerStreams};
use crate::call::stats::{Sample, milliseconds};
use crate::error::{Exit, Failure};
use crate::media::frame::{Codec, EncodedFrame, MediaKind, MediaPacket, Moment};
use crate::media::{Media, MediaEvent, MediaEvents, Negotiated};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Media that runs, over one connection at a time; what still comes over the one before is taken, too.
pub(super) struct Running {
    media: Arc<Media>,
    events: MediaEvents,
    /// Where frames go.
    peer: watch::Sender<Arc<Peer>>,
    outgoing: JoinSet<()>,
    incoming: JoinSet<()>,
    codecs: Names,
    /// Counted by the connections before this one.
    before: (KindSample, KindSample),
}

/// What is sent and received with what.
#[derive(Default)]
struct Names {
    sent: Agreement,
    received: Mutex<(Option<Codec>, Option<Codec>)>,
    cipher: Option<String>,
}

impl Running {
    /// Opens the devices, on a thread that may block, and begins to pump.
    pub(super) async fn start(
        session: &Session,
        peer: &Arc<Peer>,
        streams: &mut PeerStreams,
        agreement: Agreement,
    ) -> Result<Self, Failure> {
        let config = session.config.media.clone();
        let screens = session.line.screens.clone();
        let started = session.line.started;
        let negotiated = Negotiated { audio: agreement.audio.is_some(), video: agreement.video };
        let course = Course::new(&config, negotiated);
        let aim = course.aim();
        let open = move || Media::start(&config, negotiated, aim, &screens, started);
        let opening = tokio::task::spawn_blocking(open).await;
        let (media, events, frames) = opening.map_err(|error| {
            Failure::new(Exit::Failure, "internal", format!("Opening the devices broke: {error}."), "")
        })??;
        let media = Arc::new(media);
        let (sender, receiver) = watch::channel(Arc::clone(peer));
        let mut outgoing = JoinSet::new();
        outgoing.spawn(send(frames, receiver.clone(), Arc::clone(&media)));
        outgoing.spawn(steer(course, receiver, Arc::clone(&media), started));
        let mut incoming = JoinSet::new();
        incoming.spawn(receive(Arc::clone(&media), streams.take_audio(), streams.take_video()));
        let codecs = Names { sent: agreement, cipher: peer.ciphers().await, ..Names::default() };
        Ok(Self { media, events, peer: sender, outgoing, incoming, codecs, before: Default::default() })
    }

    /// From now on by this connection.
    pub(super) fn move_to(&mut self, peer: &Arc<Peer>, streams: &mut PeerStreams) {
        let last = self.peer.send_replace(Arc::clone(peer)).sample();
        self.before = (last.audio.after(&self.before.0), last.video.after(&self.before.1));
        while self.incoming.try_join_next().is_some() {}
        self.incoming.spawn(receive(Arc::clone(&self.media), streams.take_audio(), streams.take_video()));
        peer.request_key_frame();
        self.media.key_frame();
    }

    /// The next event, of media that may not run yet.
    pub(super) async fn event(running: &mut Option<Self>) -> Option<MediaEvent> {
        match running {
            Some(running) => running.events.recv().await,
            None => std::future::pending().await,
        }
    }

    /// The handle on sound and picture.
    pub(super) fn media(&self) -> &Media {
        &self.media
    }

    /// Whether pictures were agreed on.
    pub(super) fn has_pictures(&self) -> bool {
        self.codecs.sent.video.is_some()
    }

    /// Remembers what the friend sends with.
    pub(super) fn receives(&self, codec: Codec) {
        let mut received = self.codecs.received.lock().unwrap_or_else(PoisonError::into_inner);
        match codec {
            Codec::Opus => received.0 = Some(codec),
            Codec::H264 | Codec::Vp8 => received.1 = Some(codec),
        }
    }

    /// Everything that is counted, at this moment; media are told of the network on the way.
    pub(super) fn sample(&self, peer: &Peer) -> Sample {
        let counted = peer.sample();
        let stats = self.media.stats();
        let round_trip = counted.audio.round_trip.or(counted.round_trip);
        self.media.set_network(round_trip, counted.audio.remote_loss);
        peer.sound_late(stats.sound.stamped_late);
        let delay = |kind, moment: Option<Moment>| {
            let moment = moment.filter(|moment| counted.at.saturating_sub(moment.at) < STALE)?;
            peer.age(kind, moment).map(milliseconds)
        };
        let received = *self.codecs.received.lock().unwrap_or_else(PoisonError::into_inner);
        let name = |codec: Option<Codec>| codec.map(|codec| codec.name().to_owned());
        Sample {
            audio: counted.audio.after(&self.before.0),
            video: counted.video.after(&self.before.1),
            check_rtt: counted.round_trip,
            frames_sent: stats.picture.frames_sent,
            frames_shown: stats.picture.frames_decoded,
            picture: VideoStats {
                width: stats.picture.width,
                height: stats.picture.height,
                frames_decoded: stats.picture.frames_decoded,
                freezes: stats.picture.freezes,
                freeze_ms: stats.picture.freeze_ms,
                frozen: stats.picture.frozen,
                delay_ms: delay(MediaKind::Video, stats.picture.seen),
                ..VideoStats::default()
            },
            sound: AudioStats {
                level_in_dbfs: stats.levels.input_dbfs,
                level_out_dbfs: Some(stats.levels.output_dbfs),
                silent_ms: stats.sound.jitter.silent.as_millis() as u64,
                concealed_ms: stats.sound.jitter.concealed.as_millis() as u64,
                buffer_ms: stats.sound.jitter.delay.as_millis() as u32,
                delay_ms: delay(MediaKind::Audio, stats.sound.heard),
            },
            target_kbps: stats.aim.kbps(),
            codecs: CodecNames {
                audio: name(received.0.or(self.codecs.sent.audio)),
                video_sent: name(self.codecs.sent.video),
                video_received: name(received.1),
                cipher: self.codecs.cipher.clone(),
            },
            ..Sample::default()
        }
    }

    /// Closes the devices.
    pub(super) async fn stop(mut self) {
        self.outgoing.shutdown().await;
        self.incoming.shutdown().await;
        // Dropping closes devices and completes files, which may take a moment.
        let closing = tokio::task::spawn_blocking(move || drop(self.media));
        let _ = tokio::time::timeout(CLOSING_TIMEOUT, closing).await;
    }
}

/// What was heard or seen longer ago says nothing of the delay there is.
const STALE: Duration = Duration::from_secs(2);
/// A sound server that hangs is not waited for.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(1);

/// Carries frames out, by the connection there is.
async fn send(mut frames: mpsc::Receiver<EncodedFrame>, peer: watch::Receiver<Arc<Peer>>, media: Arc<Media>) {
    while let Some(frame) = frames.recv().await {
        let peer = Arc::clone(&peer.borrow());
        peer.send_frame(frame);
        media.picture_leaves_until(peer.clear());
    }
}

/// Carries one connection's packets in, until it or the media is gone.
async fn receive(
    media: Arc<Media>,
    mut audio: mpsc::Receiver<MediaPacket>,
    mut video: mpsc::Receiver<MediaPacket>,
) {
    loop {
        tokio::select! {
            Some(packet) = audio.recv() => media.packet(packet),
            Some(packet) = video.recv() => media.packet(packet),
            else => return,
        }
    }
}
