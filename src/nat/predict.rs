//! PURE: what is known of two networks -> which path a call will take, how sure that is, and why.
//!
//! Call an end *hard* if its mapping depends on the destination. A direct path exists unless both are hard, or one is
//! hard and the other lets in only whom it wrote to by address and port. IPv6 at both ends, UDP that is blocked, and
//! two ends behind one and the same carrier's NAT are told apart first. What nobody measured is taken for the worse,
//! and the prediction is not sure. Knows neither how anything was measured nor how paths are found.

use super::turns;
use crate::code::network::{Cgnat, Filtering, Ipv6, Mapping, NetworkSummary, RelayWorks, Udp};
use serde::Serialize;

/// The path to expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    /// From one machine to the other.
    Direct,
    /// The same over IPv6, which no NAT is in the way of.
    DirectIpv6,
    /// Through a relay.
    Relay,
    /// None.
    None,
}

/// What to expect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prediction {
    /// Which path.
    pub path: Path,
    /// Whether everything that matters was measured.
    pub sure: bool,
    /// One sentence.
    pub why: String,
}

/// Two ends that want to meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Meeting {
    /// This end.
    pub ours: NetworkSummary,
    /// The friend's.
    pub theirs: NetworkSummary,
    /// Both are seen at the same public address.
    pub same_address: Option<bool>,
    /// Both have an address on the same local network.
    pub same_lan: bool,
    /// The friend's code says how to get in at a relay without an account.
    pub guest: bool,
}

/// The path to expect.
pub fn predict(meeting: &Meeting) -> Prediction {
    if let Some(near) = neighbours(meeting) {
        return near;
    }
    if let Some(blocked) = blocked(meeting) {
        return blocked;
    }
    let direct = direct(meeting.ours, meeting.theirs);
    match direct.verdict {
        Likelihood::Yes => said(Path::Direct, direct.sure && meeting.same_address == Some(false), direct.why),
        Likelihood::Guess => said(Path::Direct, false, direct.why),
        _ if over_ipv6(meeting) => said(
            Path::DirectIpv6,
            false,
            format!("IPv6 works at both ends, though over IPv4 {}", lower(&direct.why)),
        ),
        Likelihood::No => {
            let mut relayed = relayed(meeting, direct.sure, &direct.why);
            if direct.guessable && relayed.path == Path::Relay {
                relayed.why.push_str(" It may become direct soon after: ports are guessed.");
            }
            relayed
        }
        Likelihood::Unknown => unknown(meeting, &direct.why),
    }
}

/// Why the two networks leave no direct path, as far as that is known.
pub fn obstacle(meeting: &Meeting) -> Option<String> {
    let near = meeting.same_lan || meeting.same_address == Some(true);
    if near || over_ipv6(meeting) {
        return neighbours(meeting).filter(|near| near.path != Path::Direct).map(|near| near.why);
    }
    let direct = direct(meeting.ours, meeting.theirs);
    match direct.verdict {
        Likelihood::No => Some(direct.why),
        Likelihood::Guess => Some(format!("{} No guess was right, as it seems.", direct.why)),
        Likelihood::Yes | Likelihood::Unknown => None,
    }
}

/// Two ends so near that no NAT lies between them, or the same one around both.
fn neighbours(meeting: &Meeting) -> Option<Prediction> {
    if meeting.same_lan {
        let why = "Both machines seem to be on the same local network.";
        return Some(said(Path::Direct, false, why));
    }
    let same = meeting.same_address == Some(true);
    let carrier = [meeting.ours.cgnat, meeting.theirs.cgnat]
        .iter()
        .any(|cgnat| matches!(cgnat, Cgnat::Likely | Cgnat::Yes));
    if same && carrier {
        let why = "Both ends are behind the same carrier's NAT, and few of those let their customers reach each other.";
        return Some(relay_or_none(meeting, false, why));
    }
    let why = "Both ends are behind the same router.";
    same.then(|| said(Path::Direct, false, why))
}

