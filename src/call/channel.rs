//! PURE: the messages of the data channel, values to bytes and back. The first one is the raw
//! authentication of the call code; all others are small JSON objects with a `type`, so that a browser page
//! can speak them too; long ones are deflated (RFC 1951) behind a byte that says so, for the sake of narrow paths.
//! Knows no channel: what arrives here is hostile until parsed.

use super::event::PathKind;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::net::SocketAddr;

/// The longest message taken from the network, bytes: whole session descriptions fit with room to spare.
const MAX_MESSAGE: usize = 64 * 1024;
/// The longest name of a person, characters.
pub const MAX_NAME: usize = 64;
/// The longest line of chat, characters.
pub const MAX_CHAT: usize = 4_000;
/// The longest name of a file, characters.
const MAX_FILE_NAME: usize = 1_000;
/// The most candidates taken from a greeting.
const MAX_CANDIDATES: usize = 32;
/// RFC 8445 §16.1: the longest user name fragment.
const MAX_UFRAG: usize = 256;
/// The first byte of an authentication; no JSON text begins with it.
const AUTH_TAG: u8 = 0x01;
/// The first byte of a deflated message.
const DEFLATED_TAG: u8 = 0x02;
/// What is longer is deflated, bytes.
const LONG: usize = 500;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// HMAC-SHA256 over the role and both certificates' digests: the very first message, both ways.
    Auth([u8; 32]),
    /// Everything after it.
    Talk(Talk),
}

/// What authenticated ends say to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Talk {
    /// Who speaks, and from where.
    Hello {
        /// The person's name.
        name: String,
        /// The sender's own candidates, so that both ends can name the path.
        #[serde(default)]
        candidates: Vec<Candidate>,
    },
    /// The sender's candidates as they are by now.
    Candidates {
        /// All of them.
        candidates: Vec<Candidate>,
    },
    /// The sender, who calls itself so, is about to ring past the relay, from these addresses: open your NATs to them.
    Approach {
        /// The ufrag of its attempt.
        ufrag: String,
        /// Where it rings from.
        candidates: Vec<Candidate>,
    },
    /// How a NAT shows the sender: where one of two hides its ports from each peer, and the other does not, they can be
    /// guessed ([`crate::transport::Punching`]).
    Punch {
        /// What the sender calls itself when it knocks.
        ufrag: String,
        /// Each peer sees another port of it.
        hard: bool,
        /// Where its socket is seen; of a hard one the port means nothing.
        address: SocketAddr,
    },
    /// The address that the sender's packets of the chosen path come from, as it sees them.
    Seen {
        /// Where the receiver's packets seem to come from.
        address: SocketAddr,
    },
    /// Offerer: digest of its nonce, before it sees the other's (stops grinding).
    SasCommit {
        /// SHA-256 of the nonce.
        #[serde(with = "bytes32")]
        digest: [u8; 32],
    },
    /// Answerer's nonce.
    SasNonce {
        /// 32 random bytes.
        #[serde(with = "bytes32")]
        nonce: [u8; 32],
    },
    /// Offerer's nonce, now that it can't be chosen any more.
    SasReveal {
        /// 32 random bytes.
        #[serde(with = "bytes32")]
        nonce: [u8; 32],
    },
    /// The offerer's person lets the answerer in.
    Accepted,
    /// The offerer's person does not.
    Refused,
    /// A session description, to add or change media on this connection.
    Description {
        /// An offer, or the answer to one.
        kind: DescriptionKind,
        /// RFC 8866 text.
        sdp: String,
    },
    /// Which of the sender's devices are off.
    Devices {
        /// Microphone off.
        muted: bool,
        /// Camera off.
        video_off: bool,
    },
    /// A line of text.
    Chat {
        /// The line.
        text: String,
        /// The sender's number for it, from 1: said anew after each reconnection.
        #[serde(default)]
        number: u32,
    },
    /// About a file.
    File(FileTalk),
    /// About a recording.
    Recording(RecordingTalk),
    /// The sender hangs up, now.
    Hangup,
}

/// What is said about recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum RecordingTalk {
    /// The sender records both sides, or is about to; or not. Said anew after each reconnection.
    State {
        /// It does.
        on: bool,
    },
    /// The sender's screen shows that the receiver does, or does not.
    Shown {
        /// That it does.
        on: bool,
    },
}

