//! The likely cause, and one next command: the first rule that fits.

use super::{Attempt, Pair, Reply};
use crate::call::event::PathKind;
use crate::code::network::Udp;
use crate::nat::predict::{self, Meeting};
use crate::transport::interfaces::is_public;
use serde::Serialize;
use std::net::IpAddr;

/// The likely cause, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What likely kept the two apart.
    pub cause: String,
    /// One command, at this end or the friend's.
    pub next: &'static str,
    /// The command in a sentence.
    pub advice: &'static str,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Diagnose,
    AddRelay,
    CheckRelay,
    AskForOffer,
    AskForAnswer,
}

impl Next {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Diagnose => (
                "p2pcall diagnose",
                "`p2pcall diagnose` measures what this network does to calls, and says what to do.",
            ),
            Self::AddRelay => (
                "p2pcall relay add LINK",
                "Use a relay: `p2pcall relay add LINK`. One of p2pcall's own at the one who makes the call is enough, \
                 any other is needed on both sides.",
            ),
            Self::CheckRelay => (
                "p2pcall relay check",
                "`p2pcall relay check` tests the relay step by step and says what is wrong.",
            ),
            Self::AskForOffer => (
                "p2pcall offer",
                "Ask whether `p2pcall offer` is still running there with this very code, and your reply was entered; if \
                 not, have them run it again. If so, use a relay: see --relay.",
            ),
            Self::AskForAnswer => (
                "p2pcall answer CODE",
                "Ask whether `p2pcall answer` is still running there with this very code; if not, have them run it \
                 again. If so, use a relay: see --relay.",
            ),
        }
    }
}

pub(super) fn verdict(attempt: &Attempt) -> Verdict {
    let (cause, next) = met(attempt)
        .or_else(|| gone(attempt))
        .or_else(|| silent(attempt))
        .or_else(|| hidden(attempt))
        .unwrap_or_else(|| nobody(attempt));
    let (next, advice) = next.words();
    Verdict { cause, next, advice }
}

/// Something of the friend came.
fn met(attempt: &Attempt) -> Option<(String, Next)> {
    if attempt.pairs.iter().any(|pair| pair.answered > 0) {
        let cause = "The two ends reached each other, and then it fell silent: likely a network on the way lost \
                     packets, or the program there ended.";
        return Some((cause.to_owned(), Next::Diagnose));
    }
    if attempt.pairs.iter().all(|pair| pair.heard == 0) {
        return None;
    }
    let cause = "Their packets reach this end, and what this end sends does not reach them: likely a firewall or NAT \
                 lets packets through in one direction only.";
    Some((cause.to_owned(), if relay_tried(attempt) { Next::Diagnose } else { relay(attempt) }))
}

/// The friend's program is not there.
fn gone(attempt: &Attempt) -> Option<(String, Next)> {
    let ask = if attempt.we_offer { Next::AskForAnswer } else { Next::AskForOffer };
    let program = if attempt.we_offer { "`p2pcall answer`" } else { "`p2pcall offer`" };
    if attempt.code_unknown && !attempt.we_offer {
        let cause = format!("The friend's relay does not know this code: likely {program} has ended there.");
        return Some((cause, ask));
    }
    let theirs = |pair: &&Pair| pair.remote_kind != PathKind::Relay && is_theirs(attempt, pair.remote.ip());
    let refused = attempt.pairs.iter().filter(theirs).find(|pair| pair.refused)?;
    let cause = format!(
        "Nobody answers there: the machine at {} refuses our packets, so {program} has likely ended there.",
        refused.remote
    );
    Some((cause, ask))
}

/// Half the world has 192.168.1.2: in another network than the friend's it is somebody else who refuses there.
fn is_theirs(attempt: &Attempt, address: IpAddr) -> bool {
    let Meeting { same_lan, same_address, ours, .. } = attempt.meeting;
    // Where the world was asked, it has to agree.
    let near = same_lan && (same_address == Some(true) || ours.udp != Udp::Open);
    let own = attempt.pairs.iter().any(|pair| pair.local.ip() == address);
    is_public(address) || (near && !own)
}

/// No UDP leaves an end.
fn silent(attempt: &Attempt) -> Option<(String, Next)> {
    if relay_tried(attempt) {
        return None;
    }
    let (ours, theirs) = (attempt.meeting.ours.udp, attempt.meeting.theirs.udp);
    let cause = if ours == Udp::Blocked || attempt.servers_silent {
        "No UDP leaves this network, as it seems: no server answered over it. Likely a firewall."
    } else if theirs == Udp::Blocked {
        "No UDP leaves your friend's network, as the code says."
    } else if attempt.reply == (Reply::Entered { outside: false }) {
        "Likely no UDP leaves your friend's network: no server told it an address that could stand in the reply."
    } else {
        return None;
    };
    Some((with_trouble(cause, attempt), relay(attempt)))
}

/// Both NATs together leave no direct path.
fn hidden(attempt: &Attempt) -> Option<(String, Next)> {
    let why = predict::obstacle(&attempt.meeting).filter(|_| !relay_tried(attempt))?;
    Some((with_trouble(&format!("{why} Likely that leaves no direct path."), attempt), relay(attempt)))
}

/// The networks should do: the friend is not there, or something drops the packets.
fn nobody(attempt: &Attempt) -> (String, Next) {
    let should = match relay_tried(attempt) {
        true => ", not even through the relay",
        false => ", though nothing is known of the two networks that would keep them apart",
    };
    match (attempt.we_offer, attempt.reply) {
        (true, _) => {
            let cause = format!(
                "Nobody answers there{should}: likely `p2pcall answer` has ended, or a firewall drops the packets."
            );
            (cause, Next::AskForAnswer)
        }
        (false, Reply::Shown) => {
            let cause = format!(
                "Nobody answers there{should}: likely `p2pcall offer` has ended, the reply was not entered, or a \
                 firewall drops the packets."
            );
            (cause, Next::AskForOffer)
        }
        (false, _) => {
            let cause = format!(
                "Nobody answers there{should}: likely `p2pcall offer` has ended, or a firewall drops the packets."
            );
            (cause, Next::AskForOffer)
        }
    }
}

/// A relay is the remedy; one that is there and does not work is looked at first.
fn relay(attempt: &Attempt) -> Next {
    if attempt.relay_trouble.is_some() { Next::CheckRelay } else { Next::AddRelay }
}

/// Checks left by a relay of ours: whoever is there and knows of it, by code or reply, can answer by it.
fn relay_tried(attempt: &Attempt) -> bool {
    attempt.pairs.iter().any(|pair| pair.local_kind == PathKind::Relay && pair.sent > 0 && !pair.forbidden)
}

fn with_trouble(cause: &str, attempt: &Attempt) -> String {
    match &attempt.relay_trouble {
        Some(trouble) => format!("{cause} {trouble}"),
        None => cause.to_owned(),
    }
}
