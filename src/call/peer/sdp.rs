//! Session descriptions as text: the synthetic ones of a code's first stage, our own candidate lines, and
//! what is read from a remote description before the stack sees it. Pure; knows no connection.

use super::IceCredentials;
use crate::call::event::PathKind;
use crate::call::identity::colon_hex;
use crate::media::frame::{Codec, MediaKind};
use std::fmt::Write as _;
use std::net::SocketAddr;

/// No browser writes a description near this size; nobody makes us parse a bigger one.
pub(super) const MAX_DESCRIPTION: usize = 64 * 1024;
/// Candidates taken from one remote description.
const MAX_REMOTE_CANDIDATES: usize = 64;

/// An address of this end for a classic description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Host, server-reflexive or relayed.
    pub kind: PathKind,
    /// Where packets to this candidate go.
    pub address: SocketAddr,
    /// The address it was derived from (RFC 8839 §5.1 `raddr`); `None` for hosts, and where it shall not be
    /// told.
    pub base: Option<SocketAddr>,
}

/// Which half of an exchange a synthetic description plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    /// `a=setup:actpass`
    Offer,
    /// `a=setup:active`
    Answer,
}

/// A description of a remote end of which only the ICE credentials are known: one data channel, a
/// fingerprint of zeroes. For a connection that compares certificates itself.
pub(super) fn synthetic(half: Half, remote: &IceCredentials) -> String {
    let setup = match half {
        Half::Offer => "actpass",
        Half::Answer => "active",
    };
    [
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        &format!("a=ice-ufrag:{}", remote.ufrag),
        &format!("a=ice-pwd:{}", remote.pwd),
        &format!("a=fingerprint:sha-256 {}", colon_hex(&[0; 32])),
        &format!("a=setup:{setup}"),
        "a=mid:0",
        "a=sctp-port:5000",
        "",
    ]
    .join("\r\n")
}