/// What is said about files; their bytes travel on a channel of their own (`share/frame.rs`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum FileTalk {
    /// The sender has one; said anew after each reconnection.
    Offer {
        /// The sender's number for it.
        id: u32,
        /// Its name.
        name: String,
        /// Its length.
        bytes: u64,
    },
    /// Its receiver wants it.
    Take {
        /// Which.
        id: u32,
        /// From this byte on.
        from: u64,
    },
    /// Its receiver has it, whole.
    Kept {
        /// Which.
        id: u32,
    },
    /// Nothing comes of it.
    Stop {
        /// Which.
        id: u32,
        /// It is a file of the one who hears this.
        yours: bool,
        /// Why.
        why: Stopped,
    },
}

/// Why a file does not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// A person did not want it.
    Refused,
    /// A person stopped it on its way.
    Cancelled,
    /// The receiver's disk is full.
    NoSpace,
    /// The receiver's folder can't be written.
    Unwritable,
    /// The sender can't read it.
    Unreadable,
    /// It changed while it was sent.
    Changed,
    /// Its digest is another.
    Damaged,
    /// Too many wait.
    Busy,
}

/// An address at which the sender can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its kind.
    pub kind: PathKind,
    /// Where it is.
    pub address: SocketAddr,
}

/// Offer or answer (RFC 3264).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DescriptionKind {
    /// An offer.
    Offer,
    /// An answer.
    Answer,
}

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Longer than anything this protocol says.
    #[error("a message of {0} bytes")]
    TooLong(usize),
    /// Neither an authentication nor a known JSON object.
    #[error("not a message of this protocol: {0}")]
    Unknown(String),
}

impl Message {
    /// The bytes that go over the channel.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Auth(mac) => std::iter::once(AUTH_TAG).chain(*mac).collect(),
            Self::Talk(talk) => {
                let text = serde_json::to_vec(talk).unwrap_or_default();
                if text.len() > LONG { deflated(&text) } else { text }
            }
        }
    }

    /// Parses what came over the channel; people's words come out clean and short.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        if bytes.len() > MAX_MESSAGE {
            return Err(MessageError::TooLong(bytes.len()));
        }
        if let Some((&AUTH_TAG, mac)) = bytes.split_first() {
            let mac = mac.try_into().map_err(|_| MessageError::Unknown("authentication".into()))?;
            return Ok(Self::Auth(mac));
        }
        let inflated;
        let text = match bytes.split_first() {
            Some((&DEFLATED_TAG, rest)) => {
                inflated = inflated_from(rest)?;
                &inflated
            }
            _ => bytes,
        };
        let talk: Talk = serde_json::from_slice(text)
            .map_err(|error| MessageError::Unknown(clean(&error.to_string(), 120)))?;
        Ok(Self::Talk(match talk {
            Talk::Hello { name, mut candidates } => {
                candidates.truncate(MAX_CANDIDATES);
                Talk::Hello { name: clean(&name, MAX_NAME), candidates }
            }
            Talk::Approach { ufrag, mut candidates } => {
                candidates.truncate(MAX_CANDIDATES);
                Talk::Approach { ufrag: clean(&ufrag, MAX_UFRAG), candidates }
            }
            Talk::Punch { ufrag, hard, address } => {
                Talk::Punch { ufrag: clean(&ufrag, MAX_UFRAG), hard, address }
            }
            Talk::Candidates { mut candidates } => {
                candidates.truncate(MAX_CANDIDATES);
                Talk::Candidates { candidates }
            }
            Talk::Chat { text, number } => Talk::Chat { text: clean(&text, MAX_CHAT), number },
            Talk::File(FileTalk::Offer { id, name, bytes }) => {
                Talk::File(FileTalk::Offer { id, name: clean(&name, MAX_FILE_NAME), bytes })
            }
            other => other,
        }))
    }
}

fn deflated(text: &[u8]) -> Vec<u8> {
    let mut out = DeflateEncoder::new(vec![DEFLATED_TAG], Compression::best());
    // Neither fails: they write into memory.
    let _ = out.write_all(text);
    out.finish().unwrap_or_default()
}

/// Never more than a message may have, however much was packed into it.
fn inflated_from(bytes: &[u8]) -> Result<Vec<u8>, MessageError> {
    let mut text = Vec::new();
    DeflateDecoder::new(bytes)
        .take(MAX_MESSAGE as u64 + 1)
        .read_to_end(&mut text)
        .map_err(|_| MessageError::Unknown("not deflated".into()))?;
    if text.len() > MAX_MESSAGE { Err(MessageError::TooLong(text.len())) } else { Ok(text) }
}

