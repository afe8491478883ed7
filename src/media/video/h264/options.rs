//! The three run-time options of OpenH264 that its safe wrapper lacks: silence, bitrate and frame rate. The
//! only `unsafe` of the H.264 side. Knows nothing of pictures.

use crate::media::video::{VideoError, VideoTarget};
use openh264::encoder::Encoder;
use openh264_sys2::{
    ENCODER_OPTION, ENCODER_OPTION_BITRATE, ENCODER_OPTION_FRAME_RATE, ENCODER_OPTION_MAX_BITRATE,
    ENCODER_OPTION_TRACE_LEVEL, SBitrateInfo, SPATIAL_LAYER_0, SPATIAL_LAYER_ALL, WELS_LOG_QUIET,
};

/// Stops the library from printing to standard error. Its wrapper does so too, but only after initialising,
/// which already prints.
pub(super) fn silence(encoder: &mut Encoder) {
    let mut level = WELS_LOG_QUIET;
    // A failure means a few lines on standard error, nothing more.
    let _ = set(encoder, ENCODER_OPTION_TRACE_LEVEL, &mut level);
}

/// Bitrate and frame rate from the next picture on. `peak` is the fraction of the bitrate that may be exceeded
/// for a moment. The encoder must have coded a picture before.
pub(super) fn set_rate(
    encoder: &mut Encoder,
    target: VideoTarget,
    peak: (u32, u32),
) -> Result<(), VideoError> {
    let aim = target.kbps * 1000;
    let limit = aim / peak.1 * peak.0;
    // The library checks aim <= limit at each step; lifting the limit out of the way first lets the rate move
    // both up and down.
    let steps = [
        (ENCODER_OPTION_MAX_BITRATE, SPATIAL_LAYER_0, UNLIMITED),
        (ENCODER_OPTION_BITRATE, SPATIAL_LAYER_ALL, aim),
        (ENCODER_OPTION_MAX_BITRATE, SPATIAL_LAYER_0, limit),
    ];
    for (option, layer, bits) in steps {
        let mut info = SBitrateInfo { iLayer: layer, iBitrate: bits as i32 };
        set(encoder, option, &mut info)?;
    }
    let mut fps = target.fps as f32;
    set(encoder, ENCODER_OPTION_FRAME_RATE, &mut fps)
}

/// More than any rate this program asks for, less than level 5.2 allows.
const UNLIMITED: u32 = 100_000_000;

fn set<T>(encoder: &mut Encoder, option: ENCODER_OPTION, value: &mut T) -> Result<(), VideoError> {
    let pointer = std::ptr::from_mut(value).cast();
    // SAFETY: `encoder` is alive and exclusively borrowed; `pointer` is valid for the call, the library copies
    // the value and keeps no pointer to it. Every caller in this file passes the type that `option` is
    // documented to take (int, SBitrateInfo or float). None of them changes the picture size or layout the
    // safe wrapper relies on.
    let status = unsafe { encoder.raw_api().set_option(option, pointer) };
    if status == 0 { Ok(()) } else { Err(VideoError::Codec(format!("option {option}: status {status}"))) }
}
