//! The RTP payload formats of H.264 (RFC 6184, packetization mode 1) and VP8 (RFC 7741), unpacked. PURE; takes
//! nothing on trust.

use crate::media::frame::Codec;

/// A picture put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) data: Vec<u8>,
    pub(super) key: bool,
}

/// RFC 6184 §5.2: NAL unit and packet types.
mod nal {
    pub(super) const IDR: u8 = 5;
    pub(super) const SPS: u8 = 7;
    pub(super) const AUD: u8 = 9;
    pub(super) const LAST_SINGLE: u8 = 23;
    pub(super) const STAP_A: u8 = 24;
    pub(super) const FU_A: u8 = 28;
    pub(super) const START_CODE: [u8; 4] = [0, 0, 0, 1];
}

/// Puts the payloads of one picture together, in order. `None` when they make none.
pub(super) fn assemble<'a>(
    codec: Codec,
    payloads: impl Iterator<Item = (Codec, &'a [u8])>,
) -> Option<Picture> {
    let mut picture = Picture { data: Vec::new(), key: false };
    let mut fragment_open = false;
    for (of, payload) in payloads {
        if of != codec {
            return None;
        }
        match codec {
            Codec::H264 => append_h264(&mut picture, &mut fragment_open, payload)?,
            Codec::Vp8 => append_vp8(&mut picture, payload)?,
            Codec::Opus => return None,
        }
    }
    (!picture.data.is_empty() && !fragment_open).then_some(picture)
}

/// Whether a packet surely is the first of a picture. H.264 slices don't tell; parameter sets and delimiters
/// do.
pub(super) fn starts_picture(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::H264 => matches!(first_nal(payload), Some(nal::SPS | nal::AUD)),
        Codec::Vp8 => vp8_descriptor(payload).is_some_and(|descriptor| descriptor.starts),
        Codec::Opus => false,
    }
}

/// The type of the first NAL unit in a packet, looking into an aggregate.
fn first_nal(payload: &[u8]) -> Option<u8> {
    match *payload {
        [first, _, _, inner, ..] if first & 31 == nal::STAP_A => Some(inner & 31),
        [first, ..] => Some(first & 31),
        [] => None,
    }
}

/// Whether a packet surely is the first of a key frame: H.264 ones begin with an SPS.
pub(super) fn starts_key_picture(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::H264 => first_nal(payload) == Some(nal::SPS),
        Codec::Vp8 => {
            vp8_descriptor(payload).is_some_and(|descriptor| descriptor.starts && is_vp8_key(descriptor.rest))
        }
        Codec::Opus => false,
    }
}

fn append_h264(picture: &mut Picture, fragment_open: &mut bool, payload: &[u8]) -> Option<()> {
    let (&first, rest) = payload.split_first()?;
    let kind = first & 31;
    if *fragment_open && kind != nal::FU_A {
        return None;
    }
    match kind {
        1..=nal::LAST_SINGLE => push_nal(picture, payload),
        nal::STAP_A => append_stap(picture, rest),
        nal::FU_A => append_fragment(picture, fragment_open, first, rest),
        _ => None,
    }
}

fn push_nal(picture: &mut Picture, unit: &[u8]) -> Option<()> {
    let first = unit.first()?;
    picture.key |= first & 31 == nal::IDR;
    picture.data.extend_from_slice(&nal::START_CODE);
    picture.data.extend_from_slice(unit);
    Some(())
}

/// RFC 6184 §5.7.1: NAL units, each behind its length.
fn append_stap(picture: &mut Picture, mut rest: &[u8]) -> Option<()> {
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        let (unit, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        push_nal(picture, unit)?;
        rest = behind;
    }
    Some(())
}

/// RFC 6184 §5.8: a NAL unit in pieces; the header says which is the first and the last.
fn append_fragment(picture: &mut Picture, open: &mut bool, indicator: u8, rest: &[u8]) -> Option<()> {
    let (&header, piece) = rest.split_first()?;
    let (start, end) = (header & 0x80 != 0, header & 0x40 != 0);
    if start == *open {
        return None;
    }
    if start {
        push_nal(picture, &[indicator & 0xe0 | header & 31])?;
    }
    picture.data.extend_from_slice(piece);
    *open = !end;
    Some(())
}

