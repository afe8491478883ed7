//! PURE: what a Matroska file (RFC 9559) consists of, as bytes: head, clusters, index. Knows neither files nor time
//! other than as milliseconds.
//!
//! ```text
//! EBML | Segment ( Void | Info | Tracks | Cluster | Cluster | … | Cues )
//!        ^ size        ^ duration                                at the end: size, duration and the Void's place,
//!                                                                which becomes the way to the Cues, are filled in
//! ```
//! Until then the Segment's size is unknown (RFC 8794 §6.2): a file that was cut off anywhere can be played up to there.

use bytes::Bytes;

/// RFC 8794 §6.2: a size of eight bytes that says that it is unknown.
const UNKNOWN: [u8; 8] = [0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
/// Room for the way to the Cues.
const SEEK_ROOM: usize = 32;
/// RFC 7845 §5.1: what the encoder's look-ahead puts before the sound, samples at 48 kHz: 6.5 ms, libopus's own.
const PRE_SKIP: u16 = 312;
/// RFC 7845 §4.6: what a decoder has to hear before its sound is right, ns.
const SEEK_PRE_ROLL: u64 = 80_000_000;
/// RFC 9559 §5.1.4.1.3: track types.
const VIDEO: u64 = 1;
const AUDIO: u64 = 2;

/// What a track is coded with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coding {
    /// Opus.
    Opus {
        /// 1 or 2.
        channels: u8,
    },
    /// H.264, lengths before NAL units.
    Avc {
        /// `AVCDecoderConfigurationRecord`, ISO/IEC 14496-15 §5.3.3.1.
        private: Vec<u8>,
        /// Columns and rows.
        size: (u32, u32),
    },
    /// VP8.
    Vp8 {
        /// Columns and rows.
        size: (u32, u32),
    },
}

/// A track as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// From 1.
    pub number: u8,
    /// Whose it is.
    pub name: String,
    /// Played where only one is.
    pub main: bool,
    /// What is in it.
    pub coding: Coding,
}

/// A coded frame in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Milliseconds since the beginning.
    pub ms: u64,
    /// Whose.
    pub track: u8,
    /// Whether decoding can start here.
    pub key: bool,
    /// The bytes.
    pub data: Bytes,
}

/// The beginning of a file, and where it is to be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Where the Segment's size stands.
    size_at: u64,
    /// Where the Segment's content begins: positions count from there.
    segment_at: u64,
    /// Where the duration stands.
    duration_at: u64,
}

/// Bytes to be written over others.
pub type Patch = (u64, Vec<u8>);

impl Head {
    /// The beginning of a file with these tracks, recorded from `unix` seconds on.
    pub fn new(tracks: &[Track], unix: u64) -> Self {
        let mut bytes = element(0x1A45_DFA3, &ebml());
        bytes.extend(id(0x1853_8067));
        let size_at = bytes.len() as u64;
        bytes.extend(UNKNOWN);
        let segment_at = bytes.len() as u64;
        bytes.extend(void());
        let (info, duration) = info(unix);
        // The element's own id and one byte of size stand before its content.
        let duration_at = bytes.len() as u64 + 5 + duration;
        bytes.extend(element(0x1549_A966, &info));
        let entries: Vec<u8> = tracks.iter().flat_map(|track| element(0xAE, &entry(track))).collect();
        bytes.extend(element(0x1654_AE6B, &entries));
        Self { bytes, size_at, segment_at, duration_at }
    }

    /// How long the file is by now.
    pub fn duration(&self, ms: u64) -> Patch {
        (self.duration_at, (ms as f64).to_be_bytes().to_vec())
    }

    /// The file is whole, `length` bytes, and its Cues stand at `cues`.
    pub fn finish(&self, length: u64, cues: u64) -> Vec<Patch> {
        let mut seek = element(0x53AB, &id(0x1C53_BB6B));
        seek.extend(element(0x53AC, &cues.saturating_sub(self.segment_at).to_be_bytes()));
        let mut head = element(0x114D_9B74, &element(0x4DBB, &seek));
        // What is left of the room: an element of two bytes and more.
        let rest = SEEK_ROOM.saturating_sub(head.len() + 2);
        head.extend(element(0xEC, &vec![0; rest]));
        let size = length.saturating_sub(self.segment_at) | (1 << 56);
        vec![(self.segment_at, head), (self.size_at, size.to_be_bytes().to_vec())]
    }

