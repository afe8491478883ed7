//! The table of attributes: number, name, and the shape of the value (RFC 8489 §18.3, RFC 8656 §18,
//! RFC 5780 §7, RFC 8445 §16.1).
//!
//! One line an attribute; reading and writing follow from the shape. Knows no procedure.

use std::marker::PhantomData;

use super::value::{
    Address, AddressError, Algorithm, Bytes, Error, Family, Flag, IcmpReport, PaddedU8, PaddedU16, Text,
    Types, U8, U32, U64, Value, XorAddress,
};

/// An attribute's number and name, and by its type parameter the shape of its value.
#[derive(Debug)]
pub struct Attribute<V: Value> {
    code: u16,
    name: &'static str,
    shape: PhantomData<V>,
}

impl<V: Value> Clone for Attribute<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V: Value> Copy for Attribute<V> {}

impl<V: Value> Attribute<V> {
    /// The attribute's number on the wire.
    pub const fn code(self) -> u16 {
        self.code
    }

    /// The attribute's name as the RFCs print it.
    pub const fn name(self) -> &'static str {
        self.name
    }
}

/// Whether a receiver that does not know the attribute has to refuse the message (RFC 8489 §14).
pub const fn is_required(code: u16) -> bool {
    code < 0x8000
}

macro_rules! attributes {
    ($($code:literal $constant:ident $name:literal $shape:ty, $doc:literal;)*) => {
        $(
            #[doc = $doc]
            pub const $constant: Attribute<$shape> = Attribute { code: $code, name: $name, shape: PhantomData };
        )*

        /// The name of a known attribute.
        pub const fn name(code: u16) -> Option<&'static str> {
            match code {
                $($code => Some($name),)*
                _ => None,
            }
        }
    };
}

