//! ChannelData: a number, a length and the data itself (RFC 8656 §12.4).

/// The bytes before the data.
pub const CHANNEL_HEADER: usize = 4;

/// A channel number that is in range: 0x4000 to 0x7FFF.
///
/// RFC 8656 §12 stops at 0x4FFF; clients of RFC 5766 (§11) still use all up to 0x7FFF, so these are taken too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelNumber(u16);

impl ChannelNumber {
    /// The first one.
    pub const FIRST: Self = Self(0x4000);

    /// `None` outside the range.
    pub fn new(number: u16) -> Option<Self> {
        (0x4000..=0x7FFF).contains(&number).then_some(Self(number))
    }

    /// The number on the wire.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// A ChannelData message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelData<'a> {
    /// The channel.
    pub channel: ChannelNumber,
    /// What it carries.
    pub data: &'a [u8],
}

impl<'a> ChannelData<'a> {
    /// `None` if it is none or cut off. Bytes after the data are padding and ignored (RFC 8656 §12.5).
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&[n1, n0, l1, l0], rest) = bytes.split_first_chunk()?;
        let channel = ChannelNumber::new(u16::from_be_bytes([n1, n0]))?;
        let data = rest.get(..usize::from(u16::from_be_bytes([l1, l0])))?;
        Some(Self { channel, data })
    }

    /// The four bytes that go before data of this length.
    pub const fn header(channel: ChannelNumber, length: u16) -> [u8; CHANNEL_HEADER] {
        let ([n1, n0], [l1, l0]) = (channel.0.to_be_bytes(), length.to_be_bytes());
        [n1, n0, l1, l0]
    }

    /// Writes the message, without padding, to the start of `buffer`; its length, or `None` if it does not fit.
    pub fn write(&self, buffer: &mut [u8]) -> Option<usize> {
        let length = u16::try_from(self.data.len()).ok()?;
        let end = CHANNEL_HEADER + self.data.len();
        let (header, data) = buffer.get_mut(..end)?.split_at_mut(CHANNEL_HEADER);
        header.copy_from_slice(&Self::header(self.channel, length));
        data.copy_from_slice(self.data);
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_out_of_range_do_not_exist() {
        for (number, valid) in
            [(0x3FFF, false), (0x4000, true), (0x4FFF, true), (0x7FFF, true), (0x8000, false)]
        {
            assert_eq!(ChannelNumber::new(number).is_some(), valid, "{number:#x}");
        }
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(number in 0x4000u16..0x8000, data: Vec<u8>, padding in 0usize..4) {
            let message = ChannelData { channel: ChannelNumber::new(number).unwrap(), data: &data };
            let mut buffer = vec![0; 4 + data.len() + padding];
            prop_assert_eq!(message.write(&mut buffer), Some(4 + data.len()));
            prop_assert_eq!(ChannelData::parse(&buffer), Some(message));
            prop_assert_eq!(ChannelData::parse(&buffer[..3 + data.len()]), None);
            prop_assert_eq!(message.write(&mut buffer[..3 + data.len()]), None);
        }

        #[test]
        fn reading_anything_never_panics(bytes: Vec<u8>) {
            let _ = ChannelData::parse(&bytes);
        }
    }
}
