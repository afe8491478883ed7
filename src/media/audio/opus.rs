//! The one place that calls libopus. Owns its state objects (encoder, decoder, and the two of deep redundancy, DRED),
//! gives its calls types, lengths and errors. Has no opinion on how speech should be coded: that is `audio.rs`.
//!
//! What makes this safe: a state is created once, owned by one value, used through `&mut` only, and
//! destroyed on drop; buffers are slices whose lengths are passed along; the variadic `ctl` calls are
//! reached only through a closed list of requests that take one integer, or return one.

use crate::media::frame::{FRAME_SAMPLES, SAMPLE_RATE};
use opusic_sys as sys;
use std::ptr::NonNull;

/// RFC 6716 §3.1: a packet holds at most 120 ms; at 48 kHz that is so many samples.
pub const MAX_SAMPLES: usize = 5760;
/// The value of [`Number::SignalVoice`] that tells the encoder to expect speech.
pub(super) const SIGNAL_VOICE: i32 = sys::OPUS_SIGNAL_VOICE;
/// The least complexity at which a decoder conceals by its neural vocoder (above it come enhancements of
/// low bitrates that are not built in).
const NEURAL_CONCEALMENT: i32 = 5;

/// Why libopus refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpusError {
    /// An argument out of its range.
    #[error("libopus: an argument is out of range")]
    BadArgument,
    /// Not an Opus packet.
    #[error("not an Opus packet")]
    InvalidPacket,
    /// No memory.
    #[error("libopus: out of memory")]
    Memory,
    /// Anything else.
    #[error("libopus: internal error")]
    Internal,
}

impl OpusError {
    fn from_code(code: i32) -> Self {
        match code {
            sys::OPUS_BAD_ARG | sys::OPUS_BUFFER_TOO_SMALL => Self::BadArgument,
            sys::OPUS_INVALID_PACKET => Self::InvalidPacket,
            sys::OPUS_ALLOC_FAIL => Self::Memory,
            _ => Self::Internal,
        }
    }

    fn check(code: i32) -> Result<i32, Self> {
        if code < 0 { Err(Self::from_code(code)) } else { Ok(code) }
    }
}

/// The encoder's settings that take one integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    /// bit/s.
    Bitrate,
    /// 0 to 10.
    Complexity,
    /// 0 or 1.
    Vbr,
    /// 0 or 1.
    InbandFec,
    /// 0 to 100.
    PacketLossPercent,
    /// 0 or 1.
    Dtx,
    /// What is being coded: [`SIGNAL_VOICE`].
    SignalVoice,
    /// How far back deep redundancy (DRED) goes at the most, in units of 10 ms, up to 104.
    DredDuration,
}

impl Number {
    fn request(self) -> i32 {
        match self {
            Self::Bitrate => sys::OPUS_SET_BITRATE_REQUEST,
            Self::Complexity => sys::OPUS_SET_COMPLEXITY_REQUEST,
            Self::Vbr => sys::OPUS_SET_VBR_REQUEST,
            Self::InbandFec => sys::OPUS_SET_INBAND_FEC_REQUEST,
            Self::PacketLossPercent => sys::OPUS_SET_PACKET_LOSS_PERC_REQUEST,
            Self::Dtx => sys::OPUS_SET_DTX_REQUEST,
            Self::SignalVoice => sys::OPUS_SET_SIGNAL_REQUEST,
            Self::DredDuration => sys::OPUS_SET_DRED_DURATION_REQUEST,
        }
    }
}

/// libopus's encoder: mono, 48 kHz, tuned for speech.
#[derive(Debug)]
pub(super) struct RawEncoder(NonNull<sys::OpusEncoder>);

// SAFETY: the state is plain memory without thread affinity, and this value is its only owner.
unsafe impl Send for RawEncoder {}

impl RawEncoder {
    pub(super) fn new() -> Result<Self, OpusError> {
        let mut code = sys::OPUS_OK;
        // SAFETY: `code` outlives the call; the other arguments are plain numbers.
        let state = unsafe {
            sys::opus_encoder_create(SAMPLE_RATE as i32, 1, sys::OPUS_APPLICATION_VOIP, &raw mut code)
        };
        OpusError::check(code)?;
        NonNull::new(state).map(Self).ok_or(OpusError::Memory)
    }