    /// The index: where each of these times, of a track, is found: at which place of the file.
    pub fn cues(&self, points: &[(u64, u8, u64)]) -> Vec<u8> {
        let point = |(ms, track, at): &(u64, u8, u64)| {
            let mut position = uint(0xF7, u64::from(*track));
            position.extend(uint(0xF1, at.saturating_sub(self.segment_at)));
            let mut point = uint(0xB3, *ms);
            point.extend(element(0xB7, &position));
            element(0xBB, &point)
        };
        element(0x1C53_BB6B, &points.iter().flat_map(point).collect::<Vec<u8>>())
    }
}

/// Blocks in the order of their time as one Cluster; those further than half a minute from the first belong into another.
pub fn cluster(blocks: &[Block]) -> Vec<u8> {
    let first = blocks.first().map_or(0, |block| block.ms);
    let mut content = uint(0xE7, first);
    for block in blocks {
        let after = i16::try_from(block.ms.saturating_sub(first)).unwrap_or(i16::MAX);
        let flags = if block.key { 0x80 } else { 0 };
        let mut simple = vec![0x80 | block.track];
        simple.extend(after.to_be_bytes());
        simple.push(flags);
        simple.extend(&block.data);
        content.extend(element(0xA3, &simple));
    }
    element(0x1F43_B675, &content)
}

fn ebml() -> Vec<u8> {
    let versions = [(0x4286, 1), (0x42F7, 1), (0x42F2, 4), (0x42F3, 8), (0x4287, 4), (0x4285, 2)];
    let mut content: Vec<u8> = versions.iter().flat_map(|&(id, value)| uint(id, value)).collect();
    content.extend(element(0x4282, b"matroska"));
    content
}

/// The Info's content, and where in it the duration stands.
fn info(unix: u64) -> (Vec<u8>, u64) {
    // §5.1.2.10 and RFC 8794 §7.6: dates count nanoseconds from the year 2001 on.
    let date = (unix as i64 - 978_307_200).saturating_mul(1_000_000_000);
    let mut content = element(0x4489, &0.0_f64.to_be_bytes());
    // Two bytes of id, one of size.
    let duration = 3;
    content.extend(uint(0x2A_D7B1, 1_000_000));
    content.extend(element(0x4461, &date.to_be_bytes()));
    content.extend(element(0x4D80, b"p2pcall"));
    content.extend(element(0x5741, concat!("p2pcall ", env!("CARGO_PKG_VERSION")).as_bytes()));
    (content, duration)
}

fn entry(track: &Track) -> Vec<u8> {
    let number = u64::from(track.number);
    let mut content = [uint(0xD7, number), uint(0x73C5, number), uint(0x9C, 0)].concat();
    content.extend(uint(0x88, track.main.into()));
    content.extend(element(0x22_B59C, b"und"));
    content.extend(element(0x536E, track.name.as_bytes()));
    match &track.coding {
        Coding::Opus { channels } => {
            content.extend(uint(0x83, AUDIO));
            content.extend(element(0x86, b"A_OPUS"));
            content.extend(element(0x63A2, &opus_head(*channels)));
            content.extend(uint(0x56AA, u64::from(PRE_SKIP) * 1_000_000 / 48));
            content.extend(uint(0x56BB, SEEK_PRE_ROLL));
            let rate = element(0xB5, &48_000.0_f64.to_be_bytes());
            content.extend(element(0xE1, &[rate, uint(0x9F, u64::from(*channels))].concat()));
        }
        Coding::Avc { private, size } => {
            content.extend(element(0x63A2, private));
            content.extend(picture(b"V_MPEG4/ISO/AVC", *size));
        }
        Coding::Vp8 { size } => content.extend(picture(b"V_VP8", *size)),
    }
    content
}

