//! A still image as a source: decoded once within limits, then the same picture over and over. Small or large,
//! it costs next to nothing on the network.

use super::file::unreadable;
use super::fit::Fit;
use super::{Pace, SourceConfig, SourceError, VideoSource, convert};
use crate::media::frame::VideoFrame;
use std::path::Path;

/// The longest side of an image that is taken.
const MAX_SIDE: u32 = 16_384;
/// The most memory that decoding one may take: 256 MB.
const MAX_ALLOCATION: u64 = 256 * 1024 * 1024;

/// One picture, again and again.
pub struct StillSource {
    frame: VideoFrame,
    pace: Pace,
}

impl StillSource {
    /// Decodes and fits the image.
    pub fn open(path: &Path, config: SourceConfig) -> Result<Self, SourceError> {
        let frame = decode(path)?;
        let frame = Fit::new(config.size).fit(frame);
        Ok(Self { frame, pace: Pace::new((config.fps, 1), config.started) })
    }
}

fn decode(path: &Path) -> Result<VideoFrame, SourceError> {
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_ALLOCATION);
    let mut reader = image::ImageReader::open(path)
        .and_then(image::ImageReader::with_guessed_format)
        .map_err(|error| unreadable(path, &error))?;
    reader.limits(limits);
    let rgb = reader.decode().map_err(|error| unreadable(path, &error))?.into_rgb8();
    convert::from_rgb(rgb.as_raw(), rgb.width(), rgb.height())
        .ok_or_else(|| unreadable(path, &"the image is smaller than two pixels"))
}

impl VideoSource for StillSource {
    fn next(&mut self) -> Result<Option<VideoFrame>, SourceError> {
        let (at, _) = self.pace.wait();
        self.frame.at = at;
        Ok(Some(self.frame.clone()))
    }
}
