//! The shapes of attribute values: how each is read from and written to the bytes of one attribute.
//!
//! Knows neither which attribute has which shape (that is the table in `attr`) nor whole messages.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::header::{MAGIC_COOKIE, TransactionId};
use super::integrity::PasswordAlgorithm;

/// A way to read and write the value of an attribute.
pub trait Value {
    /// What the value is in Rust.
    type Of<'a>;
    /// Reads it; `None` if the bytes are not such a value.
    fn read<'a>(bytes: &'a [u8], id: &TransactionId) -> Option<Self::Of<'a>>;
    /// Writes it.
    fn write(value: Self::Of<'_>, id: &TransactionId, out: &mut Writer<'_>);
}

/// A cursor over a caller's buffer that remembers when it was too small instead of failing at each step.
#[derive(Debug)]
pub struct Writer<'b> {
    pub(super) buffer: &'b mut [u8],
    pub(super) length: usize,
    pub(super) full: bool,
}

impl Writer<'_> {
    /// Appends these bytes, or marks the writer full.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        match self.buffer.get_mut(self.length..end) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.length = end;
            }
            None => self.full = true,
        }
    }

    /// Appends zeros until the length is a multiple of four (RFC 8489 §14: sent as zero).
    pub(super) fn pad(&mut self) {
        let missing = self.length.next_multiple_of(4) - self.length;
        self.bytes([0; 3].get(..missing).unwrap_or_default());
    }
}

/// IPv4 or IPv6, as attributes number them (RFC 8489 §14.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressFamily {
    /// 0x01
    V4,
    /// 0x02
    V6,
    /// Anything else: answered by 440, not ignored.
    Other(u8),
}

impl AddressFamily {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::V4,
            2 => Self::V6,
            other => Self::Other(other),
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::V4 => 1,
            Self::V6 => 2,
            Self::Other(other) => other,
        }
    }
}

/// The value of ERROR-CODE: 300 to 699 and a phrase for people (RFC 8489 §14.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode<'a> {
    /// The number.
    pub code: u16,
    /// The phrase, at most 127 characters; it comes from the other side: make it harmless before showing it.
    pub reason: &'a str,
}

/// The value of the ICMP attribute (RFC 8656 §18.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// The ICMP type.
    pub kind: u8,
    /// The ICMP code.
    pub code: u8,
    /// The error's own data, such as the next hop's MTU.
    pub data: u32,
}

/// Any bytes.
#[derive(Debug)]
pub struct Bytes;
/// UTF-8.
#[derive(Debug)]
pub struct Text;
/// No value at all.
#[derive(Debug)]
pub struct Flag;
/// One byte.
#[derive(Debug)]
pub struct U8;
/// One byte and three reserved ones.
#[derive(Debug)]
pub struct PaddedU8;
/// Two bytes and two reserved ones.
#[derive(Debug)]
pub struct PaddedU16;
/// Four bytes.
#[derive(Debug)]
pub struct U32;
/// Eight bytes.
#[derive(Debug)]
pub struct U64;
/// An address family and three reserved bytes.
#[derive(Debug)]
pub struct Family;
/// An address in clear.
#[derive(Debug)]
pub struct Address;
/// An address xor the magic cookie and the transaction ID.
#[derive(Debug)]
pub struct XorAddress;
/// An error code and its phrase.
#[derive(Debug)]
pub struct Error;
/// An address family, an error code and its phrase.
#[derive(Debug)]
pub struct AddressError;
/// A list of attribute numbers.
#[derive(Debug)]
pub struct Types;
/// A password algorithm.
#[derive(Debug)]
pub struct Algorithm;
/// An ICMP error.
#[derive(Debug)]
pub struct IcmpReport;

impl Value for Bytes {
    type Of<'a> = &'a [u8];
    fn read<'a>(bytes: &'a [u8], _: &TransactionId) -> Option<&'a [u8]> {
        Some(bytes)
    }
    fn write(value: &[u8], _: &TransactionId, out: &mut Writer<'_>) {
        out.bytes(value);
    }
}

