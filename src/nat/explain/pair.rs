//! One pair of addresses and what happened on it, in numbers and in words.

use crate::call::event::{PathKind, Protocol};
use serde::Serialize;
use std::cmp::Reverse;
use std::net::SocketAddr;

/// One pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// Our end: a socket, or the address at a relay.
    pub local: SocketAddr,
    /// Host or relay.
    pub local_kind: PathKind,
    /// What carries packets from here to the relay, or to the friend.
    pub protocol: Protocol,
    /// The friend's end.
    pub remote: SocketAddr,
    /// As a code names it; prflx: no code does.
    pub remote_kind: PathKind,
    /// Checks that left.
    pub sent: u32,
    /// Of these, answered.
    pub answered: u32,
    /// The friend's checks that came from there.
    pub heard: u32,
    /// The friend's machine said that nobody listens at that port.
    pub refused: bool,
    /// The relay lets nothing through to there.
    pub forbidden: bool,
}

impl Pair {
    /// The most telling first.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        let dull = (self.answered == 0, self.heard == 0, !self.refused);
        (dull, self.local_kind, self.remote_kind, Reverse(self.sent), self.local, self.remote)
    }

    /// What happened.
    pub fn outcome(&self) -> String {
        let checks = |count: u32| if count == 1 { "1 check".to_owned() } else { format!("{count} checks") };
        let (sent, answered, heard) = (checks(self.sent), self.answered, self.heard);
        if self.sent == 0 {
            format!("{} came from there", checks(heard))
        } else if answered > 0 {
            format!("{sent} sent, {answered} answered")
        } else if heard > 0 {
            format!("{sent} sent, none answered, though {heard} came from there")
        } else if self.forbidden {
            "the relay lets nothing through to there".to_owned()
        } else if self.refused {
            format!("{sent} sent, refused: nobody listens at that port")
        } else {
            format!("{sent} sent, none answered")
        }
    }

    /// The whole line.
    pub fn sentence(&self) -> String {
        let relayed = if self.local_kind == PathKind::Relay { "relayed " } else { "" };
        let theirs = match self.remote_kind {
            PathKind::Host => "",
            PathKind::Prflx => "unforeseen ",
            PathKind::Srflx => "public ",
            PathKind::Relay => "relayed ",
        };
        format!("your {relayed}{} -> their {theirs}{}: {}", self.local, self.remote, self.outcome())
    }
}
