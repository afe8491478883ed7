//! The picture codecs behind two traits: a picture in, coded bytes out, and back. Knows neither RTP nor time:
//! packets are put together by `assemble`, and whoever calls decides when.
//!
//! H.264 is always there, VP8 with the cargo feature `vp8`. Both may be given pictures of a new size at any
//! moment (a key frame follows), and both decoders live through anything a network can deliver.

pub mod h264;
#[cfg(feature = "vp8")]
pub mod vp8;

use super::frame::{Codec, VideoFrame};
use bytes::Bytes;

/// What an encoder aims at; may change between any two pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoTarget {
    /// Bitrate, kbit/s.
    pub kbps: u32,
    /// Pictures a second.
    pub fps: u32,
}

impl VideoTarget {
    /// What the codecs can be asked for: 6 kbit/s are five small pictures a second, hardly moving.
    #[must_use]
    pub fn clamped(self) -> Self {
        Self { kbps: self.kbps.clamp(6, 20_000), fps: self.fps.clamp(1, 60) }
    }
}

/// A coded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodedPicture {
    /// H.264: an access unit in Annex B form. VP8: a frame.
    pub data: Bytes,
    /// Whether decoding can start here.
    pub key: bool,
}

/// Why a codec did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VideoError {
    /// Not a picture codec, or one this program was built without.
    #[error("{} pictures are not supported by this build", .0.name())]
    Unsupported(Codec),
    /// A picture larger than the limits.
    #[error("a picture of {width}x{height} is too large")]
    TooLarge {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// The coded bytes make no picture; a key frame mends it.
    #[error("undecodable picture")]
    Undecodable,
    /// The codec library refused.
    #[error("the codec failed: {0}")]
    Codec(String),
}

/// The most columns of a received picture.
pub const MAX_WIDTH: u32 = 4096;
/// The most rows of a received picture.
pub const MAX_HEIGHT: u32 = 2304;

/// Pictures to coded bytes.
pub trait VideoEncoder: Send {
    /// Codes a picture. `None` when the codec chose to leave it out.
    fn encode(&mut self, frame: &VideoFrame) -> Result<Option<CodedPicture>, VideoError>;
    /// The next picture will be one where decoding can start.
    fn request_key_frame(&mut self);
    /// Aims at another rate from the next picture on.
    fn set_target(&mut self, target: VideoTarget) -> Result<(), VideoError>;
}

/// Coded bytes to pictures.
pub trait VideoDecoder: Send {
    /// Decodes one access unit. `None` when it holds no picture (parameter sets alone). After an error
    /// decoding starts again at a key frame. The picture's `at` is zero.
    fn decode(&mut self, unit: &[u8]) -> Result<Option<VideoFrame>, VideoError>;
}

/// An encoder for `codec`.
pub fn encoder(codec: Codec, target: VideoTarget) -> Result<Box<dyn VideoEncoder>, VideoError> {
    match codec {
        Codec::H264 => Ok(Box::new(h264::H264Encoder::new(target.clamped()))),
        #[cfg(feature = "vp8")]
        Codec::Vp8 => Ok(Box::new(vp8::Vp8Encoder::new(target.clamped()))),
        other => Err(VideoError::Unsupported(other)),
    }
}

/// A decoder for `codec`.
pub fn decoder(codec: Codec) -> Result<Box<dyn VideoDecoder>, VideoError> {
    match codec {
        Codec::H264 => Ok(Box::new(h264::H264Decoder::new()?)),
        #[cfg(feature = "vp8")]
        Codec::Vp8 => Ok(Box::new(vp8::Vp8Decoder::new()?)),
        other => Err(VideoError::Unsupported(other)),
    }
}

/// The picture codecs of this build, best first.
pub fn codecs() -> &'static [Codec] {
    if cfg!(feature = "vp8") { &[Codec::H264, Codec::Vp8] } else { &[Codec::H264] }
}

/// A plane with padding between its rows, as codecs hand it out.
struct Plane<'a> {
    bytes: &'a [u8],
    stride: usize,
}

impl Plane<'_> {
    /// The first `width` columns of the first `height` rows, without padding. `None` when it is too short.
    fn packed(&self, width: usize, height: usize) -> Option<Vec<u8>> {
        if self.stride < width {
            return None;
        }
        let mut packed = Vec::with_capacity(width * height);
        for row in 0..height {
            packed.extend_from_slice(self.bytes.get(row * self.stride..)?.get(..width)?);
        }
        Some(packed)
    }
}

/// A decoder's planes as a picture of even size; an odd last column or row is cut off.
fn packed_frame(width: u32, height: u32, planes: [Plane<'_>; 3]) -> Result<VideoFrame, VideoError> {
    if width > MAX_WIDTH || height > MAX_HEIGHT {
        return Err(VideoError::TooLarge { width, height });
    }
    let (width, height) = (width & !1, height & !1);
    if width < 2 || height < 2 {
        return Err(VideoError::Undecodable);
    }
    let (columns, rows) = (width as usize, height as usize);
    let [y, u, v] = planes;
    let (Some(y), Some(u), Some(v)) =
        (y.packed(columns, rows), u.packed(columns / 2, rows / 2), v.packed(columns / 2, rows / 2))
    else {
        return Err(VideoError::Undecodable);
    };
    Ok(VideoFrame { width, height, y, u, v, at: std::time::Duration::ZERO })
}

/// Pictures and measures for the tests of this part.
#[cfg(test)]
pub(crate) mod test_pictures;

#[cfg(test)]
mod tests;
