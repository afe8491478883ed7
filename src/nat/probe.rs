//! PURE: behavior discovery (RFC 5780) without sockets: requests out, answers in, time told. Whatever kind of server
//! there is, as much is found out as it can tell.
//!
//! ```text
//!  t = 0      MAIN   -> every server, plain and with an empty CHANGE-REQUEST
//!  an answer  FRESH  -> that server, from several sockets        (how ports are dealt out)
//!             MIRROR -> that server, then MIRROR and MAIN -> each other's mapped address (hairpinning)
//!  OTHER-ADDRESS     MAIN -> the server's other addresses        (mapping, tests II and III)
//!             FILTER -> the server: answer from elsewhere!       (filtering)
//! ```
//!
//! It deliberately knows no socket and draws no conclusion: that is `classify`.

pub mod lifetime;
mod requests;
#[cfg(test)]
mod simulator;
#[cfg(test)]
mod tests;

use super::classify::{Arrival, FilterTest, Observation};
use crate::transport::interfaces::is_plausible as plausible;
use p2pcall_relay::stun::{TransactionId, attr};
use requests::{Answer, QUESTION, Request, Requests, TEST};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Makes transaction IDs; random ones outside of tests.
pub type IdSource = Box<dyn FnMut() -> TransactionId + Send>;

/// Which of the sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SocketId(pub usize);

/// Asks everybody.
pub const MAIN: SocketId = SocketId(0);
/// Has written to one address and port only.
pub const FILTER: SocketId = SocketId(1);
/// The other end of the hairpin.
pub const MIRROR: SocketId = SocketId(2);
/// From here on sockets that ask once.
const FRESH: usize = 3;
/// How many sockets a probe wants, all bound to the same local address.
pub const SOCKETS: usize = FRESH + 4;

/// When a server has answered, how long others may take to show a second address.
const PATIENCE: Duration = Duration::from_millis(700);
/// So many servers' other addresses are asked.
const MAX_DISCOVERERS: usize = 2;

/// A datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// From which socket.
    pub socket: SocketId,
    /// To whom.
    pub to: SocketAddr,
    /// The datagram.
    pub bytes: Vec<u8>,
}

/// What is known of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerFinding {
    /// Its address.
    pub address: SocketAddr,
    /// What it does.
    pub state: ServerState,
    /// The second address it named (RFC 5780 §7.4), if it is one that can be written to.
    pub other: Option<SocketAddr>,
}

/// What a server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerState {
    /// Nothing yet.
    Asked,
    /// It answers; the round-trip time at the most.
    Answers(Duration),
    /// It says no, or an address that can't be one.
    Nonsense,
    /// Nothing.
    Silent,
}

/// What the probe has seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// The main socket's own address.
    pub local: Option<SocketAddr>,
    /// The servers, in the order they were given.
    pub servers: Vec<ServerFinding>,
    /// All of the main socket.
    pub observations: Vec<Observation>,
    /// The fresh sockets' (local port, mapped port).
    pub samples: Vec<(u16, u16)>,
    /// Filtering.
    pub filter: FilterTest,
    /// Whether two sockets behind the NAT reach each other by their public addresses.
    pub hairpin: Option<bool>,
}

impl Findings {
    /// Whether UDP came back from anywhere, if only nonsense.
    pub fn udp(&self) -> bool {
        !self.observations.is_empty() || self.servers.iter().any(|one| one.state == ServerState::Nonsense)
    }

    /// The address that the first server told.
    pub fn mapped(&self) -> Option<SocketAddr> {
        self.observations.first().map(|one| one.mapped)
    }
}

/// What a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    /// MAIN to the server of this index.
    Plain(usize),
    /// The same with an empty CHANGE-REQUEST, which shows the second address of a server that is discreet.
    Reveal(usize),
    /// MAIN to another address of a server.
    Other,
    /// FILTER: is there an answer at all?
    Control,
    /// FILTER: answer from your other address!
    OtherAddress,
    /// FILTER: answer from your other port!
    OtherPort,
    /// A fresh socket's only question.
    Fresh(u16),
    /// MIRROR's own mapped address.
    Mirror,
    /// Between MAIN and MIRROR, by their mapped addresses.
    Hairpin,
}

/// A probe under way.
pub struct Probe {
    requests: Requests<Tag>,
    locals: Vec<SocketAddr>,
    findings: Findings,
    /// The first server that answered.
    first: Option<SocketAddr>,
    /// Servers whose other addresses are being asked.
    discoverers: usize,
    /// When the filtering test begins at the latest.
    filter_due: Option<Instant>,
    filter_begun: bool,
    /// FILTER got its plain answer.
    control: bool,
}

