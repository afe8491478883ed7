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
