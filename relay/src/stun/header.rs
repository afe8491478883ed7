//! The first twenty bytes of a message: class, method, length, magic cookie, transaction ID (RFC 8489 §5).

/// The length of the STUN header in bytes (RFC 8489 §5).
pub const HEADER_LENGTH: usize = 20;

/// The fixed value that tells STUN from everything else (RFC 8489 §5).
pub const MAGIC_COOKIE: u32 = 0x2112_A442;

/// What kind of message it is (RFC 8489 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Asks for an answer.
    Request,
    /// Asks for none.
    Indication,
    /// The request was carried out.
    Success,
    /// The request was refused; carries ERROR-CODE.
    Error,
}

/// What the message is about: twelve bits (RFC 8489 §18.1, RFC 8656 §17).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Method(u16);

impl Method {
    /// RFC 8489: what is my address?
    pub const BINDING: Self = Self(0x001);
    /// RFC 8656 §7: create an allocation.
    pub const ALLOCATE: Self = Self(0x003);
    /// RFC 8656 §8: prolong or end an allocation.
    pub const REFRESH: Self = Self(0x004);
    /// RFC 8656 §11: data for a peer, in an indication.
    pub const SEND: Self = Self(0x006);
    /// RFC 8656 §11: data from a peer, in an indication.
    pub const DATA: Self = Self(0x007);
    /// RFC 8656 §10: let a peer's packets through.
    pub const CREATE_PERMISSION: Self = Self(0x008);
    /// RFC 8656 §12: a channel number for a peer.
    pub const CHANNEL_BIND: Self = Self(0x009);

    /// The method with these twelve bits; higher bits are dropped.
    pub const fn new(bits: u16) -> Self {
        Self(bits & 0x0FFF)
    }

    /// The method's twelve bits.
    pub const fn bits(self) -> u16 {
        self.0
    }
}

/// Joins a response to its request: 96 bits, chosen at random by whoever asks (RFC 8489 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// Class and method interleaved, as they stand in the first two bytes (RFC 8489 §5, figure 3).
pub(super) const fn message_type(class: Class, method: Method) -> u16 {
    let class = match class {
        Class::Request => 0x0000,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    let m = method.0;
    class | (m & 0x000F) | ((m & 0x0070) << 1) | ((m & 0x0F80) << 2)
}

/// The inverse of [`message_type`]; the two top bits are ignored.
pub(super) const fn split_message_type(bits: u16) -> (Class, Method) {
    let class = match bits & 0x0110 {
        0x0000 => Class::Request,
        0x0010 => Class::Indication,
        0x0100 => Class::Success,
        _ => Class::Error,
    };
    (class, Method((bits & 0x000F) | ((bits & 0x00E0) >> 1) | ((bits & 0x3E00) >> 2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_and_class_survives_interleaving() {
        for class in [Class::Request, Class::Indication, Class::Success, Class::Error] {
            for bits in 0..0x1000 {
                let joined = message_type(class, Method::new(bits));
                assert!(joined < 0x4000, "the two top bits stay zero");
                assert_eq!(split_message_type(joined), (class, Method::new(bits)));
            }
        }
    }

    #[test]
    fn known_types_have_their_published_values() {
        for (class, method, value) in [
            (Class::Request, Method::BINDING, 0x0001),
            (Class::Success, Method::BINDING, 0x0101),
            (Class::Error, Method::ALLOCATE, 0x0113),
            (Class::Indication, Method::SEND, 0x0016),
            (Class::Indication, Method::DATA, 0x0017),
        ] {
            assert_eq!(message_type(class, method), value);
        }
    }
}
