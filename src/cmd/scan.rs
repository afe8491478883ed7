//! A code read from a QR: in a picture file, or held before the camera.

use crate::call::channel::clean;
use crate::code::qr::scan::{scan, scan_file};
use crate::config::VideoChoice;
use crate::error::{Exit, Failure};
use crate::media::source::{self, SourceConfig};
use std::io::Read;
use std::time::{Duration, Instant};

/// How long a QR is waited for.
const CAMERA_PATIENCE: Duration = Duration::from_secs(60);
/// Large enough for a QR held at arm's length.
const CAMERA_SIZE: (u32, u32) = (640, 480);
/// Scanning a picture takes longer than taking it.
const CAMERA_FPS: u32 = 10;

/// No picture of a code is larger.
const MAX_PICTURE: u64 = 64 * 1024 * 1024;

/// The text of the QR in `place`: `camera`, `camera:N`, or a picture file. May block until one is held before
/// the camera.
pub fn text(place: &str) -> Result<String, Failure> {
    match place.split_once(':').unwrap_or((place, "0")) {
        ("camera", number) => {
            let number = number.parse().map_err(|_| {
                Failure::usage(
                    format!("`{}` is not a camera's number.", clean(number, 20)),
                    "See p2pcall devices.",
                )
            })?;
            from_video(&VideoChoice::Camera(number), CAMERA_PATIENCE)
        }
        _ => from_file(place),
    }
}

/// Looks at each picture of a video until one shows a code.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "waits by the clock for a person, and says so"
)]
fn from_video(choice: &VideoChoice, patience: Duration) -> Result<String, Failure> {
    let started = Instant::now();
    let config = SourceConfig { size: CAMERA_SIZE, fps: CAMERA_FPS, started };
    let no_camera = |error: String| {
        Failure::new(
            Exit::NoDevice,
            "no_device",
            format!("No camera to read the code with: {error}."),
            "See p2pcall devices.",
        )
    };
    let opened = source::open(choice, config).map_err(|error| no_camera(error.to_string()))?;
    let mut source = opened.ok_or_else(|| no_camera("none was chosen".into()))?;
    eprintln!("Hold the QR before the camera.");
    while started.elapsed() < patience {
        let picture = source.next().map_err(|error| no_camera(error.to_string()))?;
        let Some(picture) = picture else { continue };
        if let Some(text) = scan(&picture.y, picture.width as usize, picture.height as usize) {
            return Ok(text);
        }
    }
    let help = "Hold it nearer, sharp and still, with its white margin; or paste the code instead.";
    Err(Failure::new(Exit::Usage, "no_qr", "No QR was seen in time.", help))
}

fn from_file(path: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(MAX_PICTURE + 1).read_to_end(&mut bytes)).map_err(
        |error| Failure::usage(format!("The picture {path} can't be read: {error}."), "Check the path."),
    )?;
    if bytes.len() as u64 > MAX_PICTURE {
        return Err(Failure::usage(
            format!("The picture {path} is larger than 64 MiB."),
            "Cut it down to the QR.",
        ));
    }
    match scan_file(&bytes) {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(Failure::new(
            Exit::Usage,
            "no_qr",
            format!("No QR was found in {path}."),
            "Take the picture nearer, sharp, and with the whole QR and its white margin on it.",
        )),
        Err(error) => Err(Failure::usage(
            format!("{path} is not a picture this program reads: {error}."),
            "PNG or JPEG.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::qr::{Qr, png::to_png};

    /// A code's QR as a picture file.
    fn picture(text: &str) -> tempfile::TempPath {
        let mut file = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
        std::io::Write::write_all(&mut file, &to_png(&Qr::new(text).unwrap()).unwrap()).unwrap();
        file.into_temp_path()
    }

    #[test]
    fn a_code_is_read_from_a_picture_and_from_a_video_that_shows_it() {
        let code = "P2P42576ECCGHJKMNPQRSTVWXYZ0123456789ABCDEFGHJKMNPQ";
        let path = picture(code);
        assert_eq!(text(path.to_str().unwrap()).unwrap(), code);
        let video = VideoChoice::File(path.to_path_buf());
        assert_eq!(from_video(&video, Duration::from_secs(20)).unwrap(), code);
    }

    #[test]
    fn what_holds_no_code_says_so() {
        let missing = text("/nonexistent.png").unwrap_err();
        assert_eq!(missing.exit as u8, 2);
        assert_eq!(text("camera:x").unwrap_err().exit as u8, 2);
        let failure = from_video(&VideoChoice::TestCard, Duration::from_millis(300)).unwrap_err();
        assert_eq!(failure.code, "no_qr");
    }
}
