//! Received pictures as a Y4M file (4:2:0): each decoded picture once, in the order and at the moment of its
//! playout. The format has no time stamps, so timing is the order alone and the header's rate is nominal; no
//! picture is repeated or left out to keep pace. A picture of another size than the first is scaled into it.
//!
//! A thread of its own writes, so that a slow disk never holds up the decoder. Each picture is handed to the
//! system at once, so that a killed process leaves a file that is whole but for its last picture.

use crate::error::{Exit, Failure};
use crate::media::frame::VideoFrame;
use crate::media::source::fit::Fit;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Pictures that may wait for the disk: a second's worth. When full the newest is left out and counted.
const BACKLOG: usize = 30;

/// A file being written.
pub struct Y4mWriter {
    frames: Option<SyncSender<VideoFrame>>,
    thread: Option<JoinHandle<()>>,
    dropped: Arc<AtomicU64>,
}

impl Y4mWriter {
    /// Creates the file; its header follows with the first picture. `fps` is the nominal rate.
    pub fn create(path: &Path, fps: u32) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(
                Exit::Failure,
                "video_out",
                format!("cannot write {}: {error}", path.display()),
                "choose another file for --video-out",
            )
        };
        let file = File::create(path).map_err(failed)?;
        let (frames, backlog) = sync_channel(BACKLOG);
        let thread = std::thread::Builder::new()
            .name("y4m".into())
            .spawn(move || write_all(file, fps, &backlog))
            .map_err(failed)?;
        Ok(Self { frames: Some(frames), thread: Some(thread), dropped: Arc::default() })
    }

    /// Hands over a picture; never waits.
    pub fn write(&self, frame: VideoFrame) {
        let full = self.frames.as_ref().is_none_or(|frames| frames.try_send(frame).is_err());
        if full {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Pictures left out because the disk was too slow or full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until all is written.
    pub fn finish(mut self) {
        self.close();
    }

    fn close(&mut self) {
        self.frames = None;
        if let Some(thread) = self.thread.take() {
            // The thread can't panic but by a bug; then there is nothing left to wait for.
            let _ = thread.join();
        }
    }
}

impl Drop for Y4mWriter {
    fn drop(&mut self) {
        self.close();
    }
}

fn write_all(mut file: File, fps: u32, frames: &Receiver<VideoFrame>) {
    let mut fit: Option<Fit> = None;
    let mut bytes = Vec::new();
    while let Ok(frame) = frames.recv() {
        bytes.clear();
        let fit = fit.get_or_insert_with(|| {
            let line = format!("YUV4MPEG2 W{} H{} F{fps}:1 Ip A1:1 C420jpeg\n", frame.width, frame.height);
            bytes.extend_from_slice(line.as_bytes());
            Fit::new((frame.width, frame.height))
        });
        let frame = fit.fit(frame);
        bytes.extend_from_slice(b"FRAME\n");
        for plane in [&frame.y, &frame.u, &frame.v] {
            bytes.extend_from_slice(plane);
        }
        if let Err(error) = file.write_all(&bytes) {
            log::warn!("the received picture is no longer written: {error}");
            return;
        }
    }
}