/// RFC 7741 §4.2.
struct Vp8Descriptor<'a> {
    /// The first packet of the first partition.
    starts: bool,
    rest: &'a [u8],
}

fn vp8_descriptor(payload: &[u8]) -> Option<Vp8Descriptor<'_>> {
    let (&first, mut rest) = payload.split_first()?;
    if first & 0x80 != 0 {
        let (&extensions, behind) = rest.split_first()?;
        let picture_id = match behind.first() {
            _ if extensions & 0x80 == 0 => 0,
            Some(id) if id & 0x80 != 0 => 2,
            _ => 1,
        };
        let tl0 = usize::from(extensions & 0x40 != 0);
        let tid_or_key = usize::from(extensions & 0x30 != 0);
        rest = behind.get(picture_id + tl0 + tid_or_key..)?;
    }
    Some(Vp8Descriptor { starts: first & 0x17 == 0x10, rest })
}

/// RFC 6386 §9.1: the lowest bit of a frame's first byte is 0 in a key frame.
fn is_vp8_key(frame: &[u8]) -> bool {
    frame.first().is_some_and(|first| first & 1 == 0)
}

fn append_vp8(picture: &mut Picture, payload: &[u8]) -> Option<()> {
    let descriptor = vp8_descriptor(payload)?;
    if descriptor.rest.is_empty() || descriptor.starts != picture.data.is_empty() {
        return None;
    }
    if descriptor.starts {
        picture.key = is_vp8_key(descriptor.rest);
    }
    picture.data.extend_from_slice(descriptor.rest);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn h264(payloads: &[&[u8]]) -> Option<Picture> {
        assemble(Codec::H264, payloads.iter().map(|payload| (Codec::H264, *payload)))
    }

    #[test]
    fn h264_payloads_become_annex_b() {
        let whole = h264(&[
            &[24, 0, 2, 0x67, 1, 0, 1, 0x68],
            &[0x7c, 0x85, 9],
            &[0x7c, 0x05, 8],
            &[0x7c, 0x45, 7],
            &[0x61, 4],
        ]);
        let data =
            [0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 0, 0, 0, 1, 0x65, 9, 8, 7, 0, 0, 0, 1, 0x61, 4].to_vec();
        assert_eq!(whole, Some(Picture { data, key: true }));
        for broken in [
            &[&[0x7c, 0x05, 8][..]][..],
            &[&[0x7c, 0x85, 8]],
            &[&[0x7c, 0x85, 8], &[0x61, 1]],
            &[&[24, 0, 9, 1]],
            &[&[29, 0]],
            &[&[0x7c]],
            &[],
        ] {
            assert_eq!(h264(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn vp8_descriptors_of_every_length_are_skipped() {
        for (descriptor, more) in [
            (&[0x10][..], &[0x00][..]),
            (&[0x90, 0x80, 0x12], &[0x80, 0x80, 0x12]),
            (&[0x90, 0xf0, 0x92, 0x34, 5, 6], &[0x80, 0xf0, 0x92, 0x34, 5, 6]),
        ] {
            let (first, second) = ([descriptor, &[0x10, 1, 2]].concat(), [more, &[3]].concat());
            let parts = [(Codec::Vp8, &*first), (Codec::Vp8, &*second)];
            assert_eq!(
                assemble(Codec::Vp8, parts.into_iter()),
                Some(Picture { data: vec![0x10, 1, 2, 3], key: true })
            );
            assert!(starts_key_picture(Codec::Vp8, &first) && !starts_picture(Codec::Vp8, &second));
            assert_eq!(assemble(Codec::Vp8, parts.into_iter().skip(1)), None);
        }
    }

    proptest! {
        #[test]
        fn hostile_payloads_never_panic(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
            for codec in [Codec::H264, Codec::Vp8, Codec::Opus] {
                let _ = assemble(codec, payloads.iter().map(|payload| (codec, &**payload)));
                for payload in &payloads {
                    let _ = (starts_picture(codec, payload), starts_key_picture(codec, payload));
                }
            }
        }
    }
}
