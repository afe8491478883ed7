//! I/O: two ends of a relayed call tell each other how their NATs show them, and guess where that helps
//! ([`crate::transport::Punching`]): where one is hard and the other one not. Both must have said so.

use super::Session;
use super::converse::Conversation;
use super::meeting::name;
use crate::call::channel::Talk;
use crate::nat::glance::{self, Shown};
use crate::transport::interfaces::is_public;
use std::net::SocketAddr;
use std::time::Duration;

/// Routers remember every peer that was written to: this often in a call, at the most.
const TRIES: u32 = 2;

/// What was said of the next try.
#[derive(Debug, Default)]
pub(super) struct Proposals {
    tries: u32,
    /// How this end calls itself in it, and is seen.
    ours: Option<(String, Shown)>,
    theirs: Option<(String, Theirs)>,
}

/// How the friend is seen.
#[derive(Debug, Clone, Copy)]
struct Theirs {
    hard: bool,
    address: SocketAddr,
}

impl Conversation {
    /// Says how this end is seen, as soon as that is known.
    pub(super) async fn propose(&mut self, session: &Session) {
        if self.again.punch.tries >= TRIES || self.again.punch.ours.is_some() {
            return;
        }
        let gathered = session.transport.gather(Duration::ZERO).await;
        let Some(shown) = glance::shown(&gathered, &session.config.network) else { return };
        let name = name();
        self.again.punch.ours = Some((name.clone(), shown));
        self.say_now(Talk::Punch { ufrag: name, hard: shown.hard, address: shown.mapped }).await;
        self.punch_if_agreed(session);
    }

    /// The friend has said how it is seen.
    pub(super) fn proposed(&mut self, session: &Session, name: String, hard: bool, address: SocketAddr) {
        self.again.punch.theirs = Some((name, Theirs { hard, address }));
        self.punch_if_agreed(session);
    }

    fn punch_if_agreed(&mut self, session: &Session) {
        let proposals = &mut self.again.punch;
        let Some(meeting) = self.again.meeting.as_mut().filter(|_| self.relayed) else { return };
        let useful = match (&proposals.ours, &proposals.theirs) {
            (Some((_, ours)), Some((_, theirs))) => is_useful(*ours, *theirs),
            _ => false,
        };
        if let Some(ours) = proposals.ours.take_if(|_| useful)
            && let Some((name, theirs)) = proposals.theirs.take()
        {
            proposals.tries += 1;
            meeting.punch(&session.transport, ours, (name, theirs.address));
        }
    }
}

/// Whether one end's ports can be guessed from the other one. Not those of a router that both are behind, nor of one in
/// somebody's own network.
fn is_useful(ours: Shown, theirs: Theirs) -> bool {
    let worthy = |address: SocketAddr| address.is_ipv4() && address.port() != 0 && is_public(address.ip());
    ours.hard != theirs.hard
        && worthy(ours.mapped)
        && worthy(theirs.address)
        && ours.mapped.ip() != theirs.address.ip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_worth_guessing_where_exactly_one_end_is_hard_and_in_the_wide_world() {
        let useful = |(hard, mapped): (bool, &str), (theirs_hard, address): (bool, &str)| {
            let [base, mapped, address] =
                ["10.0.0.2:4000", mapped, address].map(|text| text.parse().unwrap());
            is_useful(Shown { base, mapped, hard }, Theirs { hard: theirs_hard, address })
        };
        let ours = "9.9.9.9:4000";
        for (theirs, worth) in [
            ("8.8.8.8:5000", true),
            ("8.8.8.8:0", false),
            ("9.9.9.9:5000", false),
            ("192.168.1.1:5000", false),
            ("127.0.0.1:5000", false),
            ("224.0.0.1:5000", false),
            ("[2606:4700::1]:5000", false),
        ] {
            assert_eq!(useful((true, ours), (false, theirs)), worth, "{theirs}");
            assert_eq!(useful((false, ours), (true, theirs)), worth, "{theirs}");
            assert!(!useful((true, ours), (true, theirs)) && !useful((false, ours), (false, theirs)));
        }
    }
}