impl Value for Text {
    type Of<'a> = &'a str;
    fn read<'a>(bytes: &'a [u8], _: &TransactionId) -> Option<&'a str> {
        std::str::from_utf8(bytes).ok()
    }
    fn write(value: &str, _: &TransactionId, out: &mut Writer<'_>) {
        out.bytes(value.as_bytes());
    }
}

impl Value for Flag {
    type Of<'a> = ();
    fn read(_: &[u8], _: &TransactionId) -> Option<()> {
        Some(())
    }
    fn write((): (), _: &TransactionId, _: &mut Writer<'_>) {}
}

impl Value for U8 {
    type Of<'a> = u8;
    fn read(bytes: &[u8], _: &TransactionId) -> Option<u8> {
        bytes.first().copied()
    }
    fn write(value: u8, _: &TransactionId, out: &mut Writer<'_>) {
        out.bytes(&[value]);
    }
}

impl Value for PaddedU8 {
    type Of<'a> = u8;
    fn read(bytes: &[u8], _: &TransactionId) -> Option<u8> {
        let &[value, _, _, _] = bytes else { return None };
        Some(value)
    }
    fn write(value: u8, _: &TransactionId, out: &mut Writer<'_>) {
        out.bytes(&[value, 0, 0, 0]);
    }
}

impl Value for PaddedU16 {
    type Of<'a> = u16;
    fn read(bytes: &[u8], _: &TransactionId) -> Option<u16> {
        let &[high, low, _, _] = bytes else { return None };
        Some(u16::from_be_bytes([high, low]))
    }
    fn write(value: u16, _: &TransactionId, out: &mut Writer<'_>) {
        out.bytes(&value.to_be_bytes());
        out.bytes(&[0, 0]);
    }
}

impl Value for U32 {
    type Of<'a> = u32;
    fn read(bytes: &[u8], _: &TransactionId) -> Option<u32> {
        bytes.try_into().ok().map(u32::from_be_bytes)
    }
    fn write(value: u32, _: &TransactionId, out: &mut Writer<'_>) {
        out.bytes(&value.to_be_bytes());
    }
}

impl Value for U64 {
    type Of<'a> = u64;
    fn read(bytes: &[u8], _: &TransactionId) -> Option<u64> {
        bytes.try_into().ok().map(u64::from_be_bytes)
    }
    fn write(value: u64, _: &TransactionId, out: &mut Writer<'_>) {
        out.bytes(&value.to_be_bytes());
    }
}

impl Value for Family {
    type Of<'a> = AddressFamily;
    fn read(bytes: &[u8], id: &TransactionId) -> Option<AddressFamily> {
        PaddedU8::read(bytes, id).map(AddressFamily::from_byte)
    }
    fn write(value: AddressFamily, id: &TransactionId, out: &mut Writer<'_>) {
        PaddedU8::write(value.byte(), id, out);
    }
}

impl Value for Address {
    type Of<'a> = SocketAddr;
    fn read(bytes: &[u8], _: &TransactionId) -> Option<SocketAddr> {
        let (&[_, family, port_high, port_low], ip) = bytes.split_first_chunk()?;
        let ip = match AddressFamily::from_byte(family) {
            AddressFamily::V4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(ip).ok()?)),
            AddressFamily::V6 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(ip).ok()?)),
            AddressFamily::Other(_) => return None,
        };
        Some(SocketAddr::new(ip, u16::from_be_bytes([port_high, port_low])))
    }
    fn write(value: SocketAddr, _: &TransactionId, out: &mut Writer<'_>) {
        let [high, low] = value.port().to_be_bytes();
        out.bytes(&[0, AddressFamily::of(value.ip()).byte(), high, low]);
        match value.ip() {
            IpAddr::V4(ip) => out.bytes(&ip.octets()),
            IpAddr::V6(ip) => out.bytes(&ip.octets()),
        }
    }
}

impl Value for XorAddress {
    type Of<'a> = SocketAddr;
    fn read(bytes: &[u8], id: &TransactionId) -> Option<SocketAddr> {
        Address::read(bytes, id).map(|address| xor(address, id))
    }
    fn write(value: SocketAddr, id: &TransactionId, out: &mut Writer<'_>) {
        Address::write(xor(value, id), id, out);
    }
}

