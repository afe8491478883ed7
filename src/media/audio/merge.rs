//! Several Opus packets as one (RFC 6716 §3.2.5), so that they share the headers around them. Decodes nothing.

use crate::media::frame::EncodedFrame;
use bytes::{BufMut, BytesMut};

/// RFC 6716 §3.2.1: the longest frame, and from which length on a length takes two bytes.
const LONGEST: usize = 1_275;
const TWO_BYTES: usize = 252;
/// §3.2.5: a count byte that says that frames differ in length.
const VARIABLE: u8 = 0x80;
/// §3.2.5 R5: a packet lasts at most 120 ms; ours are frames of 20 ms.
const MOST: usize = 6;

/// The frames as one, if each is a packet of one frame of the same kind; else as they are.
pub fn merged(frames: Vec<EncodedFrame>) -> Vec<EncodedFrame> {
    match together(&frames) {
        Some(frame) => vec![frame],
        None => frames,
    }
}

fn together(frames: &[EncodedFrame]) -> Option<EncodedFrame> {
    let (first, rest) = frames.split_first()?;
    let toc = *first.data.first()?;
    let alike = |frame: &EncodedFrame| {
        frame.codec == first.codec && frame.data.first() == Some(&toc) && frame.data.len() <= LONGEST + 1
    };
    // §3.1: the low two bits say how many frames there are; 0 is one.
    if rest.is_empty() || frames.len() > MOST || toc & 3 != 0 || !frames.iter().all(alike) {
        return None;
    }
    let mut data = BytesMut::new();
    data.put_u8(toc | 3);
    data.put_u8(VARIABLE | u8::try_from(frames.len()).ok()?);
    let payload = |frame: &EncodedFrame| frame.data.slice(1..);
    for frame in frames.iter().take(rest.len()) {
        put_length(&mut data, frame.data.len() - 1);
    }
    for frame in frames {
        data.put(payload(frame));
    }
    let duration = frames.iter().map(|frame| frame.duration).sum();
    Some(EncodedFrame { data: data.freeze(), duration, ..first.clone() })
}

/// §3.2.1.
fn put_length(data: &mut BytesMut, length: usize) {
    if length < TWO_BYTES {
        data.put_u8(length as u8);
    } else {
        let low = TWO_BYTES + (length & 3);
        data.put_u8(low as u8);
        data.put_u8(((length - low) / 4) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::audio::{Decoder, Encoder};
    use crate::media::frame::{Codec, FRAME_DURATION, FRAME_SAMPLES};
    use bytes::Bytes;
    use std::time::Duration;

    fn frame(data: Bytes, n: u32) -> EncodedFrame {
        EncodedFrame { codec: Codec::Opus, data, key: true, at: FRAME_DURATION * n, duration: FRAME_DURATION }
    }

    #[test]
    fn what_is_merged_sounds_as_before() {
        let mut encoder = Encoder::new().unwrap();
        // Loud noise makes frames whose length takes two bytes.
        // Above, packets carry DRED as well, and go alone: headers weigh little there.
        for bitrate in [16_000, 32_000] {
            encoder.set_bitrate(bitrate).unwrap();
            let mut random = 1u32;
            let frames: Vec<EncodedFrame> = (0..30)
                .map(|n| {
                    let mut sound = [0.0; FRAME_SAMPLES];
                    for sample in &mut sound {
                        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        *sample = (random >> 8) as f32 / 16_777_216.0 - 0.5;
                    }
                    frame(Bytes::copy_from_slice(encoder.encode(&sound).unwrap()), n)
                })
                .collect();
            let (mut apart, mut merged_sound) = (Vec::new(), Vec::new());
            let (mut one, mut other) = (Decoder::new().unwrap(), Decoder::new().unwrap());
            let mut packets = 0;
            for three in frames.chunks(3) {
                for frame in three {
                    one.decode(&frame.data, &mut apart).unwrap();
                }
                for packet in merged(three.to_vec()) {
                    other.decode(&packet.data, &mut merged_sound).unwrap();
                    packets += 1;
                }
            }
            assert!(packets <= 14, "{packets} at {bitrate}");
            assert_eq!(apart, merged_sound);
        }
    }

    #[test]
    fn the_first_one_s_time_and_the_sum_of_their_durations() {
        let frames: Vec<_> = (4..7).map(|n| frame(Bytes::from_static(&[0x48, 1, 2]), n)).collect();
        let merged = merged(frames);
        assert_eq!(merged.len(), 1);
        assert_eq!((merged[0].at, merged[0].duration), (FRAME_DURATION * 4, Duration::from_millis(60)));
        assert_eq!(&merged[0].data[..], [0x4b, 0x83, 2, 2, 1, 2, 1, 2, 1, 2]);
    }

    #[test]
    fn what_does_not_go_together_stays_apart() {
        let packets: [&'static [u8]; 4] = [&[0x48, 1], &[0x4b, 1], &[0x50, 1], &[]];
        for other in packets.iter().skip(1) {
            let frames = vec![frame(Bytes::from_static(packets[0]), 0), frame(Bytes::from_static(other), 1)];
            assert_eq!(merged(frames.clone()), frames);
        }
        let alone = vec![frame(Bytes::from_static(packets[0]), 0)];
        assert_eq!(merged(alone.clone()), alone);
        assert!(merged(Vec::new()).is_empty());
    }
}
