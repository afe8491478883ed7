//! IVF files, the simplest container there is: VP8 (where built) and H.264 pictures, decoded.

use super::file::unreadable;
use super::{FrameReader, SourceConfig, SourceError};
use crate::media::frame::{Codec, VideoFrame};
use crate::media::video::{self, VideoDecoder};
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// `DKIF`, version, header length, codec, size, rate, count.
const HEADER_BYTES: usize = 32;
/// Length and time stamp before each picture.
const FRAME_HEADER_BYTES: usize = 12;
/// Larger than any coded picture this program takes.
const MAX_FRAME_BYTES: u32 = 8 * 1024 * 1024;

struct IvfReader {
    path: PathBuf,
    file: BufReader<File>,
    decoder: Box<dyn VideoDecoder>,
    rate: (u32, u32),
}

/// Opens a file and reads its header.
pub(super) fn open(path: &Path, _: SourceConfig) -> Result<Box<dyn FrameReader>, SourceError> {
    let mut file = BufReader::new(File::open(path).map_err(|error| unreadable(path, &error))?);
    let mut header = [0; HEADER_BYTES];
    file.read_exact(&mut header).map_err(|error| unreadable(path, &error))?;
    let (codec, rate) =
        parse_header(&header).ok_or_else(|| unreadable(path, &"only VP8 and H.264 are read"))?;
    let decoder = video::decoder(codec).map_err(|error| unreadable(path, &error))?;
    Ok(Box::new(IvfReader { path: path.to_owned(), file, decoder, rate }))
}

/// The codec and the pictures in so many seconds; rates outside 1 to 240 a second count as 30.
fn parse_header(header: &[u8; HEADER_BYTES]) -> Option<(Codec, (u32, u32))> {
    let [b'D', b'K', b'I', b'F', _, _, _, _, c0, c1, c2, c3, _, _, _, _, r0, r1, r2, r3, s0, s1, s2, s3, ..] =
        *header
    else {
        return None;
    };
    let codec = match &[c0, c1, c2, c3] {
        b"VP80" => Codec::Vp8,
        b"H264" => Codec::H264,
        _ => return None,
    };
    let (pictures, seconds) = (u32::from_le_bytes([r0, r1, r2, r3]), u32::from_le_bytes([s0, s1, s2, s3]));
    let sane = seconds > 0 && pictures >= seconds && u64::from(pictures) <= u64::from(seconds) * 240;
    Some((codec, if sane { (pictures, seconds) } else { (30, 1) }))
}

impl IvfReader {
    /// The next coded picture; `None` at the end, also one that is cut off.
    fn next_unit(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut header = [0; FRAME_HEADER_BYTES];
        if let Err(error) = self.file.read_exact(&mut header) {
            return if error.kind() == ErrorKind::UnexpectedEof { Ok(None) } else { Err(error) };
        }
        let [l0, l1, l2, l3, ..] = header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        if length > MAX_FRAME_BYTES {
            return Err(std::io::Error::new(ErrorKind::InvalidData, "a picture is too large"));
        }
        let mut unit = Vec::new();
        let read = (&mut self.file).take(u64::from(length)).read_to_end(&mut unit)?;
        Ok((read == length as usize).then_some(unit))
    }
}

impl FrameReader for IvfReader {
    fn read(&mut self) -> Result<Option<VideoFrame>, SourceError> {
        while let Some(unit) = self.next_unit().map_err(|error| unreadable(&self.path, &error))? {
            // A broken picture is left out; the decoder goes on at the next key frame.
            if let Ok(Some(frame)) = self.decoder.decode(&unit) {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    fn rate(&self) -> (u32, u32) {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests in real time")]

    use super::*;
    use crate::media::video::VideoTarget;
    use crate::media::video::test_pictures::film;
    use std::time::Instant;

    #[test]
    fn coded_films_are_decoded_and_a_cut_off_end_is_the_end() {
        for &codec in video::codecs() {
            let mut encoder = video::encoder(codec, VideoTarget { kbps: 300, fps: 30 }).unwrap();
            let mut bytes = b"DKIF\0\0\x20\0".to_vec();
            bytes.extend(if codec == Codec::Vp8 { b"VP80" } else { b"H264" });
            bytes.extend([64, 0, 48, 0, 25, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
            for n in 0..3 {
                let unit = encoder.encode(&film(64, 48, n)).unwrap().unwrap().data;
                bytes.extend((unit.len() as u32).to_le_bytes());
                bytes.extend(u64::from(n).to_le_bytes());
                bytes.extend(&unit);
            }
            bytes.pop();
            let path = std::env::temp_dir().join(format!("p2pcall-ivf-{}-{codec:?}.ivf", std::process::id()));
            std::fs::write(&path, &bytes).unwrap();
            let config = SourceConfig { size: (64, 48), fps: 30, started: Instant::now() };
            let mut reader = open(&path, config).unwrap();
            assert_eq!(reader.rate(), (25, 1));
            let pictures = std::iter::from_fn(|| reader.read().unwrap()).count();
            assert_eq!(pictures, 2, "{codec:?}");
            std::fs::remove_file(path).unwrap();
        }
    }
}
