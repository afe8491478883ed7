//! H.264, constrained baseline, by OpenH264. Slices stay below one packet, so that a lost packet is a lost
//! slice and never fragments; every key frame carries its parameter sets (RFC 6184 §8.4).

mod options;

use super::{CodedPicture, Plane, VideoDecoder, VideoEncoder, VideoError, VideoTarget, packed_frame};
use crate::media::frame::VideoFrame;
use openh264::decoder::{Decoder, DecoderConfig};
use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, Profile, QpRange,
    RateControlMode, SpsPpsStrategy, UsageType,
};
use openh264::formats::{YUVSlices, YUVSource};
use openh264::{OpenH264API, Timestamp};
use std::time::Duration;

/// A slice and its RTP, SRTP and TURN wrapping fit 1,200 bytes, the least every path is taken to carry.
const MAX_SLICE_BYTES: u32 = 1_100;
/// How far the rate control may exceed its aim for a moment, as a fraction of it: with no head room at all
/// OpenH264 stays far below its aim.
const PEAK: (u32, u32) = (3, 2);

/// Pictures to H.264.
pub struct H264Encoder {
    target: VideoTarget,
    running: Option<Running>,
    key_wanted: bool,
}

/// An encoder that has seen its picture size.
struct Running {
    encoder: Encoder,
    size: (u32, u32),
    /// Whether OpenH264 was initialised, which its first picture does.
    started: bool,
}

impl H264Encoder {
    /// An encoder that starts with its first picture.
    pub fn new(target: VideoTarget) -> Self {
        Self { target, running: None, key_wanted: false }
    }

    /// The encoder for pictures of this size. A new size gets a new encoder: OpenH264 can change size in
    /// place, but keeps the old size's rate control state.
    fn running(&mut self, size: (u32, u32)) -> Result<&mut Running, VideoError> {
        let kept = self.running.take().filter(|running| running.size == size);
        let running = match kept {
            Some(running) => running,
            None => Running { encoder: open(self.target)?, size, started: false },
        };
        Ok(self.running.insert(running))
    }
}

/// Settings for a talking head in real time: no look-ahead, no picture ever left out.
fn open(target: VideoTarget) -> Result<Encoder, VideoError> {
    let config = EncoderConfig::new()
        .usage_type(UsageType::CameraVideoRealTime)
        .profile(Profile::Baseline)
        .sps_pps_strategy(SpsPpsStrategy::ConstantId)
        .bitrate(BitRate::from_bps(target.kbps * 1000))
        .max_frame_rate(FrameRate::from_hz(target.fps as f32))
        .rate_control_mode(RateControlMode::Timestamp)
        .skip_frames(false)
        .qp(QpRange::new(10, 51))
        .complexity(Complexity::Medium)
        .scene_change_detect(false)
        .adaptive_quantization(false)
        .background_detection(false)
        .long_term_reference(false)
        .intra_frame_period(IntraFramePeriod::auto())
        .num_threads(1)
        .max_slice_len(MAX_SLICE_BYTES);
    let mut encoder = Encoder::with_api_config(OpenH264API::from_source(), config).map_err(failed)?;
    options::silence(&mut encoder);
    Ok(encoder)
}

/// The time stamp that the rate control goes by.
fn millis(at: Duration) -> Timestamp {
    Timestamp::from_millis(u64::try_from(at.as_millis()).unwrap_or(0))
}

/// OpenH264's own words, kept for the log.
fn failed(error: impl std::fmt::Display) -> VideoError {
    VideoError::Codec(error.to_string())
}

impl VideoEncoder for H264Encoder {
    fn encode(&mut self, frame: &VideoFrame) -> Result<Option<CodedPicture>, VideoError> {
        let key_wanted = std::mem::take(&mut self.key_wanted);
        let target = self.target;
        let running = self.running((frame.width, frame.height))?;
        if key_wanted && running.started {
            running.encoder.force_intra_frame();
        }
        let (width, height) = (frame.width as usize, frame.height as usize);
        let source =
            YUVSlices::new((&frame.y, &frame.u, &frame.v), (width, height), (width, width / 2, width / 2));
        let stream = running.encoder.encode_at(&source, millis(frame.at)).map_err(failed)?;
        let key = match stream.frame_type() {
            FrameType::IDR => true,
            FrameType::Skip => return Ok(None),
            FrameType::Invalid => return Err(failed("invalid picture")),
            FrameType::I | FrameType::P | FrameType::IPMixed => false,
        };
        let data = stream.to_vec();
        if !running.started {
            running.started = true;
            options::set_rate(&mut running.encoder, target, PEAK)?;
        }
        Ok((!data.is_empty()).then(|| CodedPicture { data: data.into(), key }))
    }

    fn request_key_frame(&mut self) {
        self.key_wanted = true;
    }

    fn set_target(&mut self, target: VideoTarget) -> Result<(), VideoError> {
        let target = target.clamped();
        self.target = target;
        match self.running.as_mut() {
            Some(running) if running.started => options::set_rate(&mut running.encoder, target, PEAK),
            _ => Ok(()),
        }
    }
}

/// H.264 to pictures.
pub struct H264Decoder {
    decoder: Decoder,
    /// Errors since the last picture.
    errors: u32,
}

/// After so many errors in a row the decoder is thrown away for a fresh one: hostile parameter sets must not
/// poison it for good.
const MAX_ERRORS: u32 = 3;

impl H264Decoder {
    /// A decoder that waits for its first key frame.
    pub fn new() -> Result<Self, VideoError> {
        Ok(Self { decoder: fresh_decoder()?, errors: 0 })
    }
}

fn fresh_decoder() -> Result<Decoder, VideoError> {
    Decoder::with_api_config(OpenH264API::from_source(), DecoderConfig::new()).map_err(failed)
}

impl VideoDecoder for H264Decoder {
    fn decode(&mut self, unit: &[u8]) -> Result<Option<VideoFrame>, VideoError> {
        let decoded = match self.decoder.decode(unit) {
            Ok(Some(picture)) => picture_of(&picture).map(Some),
            Ok(None) => Ok(None),
            Err(_) => Err(VideoError::Undecodable),
        };
        self.errors = if decoded.is_ok() { 0 } else { self.errors + 1 };
        if self.errors >= MAX_ERRORS {
            self.errors = 0;
            self.decoder = fresh_decoder()?;
        }
        decoded
    }
}

fn picture_of(picture: &impl YUVSource) -> Result<VideoFrame, VideoError> {
    let (width, height) = picture.dimensions();
    let (y_stride, u_stride, v_stride) = picture.strides();
    packed_frame(
        width as u32,
        height as u32,
        [
            Plane { bytes: picture.y(), stride: y_stride },
            Plane { bytes: picture.u(), stride: u_stride },
            Plane { bytes: picture.v(), stride: v_stride },
        ],
    )
}
