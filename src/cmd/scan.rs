//! A code read from a QR: in a picture file, or held before the camera.

use crate::code::qr::scan::scan_file;
use crate::error::{Exit, Failure};
use std::io::Read;

/// No picture of a code is larger.
const MAX_PICTURE: u64 = 64 * 1024 * 1024;

/// The text of the QR in `place`.
pub fn text(place: &str) -> Result<String, Failure> {
    match place {
        "camera" => Err(Failure::usage("camera later", "")),
        path => from_file(path),
    }
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