/// RFC 8489 §14.2; its own inverse.
fn xor(address: SocketAddr, id: &TransactionId) -> SocketAddr {
    let port = address.port() ^ (MAGIC_COOKIE >> 16) as u16;
    let ip = match address.ip() {
        IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from(u32::from(ip) ^ MAGIC_COOKIE)),
        IpAddr::V6(ip) => {
            let mut mask = [0; 16];
            let (cookie, rest) = mask.split_at_mut(4);
            cookie.copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
            rest.copy_from_slice(&id.0);
            IpAddr::V6(Ipv6Addr::from(u128::from(ip) ^ u128::from_be_bytes(mask)))
        }
    };
    SocketAddr::new(ip, port)
}

impl Value for Error {
    type Of<'a> = ErrorCode<'a>;
    fn read<'a>(bytes: &'a [u8], _: &TransactionId) -> Option<ErrorCode<'a>> {
        let (&[_, _, hundreds, rest], reason) = bytes.split_first_chunk()?;
        let (hundreds, rest) = (u16::from(hundreds & 7), u16::from(rest));
        let in_range = (3..=6).contains(&hundreds) && rest < 100;
        in_range.then(|| ErrorCode {
            code: hundreds * 100 + rest,
            reason: std::str::from_utf8(reason).unwrap_or(""),
        })
    }
    fn write(value: ErrorCode<'_>, _: &TransactionId, out: &mut Writer<'_>) {
        out.bytes(&[0, 0, (value.code / 100) as u8 & 7, (value.code % 100) as u8]);
        out.bytes(value.reason.as_bytes());
    }
}

impl Value for AddressError {
    type Of<'a> = (AddressFamily, ErrorCode<'a>);
    fn read<'a>(bytes: &'a [u8], id: &TransactionId) -> Option<(AddressFamily, ErrorCode<'a>)> {
        Some((AddressFamily::from_byte(*bytes.first()?), Error::read(bytes, id)?))
    }
    fn write((family, error): (AddressFamily, ErrorCode<'_>), _: &TransactionId, out: &mut Writer<'_>) {
        out.bytes(&[family.byte(), 0, (error.code / 100) as u8 & 7, (error.code % 100) as u8]);
        out.bytes(error.reason.as_bytes());
    }
}

impl Value for Types {
    type Of<'a> = &'a [[u8; 2]];
    fn read<'a>(bytes: &'a [u8], _: &TransactionId) -> Option<&'a [[u8; 2]]> {
        Some(bytes.as_chunks().0)
    }
    fn write(value: &[[u8; 2]], _: &TransactionId, out: &mut Writer<'_>) {
        out.bytes(value.as_flattened());
    }
}

impl Value for Algorithm {
    type Of<'a> = PasswordAlgorithm;
    fn read(bytes: &[u8], _: &TransactionId) -> Option<PasswordAlgorithm> {
        let &[high, low, ..] = bytes else { return None };
        PasswordAlgorithm::from_number(u16::from_be_bytes([high, low]))
    }
    fn write(value: PasswordAlgorithm, _: &TransactionId, out: &mut Writer<'_>) {
        out.bytes(&value.number().to_be_bytes());
        out.bytes(&[0, 0]);
    }
}

impl Value for IcmpReport {
    type Of<'a> = Icmp;
    fn read(bytes: &[u8], _: &TransactionId) -> Option<Icmp> {
        let &[_, _, high, low, a, b, c, d] = bytes else { return None };
        let type_and_code = u16::from_be_bytes([high, low]);
        Some(Icmp {
            kind: (type_and_code >> 9) as u8,
            code: type_and_code as u8,
            data: u32::from_be_bytes([a, b, c, d]),
        })
    }
    fn write(value: Icmp, _: &TransactionId, out: &mut Writer<'_>) {
        // Seven bits of type and nine of code, as the RFC draws them.
        let type_and_code = (u16::from(value.kind & 0x7F) << 9) | u16::from(value.code);
        out.bytes(&[0, 0]);
        out.bytes(&type_and_code.to_be_bytes());
        out.bytes(&value.data.to_be_bytes());
    }
}
