//! Telling datagrams apart (RFC 7983) and cutting a stream into messages (RFC 8489 §6.2.2, RFC 8656 §12.5).

use super::channel::CHANNEL_HEADER;
use super::header::{HEADER_LENGTH, MAGIC_COOKIE};

/// What a datagram is by its first byte (RFC 7983 §7, with the TURN range of RFC 5766 as ChannelData).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demux {
    /// A STUN message: top bits zero and, if that many bytes are there, the magic cookie.
    Stun,
    /// TURN ChannelData.
    ChannelData,
    /// A DTLS record.
    Dtls,
    /// RTP or RTCP.
    Rtp,
    /// None of these.
    Other,
}

impl Demux {
    /// Looks at the first eight bytes at most.
    pub fn of(datagram: &[u8]) -> Self {
        match datagram {
            [0..=3, _, _, _, c3, c2, c1, c0, ..] if [*c3, *c2, *c1, *c0] == MAGIC_COOKIE.to_be_bytes() => {
                Self::Stun
            }
            [20..=63, ..] => Self::Dtls,
            [0x40..=0x7F, ..] => Self::ChannelData,
            [128..=191, ..] => Self::Rtp,
            // Methods above 0xFF would begin with 4 to 63; none is assigned.
            _ => Self::Other,
        }
    }
}

/// The stream carries neither STUN nor ChannelData: nothing can be found in it any more, so close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither STUN nor ChannelData")]
pub struct NotFramed;

/// How many bytes the message at the start of a stream takes, padding included; `None` until enough has come
/// to tell. At most 65,555.
///
/// On a stream ChannelData is padded to a multiple of four (RFC 8656 §12.5).
pub fn frame_length(stream: &[u8]) -> Result<Option<usize>, NotFramed> {
    let Some(&[first, _, l1, l0]) = stream.first_chunk() else {
        return if stream.first().is_none_or(|&first| first < 0x80) { Ok(None) } else { Err(NotFramed) };
    };
    let length = usize::from(u16::from_be_bytes([l1, l0]));
    match first {
        0x00..0x40 if length.is_multiple_of(4) => {
            let cookie = stream.get(4..).unwrap_or_default().iter();
            let agrees = cookie.zip(MAGIC_COOKIE.to_be_bytes()).all(|(have, want)| *have == want);
            if agrees { Ok(Some(HEADER_LENGTH + length)) } else { Err(NotFramed) }
        }
        0x40..0x80 => Ok(Some(CHANNEL_HEADER + length.next_multiple_of(4))),
        _ => Err(NotFramed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_told_apart() {
        let stun = [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
        let not_stun = [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x43];
        for (bytes, kind) in [
            (&stun[..], Demux::Stun),
            (&not_stun, Demux::Other),
            (&stun[..7], Demux::Other),
            (&[], Demux::Other),
            (&[20], Demux::Dtls),
            (&[63], Demux::Dtls),
            (&[0x40], Demux::ChannelData),
            (&[0x7F], Demux::ChannelData),
            (&[128], Demux::Rtp),
            (&[191], Demux::Rtp),
            (&[192], Demux::Other),
        ] {
            assert_eq!(Demux::of(bytes), kind, "{bytes:?}");
        }
    }

    #[test]
    fn a_stream_says_how_long_its_next_message_is() {
        for (bytes, length) in [
            (&[][..], Ok(None)),
            (&[0, 1, 0], Ok(None)),
            (&[0, 1, 0, 8], Ok(Some(28))),
            (&[0, 1, 0, 8, 0x21, 0x12], Ok(Some(28))),
            (&[0, 1, 0, 8, 0x21, 0x13], Err(NotFramed)),
            (&[0, 1, 0, 7], Err(NotFramed)),
            (&[0, 1, 0xFF, 0xFC], Ok(Some(20 + 0xFFFC))),
            (&[0x40, 0, 0, 0], Ok(Some(4))),
            (&[0x40, 0, 0, 5], Ok(Some(12))),
            (&[0x7F, 0xFE, 0xFF, 0xFF], Ok(Some(65_540))),
            (&[0x80], Err(NotFramed)),
            (b"GET ", Ok(Some(4 + 0x5420))),
            (&[0x16, 3, 1, 0, 0xC8, 1], Err(NotFramed)),
        ] {
            assert_eq!(frame_length(bytes), length, "{bytes:?}");
        }
    }
}
