//! The classic exchange: a session description as one line of JSON, `{"type":"offer","sdp":"…"}`, or its base64.
//!
//! Reads no more of the SDP than its candidate addresses, to show them.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

use super::facts::{AddressKind, DnsName, Host};
use super::wrong::Wrong;

/// Which of the two it is; WebRTC's `RTCSdpType` without the kinds that nobody sends by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SdpKind {
    /// An offer.
    Offer,
    /// An answer.
    Answer,
}

/// A complete session description, WebRTC's `RTCSessionDescription`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sdp {
    /// Offer or answer.
    #[serde(rename = "type")]
    pub kind: SdpKind,
    /// The SDP itself, as the other side wrote it: outside data.
    pub sdp: String,
}

/// The most `{` at which a description is tried to begin.
const MAX_TRIES: usize = 16;

/// How the base64 of `{"`, `{ "` and a `{` with a line break begins.
const BASE64_STARTS: [&str; 4] = ["eyJ", "eyAi", "ewo", "ew0K"];

/// Any padding, any spare bits: it was copied by hand.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Sdp {
    /// One line of JSON.
    pub fn to_json_line(&self) -> String {
        // A struct of an enum and a string always serialises.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The same in base64: one word.
    pub fn to_base64(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(self.to_json_line())
    }

    /// Its candidate addresses (RFC 8839 §5.1), of component 1, as far as they are safe to print; peer-reflexive and
    /// TCP ones left out.
    pub fn addresses(&self) -> Vec<(AddressKind, Host, u16)> {
        let mut out = Vec::new();
        for address in self.sdp.lines().filter_map(candidate_of) {
            if !out.contains(&address) {
                out.push(address);
            }
        }
        out
    }
}

/// `a=candidate:foundation component transport priority address port typ kind …`
fn candidate_of(line: &str) -> Option<(AddressKind, Host, u16)> {
    let mut fields = line.trim().strip_prefix("a=candidate:")?.split_ascii_whitespace().skip(1);
    let (component, transport) = (fields.next()?, fields.next()?);
    let (host, port) = (fields.nth(1)?, fields.next()?.parse().ok()?);
    let kind = match (fields.next()?, fields.next()?) {
        ("typ", "host") => AddressKind::Host,
        ("typ", "srflx") => AddressKind::Srflx,
        ("typ", "relay") => AddressKind::Relay,
        _ => return None,
    };
    let host = match host.parse() {
        Ok(ip) => Host::from(std::net::IpAddr::to_canonical(&ip)),
        Err(_) => Host::Name(DnsName::new(host)?),
    };
    (component == "1" && transport.eq_ignore_ascii_case("udp")).then_some((kind, host, port))
}

/// The session description in a text. `Err(None)`: nothing looks like one.
pub(super) fn find_sdp(text: &str) -> Result<Sdp, Option<Wrong>> {
    let mut seen = false;
    for variant in [text.to_owned(), unwrapped(text)] {
        if let Some(sdp) = find_json(&variant, &mut seen) {
            return Ok(sdp);
        }
    }
    if let Some(sdp) = decoded(text).and_then(|json| find_json(&json, &mut seen)) {
        return Ok(sdp);
    }
    Err(seen.then_some(Wrong::BrokenSdp))
}

fn find_json(text: &str, seen: &mut bool) -> Option<Sdp> {
    for (start, _) in text.match_indices('{').take(MAX_TRIES) {
        let from = text.get(start..)?;
        let mut values = serde_json::Deserializer::from_str(from).into_iter::<Sdp>();
        match values.next() {
            Some(Ok(sdp)) if sdp.sdp.starts_with("v=0") => return Some(sdp),
            _ => *seen = *seen || from.contains("\"sdp\"") || from.contains("v=0"),
        }
    }
    None
}

/// The text without what chats and terminals do to a long line: breaks, `>` marks, typographic quotes.
fn unwrapped(text: &str) -> String {
    let joined: String = text.lines().map(|line| line.trim_start_matches(['>', ' ', '\t'])).collect();
    joined.replace(['\u{201C}', '\u{201D}', '\u{201E}'], "\"")
}

/// What the first base64 in the text that begins like JSON says.
fn decoded(text: &str) -> Option<String> {
    let joined: String = unwrapped(text).split_whitespace().collect();
    let start = BASE64_STARTS.iter().filter_map(|start| joined.find(start)).min()?;
    let word: String = joined
        .get(start..)?
        .chars()
        .map_while(|c| match c {
            '-' => Some('+'),
            '_' => Some('/'),
            c if c.is_ascii_alphanumeric() || c == '+' || c == '/' => Some(c),
            _ => None,
        })
        .collect();
    let whole = word.len() - usize::from(word.len() % 4 == 1);
    let bytes = LENIENT.decode(word.get(..whole)?).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
        a=candidate:1 1 udp 2113937151 192.168.1.20 54321 typ host generation 0\r\n\
        a=candidate:1 2 udp 2113937150 192.168.1.20 54322 typ host\r\n\
        a=candidate:2 1 tcp 1518280447 192.168.1.20 9 typ host tcptype active\r\n\
        a=candidate:3 1 UDP 1 4f3b.local 5000 typ host\r\n\
        a=candidate:4 1 udp 1 2001:db8::1 5001 typ srflx raddr :: rport 0\r\n\
        a=candidate:5 1 udp 1 \u{1b}[31m 5001 typ relay\r\n";

    fn sdp() -> Sdp {
        Sdp { kind: SdpKind::Offer, sdp: SDP.into() }
    }

    #[test]
    fn a_description_is_found_in_whatever_surrounds_it() {
        let (json, base64) = (sdp().to_json_line(), sdp().to_base64());
        let (head, tail) = json.split_at(70);
        let (head64, tail64) = base64.split_at(76);
        for text in [
            json.clone(),
            base64.clone(),
            format!("here it is: ```{json}``` bye"),
            format!("> {head}\n> {tail}\n"),
            format!("{head64}\r\n{tail64}"),
            json.replace('"', "\u{201D}"),
            base64.trim_end_matches('=').replace('+', "-").replace('/', "_"),
            format!("{{not this}} {json}"),
        ] {
            assert_eq!(find_sdp(&text), Ok(sdp()), "{text}");
        }
    }

    #[test]
    fn a_cut_description_is_said_to_be_broken_and_other_text_is_none() {
        let (json, base64) = (sdp().to_json_line(), sdp().to_base64());
        for text in [&json[..100], &base64[..200], r#"{"type":"rollback","sdp":""}"#] {
            assert_eq!(find_sdp(text), Err(Some(Wrong::BrokenSdp)), "{text}");
        }
        for text in ["", "{}", "hello {name}", "eyJ", "{{{{{{{{"] {
            assert_eq!(find_sdp(text), Err(None), "{text}");
        }
    }

    #[test]
    fn addresses_are_shown_that_are_safe_to_show() {
        let shown: Vec<String> = sdp()
            .addresses()
            .iter()
            .map(|(kind, host, port)| format!("{} {host}:{port}", kind.word()))
            .collect();
        assert_eq!(shown, ["host 192.168.1.20:54321", "host 4f3b.local:5000", "srflx [2001:db8::1]:5001"]);
    }
}