/// A foreign text made fit for a screen: control and formatting characters become spaces (a right-to-left
/// override could make a name read as another), at most `limit` characters, trimmed.
pub fn clean(text: &str, limit: usize) -> String {
    let printable = |c: char| {
        let reorders = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if c.is_control() || reorders { ' ' } else { c }
    };
    text.trim().chars().take(limit).map(printable).collect::<String>().trim().to_owned()
}

/// 32 bytes as base64 in JSON.
mod bytes32 {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        bytes.try_into().map_err(|_| D::Error::custom("32 bytes expected"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn everything() -> Vec<Message> {
        let talk = [
            Talk::Hello {
                name: "Alice".into(),
                candidates: vec![Candidate { kind: PathKind::Host, address: ([192, 0, 2, 1], 5_000).into() }],
            },
            Talk::Candidates { candidates: Vec::new() },
            Talk::Approach { ufrag: "abcd".into(), candidates: Vec::new() },
            Talk::Punch { ufrag: "abcd".into(), hard: true, address: ([192, 0, 2, 1], 5_000).into() },
            Talk::Seen { address: ([192, 0, 2, 1], 5_000).into() },
            Talk::SasCommit { digest: [7; 32] },
            Talk::SasNonce { nonce: [8; 32] },
            Talk::SasReveal { nonce: [9; 32] },
            Talk::Accepted,
            Talk::Refused,
            Talk::Description { kind: DescriptionKind::Offer, sdp: "v=0\r\n".into() },
            Talk::Devices { muted: true, video_off: false },
            Talk::Chat { text: "hello".into(), number: 1 },
            Talk::File(FileTalk::Offer { id: 1, name: "a.txt".into(), bytes: 7 }),
            Talk::File(FileTalk::Take { id: 1, from: 0 }),
            Talk::File(FileTalk::Kept { id: 1 }),
            Talk::File(FileTalk::Stop { id: 1, yours: true, why: Stopped::NoSpace }),
            Talk::Recording(RecordingTalk::State { on: true }),
            Talk::Recording(RecordingTalk::Shown { on: false }),
            Talk::Hangup,
        ];
        talk.into_iter().map(Message::Talk).chain([Message::Auth([3; 32])]).collect()
    }

    #[test]
    fn decode_undoes_encode() {
        for message in everything() {
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn a_long_message_is_deflated_and_a_small_one_can_not_hold_a_huge_one() {
        let sdp = "a=rtpmap:111 opus/48000/2\r\n".repeat(200);
        let long = Message::Talk(Talk::Description { kind: DescriptionKind::Offer, sdp });
        let bytes = long.encode();
        assert!(bytes.len() < LONG, "{}", bytes.len());
        assert_eq!(Message::decode(&bytes), Ok(long));
        let bomb = deflated(&vec![b' '; 10_000_000]);
        assert!(bomb.len() < MAX_MESSAGE);
        assert_eq!(Message::decode(&bomb), Err(MessageError::TooLong(MAX_MESSAGE + 1)));
        assert!(matches!(Message::decode(b"\x02no"), Err(MessageError::Unknown(_))));
    }

    #[test]
    fn names_and_chat_arrive_without_control_characters() {
        let hostile = Message::Talk(Talk::Chat { text: "\u{1b}[2Jhi\u{202e}there\r\n".into(), number: 0 });
        let Ok(Message::Talk(Talk::Chat { text, .. })) = Message::decode(&hostile.encode()) else {
            panic!("chat")
        };
        assert_eq!(text, "[2Jhi there");
        let long = Message::Talk(Talk::Hello { name: "x".repeat(1_000), candidates: Vec::new() });
        let Ok(Message::Talk(Talk::Hello { name, .. })) = Message::decode(&long.encode()) else {
            panic!("hello")
        };
        assert_eq!(name.len(), MAX_NAME);
    }

    #[test]
    fn a_message_too_long_or_of_another_protocol_is_refused() {
        assert_eq!(Message::decode(&vec![b'{'; 70_000]), Err(MessageError::TooLong(70_000)));
        for bytes in [&b""[..], b"{}", b"\x01short", b"{\"type\":\"launch\"}", b"\xff\xfe"] {
            assert!(matches!(Message::decode(bytes), Err(MessageError::Unknown(_))), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn anything_decodes_or_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Message::decode(&bytes);
        }
    }
}
