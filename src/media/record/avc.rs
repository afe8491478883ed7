//! PURE: pictures as files want them: H.264 from its stream format (ITU-T H.264 Annex B) to that of files (ISO/IEC
//! 14496-15), and the size of a key picture, VP8's too. Parameter sets stay in the stream as well: a picture's size may
//! change in mid-call, and a decoder takes what comes last.

/// NAL unit types, H.264 table 7-1.
const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;
/// Profiles with a chroma format in their parameter sets, §7.3.2.1.1.
const HIGH: [u8; 7] = [100, 110, 122, 244, 44, 83, 86];

/// The NAL units between start codes.
fn units(stream: &[u8]) -> Vec<&[u8]> {
    let mut starts: Vec<usize> = Vec::new();
    for (index, three) in stream.windows(3).enumerate() {
        if three == [0, 0, 1] {
            starts.push(index);
        }
    }
    let ends = starts.iter().skip(1).copied().chain([stream.len()]);
    let unit = |(start, end): (&usize, usize)| {
        let unit = stream.get(start + 3..end)?;
        // §B.1: zeros before a start code are not the unit's.
        let length = unit.iter().rposition(|byte| *byte != 0)? + 1;
        unit.get(..length)
    };
    starts.iter().zip(ends).filter_map(unit).collect()
}

fn kind(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |header| header & 0x1F)
}

/// A picture with a length before each unit, of four bytes.
pub(super) fn with_lengths(stream: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(stream.len() + 8);
    for unit in units(stream).into_iter().filter(|unit| kind(unit) != DELIMITER) {
        out.extend((unit.len() as u32).to_be_bytes());
        out.extend(unit);
    }
    out
}

/// The configuration record of a key picture, and its columns and rows.
pub(super) fn configuration(stream: &[u8]) -> Option<(Vec<u8>, (u32, u32))> {
    let units = units(stream);
    let of = |wanted| units.iter().copied().find(|unit| kind(unit) == wanted);
    let (sps, pps) = (of(SPS)?, of(PPS)?);
    let &[_, profile, constraints, level, ..] = sps else { return None };
    // Lengths of four bytes, one set of each kind.
    let mut record = vec![1, profile, constraints, level, 0xFF, 0xE1];
    record.extend(u16::try_from(sps.len()).ok()?.to_be_bytes());
    record.extend(sps);
    record.push(1);
    record.extend(u16::try_from(pps.len()).ok()?.to_be_bytes());
    record.extend(pps);
    Some((record, size(sps)?))
}

/// Columns and rows of a sequence parameter set, §7.3.2.1.1.
fn size(sps: &[u8]) -> Option<(u32, u32)> {
    let mut bits = Bits::new(sps.get(1..)?);
    let profile = bits.take(8)? as u8;
    bits.take(16)?;
    bits.golomb()?;
    let mut chroma = 1;
    if HIGH.contains(&profile) {
        chroma = bits.golomb()?;
        bits.golomb()?;
        bits.golomb()?;
        bits.take(1)?;
        // Scaling matrices: no sender of calls has them.
        (bits.take(1)? == 0).then_some(())?;
    }
    bits.golomb()?;
    match bits.golomb()? {
        0 => drop(bits.golomb()?),
        1 => return None,
        _ => {}
    }
    bits.golomb()?;
    bits.take(1)?;
    let across = bits.golomb()?.checked_add(1)?.checked_mul(16)?;
    let down = bits.golomb()?.checked_add(1)?.checked_mul(16)?;
    let frames_only = bits.take(1)?;
    let down = down.checked_mul(2 - frames_only)?;
    if frames_only == 0 {
        bits.take(1)?;
    }
    bits.take(1)?;
    let mut crop = [0; 4];
    if bits.take(1)? == 1 {
        for side in &mut crop {
            *side = bits.golomb()?;
        }
    }
    let [left, right, top, bottom] = crop;
    let (step_across, step_down) = (if chroma == 3 { 1 } else { 2 }, if chroma == 1 { 2 } else { 1 });
    let cut = |whole: u32, one: u32, other: u32, step: u32| {
        whole.checked_sub(one.checked_add(other)?.checked_mul(step)?).filter(|rest| *rest > 0)
    };
    Some((cut(across, left, right, step_across)?, cut(down, top, bottom, step_down * (2 - frames_only))?))
}

/// Columns and rows of a VP8 key frame, RFC 6386 §9.1.
pub(super) fn vp8_size(frame: &[u8]) -> Option<(u32, u32)> {
    let &[_, _, _, 0x9D, 0x01, 0x2A, a, b, c, d, ..] = frame else { return None };
    let length = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3FFF);
    Some((length(a, b), length(c, d))).filter(|(across, down)| *across > 0 && *down > 0)
}

/// Bits of a unit, the bytes that only prevent start codes left out (§7.4.1).
struct Bits {
    bytes: Vec<u8>,
    at: usize,
}

impl Bits {
    fn new(unit: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(unit.len());
        let mut zeros = 0;
        for &byte in unit {
            if byte != 3 || zeros < 2 {
                bytes.push(byte);
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
        }
        Self { bytes, at: 0 }
    }

    fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = (value << 1) | u32::from((byte >> (7 - self.at % 8)) & 1);
            self.at += 1;
        }
        Some(value)
    }

    /// §9.1: ue(v).
    fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.take(1)? == 0 {
            zeros += 1;
        }
        (zeros < 32).then_some(())?;
        self.take(zeros)?.checked_add((1 << zeros) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_get_lengths_and_lose_start_codes() {
        let stream = [0, 0, 0, 1, 9, 0xF0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x65, 0, 0, 3, 9];
        assert_eq!(with_lengths(&stream), [0, 0, 0, 3, 0x67, 1, 2, 0, 0, 0, 5, 0x65, 0, 0, 3, 9]);
        assert_eq!(configuration(&stream), None, "no picture parameter set");
    }

    #[test]
    fn a_real_key_picture_tells_its_size() {
        for size in [(640, 360), (160, 90), (1280, 720)] {
            use crate::media::frame::{Codec, VideoFrame};
            use crate::media::video::{VideoTarget, encoder};
            let target = VideoTarget { kbps: 300, fps: 30 };
            for codec in crate::media::video_codecs() {
                let coded = encoder(codec, target)
                    .unwrap()
                    .encode(&VideoFrame::black(size.0, size.1))
                    .unwrap()
                    .unwrap();
                match codec {
                    Codec::H264 => assert_eq!(configuration(&coded.data).unwrap().1, size),
                    _ => assert_eq!(vp8_size(&coded.data), Some(size)),
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(0x67), Just(0x68), any::<u8>()], 0..300)) {
            with_lengths(&bytes);
            let _ = configuration(&bytes);
            let _ = size(&bytes);
            let _ = vp8_size(&bytes);
        }
    }
}