/// The value of a candidate attribute (RFC 8839 §5.1), component 1. `preference` breaks ties: 0 is best.
pub(super) fn candidate(local: &Candidate, preference: u16) -> String {
    // RFC 8445 §5.1.2.2's recommended type preferences.
    let (name, type_preference) = match local.kind {
        PathKind::Host => ("host", 126u32),
        PathKind::Prflx => ("prflx", 110),
        PathKind::Srflx => ("srflx", 100),
        PathKind::Relay => ("relay", 0),
    };
    let local_preference = u32::from(u16::MAX - preference);
    // RFC 8445 §5.1.2.1, component 1.
    let priority = (type_preference << 24) | (local_preference << 8) | 255;
    let (address, port) = (local.address.ip(), local.address.port());
    let family = if local.address.is_ipv4() { 4 } else { 6 };
    let mut text =
        format!("candidate:{type_preference}{family} 1 udp {priority} {address} {port} typ {name}");
    if local.kind != PathKind::Host {
        // RFC 8839 §5.1: raddr and rport MUST be present; "any" where the base is not told.
        let any: SocketAddr = if local.address.is_ipv4() {
            (std::net::Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let base = local.base.unwrap_or(any);
        // Writing to a String does not fail.
        let _ = write!(text, " raddr {} rport {}", base.ip(), base.port());
    }
    text
}

/// The description without its candidates: what the stack believes to be its addresses nobody else needs,
/// and the candidates of a description that came over a connection add nothing to it.
pub(super) fn without_candidates(sdp: &str) -> String {
    kept_lines(sdp, |line| !line.starts_with("a=candidate:") && line != "a=end-of-candidates")
}

/// A local description with our own candidates, complete (RFC 8838 §8.2: nothing will trickle).
pub(super) fn with_candidates(sdp: &str, candidates: &[Candidate]) -> String {
    let mut out = String::new();
    let mut sections = 0;
    let mut block = String::new();
    for (preference, local) in candidates.iter().enumerate() {
        let _ = write!(block, "a={}\r\n", candidate(local, u16::try_from(preference).unwrap_or(u16::MAX)));
    }
    block.push_str("a=end-of-candidates\r\n");
    for line in without_candidates(sdp).lines() {
        // Everything is bundled, so the first section's candidates are everybody's (RFC 9143 §7.1.3).
        if line.starts_with("m=") {
            sections += 1;
            if sections == 2 {
                out.push_str(&block);
            }
        }
        out.push_str(line);
        out.push_str("\r\n");
    }
    if sections == 1 {
        out.push_str(&block);
    }
    out
}

/// A remote description fit for the stack: without the candidates that it would take twice (component 2),
/// not understand (TCP) or look up (names, those of mDNS among them).
pub(super) fn cleaned(sdp: &str) -> String {
    let mut taken = 0;
    kept_lines(sdp, |line| {
        let Some(rest) = line.strip_prefix("a=candidate:") else { return true };
        let mut words = rest.split_ascii_whitespace().skip(1);
        let (component, protocol) = (words.next(), words.next());
        let address = words.nth(1).and_then(|word| word.parse::<std::net::IpAddr>().ok());
        let fits = component == Some("1")
            && protocol.is_some_and(|word| word.eq_ignore_ascii_case("udp"))
            && address.is_some();
        taken += usize::from(fits);
        fits && taken <= MAX_REMOTE_CANDIDATES
    })
}

/// Whether every fingerprint that a description names is that of this certificate, and it names one.
pub(super) fn names_only(sdp: &str, fingerprint: &[u8; 32]) -> bool {
    let mut named = sdp.lines().filter_map(|line| line.trim_end().strip_prefix("a=fingerprint:")).peekable();
    let expected = colon_hex(fingerprint);
    named.peek().is_some()
        && named.all(|value| {
            let (algorithm, hash) = value.split_once(' ').unwrap_or_default();
            algorithm.eq_ignore_ascii_case("sha-256") && hash.trim().eq_ignore_ascii_case(&expected)
        })
}

/// The payload types that a description gives to codecs of ours, in its order of preference.
pub(super) fn payload_types(sdp: &str) -> Vec<(u8, Codec)> {
    let mut found = Vec::new();
    for section in sections(sdp).filter(|section| !section.rejected) {
        for format in &section.formats {
            let Ok(payload_type) = format.parse::<u8>() else { continue };
            if let Some(codec) = section.codec(format) {
                found.push((payload_type, codec));
            }
        }
    }
    found
}

/// Our most preferred codec of a kind that a description takes, and its payload type there.
pub(super) fn preferred(sdp: &str, kind: MediaKind, ours: &[Codec]) -> Option<(Codec, u8)> {
    let theirs = payload_types(sdp);
    ours.iter().filter(|codec| codec.kind() == kind).find_map(|codec| {
        let (payload_type, _) = theirs.iter().find(|(_, theirs)| theirs == codec)?;
        Some((*codec, *payload_type))
    })
}

struct Section<'a> {
    lines: Vec<&'a str>,
    formats: Vec<&'a str>,
    rejected: bool,
}

impl Section<'_> {
    fn value(&self, attribute: &str, format: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| {
            let (found, value) = line.strip_prefix(attribute)?.split_once(' ')?;
            (found == format).then_some(value)
        })
    }

    fn codec(&self, format: &str) -> Option<Codec> {
        let name = self.value("a=rtpmap:", format)?.to_ascii_lowercase();
        let parameters = self.value("a=fmtp:", format).unwrap_or_default().to_ascii_lowercase();
        match name.as_str() {
            "opus/48000/2" => Some(Codec::Opus),
            "vp8/90000" => Some(Codec::Vp8),
            // RFC 6184 §8.1: 42 is baseline; without packetization-mode=1 nothing may be fragmented.
            "h264/90000"
                if parameters.contains("packetization-mode=1")
                    && parameters.contains("profile-level-id=42") =>
            {
                Some(Codec::H264)
            }
            _ => None,
        }
    }
}

fn sections(sdp: &str) -> impl Iterator<Item = Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for line in sdp.lines().map(str::trim_end) {
        if let Some(media) = line.strip_prefix("m=") {
            let mut words = media.split_ascii_whitespace().skip(1);
            // RFC 9429 §5.3.1: a rejected section has port 0.
            let rejected = words.next() == Some("0");
            sections.push(Section { lines: Vec::new(), formats: words.skip(1).collect(), rejected });
        } else if let Some(section) = sections.last_mut() {
            section.lines.push(line);
        }
    }
    sections.into_iter()
}