impl Probe {
    /// Begins to ask these servers, all of one family, from sockets bound to these addresses ([`SOCKETS`] of them).
    pub fn new(now: Instant, locals: Vec<SocketAddr>, servers: &[SocketAddr], ids: IdSource) -> Self {
        let mut requests = Requests::new(ids);
        for (index, server) in servers.iter().enumerate() {
            requests.begin(now, Request::plain(Tag::Plain(index), MAIN, *server, QUESTION));
            requests.begin(now, Request::plain(Tag::Reveal(index), MAIN, *server, QUESTION).changing(0));
        }
        let asked = |address: &SocketAddr| ServerFinding {
            address: *address,
            state: ServerState::Asked,
            other: None,
        };
        let findings = Findings {
            local: locals.first().copied(),
            servers: servers.iter().map(asked).collect(),
            ..Findings::default()
        };
        Self {
            requests,
            locals,
            findings,
            first: None,
            discoverers: 0,
            filter_due: None,
            filter_begun: false,
            control: false,
        }
    }

    /// What has been seen so far.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Nothing more will be seen.
    pub fn is_done(&self) -> bool {
        self.requests.is_empty() && self.filter_due.is_none()
    }

    /// A datagram came in.
    pub fn handle_packet(&mut self, now: Instant, socket: SocketId, from: SocketAddr, bytes: &[u8]) {
        if self.requests.returned(bytes) == Some(Tag::Hairpin) {
            self.findings.hairpin = Some(true);
            self.requests.forget(|tag| *tag == Tag::Hairpin);
            return;
        }
        let Some((tag, answer)) = self.requests.answered(now, socket, from, bytes) else {
            return self.no_answer(from);
        };
        match tag {
            Tag::Plain(index) | Tag::Reveal(index) => self.server_answered(now, index, tag, &answer),
            Tag::Other => self.observe(&answer),
            Tag::Control => self.control = answer.mapped.is_some(),
            // RFC 5780 §4.4: an answer from where was asked is no answer to this question.
            Tag::OtherAddress if answer.from.ip() != answer.asked.ip() => {
                self.findings.filter.other_address = Arrival::Came;
            }
            Tag::OtherPort if answer.from.port() != answer.asked.port() => {
                self.findings.filter.other_port = Arrival::Came;
            }
            Tag::OtherAddress | Tag::OtherPort | Tag::Hairpin => {}
            Tag::Fresh(local) => {
                let mapped = answer.mapped.filter(|mapped| plausible(*mapped, answer.asked));
                self.findings.samples.extend(mapped.map(|mapped| (local, mapped.port())));
            }
            Tag::Mirror => self.begin_hairpin(now, &answer),
        }
        self.advance(now);
    }

    /// The system refused to send from this socket to this address: no use waiting.
    pub fn unreachable(&mut self, now: Instant, socket: SocketId, to: SocketAddr) {
        for tag in self.requests.unreachable(socket, to) {
            self.silent(tag);
        }
        self.advance(now);
    }

    /// Sends again, gives up, goes on.
    pub fn handle_timeout(&mut self, now: Instant) {
        for tag in self.requests.handle_timeout(now) {
            self.silent(tag);
        }
        self.advance(now);
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.requests.poll_timeout().into_iter().chain(self.filter_due).min()
    }

