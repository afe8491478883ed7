//! A camera, by nokhwa (V4L2 on Linux). A thread of its own reads it, because a camera that was pulled out can
//! block for good; its pictures pass through one place where the latest wins.

use super::fit::Fit;
use super::{CameraName, SourceConfig, SourceError, VideoSource, convert};
use crate::media::frame::VideoFrame;
use nokhwa::Camera;
use nokhwa::utils::{
    ApiBackend, CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// Layouts that are understood, cheapest first.
const LAYOUTS: [FrameFormat; 3] = [FrameFormat::YUYV, FrameFormat::NV12, FrameFormat::MJPEG];
/// How long one call waits for a picture.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long opening may take: some cameras warm up for seconds.
const OPENING: Duration = Duration::from_secs(10);
/// A camera silent for so many waits is lost: four seconds.
const MAX_SILENT_WAITS: u32 = 20;

/// The cameras of this machine, by their number.
pub fn list() -> Vec<CameraName> {
    let mut cameras: Vec<CameraName> = Vec::new();
    for info in nokhwa::query(ApiBackend::Auto).unwrap_or_default() {
        let Ok(index) = info.index().as_index() else { continue };
        if gives_pictures(index) {
            let name = info.human_name().chars().filter(|c| !c.is_control()).take(80).collect();
            cameras.push(CameraName { index, name });
        }
    }
    cameras.sort_by_key(|camera| camera.index);
    cameras
}

/// On Linux one camera shows several nodes, of which the first gives the pictures and the others metadata.
fn gives_pictures(index: u32) -> bool {
    std::fs::read_to_string(format!("/sys/class/video4linux/video{index}/index"))
        .map_or(true, |place| place.trim() == "0")
}

/// A running camera.
pub struct CameraSource {
    frames: Receiver<Result<VideoFrame, SourceError>>,
    stop: Arc<AtomicBool>,
    fit: Fit,
    silent_waits: u32,
}

impl CameraSource {
    /// Opens a camera with the format nearest to what is asked for.
    pub fn open(index: u32, config: SourceConfig) -> Result<Self, SourceError> {
        let cameras = list();
        if !cameras.iter().any(|camera| camera.index == index) {
            let choices = cameras.into_iter().map(|camera| camera.to_string()).collect();
            return Err(SourceError::NoCamera { index, choices });
        }
        let (ready, opened) = sync_channel(1);
        let (to, frames) = sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        std::thread::Builder::new()
            .name("camera".into())
            .spawn(move || run(index, config, &ready, &to, &stopped))
            .map_err(|error| lost(&error))?;
        opened.recv_timeout(OPENING).map_err(|_| lost(&"it does not open"))??;
        Ok(Self { frames, stop, fit: Fit::new(config.size), silent_waits: 0 })
    }
}

fn lost(why: &dyn std::fmt::Display) -> SourceError {
    SourceError::Lost(why.to_string().chars().filter(|c| !c.is_control()).take(200).collect())
}

impl VideoSource for CameraSource {
    fn next(&mut self) -> Result<Option<VideoFrame>, SourceError> {
        match self.frames.recv_timeout(PATIENCE) {
            Ok(frame) => {
                self.silent_waits = 0;
                frame.map(|frame| Some(self.fit.fit(frame)))
            }
            Err(RecvTimeoutError::Timeout) if self.silent_waits < MAX_SILENT_WAITS => {
                self.silent_waits += 1;
                Ok(None)
            }
            Err(_) => Err(lost(&"it gives no pictures")),
        }
    }
}

impl Drop for CameraSource {
    fn drop(&mut self) {
        // The thread closes the device after the picture it waits for; it is not waited for here, because that
        // picture may never come.
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The camera's thread: opens, says how that went, reads until told to stop.
fn run(
    index: u32,
    config: SourceConfig,
    ready: &SyncSender<Result<(), SourceError>>,
    frames: &SyncSender<Result<VideoFrame, SourceError>>,
    stop: &AtomicBool,
) {
    let mut camera = match open(index, config) {
        Ok(camera) => camera,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    while !stop.load(Ordering::Relaxed) {
        match camera.frame() {
            Ok(buffer) => {
                let size = buffer.resolution();
                let layout = buffer.source_frame_format();
                // A damaged picture (MJPEG over a bad cable) is left out.
                let Some(mut frame) = picture(buffer.buffer(), layout, (size.x(), size.y())) else {
                    continue;
                };
                frame.at = config.started.elapsed();
                // Full: the reader is behind, and the next picture is fresher.
                let _ = frames.try_send(Ok(frame));
            }
            Err(error) => {
                let _ = frames.send(Err(lost(&error)));
                return;
            }
        }
    }
}

fn open(index: u32, config: SourceConfig) -> Result<Camera, SourceError> {
    let any = RequestedFormat::with_formats(RequestedFormatType::None, &LAYOUTS);
    let mut camera = Camera::new(CameraIndex::Index(index), any).map_err(|error| lost(&error))?;
    let formats = camera.compatible_camera_formats().map_err(|error| lost(&error))?;
    if let Some(format) = nearest(&formats, config.size, config.fps) {
        let exact = RequestedFormat::with_formats(RequestedFormatType::Exact(format), &LAYOUTS);
        camera.set_camera_requset(exact).map_err(|error| lost(&error))?;
    }
    camera.open_stream().map_err(|error| lost(&error))?;
    Ok(camera)
}

/// The format that needs the least scaling up, then the least waste, then the nearest rate, then the cheapest
/// layout.
fn nearest(formats: &[CameraFormat], size: (u32, u32), fps: u32) -> Option<CameraFormat> {
    let cost = |format: &CameraFormat| {
        let layout = LAYOUTS.iter().position(|layout| *layout == format.format())?;
        let missing = size.0.saturating_sub(format.width()) + size.1.saturating_sub(format.height());
        let slow = fps.saturating_sub(format.frame_rate()) > fps / 4;
        let waste = u64::from(format.width()) * u64::from(format.height());
        Some((slow, missing, waste, format.frame_rate().abs_diff(fps), layout))
    };
    formats
        .iter()
        .filter_map(|format| Some((cost(format)?, *format)))
        .min_by_key(|(cost, _)| *cost)
        .map(|(_, f)| f)
}

fn picture(bytes: &[u8], layout: FrameFormat, (width, height): (u32, u32)) -> Option<VideoFrame> {
    match layout {
        FrameFormat::YUYV => convert::from_yuyv(bytes, width, height),
        FrameFormat::NV12 => convert::from_nv12(bytes, width, height),
        FrameFormat::MJPEG => {
            let rgb = image::load_from_memory_with_format(bytes, image::ImageFormat::Jpeg).ok()?.into_rgb8();
            convert::from_rgb(rgb.as_raw(), rgb.width(), rgb.height())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nokhwa::utils::Resolution;

    #[test]
    fn the_nearest_format_is_fast_enough_large_enough_and_cheap() {
        let format = |w, h, layout, fps| CameraFormat::new(Resolution::new(w, h), layout, fps);
        let formats = [
            format(1920, 1080, FrameFormat::YUYV, 5),
            format(1280, 720, FrameFormat::MJPEG, 30),
            format(640, 480, FrameFormat::MJPEG, 30),
            format(640, 480, FrameFormat::YUYV, 30),
            format(320, 240, FrameFormat::YUYV, 30),
            format(640, 480, FrameFormat::GRAY, 30),
        ];
        let chosen = |size, fps| nearest(&formats, size, fps).unwrap();
        assert_eq!(chosen((640, 360), 30), formats[3]);
        assert_eq!(chosen((1280, 720), 30), formats[1]);
        assert_eq!(chosen((160, 120), 15), formats[4]);
        assert_eq!(nearest(&formats[5..], (640, 360), 30), None);
    }
}
