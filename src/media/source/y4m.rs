//! YUV4MPEG2 files: 8-bit 4:2:0, 4:2:2, 4:4:4 and grey. The header is parsed by a pure function that takes
//! nothing on trust; other layouts are refused in words.

use super::file::unreadable;
use super::{FrameReader, SourceConfig, SourceError};
use crate::media::frame::VideoFrame;
use crate::media::video::{MAX_HEIGHT, MAX_WIDTH};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Longer header lines than any program writes.
const MAX_LINE: u64 = 1024;

/// How the chroma planes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chroma {
    /// Half the columns, half the rows.
    Half,
    /// Half the columns, all rows.
    HalfColumns,
    /// All of both.
    Full,
    /// None.
    Grey,
}

/// What the first line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    width: usize,
    height: usize,
    rate: (u32, u32),
    chroma: Chroma,
    /// 0 to 255 instead of 16 to 235.
    full_range: bool,
}

/// Parses `YUV4MPEG2 W640 H360 F30:1 C420jpeg ...`.
fn parse_header(line: &str) -> Result<Header, String> {
    let mut words = line.split_ascii_whitespace();
    if words.next() != Some("YUV4MPEG2") {
        return Err("it is not a YUV4MPEG2 file".into());
    }
    let mut header = Header { width: 0, height: 0, rate: (30, 1), chroma: Chroma::Half, full_range: false };
    for word in words {
        let Some((tag, value)) = word.split_at_checked(1) else { continue };
        match tag {
            "W" => header.width = value.parse().unwrap_or(0),
            "H" => header.height = value.parse().unwrap_or(0),
            "F" => header.rate = parse_rate(value).unwrap_or(header.rate),
            "C" => header.chroma = parse_chroma(value)?,
            "X" if value == "COLORRANGE=FULL" => header.full_range = true,
            _ => {}
        }
    }
    let (width, height) = (header.width, header.height);
    if !(2..=MAX_WIDTH as usize).contains(&width) || !(2..=MAX_HEIGHT as usize).contains(&height) {
        return Err(format!("its size {width}x{height} is not between 2x2 and {MAX_WIDTH}x{MAX_HEIGHT}"));
    }
    Ok(header)
}

/// `30000:1001`; rates outside 1 to 240 a second say nothing.
fn parse_rate(text: &str) -> Option<(u32, u32)> {
    let (pictures, seconds) = text.split_once(':')?;
    let (pictures, seconds): (u32, u32) = (pictures.parse().ok()?, seconds.parse().ok()?);
    let sane = seconds > 0 && pictures >= seconds && u64::from(pictures) <= u64::from(seconds) * 240;
    sane.then_some((pictures, seconds))
}

fn parse_chroma(text: &str) -> Result<Chroma, String> {
    match text {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => Ok(Chroma::Half),
        "422" => Ok(Chroma::HalfColumns),
        "444" => Ok(Chroma::Full),
        "mono" => Ok(Chroma::Grey),
        other => Err(format!("its pixel layout {other} is not supported; convert it to 420")),
    }
}

impl Header {
    /// Columns and rows of each chroma plane in the file.
    fn chroma_size(&self) -> (usize, usize) {
        match self.chroma {
            Chroma::Half => (self.width.div_ceil(2), self.height.div_ceil(2)),
            Chroma::HalfColumns => (self.width.div_ceil(2), self.height),
            Chroma::Full => (self.width, self.height),
            Chroma::Grey => (0, 0),
        }
    }

    /// Bytes of one picture.
    fn frame_bytes(&self) -> usize {
        let (columns, rows) = self.chroma_size();
        self.width * self.height + 2 * columns * rows
    }

    /// A picture of the file as I420; an odd last column or row is cut off.
    fn frame_of(&self, bytes: &[u8]) -> Option<VideoFrame> {
        let mut frame = VideoFrame::black((self.width & !1) as u32, (self.height & !1) as u32);
        let (luma, chroma) = bytes.split_at_checked(self.width * self.height)?;
        let even = self.width & !1;
        for (line, to) in luma.chunks_exact(self.width).zip(frame.y.chunks_exact_mut(even)) {
            to.copy_from_slice(line.get(..even)?);
        }
        let (columns, rows) = self.chroma_size();
        if columns > 0 {
            let (u, v) = chroma.split_at_checked(columns * rows)?;
            let step = (self.width.div_ceil(columns), self.height.div_ceil(rows));
            for (from, to) in [(u, &mut frame.u), (v, &mut frame.v)] {
                thin(from, columns, (2 / step.0, 2 / step.1), to, even / 2);
            }
        }
        if self.full_range {
            to_limited_range(&mut frame);
        }
        Some(frame)
    }
}