    pub(super) fn set(&mut self, what: Number, value: i32) -> Result<(), OpusError> {
        // SAFETY: the state is alive, and every request of `Number` reads exactly one opus_int32.
        let code = unsafe { sys::opus_encoder_ctl(self.0.as_ptr(), what.request(), value) };
        OpusError::check(code).map(drop)
    }

    pub(super) fn get_lookahead(&mut self) -> Result<i32, OpusError> {
        let mut samples = 0i32;
        // SAFETY: the state is alive; this request writes one opus_int32 through the pointer it is given.
        let code = unsafe {
            sys::opus_encoder_ctl(self.0.as_ptr(), sys::OPUS_GET_LOOKAHEAD_REQUEST, &raw mut samples)
        };
        OpusError::check(code).map(|_| samples)
    }

    /// Codes one frame into `out` and returns the length.
    pub(super) fn encode(&mut self, pcm: &[f32; FRAME_SAMPLES], out: &mut [u8]) -> Result<usize, OpusError> {
        let room = i32::try_from(out.len()).map_err(|_| OpusError::BadArgument)?;
        // SAFETY: the state is alive; `pcm` holds FRAME_SAMPLES mono samples, `out` at least `room` bytes.
        let code = unsafe {
            sys::opus_encode_float(
                self.0.as_ptr(),
                pcm.as_ptr(),
                FRAME_SAMPLES as i32,
                out.as_mut_ptr(),
                room,
            )
        };
        OpusError::check(code).map(|length| length as usize)
    }
}

impl Drop for RawEncoder {
    fn drop(&mut self) {
        // SAFETY: created by opus_encoder_create, destroyed once.
        unsafe { sys::opus_encoder_destroy(self.0.as_ptr()) };
    }
}

/// libopus's decoder: mono, 48 kHz.
#[derive(Debug)]
pub(super) struct RawDecoder {
    state: NonNull<sys::OpusDecoder>,
    buffer: Vec<f32>,
}

// SAFETY: the state is plain memory without thread affinity, and this value is its only owner.
unsafe impl Send for RawDecoder {}

impl RawDecoder {
    pub(super) fn new() -> Result<Self, OpusError> {
        let mut code = sys::OPUS_OK;
        // SAFETY: `code` outlives the call; the other arguments are plain numbers.
        let state = unsafe { sys::opus_decoder_create(SAMPLE_RATE as i32, 1, &raw mut code) };
        OpusError::check(code)?;
        let state = NonNull::new(state).ok_or(OpusError::Memory)?;
        let decoder = Self { state, buffer: vec![0.0; MAX_SAMPLES] };
        // SAFETY: the state is alive; this request reads one opus_int32.
        let code = unsafe {
            sys::opus_decoder_ctl(
                decoder.state.as_ptr(),
                sys::OPUS_SET_COMPLEXITY_REQUEST,
                NEURAL_CONCEALMENT,
            )
        };
        OpusError::check(code)?;
        Ok(decoder)
    }

    /// Appends `samples` samples, the first of which was `ahead` samples before the packet that `dred` was
    /// read from. What the redundancy does not reach is invented.
    pub(super) fn decode_dred(
        &mut self,
        dred: &RawDred,
        ahead: usize,
        samples: usize,
        out: &mut Vec<f32>,
    ) -> Result<(), OpusError> {
        let room = samples.min(self.buffer.len());
        let ahead = i32::try_from(ahead).map_err(|_| OpusError::BadArgument)?;
        // SAFETY: both states are alive, and `dred`'s is only read; `buffer` has room for `room` mono samples.
        let code = unsafe {
            sys::opus_decoder_dred_decode_float(
                self.state.as_ptr(),
                dred.state.as_ptr(),
                ahead,
                self.buffer.as_mut_ptr(),
                room as i32,
            )
        };
        let decoded = OpusError::check(code)? as usize;
        out.extend_from_slice(self.buffer.get(..decoded).ok_or(OpusError::Internal)?);
        Ok(())
    }

