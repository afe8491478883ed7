//! How the WebRTC stack is set up: timers, codecs, interceptors, certificate.
//!
//! Each deviation from its defaults is a measured mend and stands at its constant. Knows nothing of what a
//! call does with the connection.

use super::PeerError;
use super::numbers::EXTENSION;
use super::runtime::{PortRuntime, Tasks};
use super::socket::Wire;
use super::{IceCredentials, PeerConfig};
use crate::call::identity::Identity;
use crate::call::silence::NOTICED_AFTER;
use crate::media::frame::Codec;
use crate::share::pace::MOST;
use rtc::crypto::SignatureScheme;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_H264, MIME_TYPE_OPUS, MIME_TYPE_RTX, MIME_TYPE_VP8,
};
use rtc::peer_connection::transport::RTCDtlsRole;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCCertificate,
    RTCConfigurationBuilder, Registry, SettingEngine, SettingEngineBuilder, crypto,
};

/// The stack's own 200 ms tick made a direct connection take 400 ms.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// The stack counts requests, not time: so many at its pace are 21 minutes, more than a code lives.
const CHECK_LIMIT: u16 = u16::MAX;
/// The stack counts this from the first check as well, and then forgets everything: so never by itself.
const STACK_FAILS_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// RFC 7675 §5.1 has 5 s; doubts after 2.5 s need three chances.
const CONSENT_INTERVAL: Duration = Duration::from_millis(800);
/// Bytes on their way on a data channel before a sender waits, be it for ever on a path that is dead: never. A file in
/// each direction has less, its pieces and what acknowledges the other's.
const CHANNEL_SEND_BUFFER: usize = 2 * MOST as usize;
/// Stand-ins are free when they are picked, not when they are bound.
const BIND_ATTEMPTS: usize = 4;

/// Builds a connection over the wire's ports.
pub(super) async fn build(
    config: &PeerConfig,
    wire: &Arc<Wire>,
    registry: impl Fn() -> Registry,
    handler: Arc<dyn PeerConnectionEventHandler>,
) -> Result<(Arc<dyn PeerConnection>, Tasks), PeerError> {
    let mut last = PeerError::Stack("no port could be used".into());
    for _ in 0..BIND_ATTEMPTS {
        let stand_ins = wire.stand_ins()?;
        let addresses = stand_ins.keys().copied().collect();
        let runtime = Arc::new(PortRuntime::new(Arc::clone(wire), stand_ins));
        let tasks = runtime.tasks();
        let builder = PeerConnectionBuilder::new()
            .with_runtime(runtime.clone())
            .with_handler(Arc::clone(&handler))
            .with_configuration(
                RTCConfigurationBuilder::new()
                    .with_certificates(vec![certificate(&config.identity)?])
                    .build(),
            )
            .with_media_engine(media_engine(&config.video_codecs)?)
            .with_setting_engine(settings(&config.local, config.verify_fingerprint))
            .with_interceptor_registry(registry())
            .with_data_channel_send_buffer_limit(CHANNEL_SEND_BUFFER)
            .with_udp_addrs(addresses);
        match Box::pin(builder.build()).await {
            // The stack goes on without a socket that it could not bind; a call should not.
            Ok(connection) if runtime.is_complete() => return Ok((Arc::new(connection), tasks)),
            Ok(connection) => connection.close().await?,
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

fn certificate(identity: &Identity) -> Result<RTCCertificate, PeerError> {
    let provider = crypto::default_provider().map_err(|error| PeerError::Stack(error.to_string()))?;
    let chain = vec![rustls::pki_types::CertificateDer::from(identity.certificate().to_vec())];
    let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(u32::MAX.into());
    let scheme = SignatureScheme::EcdsaP256Sha256;
    Ok(RTCCertificate::from_pkcs8(provider.crypto(), scheme, chain, identity.key(), expires)?)
}

fn settings(local: &IceCredentials, verify_fingerprint: bool) -> SettingEngine {
    SettingEngineBuilder::new()
        .with_ice_credentials(local.ufrag.clone(), local.pwd.clone())
        .with_ice_timeouts(Some(NOTICED_AFTER), Some(STACK_FAILS_AFTER), Some(CONSENT_INTERVAL))
        .with_ice_connection_attempts(Some(CHECK_INTERVAL), Some(CHECK_LIMIT))
        // The first pair that works is taken at once: what deserves to wait is held back at its port.
        .with_srflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_relay_acceptance_min_wait(Some(Duration::ZERO))
        .with_include_loopback_candidate(true)
        // Where multicast can't be joined the stack would not even start; and names are not looked up.
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .with_answering_dtls_role(RTCDtlsRole::Client)
        .with_disable_certificate_fingerprint_verification(!verify_fingerprint)
        .build()
}

/// Opus, and the video codecs that this end can code, each with its retransmissions (RFC 4588).
fn media_engine(video: &[Codec]) -> Result<MediaEngine, PeerError> {
    let mut engine = MediaEngine::default();
    engine.register_codec(parameters(Codec::Opus), RtpCodecKind::Audio)?;
    for kind in [RtpCodecKind::Audio, RtpCodecKind::Video] {
        let extension = RTCRtpHeaderExtensionCapability { uri: EXTENSION.to_owned() };
        engine.register_header_extension(extension, kind, None)?;
    }
    for parameters in video.iter().flat_map(|codec| with_repair(*codec)) {
        engine.register_codec(parameters, RtpCodecKind::Video)?;
    }
    Ok(engine)
}

/// A video codec as it is offered, and its retransmissions.
pub(super) fn with_repair(codec: Codec) -> [RTCRtpCodecParameters; 2] {
    let primary = parameters(codec);
    let rtp_codec = RTCRtpCodec {
        mime_type: MIME_TYPE_RTX.to_owned(),
        clock_rate: primary.rtp_codec.clock_rate,
        sdp_fmtp_line: format!("apt={}", primary.payload_type),
        ..RTCRtpCodec::default()
    };
    let payload_type = primary.payload_type + 1;
    [primary, RTCRtpCodecParameters { rtp_codec, payload_type }]
}

/// How a codec of ours is offered.
pub(super) fn parameters(codec: Codec) -> RTCRtpCodecParameters {
    let (mime_type, clock_rate, channels, fmtp, payload_type) = match codec {
        // RFC 7587 §7: two channels always; in-band FEC is what makes single losses inaudible.
        Codec::Opus => (MIME_TYPE_OPUS, 48_000, 2, "minptime=10;useinbandfec=1", 111),
        Codec::H264 => (MIME_TYPE_H264, 90_000, 0, H264_PARAMETERS, 102),
        Codec::Vp8 => (MIME_TYPE_VP8, 90_000, 0, "", 96),
    };
    let feedback = |typ: &str, parameter: &str| RTCPFeedback { typ: typ.into(), parameter: parameter.into() };
    let rtcp_feedback = match codec {
        Codec::Opus => vec![feedback("transport-cc", "")],
        Codec::H264 | Codec::Vp8 => {
            vec![
                feedback("ccm", "fir"),
                feedback("nack", ""),
                feedback("nack", "pli"),
                feedback("transport-cc", ""),
            ]
        }
    };
    let rtp_codec = RTCRtpCodec {
        mime_type: mime_type.to_owned(),
        clock_rate,
        channels,
        sdp_fmtp_line: fmtp.to_owned(),
        rtcp_feedback,
    };
    RTCRtpCodecParameters { rtp_codec, payload_type }
}

/// RFC 6184 §8.1: constrained baseline, level 3.1; fragments allowed.
const H264_PARAMETERS: &str = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
