//! A datagram or a piece of a stream: reading it, whatever it is, neither panics nor reads beyond its end.
#![no_main]
use libfuzzer_sys::fuzz_target;
use p2pcall_relay::stun::guest::Guest;
use p2pcall_relay::stun::{ChannelData, Demux, Integrity, Key, Message, attr, frame_length};

fuzz_target!(|bytes: &[u8]| {
    let _ = (Demux::of(bytes), frame_length(bytes), ChannelData::parse(bytes));
    let key = Key::short_term("key");
    let Ok(message) = Message::parse(bytes) else { return };
    let length: usize = message.attributes().map(|raw| 4 + raw.value.len()).sum();
    assert!(length <= bytes.len());
    let _ = (message.verify(&key, Integrity::Sha1), message.verify(&key, Integrity::Sha256));
    let _ = (message.verify_fingerprint(), message.unknown_required().count());
    let _ = (message.get(attr::XOR_PEER_ADDRESS), message.get(attr::ERROR_CODE), message.get(attr::ICMP));
    let _ = (message.get(attr::ADDRESS_ERROR_CODE), message.get(attr::UNKNOWN_ATTRIBUTES));
    let _ = message.get(attr::GUEST).map(|sealed| Guest::open(sealed, &key, &message.id()));
});