/// An end without UDP.
fn blocked(meeting: &Meeting) -> Option<Prediction> {
    let closed = |end: NetworkSummary| end.udp == Udp::Blocked;
    let why = match (closed(meeting.ours), closed(meeting.theirs)) {
        (false, false) => return None,
        (true, true) => "No UDP gets out at either end.",
        (true, false) => "No UDP gets out of this network.",
        (false, true) => "No UDP gets out of the friend's network.",
    };
    if over_ipv6(meeting) {
        let why = format!("IPv6 works at both ends, though over IPv4 {}", lower(why));
        return Some(said(Path::DirectIpv6, false, why));
    }
    Some(relayed(meeting, true, why))
}

/// Whether there is something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likelihood {
    Yes,
    /// If a port is guessed.
    Guess,
    No,
    Unknown,
}

/// What two NATs allow.
struct Direct {
    verdict: Likelihood,
    sure: bool,
    why: String,
    /// In the background of a relayed call the hard NAT's ports can be guessed.
    guessable: bool,
}

fn direct(ours: NetworkSummary, theirs: NetworkSummary) -> Direct {
    let hard = |end: NetworkSummary| match end.mapping {
        Mapping::Unknown => None,
        Mapping::None | Mapping::EndpointIndependent => Some(false),
        _ => Some(true),
    };
    match (hard(ours), hard(theirs)) {
        (Some(false), Some(false)) => {
            // A router that answers for its own ports may take the friend's first packet for its own and deal out
            // another port then. An end that lets in more than it wrote to heals that.
            let sure = [ours, theirs].into_iter().any(lets_in);
            let why = "Both networks show every friend the same address.";
            Direct { verdict: Likelihood::Yes, sure, why: why.to_owned(), guessable: false }
        }
        (Some(true), Some(true)) => {
            let why = "Both networks show every friend another port (symmetric NAT).";
            Direct { verdict: Likelihood::No, sure: true, why: why.to_owned(), guessable: false }
        }
        (Some(true), Some(false)) => one_hard(("this", ours), ("the friend's", theirs)),
        (Some(false), Some(true)) => one_hard(("the friend's", theirs), ("this", ours)),
        (Some(true), None) => hard_and_unknown("This", "the friend's"),
        (None, Some(true)) => hard_and_unknown("The friend's", "this"),
        (own, friend) => {
            let whose = match (own, friend) {
                (None, None) => "either network deals out ports",
                (None, _) => "this network deals out ports",
                _ => "the friend's network deals out ports",
            };
            let why = format!("Nobody has measured how {whose}.");
            Direct { verdict: Likelihood::Unknown, sure: false, why, guessable: false }
        }
    }
}

/// One end is hard, of the other nothing is known: as most do, it will let in only exact answers.
fn hard_and_unknown(hard: &str, other: &str) -> Direct {
    let why = format!(
        "{hard} network shows every friend another port (symmetric NAT), and {other} one was not measured."
    );
    Direct { verdict: Likelihood::No, sure: false, why, guessable: false }
}

/// Exactly one end is hard: the other one's filter decides.
fn one_hard((whose, hard): (&str, NetworkSummary), (other, easy): (&str, NetworkSummary)) -> Direct {
    let begin = format!("{} network shows every friend another port (symmetric NAT)", upper(whose));
    if !lets_in(easy) && turns::deals_in_turn(hard) {
        let why =
            format!("{begin}, the next one in turn, which may be guessed: {other} one lets it in then.");
        return Direct { verdict: Likelihood::Guess, sure: false, why, guessable: false };
    }
    let (verdict, sure, why) = match easy.filtering {
        Filtering::EndpointIndependent | Filtering::AddressDependent => {
            (Likelihood::Yes, true, format!("{begin}, but {other} one lets it in all the same."))
        }
        Filtering::AddressAndPortDependent => {
            (Likelihood::No, true, format!("{begin}, and {other} one lets in only exact answers."))
        }
        Filtering::Unknown => (
            Likelihood::No,
            false,
            format!("{begin}, and {other} one, as most do, probably lets in only exact answers."),
        ),
    };
    Direct { verdict, sure, why, guessable: verdict == Likelihood::No }
}