fn kept_lines(sdp: &str, mut keep: impl FnMut(&str) -> bool) -> String {
    let mut out = String::with_capacity(sdp.len());
    for line in sdp.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if keep(line) {
            out.push_str(line);
            out.push_str("\r\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As a browser writes it, shortened: several H.264 variants, candidates of all sorts.
    const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\n\
        a=candidate:1 1 udp 2122260223 192.0.2.2 50000 typ host\r\n\
        a=candidate:1 2 udp 2122260222 192.0.2.2 50001 typ host\r\n\
        a=candidate:2 1 udp 2122260223 0b1c-d2.local 50000 typ host\r\n\
        a=candidate:3 1 tcp 1518280447 192.0.2.2 9 typ host tcptype active\r\n\
        a=candidate:4 1 UDP 5000 2001:db8::1 50002 typ srflx raddr :: rport 0\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96 97 103 109\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\n\
        a=fmtp:97 apt=96\r\na=rtpmap:103 H264/90000\r\n\
        a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f\r\n\
        a=rtpmap:109 H264/90000\r\n\
        a=fmtp:109 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n";

    fn local(kind: PathKind, address: &str) -> Candidate {
        Candidate { kind, address: address.parse().unwrap(), base: None }
    }

    #[test]
    fn candidates_are_written_as_the_rfc_has_them() {
        let with_base = Candidate {
            base: Some("192.0.2.2:9".parse().unwrap()),
            ..local(PathKind::Srflx, "203.0.113.9:7")
        };
        for (candidate, text) in [
            (
                local(PathKind::Host, "192.0.2.2:5000"),
                "candidate:1264 1 udp 2130706431 192.0.2.2 5000 typ host",
            ),
            (with_base, "candidate:1004 1 udp 1694498815 203.0.113.9 7 typ srflx raddr 192.0.2.2 rport 9"),
            (
                local(PathKind::Relay, "[2001:db8::1]:4"),
                "candidate:06 1 udp 16777215 2001:db8::1 4 typ relay raddr :: rport 0",
            ),
        ] {
            assert_eq!(super::candidate(&candidate, 0), text);
        }
    }

    #[test]
    fn an_earlier_candidate_is_preferred() {
        let priority = |preference| -> u32 {
            let text = candidate(&local(PathKind::Host, "192.0.2.2:5000"), preference);
            text.split(' ').nth(3).unwrap().parse().unwrap()
        };
        assert!(priority(0) > priority(1));
    }

    #[test]
    fn only_candidates_that_can_be_rung_are_left() {
        let cleaned = cleaned(OFFER);
        let left: Vec<&str> = cleaned.lines().filter(|line| line.starts_with("a=candidate")).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(left[0].contains("192.0.2.2 50000") && left[1].contains("2001:db8::1"));
        assert!(cleaned.ends_with("a=mid:2\r\n"));
    }

    #[test]
    fn our_candidates_stand_once_in_the_first_section() {
        let ours = [local(PathKind::Host, "192.0.2.9:5000"), local(PathKind::Relay, "203.0.113.9:6000")];
        let text = with_candidates(OFFER, &ours);
        let (before, after) = text.split_once("m=video").unwrap();
        assert_eq!(before.matches("a=candidate:").count(), 2);
        assert!(before.ends_with("a=end-of-candidates\r\n"));
        assert_eq!(after.matches("candidate").count(), 0);
        let single = with_candidates("v=0\r\nm=application 9 x y\r\na=mid:0\r\n", &ours);
        assert!(single.ends_with("a=end-of-candidates\r\n"));
    }

    #[test]
    fn codecs_are_found_by_what_they_can() {
        assert_eq!(payload_types(OFFER), [(111, Codec::Opus), (96, Codec::Vp8), (109, Codec::H264)]);
        let ours = [Codec::H264, Codec::Vp8];
        assert_eq!(preferred(OFFER, MediaKind::Video, &ours), Some((Codec::H264, 109)));
        assert_eq!(preferred(OFFER, MediaKind::Video, &[Codec::Vp8]), Some((Codec::Vp8, 96)));
        assert_eq!(preferred(OFFER, MediaKind::Video, &[]), None);
    }

    #[test]
    fn a_rejected_section_has_no_codecs() {
        let rejected = OFFER.replace("m=video 9", "m=video 0");
        assert_eq!(preferred(&rejected, MediaKind::Video, &[Codec::Vp8]), None);
        assert_eq!(preferred(&rejected, MediaKind::Audio, &[Codec::Opus]), Some((Codec::Opus, 111)));
    }

    #[test]
    fn every_fingerprint_must_be_the_right_one() {
        let (right, wrong) = (colon_hex(&[7; 32]), colon_hex(&[8; 32]));
        for (lines, ok) in [
            (format!("a=fingerprint:sha-256 {right}\r\n"), true),
            (
                format!(
                    "a=fingerprint:SHA-256 {}\r\nm=audio\r\na=fingerprint:sha-256 {right}",
                    right.to_lowercase()
                ),
                true,
            ),
            (format!("a=fingerprint:sha-256 {right}\r\na=fingerprint:sha-256 {wrong}\r\n"), false),
            (format!("a=fingerprint:sha-1 {right}\r\n"), false),
            (format!("a=fingerprint:sha-256 {wrong}\r\n"), false),
            ("v=0\r\n".into(), false),
            ("a=fingerprint:\r\n".into(), false),
        ] {
            assert_eq!(names_only(&lines, &[7; 32]), ok, "{lines}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_panic(text in "(?s)(m=|a=|v=|candidate:|rtpmap:|fmtp:|[ -~]{0,12}|\r\n|\n){0,60}") {
            let cleaned = cleaned(&text);
            prop_assert!(cleaned.len() <= text.len() + 2 * text.lines().count());
            payload_types(&text);
            names_only(&text, &[0; 32]);
            let _ = with_candidates(&text, &[local(PathKind::Host, "192.0.2.2:5000")]);
        }
    }
}