    /// Appends at most `samples` samples decoded from `packet`; an empty packet asks for concealment, `fec`
    /// for the redundancy inside. Appends nothing on an error.
    pub(super) fn decode(
        &mut self,
        packet: &[u8],
        samples: usize,
        fec: bool,
        out: &mut Vec<f32>,
    ) -> Result<(), OpusError> {
        let room = samples.min(self.buffer.len());
        let length = i32::try_from(packet.len()).map_err(|_| OpusError::BadArgument)?;
        let data = if packet.is_empty() { std::ptr::null() } else { packet.as_ptr() };
        // SAFETY: the state is alive; `data` is null or points at `length` bytes; `buffer` has room for
        // `room` mono samples.
        let code = unsafe {
            sys::opus_decode_float(
                self.state.as_ptr(),
                data,
                length,
                self.buffer.as_mut_ptr(),
                room as i32,
                i32::from(fec),
            )
        };
        let decoded = OpusError::check(code)? as usize;
        out.extend_from_slice(self.buffer.get(..decoded).ok_or(OpusError::Internal)?);
        Ok(())
    }
}

impl Drop for RawDecoder {
    fn drop(&mut self) {
        // SAFETY: created by opus_decoder_create, destroyed once.
        unsafe { sys::opus_decoder_destroy(self.state.as_ptr()) };
    }
}

/// Whether a packet carries FEC (LBRR, RFC 6716 §2.1.7) of the one before it.
pub(super) fn has_fec(packet: &[u8]) -> bool {
    let Ok(length) = i32::try_from(packet.len()) else { return false };
    // SAFETY: `packet` points at `length` bytes, and is only read.
    !packet.is_empty() && unsafe { sys::opus_packet_has_lbrr(packet.as_ptr(), length) } == 1
}

/// libopus's reader of deep redundancy, and what it has read last.
#[derive(Debug)]
pub(super) struct RawDred {
    reader: NonNull<sys::OpusDREDDecoder>,
    state: NonNull<sys::OpusDRED>,
}

// SAFETY: both states are plain memory without thread affinity, and this value is their only owner.
unsafe impl Send for RawDred {}

impl RawDred {
    pub(super) fn new() -> Result<Self, OpusError> {
        let mut code = sys::OPUS_OK;
        // SAFETY: `code` outlives the call.
        let reader = unsafe { sys::opus_dred_decoder_create(&raw mut code) };
        OpusError::check(code)?;
        let reader = NonNull::new(reader).ok_or(OpusError::Memory)?;
        // SAFETY: `code` outlives the call.
        let state = unsafe { sys::opus_dred_alloc(&raw mut code) };
        let Some(state) = NonNull::new(state) else {
            // SAFETY: created above, destroyed once.
            unsafe { sys::opus_dred_decoder_destroy(reader.as_ptr()) };
            return Err(OpusError::Memory);
        };
        let mut dred = Self { reader, state };
        // libopus leaves the state as malloc gave it; reading anything, even nonsense, makes it a state.
        let _empty = dred.read(&[0], 0, false);
        Ok(dred)
    }

    /// Reads a packet's redundancy, `samples` samples back at the most, and returns how many samples before
    /// the packet it begins; 0 where there is none. `whole`: ready to be decoded from, which costs more.
    pub(super) fn read(&mut self, packet: &[u8], samples: usize, whole: bool) -> Result<usize, OpusError> {
        let length = i32::try_from(packet.len()).map_err(|_| OpusError::BadArgument)?;
        let samples = i32::try_from(samples).map_err(|_| OpusError::BadArgument)?;
        let mut end = 0;
        // SAFETY: both states are alive; `packet` points at `length` bytes; `end` outlives the call.
        let code = unsafe {
            sys::opus_dred_parse(
                self.reader.as_ptr(),
                self.state.as_ptr(),
                packet.as_ptr(),
                length,
                samples,
                SAMPLE_RATE as i32,
                &raw mut end,
                i32::from(!whole),
            )
        };
        OpusError::check(code).map(|reach| reach as usize)
    }
}

impl Drop for RawDred {
    fn drop(&mut self) {
        // SAFETY: created by opus_dred_alloc and opus_dred_decoder_create, destroyed once.
        unsafe {
            sys::opus_dred_free(self.state.as_ptr());
            sys::opus_dred_decoder_destroy(self.reader.as_ptr());
        }
    }
}