    /// What to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.requests.poll_transmit()
    }

    /// Whoever was asked and sends something else: packets come from there, at least.
    fn no_answer(&mut self, from: SocketAddr) {
        let asked = self.findings.servers.iter_mut().find(|one| one.address == from);
        if let Some(server) = asked.filter(|one| one.state == ServerState::Asked) {
            server.state = ServerState::Nonsense;
        }
    }

    fn server_answered(&mut self, now: Instant, index: usize, tag: Tag, answer: &Answer) {
        let mapped = answer.mapped.filter(|mapped| plausible(*mapped, answer.asked));
        let Some(finding) = self.findings.servers.get_mut(index) else { return };
        match (tag, mapped) {
            (_, Some(_)) => {
                if !matches!(finding.state, ServerState::Answers(_)) {
                    finding.state = ServerState::Answers(answer.after);
                }
            }
            (Tag::Plain(_), None) if !matches!(finding.state, ServerState::Answers(_)) => {
                finding.state = ServerState::Nonsense;
            }
            // A server may well not know CHANGE-REQUEST (RFC 8489 §14: then it answers 420).
            _ => return,
        }
        if mapped.is_none() {
            return;
        }
        let other = answer.other.filter(|other| writable(*other, answer.asked));
        if let Some(other) = other.filter(|_| finding.other.is_none()) {
            finding.other = Some(other);
            self.ask_elsewhere(now, answer.asked, other);
        }
        self.observe(answer);
        if self.first.is_none() {
            self.first = Some(answer.asked);
            self.first_answer(now, answer.asked);
        }
    }

    /// RFC 5780 §4.3, tests II and III, and what lies between: their order does not matter.
    fn ask_elsewhere(&mut self, now: Instant, server: SocketAddr, other: SocketAddr) {
        self.discoverers += 1;
        if self.discoverers > MAX_DISCOVERERS {
            return;
        }
        let mut places = vec![SocketAddr::new(server.ip(), other.port()), other];
        places.push(SocketAddr::new(other.ip(), server.port()));
        places.dedup();
        for place in places {
            if place != server && !self.findings.servers.iter().any(|known| known.address == place) {
                self.requests.begin(now, Request::plain(Tag::Other, MAIN, place, TEST));
            }
        }
    }

    fn observe(&mut self, answer: &Answer) {
        let Some(mapped) = answer.mapped.filter(|mapped| plausible(*mapped, answer.asked)) else { return };
        let observation = Observation { server: answer.asked, mapped };
        if !self.findings.observations.iter().any(|known| known.server == observation.server) {
            self.findings.observations.push(observation);
        }
    }

    fn first_answer(&mut self, now: Instant, server: SocketAddr) {
        let fresh: Vec<_> = self.locals.iter().enumerate().skip(FRESH).take(SOCKETS - FRESH).collect();
        for (socket, local) in fresh {
            let tag = Tag::Fresh(local.port());
            self.requests.begin(now, Request::plain(tag, SocketId(socket), server, TEST));
        }
        self.filter_due = Some(now + PATIENCE);
        let mapped = self.findings.mapped().map(|mapped| mapped.ip());
        if mapped.is_some_and(|mapped| !self.locals.iter().any(|local| local.ip() == mapped)) {
            self.requests.begin(now, Request::plain(Tag::Mirror, MIRROR, server, TEST));
        }
    }

    /// Both ends write to the other's public address, as in a call: so no filter is in the way of the hairpin.
    fn begin_hairpin(&mut self, now: Instant, answer: &Answer) {
        let Some((main, mirror)) = self.findings.mapped().zip(answer.mapped) else { return };
        self.requests.begin(now, Request::plain(Tag::Hairpin, MIRROR, main, TEST));
        self.requests.begin(now, Request::plain(Tag::Hairpin, MAIN, mirror, TEST));
    }

    /// What nobody answered.
    fn silent(&mut self, tag: Tag) {
        match tag {
            Tag::Plain(index) => {
                if let Some(finding) = self.findings.servers.get_mut(index)
                    && finding.state == ServerState::Asked
                {
                    finding.state = ServerState::Silent;
                }
            }
            Tag::OtherAddress if self.control => self.findings.filter.other_address = Arrival::Kept,
            Tag::OtherPort if self.control => self.findings.filter.other_port = Arrival::Kept,
            Tag::Hairpin if self.findings.hairpin.is_none() => self.findings.hairpin = Some(false),
            _ => {}
        }
    }

    /// Begins the filtering test with the best server there is, as soon as that is known.
    fn advance(&mut self, now: Instant) {
        let Some(due) = self.filter_due.filter(|_| !self.filter_begun) else { return };
        let capable = |other_address: bool| {
            self.findings.servers.iter().find_map(|server| {
                let other = server.other?;
                (!other_address || other.ip() != server.address.ip()).then_some((server.address, other))
            })
        };
        let complete = capable(true);
        let all_told = !self.requests.awaits(|tag| matches!(tag, Tag::Plain(_) | Tag::Reveal(_)));
        if complete.is_none() && now < due && !all_told {
            return;
        }
        let best = complete.or_else(|| capable(false));
        self.filter_due = None;
        self.filter_begun = true;
        if let Some((server, other)) = best {
            self.begin_filtering(now, server, other);
        }
    }

    /// RFC 5780 §4.4. Both at once: what comes in changes nothing in what may.
    fn begin_filtering(&mut self, now: Instant, server: SocketAddr, other: SocketAddr) {
        self.requests.begin(now, Request::plain(Tag::Control, FILTER, server, TEST));
        let test = |tag, flags| Request::plain(tag, FILTER, server, TEST).changing(flags);
        if other.ip() != server.ip() {
            self.requests.begin(now, test(Tag::OtherAddress, attr::CHANGE_IP | attr::CHANGE_PORT));
        }
        if other.port() != server.port() {
            self.requests.begin(now, test(Tag::OtherPort, attr::CHANGE_PORT));
        }
    }
}

/// Whether an address that a server calls its other one may be written to.
fn writable(other: SocketAddr, server: SocketAddr) -> bool {
    plausible(other, server) && other != server
}
