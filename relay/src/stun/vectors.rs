//! The test vectors of RFC 5769 and RFC 8489 appendix B.1, as an outside judge of the codec.

use std::net::SocketAddr;

use super::{Builder, Class, Integrity, Key, Message, Method, PasswordAlgorithm, Seal, TransactionId, attr};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae
    802200105354554e207465737420636c69656e74
    002400046e0001ff
    80290008932ff9b151263b36
    000600096576746a3a68367659202020
    000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2
    80280004e57a3bcf";

const RESPONSE_V4: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae
    8022000b7465737420766563746f7220
    002000080001a147e112a643
    000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7
    80280004c07d4c96";

const RESPONSE_V6: &str = "010100482112a442b7e7a701bc34d686fa87dfae
    8022000b7465737420766563746f7220
    002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9
    00080014a382954e4be67bf11784c97c8292c275bfe3ed41
    80280004c8fb0b4c";

const LONG_TERM: &str = "000100602112a44278ad3433c6ad72c029da412e
    00060012e3839ee38388e383aae38383e382af e382b90000
    0015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f726700
    00080014f67024656dd64a3e02b8e0712e85c9a28ca89666";

const LONG_TERM_SHA256: &str = "000100902112a44278ad3433c6ad72c029da412e
    001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704
    001500296f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c39465354767936347341000000
    0014000b6578616d706c652e6f726700
    001d000400020000
    001c0020";

const ICE_PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

#[test]
fn the_sample_request_of_rfc_5769() {
    let bytes = hex(REQUEST);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Request, Method::BINDING));
    assert_eq!(message.get(attr::SOFTWARE), Some("STUN test client"));
    assert_eq!(message.get(attr::PRIORITY), Some(0x6e00_01ff));
    assert_eq!(message.get(attr::ICE_CONTROLLED), Some(0x932f_f9b1_5126_3b36));
    assert_eq!(message.get(attr::USERNAME), Some("evtj:h6vY"));
    assert_eq!(message.verify(&Key::short_term(ICE_PASSWORD), Integrity::Sha1), Ok(()));
    assert_eq!(message.verify_fingerprint(), Some(true));
}

#[test]
fn the_sample_responses_of_rfc_5769() {
    for (text, address) in
        [(RESPONSE_V4, "192.0.2.1:32853"), (RESPONSE_V6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853")]
    {
        let bytes = hex(text);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Success, Method::BINDING));
        assert_eq!(message.get(attr::SOFTWARE), Some("test vector"));
        assert_eq!(message.get(attr::XOR_MAPPED_ADDRESS), Some(address.parse::<SocketAddr>().unwrap()));
        assert_eq!(message.verify(&Key::short_term(ICE_PASSWORD), Integrity::Sha1), Ok(()));
        assert_eq!(message.verify_fingerprint(), Some(true));
    }
}

#[test]
fn the_long_term_request_of_rfc_5769() {
    let bytes = hex(LONG_TERM);
    let message = Message::parse(&bytes).unwrap();
    let user = "マトリックス";
    assert_eq!(message.get(attr::USERNAME), Some(user));
    assert_eq!(message.get(attr::REALM), Some("example.org"));
    let key = Key::long_term(PasswordAlgorithm::Md5, user, "example.org", "TheMatrIX");
    assert_eq!(message.verify(&key, Integrity::Sha1), Ok(()));
    let mut buffer = [0; 256];
    let ours = Builder::new(&mut buffer, Class::Request, Method::BINDING, message.id())
        .put(attr::USERNAME, user)
        .put(attr::NONCE, "f//499k954d6OL34oL9FSTvy64sA")
        .put(attr::REALM, "example.org")
        .finish(Seal::signed(&key))
        .unwrap();
    assert_eq!(ours, bytes, "the same message, byte for byte");
}

#[test]
fn a_request_by_sha256_as_in_rfc_8489() {
    let key = Key::long_term(PasswordAlgorithm::Sha256, "マトリックス", "example.org", "TheMatrIX");
    let mut buffer = [0; 256];
    let ours = Builder::new(&mut buffer, Class::Request, Method::BINDING, TransactionId(id_of(LONG_TERM)))
        .put(attr::USERHASH, &hex("4a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704"))
        .put(attr::NONCE, "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA")
        .put(attr::REALM, "example.org")
        .put(attr::PASSWORD_ALGORITHM, PasswordAlgorithm::Sha256)
        .finish(Seal::signed_sha256(&key))
        .unwrap();
    let expected = hex(LONG_TERM_SHA256);
    assert_eq!(ours.get(..expected.len()), Some(&expected[..]));
    let message = Message::parse(ours).unwrap();
    assert_eq!(message.verify(&key, Integrity::Sha256), Ok(()));
}

fn id_of(text: &str) -> [u8; 12] {
    hex(text)[8..20].try_into().unwrap()
}
