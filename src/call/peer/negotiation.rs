//! Offers and answers of media, on a connection that is up or on one that they bring up.
//!
//! One exchange at a time. When offers cross, the impolite end's stands and the polite end takes its own
//! back (the W3C's "perfect negotiation"). Sections keep their order: application, audio, video. Knows how a
//! description is made and taken, not how it travels.

use super::media::{Leg, Media};
use super::packets::Label;
use super::{PeerError, sdp, stack};
use crate::media::frame::{Codec, MediaKind};
use rtc::media_stream::MediaStreamTrack;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodingParameters, RTCRtpEncodingParameters, RTCRtpRtxParameters, RtpCodecKind,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Mutex;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{PeerConnection, RTCSessionDescription};
use webrtc::rtp_transceiver::RtpSender;

/// The codecs that are sent after an exchange; `None` where the remote end takes none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Agreement {
    /// Sound.
    pub audio: Option<Codec>,
    /// Picture.
    pub video: Option<Codec>,
}

/// Makes and takes descriptions for one connection.
pub(super) struct Negotiator {
    connection: Arc<dyn PeerConnection>,
    media: Arc<Media>,
    video_codecs: Vec<Codec>,
    polite: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    audio: Option<Outgoing>,
    video: Option<Outgoing>,
    /// Our offer waits for its answer.
    offering: bool,
}

/// One of our tracks.
struct Outgoing {
    codec: Codec,
    track: Arc<TrackLocalStaticRTP>,
    sender: Arc<dyn RtpSender>,
}

impl Negotiator {
    /// For a connection that has no media yet.
    pub(super) fn new(
        connection: Arc<dyn PeerConnection>,
        media: Arc<Media>,
        video_codecs: Vec<Codec>,
    ) -> Self {
        let (polite, state) = (AtomicBool::new(false), Mutex::default());
        Self { connection, media, video_codecs, polite, state }
    }

    /// Whether this end gives way when offers cross.
    pub(super) fn set_polite(&self, polite: bool) {
        self.polite.store(polite, Ordering::Relaxed);
    }

    /// An offer of sound and picture both ways.
    pub(super) async fn offer(&self) -> Result<String, PeerError> {
        let mut state = self.state.lock().await;
        self.ensure_audio(&mut state).await?;
        if let Some(first) = self.video_codecs.first() {
            self.ensure_video(&mut state, *first).await?;
        }
        let offer = self.connection.create_offer(None).await?;
        let text = offer.sdp.clone();
        self.media.accept(sdp::payload_types(&text));
        self.connection.set_local_description(offer).await?;
        state.offering = true;
        Ok(text)
    }

    /// Takes an offer and answers it.
    pub(super) async fn answer(&self, remote: &str) -> Result<(String, Agreement), PeerError> {
        let offer = RTCSessionDescription::offer(remote.to_owned())?;
        let mut state = self.state.lock().await;
        if state.offering {
            if !self.polite.load(Ordering::Relaxed) {
                return Err(PeerError::Glare);
            }
            self.connection.set_local_description(RTCSessionDescription::rollback(None)?).await?;
            state.offering = false;
        }
        // Tracks come before the description, so that its sections find them.
        if sdp::preferred(remote, MediaKind::Audio, &[Codec::Opus]).is_some() {
            self.ensure_audio(&mut state).await?;
        }
        if let Some((codec, _)) = sdp::preferred(remote, MediaKind::Video, &self.video_codecs) {
            self.ensure_video(&mut state, codec).await?;
        }
        let text = match self.take_offer(offer).await {
            Ok(text) => text,
            Err(error) => {
                // Half an exchange would stand in the way of the next one.
                let undone =
                    self.connection.set_remote_description(RTCSessionDescription::rollback(None)?).await;
                log::debug!("an offer was not taken: {error}; taken back: {}", undone.is_ok());
                return Err(error);
            }
        };
        let agreement = self.agree(&state, &text);
        Ok((text, agreement))
    }

    /// Takes the answer to our offer.
    pub(super) async fn finish(&self, remote: &str) -> Result<Agreement, PeerError> {
        let answer = RTCSessionDescription::answer(remote.to_owned())?;
        let mut state = self.state.lock().await;
        if !state.offering {
            return Err(PeerError::Description("an answer to no offer"));
        }
        // The stack binds a track's codec to its interceptors as it takes the answer.
        if let Some((codec, _)) = sdp::preferred(remote, MediaKind::Video, &self.video_codecs) {
            self.ensure_video(&mut state, codec).await?;
        }
        self.connection.set_remote_description(answer).await?;
        state.offering = false;
        Ok(self.agree(&state, remote))
    }

