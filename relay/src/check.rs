//! Testing a relay from outside, any TURN server's included: one verdict a step, and what to do about it.
//!
//! Knows no screen: `report` turns steps into text, whoever calls prints it.

mod report;
mod steps;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub use report::{Report, Step, StepName};

use crate::client::{Client, Session, Trust, Verdict, Wire};
use crate::link::{Link, Transport};
use crate::server::PeerRules;
use steps::{elapsed_ms, names};

use tokio::time::{Instant, timeout};

/// A connection that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time-limited credentials made for the check are good so long.
const CREDENTIAL_SECONDS: u64 = 600;

/// Tests the server of a link. `unix` is the time, for time-limited credentials; `said` is told each step as it
/// is done.
pub async fn run(link: &Link, unix: u64, said: impl FnMut(&Step)) -> Report {
    let mut check = Check { link, unix, said, report: Report::default() };
    if let Some((server, transport, wire)) = check.reach().await {
        check.use_it(server, transport, wire).await;
    }
    check.report
}

/// A check under way.
struct Check<'l, F> {
    link: &'l Link,
    unix: u64,
    said: F,
    report: Report,
}

impl<F: FnMut(&Step)> Check<'_, F> {
    fn note(&mut self, step: Step) {
        (self.said)(&step);
        self.report.steps.push(step);
    }

    /// Name and transports. UDP is preferred, and tried first.
    async fn reach(&mut self) -> Option<(SocketAddr, Transport, Wire)> {
        let (servers, step) = resolve(self.link).await;
        self.note(step);
        let &server = servers.first()?;
        let mut best = None;
        for transport in self.link.transports() {
            let (outcome, step) = connect(self.link, server, transport).await;
            self.note(step);
            if let Some((wire, mapped)) = outcome {
                self.report.outside |= is_outside(server.ip(), mapped);
                best.get_or_insert((server, transport, wire));
            }
        }
        best
    }

    /// Login, allocation and all that goes through it.
    async fn use_it(&mut self, server: SocketAddr, transport: Transport, wire: Wire) {
        let Some(credential) = self.link.credential(self.unix, CREDENTIAL_SECONDS) else {
            self.note(Step::failed(
                StepName::Auth,
                "the link has no user and no secret: nothing more can be tested",
            ));
            return;
        };
        let mut client = Client::new(wire, Session::new(Some(credential)));
        let host = names();
        let begun = Instant::now();
        let (ufrag, guest) =
            (host.as_ref().map(|host| host.ufrag.as_str()), host.as_ref().map(|host| &host.guest));
        let allocated = client.allocate(ufrag, guest).await;
        let (allocated, auth, step) = steps::allocation(&client, allocated, elapsed_ms(begun), self.unix);
        self.note(auth);
        if let Some(step) = step {
            self.note(step);
        }
        let Some(allocated) = allocated else { return };
        let other = steps::reconnect(self.link, server, transport).await;
        let (echo, figures) = steps::echo(self.link, self.unix, &mut client, &allocated, other).await;
        self.note(echo);
        if let Some((loss, jitter)) = figures {
            (self.report.loss, self.report.jitter_ms) = (Some(loss), Some(jitter));
        }
        if let Some(host) = &host {
            let other = steps::reconnect(self.link, server, transport).await;
            let doorbell = steps::doorbell(&mut client, &allocated, &host.ufrag).await;
            let guest = steps::guest(&mut client, &allocated, host, other).await;
            for step in doorbell.into_iter().chain(guest) {
                self.note(step);
            }
        }
        // The answer does not matter: an allocation that nobody refreshes ends by itself.
        let _ = client.refresh(0).await;
    }
}

async fn resolve(link: &Link) -> (Vec<SocketAddr>, Step) {
    let begun = Instant::now();
    let found = timeout(PATIENCE, tokio::net::lookup_host((link.host.as_str(), link.port))).await;
    let found: Vec<SocketAddr> = match found {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    let step = match found.first() {
        Some(first) => {
            Step::done(StepName::Resolve, elapsed_ms(begun), format!("{} is {}", link.host, first.ip()))
        }
        None => Step::failed(
            StepName::Resolve,
            format!("{} has no address: is the name right, and does DNS work?", link.host),
        ),
    };
    (found, step)
}

/// Opens a connection and asks for our address over it.
async fn connect(
    link: &Link,
    server: SocketAddr,
    transport: Transport,
) -> (Option<(Wire, SocketAddr)>, Step) {
    let begun = Instant::now();
    let name = StepName::of(transport);
    let opened = timeout(PATIENCE, steps::open(link, server, transport)).await;
    let (wire, verdict) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => {
            return (
                None,
                Step::failed(name, format!("{server}: {error}; is the relay running, and the port open?")),
            );
        }
        Err(_) => {
            return (
                None,
                Step::failed(name, format!("{server} does not answer; does a firewall block {transport}?")),
            );
        }
    };
    if verdict == Some(Verdict::WrongPin) {
        return (
            None,
            Step::failed(
                name,
                "another key than the link's answers: somebody stands in between, or the link is old",
            ),
        );
    }
    let mut client = Client::new(wire, Session::new(None));
    match client.binding().await {
        Ok((mapped, _)) => {
            let worth = match verdict {
                Some(Verdict::Unverified) => ", by a certificate that nobody vouches for (no harm to a call)",
                Some(Verdict::Pinned) => ", by the key of the link",
                _ => "",
            };
            let step = Step::done(name, elapsed_ms(begun), format!("answers{worth}; it sees us as {mapped}"));
            (Some((client.into_wire(), mapped)), step)
        }
        Err(error) => {
            (None, Step::failed(name, format!("{server}: {error}; does a firewall block {transport}?")))
        }
    }
}

/// Whether the test went through the network that friends come from: not from the relay's own machine, nor from
/// a private network around it.
fn is_outside(server: IpAddr, mapped: SocketAddr) -> bool {
    let public = PeerRules::default().permit(server);
    public && mapped.ip() != server && PeerRules::default().permit(mapped.ip())
}

/// A trust in the server of a link.
fn trust(link: &Link) -> Trust {
    Trust::new(link.pin)
}
