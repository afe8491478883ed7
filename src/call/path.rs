//! PURE: which path a call takes, in the field's words. Each end tells the other its candidates and which
//! address it sees, so that both can name both ends' candidate kinds. Knows no socket.

use super::channel::Candidate;
use super::event::{PathEvent, PathKind, Protocol};
use std::net::SocketAddr;
use std::time::Duration;

/// The local end of the selected pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalEnd {
    /// Host or relay.
    pub kind: PathKind,
    /// The socket's own address, or the relayed one.
    pub address: SocketAddr,
    /// What carries packets from here to the relay, or to the friend.
    pub protocol: Protocol,
}

/// What is known of the selected pair.
#[derive(Debug, Clone, Default)]
pub struct Path {
    /// This end's candidates.
    pub own: Vec<Candidate>,
    /// The friend's, as it told them.
    pub theirs: Vec<Candidate>,
    /// Where the friend sees this end.
    pub seen_by_them: Option<SocketAddr>,
}

impl Path {
    /// Names the pair.
    pub fn describe(&self, local: LocalEnd, remote: SocketAddr, rtt: Option<Duration>) -> PathEvent {
        let local_kind = match (local.kind, self.seen_by_them) {
            (PathKind::Relay, _) => PathKind::Relay,
            (_, Some(seen)) if seen != local.address => kind_of(&self.own, seen),
            _ => PathKind::Host,
        };
        let remote_kind = kind_of(&self.theirs, remote);
        let kind = rank(local_kind).max(rank(remote_kind)).1;
        PathEvent {
            kind,
            local: local_kind,
            remote: remote_kind,
            protocol: local.protocol,
            family: if remote.is_ipv4() { 4 } else { 6 },
            rtt_ms: rtt.map(|rtt| (rtt.as_secs_f32() * 1_000.0).round() as u32),
            why: self.why(local_kind, remote_kind, local.protocol),
            local_address: Some(local.address),
            remote_address: Some(remote),
        }
    }

    fn why(&self, local: PathKind, remote: PathKind, protocol: Protocol) -> String {
        let way = match (local, remote, protocol) {
            (PathKind::Relay, PathKind::Relay, _) => "both ends go through a relay",
            (PathKind::Relay, _, Protocol::Udp) => "this end goes through its relay",
            (PathKind::Relay, _, _) => "this end goes through its relay by a stream",
            (_, PathKind::Relay, _) => "the friend's end goes through a relay",
            (PathKind::Host, PathKind::Host, _) => {
                return "direct: the two machines reach each other without a NAT".into();
            }
            _ => return "direct: through the NATs between the two machines".into(),
        };
        let because = match (is_relayed_only(&self.own), is_relayed_only(&self.theirs)) {
            (true, true) => "both use relayed addresses only",
            (true, false) => "this end uses relayed addresses only",
            (false, true) => "the friend's end uses relayed addresses only",
            (false, false) => "no direct path was found",
        };
        format!("{way}, because {because}")
    }
}

/// An address that nobody announced was learnt from a check.
fn kind_of(candidates: &[Candidate], address: SocketAddr) -> PathKind {
    let known = candidates.iter().find(|candidate| candidate.address == address);
    known.map_or(PathKind::Prflx, |candidate| candidate.kind)
}

/// The contract's order: host, prflx, srflx, relay.
fn rank(kind: PathKind) -> (u8, PathKind) {
    (kind as u8, kind)
}

/// An end that uses relayed addresses only.
fn is_relayed_only(candidates: &[Candidate]) -> bool {
    !candidates.is_empty() && candidates.iter().all(|candidate| candidate.kind == PathKind::Relay)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(last: u8, port: u16) -> SocketAddr {
        ([192, 0, 2, last], port).into()
    }

    fn local(kind: PathKind, address: SocketAddr) -> LocalEnd {
        LocalEnd { kind, address, protocol: Protocol::Udp }
    }

    #[test]
    fn each_pair_has_its_name() {
        let path = |seen| Path {
            own: vec![
                Candidate { kind: PathKind::Host, address: at(1, 1) },
                Candidate { kind: PathKind::Srflx, address: at(2, 1) },
            ],
            theirs: vec![
                Candidate { kind: PathKind::Host, address: at(3, 1) },
                Candidate { kind: PathKind::Relay, address: at(4, 1) },
            ],
            seen_by_them: seen,
        };
        let host = local(PathKind::Host, at(1, 1));
        let table = [
            (host, Some(at(1, 1)), at(3, 1), (PathKind::Host, PathKind::Host, PathKind::Host)),
            (host, None, at(3, 1), (PathKind::Host, PathKind::Host, PathKind::Host)),
            (host, Some(at(2, 1)), at(3, 1), (PathKind::Srflx, PathKind::Host, PathKind::Srflx)),
            (host, Some(at(9, 1)), at(3, 9), (PathKind::Prflx, PathKind::Prflx, PathKind::Prflx)),
            (host, Some(at(1, 1)), at(4, 1), (PathKind::Host, PathKind::Relay, PathKind::Relay)),
            (
                local(PathKind::Relay, at(5, 1)),
                None,
                at(3, 1),
                (PathKind::Relay, PathKind::Host, PathKind::Relay),
            ),
        ];
        for (end, seen, remote, (local, other, worse)) in table {
            let event = path(seen).describe(end, remote, None);
            assert_eq!(
                (event.local, event.remote, event.kind),
                (local, other, worse),
                "{end:?} {seen:?} {remote}"
            );
        }
    }

    #[test]
    fn an_end_that_uses_relayed_addresses_only_is_why_a_path_is_relayed() {
        let candidates = |kinds: &[PathKind]| {
            kinds.iter().map(|&kind| Candidate { kind, address: at(4, 1) }).collect::<Vec<_>>()
        };
        let (hidden, open) = ([PathKind::Relay], [PathKind::Host, PathKind::Relay]);
        for (own, theirs, because) in [
            (&hidden[..], &open[..], "this end uses"),
            (&open[..], &hidden[..], "the friend's end uses"),
            (&hidden[..], &hidden[..], "both use"),
            (&open[..], &open[..], "no direct path"),
        ] {
            let path = Path { own: candidates(own), theirs: candidates(theirs), seen_by_them: None };
            let event = path.describe(local(PathKind::Relay, at(4, 1)), at(4, 1), None);
            assert!(event.why.contains(because), "{}", event.why);
        }
    }
}