    async fn take_offer(&self, offer: RTCSessionDescription) -> Result<String, PeerError> {
        self.connection.set_remote_description(offer).await?;
        let answer = self.connection.create_answer(None).await?;
        let text = answer.sdp.clone();
        self.media.accept(sdp::payload_types(&text));
        self.connection.set_local_description(answer).await?;
        Ok(text)
    }

    async fn ensure_audio(&self, state: &mut State) -> Result<(), PeerError> {
        if state.audio.is_none() {
            state.audio = Some(self.add(Codec::Opus).await?);
        }
        Ok(())
    }

    async fn ensure_video(&self, state: &mut State, codec: Codec) -> Result<(), PeerError> {
        match &mut state.video {
            None => state.video = Some(self.add(codec).await?),
            Some(video) if video.codec != codec => {
                // Same SSRC, same place in the description, another codec.
                let track = Arc::new(TrackLocalStaticRTP::new(self.description_of(codec)));
                video.sender.replace_track(track).await?;
                video.codec = codec;
            }
            Some(_) => {}
        }
        Ok(())
    }

    async fn add(&self, codec: Codec) -> Result<Outgoing, PeerError> {
        let track = Arc::new(TrackLocalStaticRTP::new(self.description_of(codec)));
        let sender = self.connection.add_track(track.clone()).await?;
        if codec.kind() == MediaKind::Video {
            self.offer_all_video(&sender).await?;
        }
        Ok(Outgoing { codec, track, sender })
    }

    /// The stack would name only the codec that the track sends.
    async fn offer_all_video(&self, sender: &Arc<dyn RtpSender>) -> Result<(), PeerError> {
        for transceiver in self.connection.get_transceivers().await {
            if transceiver.sender().await?.is_some_and(|found| found.id() == sender.id()) {
                let all = self.video_codecs.iter().flat_map(|codec| stack::with_repair(*codec));
                transceiver.set_codec_preferences(all.collect()).await?;
            }
        }
        Ok(())
    }

    fn description_of(&self, codec: Codec) -> MediaStreamTrack {
        let ssrcs = self.media.ssrcs;
        let (kind, name, ssrc, rtx) = match codec.kind() {
            MediaKind::Audio => (RtpCodecKind::Audio, "audio", ssrcs.audio, None),
            MediaKind::Video => {
                let repair = RTCRtpRtxParameters { ssrc: ssrcs.repair };
                (RtpCodecKind::Video, "video", ssrcs.video, Some(repair))
            }
        };
        let coding = RTCRtpCodingParameters { ssrc: Some(ssrc), rtx, ..RTCRtpCodingParameters::default() };
        let encoding = RTCRtpEncodingParameters {
            rtp_coding_parameters: coding,
            active: true,
            codec: stack::parameters(codec).rtp_codec,
            ..RTCRtpEncodingParameters::default()
        };
        // Equal ids at both ends would send feedback to the wrong track.
        let (stream, track) = (format!("{:08x}", ssrcs.audio), format!("{name}-{ssrc:08x}"));
        MediaStreamTrack::new(stream, track, name.into(), kind, vec![encoding])
    }

    /// The answer, whoever gave it, says what is agreed on; an offer may name a codec several times.
    fn agree(&self, state: &State, answer: &str) -> Agreement {
        let leg = |outgoing: &Option<Outgoing>, kind, ours: &[Codec], ssrc| {
            let outgoing = outgoing.as_ref()?;
            let (codec, payload_type) = sdp::preferred(answer, kind, ours)?;
            let label = Label { codec, payload_type, ssrc };
            Some(Leg { label, track: Arc::clone(&outgoing.track) })
        };
        let ssrcs = self.media.ssrcs;
        let audio = leg(&state.audio, MediaKind::Audio, &[Codec::Opus], ssrcs.audio);
        let video = leg(&state.video, MediaKind::Video, &self.video_codecs, ssrcs.video);
        let codec = |leg: &Option<Leg>| leg.as_ref().map(|leg| leg.label.codec);
        let agreement = Agreement { audio: codec(&audio), video: codec(&video) };
        self.media.send_on(audio, video);
        agreement
    }
}