attributes! {
    0x0001 MAPPED_ADDRESS "MAPPED-ADDRESS" Address, "RFC 8489 §14.1: where the request came from, for clients of RFC 3489.";
    0x0003 CHANGE_REQUEST "CHANGE-REQUEST" U32, "RFC 5780 §7.2: answer from another address ([`CHANGE_IP`]) or port ([`CHANGE_PORT`]).";
    0x0006 USERNAME "USERNAME" Text, "RFC 8489 §14.3: whose credential protects this message.";
    0x0008 MESSAGE_INTEGRITY "MESSAGE-INTEGRITY" Bytes, "RFC 8489 §14.5: HMAC-SHA1; written by `Builder::finish`, checked by `Message::verify`.";
    0x0009 ERROR_CODE "ERROR-CODE" Error, "RFC 8489 §14.8: why a request was refused.";
    0x000A UNKNOWN_ATTRIBUTES "UNKNOWN-ATTRIBUTES" Types, "RFC 8489 §14.13: which attributes caused a 420, as big-endian pairs of bytes.";
    0x000C CHANNEL_NUMBER "CHANNEL-NUMBER" PaddedU16, "RFC 8656 §18.1: the number a ChannelBind asks for.";
    0x000D LIFETIME "LIFETIME" U32, "RFC 8656 §18.2: seconds until an allocation ends.";
    0x0012 XOR_PEER_ADDRESS "XOR-PEER-ADDRESS" XorAddress, "RFC 8656 §18.3: the peer as the server sees it.";
    0x0013 DATA "DATA" Bytes, "RFC 8656 §18.4: what a Send or Data indication carries.";
    0x0014 REALM "REALM" Text, "RFC 8489 §14.9: whose users these are.";
    0x0015 NONCE "NONCE" Text, "RFC 8489 §14.10: a number the server chose, against replays.";
    0x0016 XOR_RELAYED_ADDRESS "XOR-RELAYED-ADDRESS" XorAddress, "RFC 8656 §18.5: the allocation's address for peers.";
    0x0017 REQUESTED_ADDRESS_FAMILY "REQUESTED-ADDRESS-FAMILY" Family, "RFC 8656 §18.6: IPv4 or IPv6 for the relayed address.";
    0x0018 EVEN_PORT "EVEN-PORT" U8, "RFC 8656 §18.7: an even port; the top bit asks to reserve the next one.";
    0x0019 REQUESTED_TRANSPORT "REQUESTED-TRANSPORT" PaddedU8, "RFC 8656 §18.8: 17 for UDP, the only one.";
    0x001A DONT_FRAGMENT "DONT-FRAGMENT" Flag, "RFC 8656 §18.9: set the DF bit towards the peer.";
    0x001C MESSAGE_INTEGRITY_SHA256 "MESSAGE-INTEGRITY-SHA256" Bytes, "RFC 8489 §14.6: HMAC-SHA256, 16 to 32 bytes of it.";
    0x001D PASSWORD_ALGORITHM "PASSWORD-ALGORITHM" Algorithm, "RFC 8489 §14.12: how the client made the long-term key.";
    0x001E USERHASH "USERHASH" Bytes, "RFC 8489 §14.4: SHA-256 of user and realm, in place of USERNAME.";
    0x0020 XOR_MAPPED_ADDRESS "XOR-MAPPED-ADDRESS" XorAddress, "RFC 8489 §14.2: where the request came from.";
    0x0022 RESERVATION_TOKEN "RESERVATION-TOKEN" U64, "RFC 8656 §18.10: claims the port reserved by EVEN-PORT.";
    0x0024 PRIORITY "PRIORITY" U32, "RFC 8445 §7.1.1: the priority a peer-reflexive candidate would get.";
    0x0025 USE_CANDIDATE "USE-CANDIDATE" Flag, "RFC 8445 §7.1.2: nominates the pair.";
    0x0026 PADDING "PADDING" Bytes, "RFC 5780 §7.6: makes the message long, to see fragments.";
    0x0027 RESPONSE_PORT "RESPONSE-PORT" PaddedU16, "RFC 5780 §7.5: answer to this port instead.";
    0x8000 ADDITIONAL_ADDRESS_FAMILY "ADDITIONAL-ADDRESS-FAMILY" Family, "RFC 8656 §18.11: an IPv6 relayed address beside the IPv4 one.";
    0x8001 ADDRESS_ERROR_CODE "ADDRESS-ERROR-CODE" AddressError, "RFC 8656 §18.12: why the additional family was refused.";
    0x8002 PASSWORD_ALGORITHMS "PASSWORD-ALGORITHMS" Bytes, "RFC 8489 §14.11: the algorithms the server takes, see `PasswordAlgorithm::LIST`.";
    0x8003 ALTERNATE_DOMAIN "ALTERNATE-DOMAIN" Text, "RFC 8489 §14.16: the name in the alternate server's certificate.";
    0x8004 ICMP "ICMP" IcmpReport, "RFC 8656 §18.13: an ICMP error that a peer's network sent.";
    0x8022 SOFTWARE "SOFTWARE" Text, "RFC 8489 §14.14: who wrote this message, for people.";
    0x8023 ALTERNATE_SERVER "ALTERNATE-SERVER" Address, "RFC 8489 §14.15: where to go instead, with a 300.";
    0x8028 FINGERPRINT "FINGERPRINT" U32, "RFC 8489 §14.7: CRC-32 of the message, xor 0x5354554E.";
    0x8029 ICE_CONTROLLED "ICE-CONTROLLED" U64, "RFC 8445 §7.1.3: the sender is controlled; its tie-breaker.";
    0x802A ICE_CONTROLLING "ICE-CONTROLLING" U64, "RFC 8445 §7.1.3: the sender is controlling; its tie-breaker.";
    0x802B RESPONSE_ORIGIN "RESPONSE-ORIGIN" Address, "RFC 5780 §7.3: where the response was sent from.";
    0x802C OTHER_ADDRESS "OTHER-ADDRESS" Address, "RFC 5780 §7.4: the address and port a CHANGE-REQUEST would be answered from.";
    0xC0F2 DOORBELL "DOORBELL" Text, "Our own: the offerer's ufrag, whose Binding requests may pass without a permission. Empty withdraws it.";
    0xC0F3 GUEST "GUEST" Bytes, "Our own: a one-call guest's account, sealed by [`super::guest`]. Empty withdraws it.";
}

/// CHANGE-REQUEST: answer from the other address.
pub const CHANGE_IP: u32 = 0x4;
/// CHANGE-REQUEST: answer from the other port.
pub const CHANGE_PORT: u32 = 0x2;
/// EVEN-PORT: reserve the next higher port too.
pub const RESERVE_NEXT: u8 = 0x80;
/// REQUESTED-TRANSPORT: the protocol number of UDP.
pub const UDP: u8 = 17;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_known_by_its_name() {
        assert_eq!(name(0x000D), Some("LIFETIME"));
        assert_eq!((LIFETIME.code(), LIFETIME.name()), (0x000D, "LIFETIME"));
        assert_eq!(name(0x7ABC), None);
    }

    #[test]
    fn the_upper_half_may_be_ignored() {
        assert!(is_required(EVEN_PORT.code()));
        assert!(!is_required(DOORBELL.code()) && !is_required(GUEST.code()));
    }
}
