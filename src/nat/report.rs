//! PURE: facts -> a verdict in plain words, a line for each thing that was looked at, and what to do. Never says more
//! than was tested: where something is unknown, the line tells what would make it known.

mod advice;
mod json;
mod lines;
mod redact;
#[cfg(test)]
mod tests;
mod text;

use super::facts::{Facts, Nat};
use super::predict::Prediction;
use crate::code::network::{Filtering, Mapping, Ports, RelayWorks};
use crate::report::Line;
use serde::Serialize;
pub use text::Style;

/// What calls from here can expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Direct calls, likely.
    Direct,
    /// Direct calls over IPv6, likely; over IPv4 a relay.
    DirectIpv6,
    /// A relay, and one that works is configured.
    Relay,
    /// A relay, and none works.
    RelayMissing,
    /// No network.
    Offline,
}

/// All there is to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// In one word.
    pub verdict: Verdict,
    /// In one sentence.
    pub summary: String,
    /// Line by line.
    pub lines: Vec<Line>,
    /// What to do, the first thing first.
    pub advice: Vec<String>,
    /// What to expect of a call with a certain friend.
    pub prediction: Option<Prediction>,
    facts: Facts,
    nat: Nat,
}

impl Report {
    /// Of these facts.
    pub fn new(facts: Facts, prediction: Option<Prediction>) -> Self {
        let nat = facts.nat();
        let verdict = verdict(&facts, &nat);
        Self {
            verdict,
            summary: summary(verdict, &facts, &nat),
            lines: lines::all(&facts, &nat),
            advice: advice::all(verdict, &facts, &nat),
            prediction,
            facts,
            nat,
        }
    }
}

fn verdict(facts: &Facts, nat: &Nat) -> Verdict {
    if !facts.online() {
        return Verdict::Offline;
    }
    let hard = matches!(
        nat.mapping,
        Mapping::AddressDependent | Mapping::AddressAndPortDependent | Mapping::Dependent
    );
    if facts.udp4() == Some(true) && !hard && !may_be_hard(nat) {
        return Verdict::Direct;
    }
    if facts.udp6() == Some(true) {
        return Verdict::DirectIpv6;
    }
    let works = matches!(facts.relay_works(), RelayWorks::Udp | RelayWorks::Stream);
    if works { Verdict::Relay } else { Verdict::RelayMissing }
}

/// Who keeps no port numbers is likelier than others to show every friend another one; nobody could tell.
fn may_be_hard(nat: &Nat) -> bool {
    nat.mapping == Mapping::Unknown && matches!(nat.ports, Ports::Sequential | Ports::Random)
}

fn summary(verdict: Verdict, facts: &Facts, nat: &Nat) -> String {
    let hard = facts.udp4() == Some(true);
    let text = match (verdict, nat.mapping, nat.filtering) {
        (Verdict::Direct, Mapping::None, Filtering::EndpointIndependent) => {
            "Anybody can reach this machine: direct calls work with everybody who can send UDP."
        }
        (Verdict::Direct, Mapping::Unknown, _) => {
            "UDP gets out, and most networks where it does allow direct calls; how this one deals out ports is unknown."
        }
        (Verdict::Direct, _, _) if nat.lets_other_ports_in => "Direct calls work with nearly everybody.",
        (Verdict::Direct, _, Filtering::EndpointIndependent) => "Direct calls work with nearly everybody.",
        (Verdict::Direct, _, _) => {
            "Direct calls work with most friends; with one behind a symmetric NAT they need a relay."
        }
        (Verdict::DirectIpv6, _, _) => {
            "Direct calls work with friends who have IPv6; with most others they need a relay."
        }
        (Verdict::Relay, _, _) if may_be_hard(nat) => {
            "Calls may need a relay from here, and yours works; one server alone can't tell whether they do."
        }
        (Verdict::RelayMissing, _, _) if may_be_hard(nat) => {
            "Calls may need a relay from here, and none works; one server alone can't tell whether they do."
        }
        (Verdict::Relay, _, _) if hard => "Calls with most friends need a relay from here, and yours works.",
        (Verdict::Relay, _, _) => "No UDP gets out of this network: calls need a relay, and yours works.",
        (Verdict::RelayMissing, _, _) if hard && facts.relays.is_empty() => {
            "Calls with most friends need a relay from here, and none is configured."
        }
        (Verdict::RelayMissing, _, _) if hard => {
            "Calls with most friends need a relay from here, and none that is configured works."
        }
        (Verdict::RelayMissing, _, _) if facts.udp4().is_none() => {
            "Nobody could be asked over UDP; without it calls need a relay, and none works."
        }
        (Verdict::RelayMissing, _, _) => {
            "No UDP gets out of this network: calls need a relay, and none works."
        }
        (Verdict::Offline, _, _) if facts.interfaces.iter().all(|one| one.address.is_loopback()) => {
            "No network: this machine has no address."
        }
        (Verdict::Offline, _, _) => {
            "No network: nothing outside answered. Calls within this local network may work."
        }
    };
    text.to_owned()
}
