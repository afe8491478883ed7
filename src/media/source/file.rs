//! A file as a source: the right reader for its kind, looped, at its own rate or the one asked for if that is
//! lower, fitted into the size asked for.

use super::fit::Fit;
use super::{FrameReader, Pace, SourceConfig, SourceError, VideoSource, ffmpeg, ivf, still, y4m};
use crate::media::frame::VideoFrame;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How a file is opened anew at each round.
type Open = fn(&Path, SourceConfig) -> Result<Box<dyn FrameReader>, SourceError>;

/// Opens a file by what its first bytes say it is; what this program can't read itself goes to ffmpeg.
pub fn open(path: &Path, config: SourceConfig) -> Result<Box<dyn VideoSource>, SourceError> {
    if std::fs::metadata(path).is_ok_and(|of| !of.is_file()) {
        return Err(unreadable(path, &"it is no regular file, and cannot be played in a loop"));
    }
    let mut head = [0; 12];
    let length = std::fs::File::open(path)
        .and_then(|mut file| file.read(&mut head))
        .map_err(|error| unreadable(path, &error))?;
    let head = head.get(..length).unwrap_or_default();
    let open: Open = match head {
        [b'Y', b'U', b'V', b'4', b'M', b'P', b'E', b'G', b'2', ..] => y4m::open,
        [b'D', b'K', b'I', b'F', ..] => ivf::open,
        [0x89, b'P', b'N', b'G', ..] | [0xff, 0xd8, 0xff, ..] => {
            return Ok(Box::new(still::StillSource::open(path, config)?));
        }
        _ => ffmpeg::open,
    };
    Ok(Box::new(FileSource::new(path, config, open)?))
}

/// A file that gives no pictures, and why.
pub(super) fn unreadable(path: &Path, why: &dyn std::fmt::Display) -> SourceError {
    let why = why.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    SourceError::Unreadable { path: path.to_owned(), why }
}

struct FileSource {
    path: PathBuf,
    config: SourceConfig,
    open: Open,
    reader: Box<dyn FrameReader>,
    pace: Pace,
    /// File pictures for each picture sent, as a fraction, at least 1.
    ratio: (u64, u64),
    /// File pictures read so far, over all rounds.
    read: u64,
    fit: Fit,
}

impl FileSource {
    fn new(path: &Path, config: SourceConfig, open: Open) -> Result<Self, SourceError> {
        let reader = open(path, config)?;
        let own = reader.rate();
        let faster = u64::from(own.0) > u64::from(own.1) * u64::from(config.fps);
        let (rate, ratio) = if faster {
            ((config.fps, 1), (u64::from(own.0), u64::from(own.1) * u64::from(config.fps.max(1))))
        } else {
            (own, (1, 1))
        };
        let pace = Pace::new(rate, config.started);
        let fit = Fit::new(config.size);
        Ok(Self { path: path.to_owned(), config, open, reader, pace, ratio, read: 0, fit })
    }

    /// The next picture of the file; after the last one the first.
    fn read_round(&mut self) -> Result<VideoFrame, SourceError> {
        if let Some(frame) = self.reader.read()? {
            return Ok(frame);
        }
        self.reader = (self.open)(&self.path, self.config)?;
        self.reader.read()?.ok_or_else(|| unreadable(&self.path, &"it holds no whole picture"))
    }
}

impl VideoSource for FileSource {
    fn next(&mut self) -> Result<Option<VideoFrame>, SourceError> {
        let (at, beat) = self.pace.wait();
        let wanted = beat * self.ratio.0 / self.ratio.1.max(1);
        let mut frame = self.read_round()?;
        self.read += 1;
        while self.read <= wanted {
            frame = self.read_round()?;
            self.read += 1;
        }
        frame.at = at;
        Ok(Some(self.fit.fit(frame)))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests in real time")]

    use super::*;
    use crate::media::sink::y4m::Y4mWriter;
    use std::time::Instant;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("p2pcall-file-{}-{name}", std::process::id()))
    }

    fn config(fps: u32) -> SourceConfig {
        SourceConfig { size: (32, 24), fps, started: Instant::now() }
    }

    fn film(path: &Path, frames: u8) {
        let writer = Y4mWriter::create(path, 50).unwrap();
        for n in 0..frames {
            let mut frame = VideoFrame::black(32, 24);
            frame.y.fill(20 + n);
            writer.write(frame);
        }
        writer.finish();
    }

    #[test]
    fn a_film_loops_with_every_picture_once_and_is_thinned_to_a_lower_rate() {
        let path = scratch("loop.y4m");
        film(&path, 4);
        for (fps, expected) in [(60, [0, 1, 2, 3, 0, 1]), (25, [0, 2, 0, 2, 0, 2])] {
            let mut source = open(&path, config(fps)).unwrap();
            let shown = expected.map(|_| source.next().unwrap().unwrap().y[0] - 20);
            assert_eq!(shown, expected, "at {fps} fps");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn files_without_pictures_say_so() {
        let path = scratch("broken.y4m");
        for content in [
            "YUV4MPEG2 W32 H24 F30:1 C420\n",
            "YUV4MPEG2 W99999 H24\nFRAME\n",
            "DKIF",
            "YUV4MPEG2 W4 H4 C420p10\n",
            "\u{89}PNG",
        ] {
            std::fs::write(&path, content).unwrap();
            let outcome = open(&path, config(30)).and_then(|mut source| source.next());
            assert!(matches!(outcome, Err(SourceError::Unreadable { .. })), "{content:?}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(open(&path, config(30)), Err(SourceError::Unreadable { .. })));
    }

    #[test]
    fn a_still_picture_is_fitted_and_repeated() {
        let path = scratch("still.png");
        image::RgbImage::from_pixel(64, 24, image::Rgb([255, 255, 255])).save(&path).unwrap();
        let mut source = open(&path, config(60)).unwrap();
        let (first, second) = (source.next().unwrap().unwrap(), source.next().unwrap().unwrap());
        assert_eq!((first.width, first.height, first.y[0], first.y[32 * 12]), (32, 24, 16, 235));
        assert!(second.y == first.y && second.at > first.at);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn anything_else_goes_through_ffmpeg_where_there_is_one() {
        let path = scratch("film.gif");
        let made = std::process::Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=10", "-t", "0.5"])
            .arg(&path)
            .status();
        let Ok(status) = made else { return };
        assert!(status.success());
        let mut source = open(&path, config(60)).unwrap();
        for _ in 0..40 {
            let frame = source.next().unwrap().unwrap();
            assert_eq!((frame.width, frame.height), (32, 24));
        }
        std::fs::write(&path, "GIF89a is what this says, and no more").unwrap();
        let outcome = open(&path, config(30)).and_then(|mut source| source.next());
        assert!(matches!(outcome, Err(SourceError::Unreadable { .. })));
        std::fs::remove_file(path).unwrap();
    }
}