fn picture(codec: &[u8], (columns, rows): (u32, u32)) -> Vec<u8> {
    let video = [uint(0xB0, columns.into()), uint(0xBA, rows.into())].concat();
    [uint(0x83, VIDEO), element(0x86, codec), element(0xE0, &video)].concat()
}

/// RFC 7845 §5.1.
fn opus_head(channels: u8) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels);
    head.extend(PRE_SKIP.to_le_bytes());
    head.extend(48_000_u32.to_le_bytes());
    // No gain, one stream.
    head.extend([0, 0, 0]);
    head
}

/// What stands where the way to the Cues will.
fn void() -> Vec<u8> {
    element(0xEC, &[0; SEEK_ROOM - 2])
}

/// RFC 8794 §5: an id has its length in its first byte, as it is written down.
fn id(id: u32) -> Vec<u8> {
    id.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect()
}

/// An element: id, size, content.
fn element(name: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = id(name);
    bytes.extend(size(content.len() as u64));
    bytes.extend(content);
    bytes
}

/// RFC 8794 §4: a size in as few bytes as hold it; all ones are kept for "unknown".
fn size(size: u64) -> Vec<u8> {
    let length = (1..8).find(|length| size < (1 << (7 * length)) - 1).unwrap_or(8);
    let marked = size | (1 << (7 * length));
    marked.to_be_bytes().into_iter().skip(8 - length).collect()
}

/// An unsigned integer, in as few bytes as hold it.
fn uint(name: u32, value: u64) -> Vec<u8> {
    let length = (64 - value.leading_zeros()).div_ceil(8).max(1) as usize;
    let bytes: Vec<u8> = value.to_be_bytes().into_iter().skip(8 - length).collect();
    element(name, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ids_are_those_of_the_examples() {
        // RFC 8794 §4.4, table 1 and 2: 2 in one byte; 127 would be "unknown" there.
        assert_eq!(size(2), [0x82]);
        assert_eq!(size(126), [0xFE]);
        assert_eq!(size(127), [0x40, 0x7F]);
        assert_eq!(size(16_382), [0x7F, 0xFE]);
        assert_eq!(size(16_383), [0x20, 0x3F, 0xFF]);
        assert_eq!(uint(0xD7, 0), [0xD7, 0x81, 0]);
        assert_eq!(uint(0x2A_D7B1, 1_000_000), [0x2A, 0xD7, 0xB1, 0x83, 0x0F, 0x42, 0x40]);
    }

    #[test]
    fn what_is_filled_in_takes_the_place_of_as_many_bytes() {
        let track = Track { number: 1, name: "Bob".into(), main: true, coding: Coding::Opus { channels: 1 } };
        let head = Head::new(&[track], 0);
        let at = head.duration_at as usize;
        assert_eq!(head.bytes[at - 3..at], [0x44, 0x89, 0x88]);
        assert_eq!(head.bytes[head.size_at as usize - 4..][..12], [&id(0x1853_8067)[..], &UNKNOWN].concat());
        let patches = head.finish(1_000_000, 999_000);
        assert_eq!(patches[0].1.len(), void().len());
        assert_eq!(head.bytes[patches[0].0 as usize..][..2], [0xEC, 0x80 | 30]);
        let whole = 1_000_000 - head.segment_at;
        assert_eq!(patches[1], (head.size_at, [&[1], &whole.to_be_bytes()[1..]].concat()));
    }

    #[test]
    fn a_cluster_counts_its_blocks_from_the_first() {
        let block = |ms, key| Block { ms, track: 2, key, data: Bytes::from_static(b"x") };
        let bytes = cluster(&[block(1_000, true), block(1_033, false)]);
        let expected = [
            &[0x1F, 0x43, 0xB6, 0x75, 0x92, 0xE7, 0x82, 0x03, 0xE8][..],
            &[0xA3, 0x85, 0x82, 0, 0, 0x80, b'x'],
            &[0xA3, 0x85, 0x82, 0, 33, 0, b'x'],
        ];
        assert_eq!(bytes, expected.concat());
    }
}