/// Whether packets from another port of an address that was written to come in.
fn lets_in(end: NetworkSummary) -> bool {
    matches!(end.filtering, Filtering::EndpointIndependent | Filtering::AddressDependent)
}

fn over_ipv6(meeting: &Meeting) -> bool {
    meeting.ours.ipv6 == Ipv6::Works && meeting.theirs.ipv6 == Ipv6::Works
}

/// There is no direct path over IPv4.
fn relayed(meeting: &Meeting, sure: bool, why: &str) -> Prediction {
    let no_ipv6 = [meeting.ours.ipv6, meeting.theirs.ipv6].contains(&Ipv6::None);
    relay_or_none(meeting, sure && no_ipv6, why)
}

fn relay_or_none(meeting: &Meeting, sure: bool, why: &str) -> Prediction {
    match relay(meeting) {
        (Likelihood::Yes, how) => said(Path::Relay, sure, format!("{why} {how}")),
        (Likelihood::Guess | Likelihood::Unknown, how) => said(Path::Relay, false, format!("{why} {how}")),
        (Likelihood::No, how) => said(Path::None, sure, format!("{why} {how}")),
    }
}

/// Whether a relay will do, and in words.
fn relay(meeting: &Meeting) -> (Likelihood, &'static str) {
    let works = |end: NetworkSummary| matches!(end.relay, RelayWorks::Udp | RelayWorks::Stream);
    let open = |end: NetworkSummary| end.udp != Udp::Blocked;
    let (ours, theirs) = (meeting.ours, meeting.theirs);
    match (works(ours), works(theirs)) {
        (true, true) => (Likelihood::Yes, "Both ends have a relay."),
        (_, true) if meeting.guest => (Likelihood::Yes, "The friend's relay takes guests."),
        (true, false) if open(theirs) => {
            (Likelihood::Unknown, "This end has a relay, which may do for both.")
        }
        (false, true) if open(ours) => {
            (Likelihood::Unknown, "The friend has a relay, which may do for both; one here makes it sure.")
        }
        (true, false) | (false, true) => {
            (Likelihood::Unknown, "Only one end has a relay, and the other must log in there too.")
        }
        (false, false) if ours.relay == RelayWorks::None && theirs.relay == RelayWorks::None => {
            (Likelihood::No, "Neither end has a relay that works: set one up, or use --relay.")
        }
        (false, false) => (Likelihood::Unknown, "Whether there is a relay that works was not tested."),
    }
}

/// Direct or not: it was not measured.
fn unknown(meeting: &Meeting, why: &str) -> Prediction {
    let hope = match relay(meeting).0 {
        Likelihood::Yes => "Most networks allow a direct path; if not, a relay is there.",
        _ => "Most networks allow a direct path.",
    };
    said(Path::Direct, false, format!("{why} {hope}"))
}

fn said(path: Path, sure: bool, why: impl Into<String>) -> Prediction {
    Prediction { path, sure, why: why.into() }
}

impl Prediction {
    /// For a person, one line.
    pub fn sentence(&self) -> String {
        let path = match (self.path, self.sure) {
            (Path::Direct, true) => "a direct path",
            (Path::Direct, false) => "probably a direct path",
            (Path::DirectIpv6, true) => "a direct path over IPv6",
            (Path::DirectIpv6, false) => "probably a direct path over IPv6",
            (Path::Relay, true) => "a relayed path",
            (Path::Relay, false) => "probably a relayed path",
            (Path::None, true) => "no path",
            (Path::None, false) => "probably no path",
        };
        format!("{path}. {}", self.why)
    }
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(char::to_lowercase).into_iter().flatten().chain(chars).collect()
}

fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(char::to_uppercase).into_iter().flatten().chain(chars).collect()
}

#[cfg(test)]
mod tests;