/// Every `by.0`th column of every `by.1`th row.
fn thin(from: &[u8], columns: usize, by: (usize, usize), to: &mut [u8], to_columns: usize) {
    let lines = from.chunks_exact(columns).step_by(by.1.max(1));
    for (line, target) in lines.zip(to.chunks_exact_mut(to_columns)) {
        for (sample, target) in line.iter().step_by(by.0.max(1)).zip(target) {
            *target = *sample;
        }
    }
}

/// 0..=255 to 16..=235 (chroma 16..=240).
fn to_limited_range(frame: &mut VideoFrame) {
    for sample in &mut frame.y {
        *sample = (16 + u32::from(*sample) * 219 / 255) as u8;
    }
    for sample in frame.u.iter_mut().chain(&mut frame.v) {
        *sample = (128 + (i32::from(*sample) - 128) * 224 / 255) as u8;
    }
}

/// A file being read.
struct Y4mReader {
    path: PathBuf,
    file: BufReader<File>,
    header: Header,
    /// One picture of the file.
    bytes: Vec<u8>,
}

/// Opens a file and reads its first line.
pub(super) fn open(path: &Path, _: SourceConfig) -> Result<Box<dyn FrameReader>, SourceError> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut file = BufReader::with_capacity(64 * 1024, file);
    let line = read_line(&mut file).map_err(|error| unreadable(path, &error))?;
    let header = parse_header(&line).map_err(|why| unreadable(path, &why))?;
    Ok(Box::new(Y4mReader { path: path.to_owned(), file, header, bytes: Vec::new() }))
}

/// A line without its end; one that is too long is cut, which no parser then takes.
fn read_line(file: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = Vec::new();
    file.take(MAX_LINE).read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

impl FrameReader for Y4mReader {
    fn read(&mut self) -> Result<Option<VideoFrame>, SourceError> {
        let line = read_line(&mut self.file).map_err(|error| unreadable(&self.path, &error))?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.split(' ').next() != Some("FRAME") {
            return Err(unreadable(&self.path, &"a picture does not begin where it should"));
        }
        self.bytes.resize(self.header.frame_bytes(), 0);
        match self.file.read_exact(&mut self.bytes) {
            Ok(()) => Ok(self.header.frame_of(&self.bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(unreadable(&self.path, &error)),
        }
    }

    fn rate(&self) -> (u32, u32) {
        self.header.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_say_what_they_say_or_what_is_wrong() {
        let header = parse_header("YUV4MPEG2 W641 H361 F30000:1001 Ip A1:1 C420jpeg XYSCSS=420JPEG").unwrap();
        assert_eq!((header.width, header.height, header.rate), (641, 361, (30_000, 1001)));
        assert_eq!(header.frame_bytes(), 641 * 361 + 2 * 321 * 181);
        assert!(parse_header("YUV4MPEG2 W4 H4 C444 XCOLORRANGE=FULL").unwrap().full_range);
        for (line, word) in [
            ("YUV4MPEG2 W4 H4 C420p10", "420p10"),
            ("YUV4MPEG2 W99999999999999999999 H4", "0x4"),
            ("YUV4MPEG2 W4096 H4096", "4096x4096"),
            ("YUV4MPEG2", "0x0"),
            ("RIFF", "not a YUV4MPEG2"),
        ] {
            let why = parse_header(line).unwrap_err();
            assert!(why.contains(word), "{why}");
        }
        assert_eq!(parse_header("YUV4MPEG2 W4 H4 F0:0").unwrap().rate, (30, 1));
    }

    #[test]
    fn every_layout_becomes_420() {
        for (layout, chroma_size, u) in
            [("420", (2, 2), 7), ("422", (2, 3), 7), ("444", (3, 3), 7), ("mono", (0, 0), 128)]
        {
            let header = parse_header(&format!("YUV4MPEG2 W3 H3 C{layout}")).unwrap();
            assert_eq!(header.chroma_size(), chroma_size, "{layout}");
            let (columns, rows) = chroma_size;
            let mut bytes = vec![90; 9];
            bytes.extend(vec![7; columns * rows]);
            bytes.extend(vec![9; columns * rows]);
            let frame = header.frame_of(&bytes).unwrap();
            assert_eq!((frame.width, frame.y.len(), frame.u[0]), (2, 4, u), "{layout}");
        }
    }

    proptest! {
        #[test]
        fn no_header_panics(line in "(YUV4MPEG2)?( [WHFCX]?[0-9a-zA-Z:=]{0,12}){0,6}") {
            let _ = parse_header(&line);
        }
    }
}
