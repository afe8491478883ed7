//! Anything an installed ffmpeg reads: a child process that writes raw pictures, already fitted, into a pipe.
//! It may read local files only, and dies with its reader.

use super::file::unreadable;
use super::{FrameReader, SourceConfig, SourceError};
use crate::media::frame::VideoFrame;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

struct FfmpegReader {
    path: PathBuf,
    child: Child,
    pictures: ChildStdout,
    size: (u32, u32),
    fps: u32,
    any: bool,
}

/// Starts ffmpeg on a file.
pub(super) fn open(path: &Path, config: SourceConfig) -> Result<Box<dyn FrameReader>, SourceError> {
    let missing = |error: std::io::Error| {
        let why = if error.kind() == ErrorKind::NotFound {
            "it is neither .y4m, .ivf, .png nor .jpg, and ffmpeg, which could read others, is not installed"
                .into()
        } else {
            format!("ffmpeg did not start: {error}")
        };
        unreadable(path, &why)
    };
    let mut child = command(path, config).spawn().map_err(missing)?;
    let pictures = child.stdout.take().ok_or_else(|| unreadable(path, &"ffmpeg has no output"))?;
    Ok(Box::new(FfmpegReader {
        path: path.to_owned(),
        child,
        pictures,
        size: config.size,
        fps: config.fps,
        any: false,
    }))
}

fn command(path: &Path, config: SourceConfig) -> Command {
    let (width, height) = config.size;
    let filter = format!(
        "fps={},scale={width}:{height}:force_original_aspect_ratio=decrease:force_divisible_by=2:out_range=tv:out_color_matrix=bt601,pad={width}:{height}:(ow-iw)/2:(oh-ih)/2,setsar=1",
        config.fps
    );
    // With its protocol spelt out no file name is taken for an option or an address.
    let mut input = std::ffi::OsString::from("file:");
    input.push(path);
    let mut command = Command::new("ffmpeg");
    command
        .args(["-v", "error", "-nostdin", "-protocol_whitelist", "file", "-i"])
        .arg(input)
        .args([
            "-an", "-sn", "-dn", "-vf", &filter, "-pix_fmt", "yuv420p", "-f", "rawvideo", "-threads", "1",
            "-",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

impl FrameReader for FfmpegReader {
    fn read(&mut self) -> Result<Option<VideoFrame>, SourceError> {
        let mut frame = VideoFrame::black(self.size.0, self.size.1);
        for plane in [&mut frame.y, &mut frame.u, &mut frame.v] {
            match self.pictures.read_exact(plane) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof && self.any => return Ok(None),
                Err(_) => return Err(unreadable(&self.path, &"ffmpeg finds none in it")),
            }
        }
        self.any = true;
        Ok(Some(frame))
    }

    fn rate(&self) -> (u32, u32) {
        (self.fps, 1)
    }
}

impl Drop for FfmpegReader {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
