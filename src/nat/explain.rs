//! PURE: what an attempt to connect saw -> which pairs of addresses were tried, what each end's NAT did to them, the
//! likely cause, and one next command. Never more certain than the facts: what was seen is said, what is concluded is
//! "likely". Knows neither how anything was counted nor who shows it.

mod pair;
mod verdict;

use super::predict::Meeting;
use crate::call::event::PathKind;
use crate::code::network::{Filtering, Mapping, NetworkSummary, Ports, Udp};
use serde::Serialize;
use std::net::SocketAddr;

pub use pair::Pair;
pub use verdict::Verdict;

/// Pairs that are told at most, the most telling first.
const MOST: usize = 24;

/// An attempt, as this end saw it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attempt {
    /// This end made the code.
    pub we_offer: bool,
    /// What is known of both networks.
    pub meeting: Meeting,
    /// What happened on each pair.
    pub pairs: Vec<Pair>,
    /// Servers were asked over UDP, and none answered.
    pub servers_silent: bool,
    /// What became of the reply code.
    pub reply: Reply,
    /// A relay of ours is of no use: a sentence.
    pub relay_trouble: Option<String>,
    /// The friend's relay does not know the code.
    pub code_unknown: bool,
    /// It is too early for a conclusion.
    pub early: bool,
}

/// The reply code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reply {
    /// There was none.
    #[default]
    None,
    /// This end shows one; nobody knows whether it was entered.
    Shown,
    /// It was entered here.
    Entered {
        /// It names an address that is more than the friend's own network's.
        outside: bool,
    },
}

/// What is said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The pairs that were tried.
    pub pairs: Vec<Pair>,
    /// What this end's NAT did to them: a sentence.
    pub ours: String,
    /// What the friend's did.
    pub theirs: String,
    /// The likely cause, once there is one.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// Explains it; `None` where nothing was tried.
pub fn explain(attempt: &Attempt) -> Option<Explanation> {
    if attempt.pairs.is_empty() {
        return None;
    }
    let mut pairs = attempt.pairs.clone();
    pairs.sort_by_key(Pair::rank);
    pairs.truncate(MOST);
    Some(Explanation {
        pairs,
        ours: network(Whose::Ours, attempt),
        theirs: network(Whose::Theirs, attempt),
        verdict: (!attempt.early).then(|| verdict::verdict(attempt)),
    })
}

impl Explanation {
    /// The whole, a line each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.pairs.iter().map(Pair::sentence).collect();
        lines.extend([self.ours.clone(), self.theirs.clone()]);
        lines
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Ours,
    Theirs,
}

/// What a NAT did to the packets.
fn network(whose: Whose, attempt: &Attempt) -> String {
    let (summary, their, other) = match whose {
        Whose::Ours => (attempt.meeting.ours, "Your", "your"),
        Whose::Theirs => (attempt.meeting.theirs, "Their", "their"),
    };
    if whose == Whose::Theirs
        && let Some((said, came)) = unforeseen(&attempt.pairs)
    {
        return format!(
            "Their packets come from {came} and not from {said}: their NAT gives this end another port than the \
             server that was asked."
        );
    }
    let filter = match summary.filtering {
        Filtering::AddressAndPortDependent => " It lets in only exact answers.",
        Filtering::AddressDependent => " It lets in only whom it wrote to, from any port.",
        Filtering::EndpointIndependent => " It lets in everybody.",
        Filtering::Unknown => "",
    };
    match (summary.mapping, summary.udp) {
        (_, Udp::Blocked) => format!("{their} network lets no UDP out."),
        (Mapping::None, _) => format!("{their} machine has a public address: nothing translates it.{filter}"),
        (Mapping::EndpointIndependent, _) => {
            format!("{their} NAT shows every peer the same port, the one that {other} code names.{filter}")
        }
        (Mapping::Unknown, _) => unknown(whose, attempt, their),
        _ => hides(summary, their, other) + filter,
    }
}

fn hides(summary: NetworkSummary, their: &str, other: &str) -> String {
    let turn = if summary.ports == Ports::Sequential { ", the next one in turn" } else { "" };
    format!(
        "{their} NAT hides {other} ports: each peer sees another one{turn} (symmetric NAT), and not the one that \
         {other} code names."
    )
}

fn unknown(whose: Whose, attempt: &Attempt, their: &str) -> String {
    match (whose, attempt.reply) {
        (Whose::Ours, _) if attempt.servers_silent => {
            "No server answered over UDP: likely none leaves your network.".to_owned()
        }
        (Whose::Theirs, Reply::Entered { outside: false }) => {
            "Their reply names addresses inside their own network only: likely no UDP leaves it.".to_owned()
        }
        _ => format!("What {} NAT does was not measured.", their.to_lowercase()),
    }
}

/// A host whose public address is known by another port than its checks come from: (known, seen).
fn unforeseen(pairs: &[Pair]) -> Option<(SocketAddr, SocketAddr)> {
    let mut came = pairs.iter().filter(|pair| pair.remote_kind == PathKind::Prflx && pair.heard > 0);
    let known = |pair: &Pair| {
        let here = |one: &&Pair| one.remote_kind == PathKind::Srflx && one.remote.ip() == pair.remote.ip();
        Some((pairs.iter().find(here)?.remote, pair.remote))
    };
    came.find_map(known)
}

#[cfg(test)]
mod tests;
