//! VP8 by libvpx, for peers without H.264. Error-resilient real-time settings. Knows the frame header of
//! RFC 6386 §9.1 as far as size and kind go, and nothing of RTP.

mod ffi;

use super::{
    CodedPicture, MAX_HEIGHT, MAX_WIDTH, VideoDecoder, VideoEncoder, VideoError, VideoTarget, packed_frame,
};
use crate::media::frame::VideoFrame;

/// Pictures to VP8.
pub struct Vp8Encoder {
    target: VideoTarget,
    running: Option<(ffi::Encoder, (u32, u32))>,
    key_wanted: bool,
}

impl Vp8Encoder {
    /// An encoder that starts with its first picture.
    pub fn new(target: VideoTarget) -> Self {
        Self { target, running: None, key_wanted: false }
    }
}

impl VideoEncoder for Vp8Encoder {
    fn encode(&mut self, frame: &VideoFrame) -> Result<Option<CodedPicture>, VideoError> {
        let size = (frame.width, frame.height);
        let running = match self.running.take().filter(|(_, of)| *of == size) {
            Some(running) => running,
            None => (ffi::Encoder::new(size, self.target)?, size),
        };
        let (encoder, _) = self.running.insert(running);
        encoder.encode(frame, std::mem::take(&mut self.key_wanted))
    }

    fn request_key_frame(&mut self) {
        self.key_wanted = true;
    }

    fn set_target(&mut self, target: VideoTarget) -> Result<(), VideoError> {
        self.target = target.clamped();
        self.running.as_mut().map_or(Ok(()), |(encoder, _)| encoder.set_target(self.target))
    }
}

/// VP8 to pictures.
pub struct Vp8Decoder {
    decoder: ffi::Decoder,
    key_needed: bool,
}

impl Vp8Decoder {
    /// A decoder that waits for its first key frame.
    pub fn new() -> Result<Self, VideoError> {
        Ok(Self { decoder: ffi::Decoder::new()?, key_needed: true })
    }

    fn decode_checked(&mut self, unit: &[u8]) -> Result<Option<VideoFrame>, VideoError> {
        match key_frame_size(unit)? {
            Some((width, height)) if width > MAX_WIDTH || height > MAX_HEIGHT => {
                return Err(VideoError::TooLarge { width, height });
            }
            Some(_) => self.key_needed = false,
            None if self.key_needed => return Err(VideoError::Undecodable),
            None => {}
        }
        let Some(picture) = self.decoder.decode(unit)? else { return Ok(None) };
        packed_frame(picture.width, picture.height, picture.planes).map(Some)
    }
}

impl VideoDecoder for Vp8Decoder {
    fn decode(&mut self, unit: &[u8]) -> Result<Option<VideoFrame>, VideoError> {
        let decoded = self.decode_checked(unit);
        self.key_needed |= decoded.is_err();
        decoded
    }
}

/// RFC 6386 §9.1: the picture size that a key frame announces; `None` for an interframe.
fn key_frame_size(unit: &[u8]) -> Result<Option<(u32, u32)>, VideoError> {
    let first = unit.first().ok_or(VideoError::Undecodable)?;
    if first & 1 == 1 {
        return Ok(None);
    }
    let Some(&[0x9d, 0x01, 0x2a, w0, w1, h0, h1]) = unit.get(3..10) else {
        return Err(VideoError::Undecodable);
    };
    let side = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Ok(Some((side(w0, w1), side(h0, h1))))
}
