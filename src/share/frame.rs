//! PURE: what goes over a file's channel, values to bytes and back. All numbers are big-endian.
//!
//! ```text
//! 0 | id 4 | offset 8 | bytes …      a piece of the file, from the one who sends it
//! 1 | id 4 | SHA-256 32              it is whole
//! 2 | id 4 | bytes kept 8            from the one who takes it, after each piece
//! ```

use bytes::{BufMut, Bytes, BytesMut};

/// The longest piece, bytes.
pub const MAX_PIECE: usize = 16 * 1024;

/// The longest message, bytes: a piece with its head.
pub const MAX_FRAME: usize = 13 + MAX_PIECE;

/// One message of a file's channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Bytes of the file.
    Piece {
        /// Which file.
        id: u32,
        /// Where they belong.
        offset: u64,
        /// At least one, at most [`MAX_PIECE`].
        bytes: Bytes,
    },
    /// The file has ended.
    End {
        /// Which file.
        id: u32,
        /// SHA-256 over all of it.
        digest: [u8; 32],
    },
    /// The other end has so much.
    Got {
        /// Which file.
        id: u32,
        /// Bytes, from its beginning.
        bytes: u64,
    },
}

impl Frame {
    /// As bytes.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(48);
        match self {
            Self::Piece { id, offset, bytes } => {
                out.reserve(13 + bytes.len());
                out.put_u8(0);
                out.put_u32(*id);
                out.put_u64(*offset);
                out.put_slice(bytes);
            }
            Self::End { id, digest } => {
                out.put_u8(1);
                out.put_u32(*id);
                out.put_slice(digest);
            }
            Self::Got { id, bytes } => {
                out.put_u8(2);
                out.put_u32(*id);
                out.put_u64(*bytes);
            }
        }
        out.freeze()
    }

    /// Out of foreign bytes; `None` for what is none.
    pub fn decode(bytes: &Bytes) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let (id, rest) = rest.split_first_chunk()?;
        let id = u32::from_be_bytes(*id);
        match kind {
            0 => {
                let (offset, piece) = rest.split_first_chunk()?;
                let fits = (1..=MAX_PIECE).contains(&piece.len());
                fits.then(|| Self::Piece {
                    id,
                    offset: u64::from_be_bytes(*offset),
                    bytes: bytes.slice_ref(piece),
                })
            }
            1 => Some(Self::End { id, digest: rest.try_into().ok()? }),
            2 => Some(Self::Got { id, bytes: u64::from_be_bytes(rest.try_into().ok()?) }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decode_undoes_encode() {
        for frame in [
            Frame::Piece { id: 7, offset: u64::MAX, bytes: Bytes::from_static(b"hello") },
            Frame::Piece { id: 0, offset: 0, bytes: vec![1; MAX_PIECE].into() },
            Frame::End { id: 1, digest: [9; 32] },
            Frame::Got { id: u32::MAX, bytes: 1 << 40 },
        ] {
            assert_eq!(Frame::decode(&frame.encode()), Some(frame));
        }
    }

    #[test]
    fn what_is_too_long_or_too_short_is_refused() {
        let long = Frame::Piece { id: 7, offset: 0, bytes: vec![0; MAX_PIECE + 1].into() };
        let empty = Frame::Piece { id: 7, offset: 0, bytes: Bytes::new() };
        for bytes in [long.encode(), empty.encode(), Bytes::new(), Bytes::from_static(&[1, 0, 0, 0, 0, 7])] {
            assert_eq!(Frame::decode(&bytes), None);
        }
    }

    proptest! {
        #[test]
        fn anything_decodes_or_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let bytes = Bytes::from(bytes);
            if let Some(frame) = Frame::decode(&bytes) {
                prop_assert_eq!(frame.encode(), bytes);
            }
        }
    }
}
