//! Testing a relay from outside, any TURN server's included: one verdict a step, and what to do about it.
//!
//! Knows no screen: `report` turns steps into text, whoever calls prints it.

mod reach;
mod report;
mod steps;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

pub use report::{Level, Progress, Report, Step, StepName};

use crate::client::{Client, Session, Wire};
use crate::link::{Link, Transport};
use crate::server::PeerRules;
use reach::Way;
use steps::names;

use tokio::time::Instant;

/// A step that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time-limited credentials made for the check are good so long: as those of a call, so that a clock which would
/// stop a call stops the check, and no other.
const CREDENTIAL_SECONDS: u64 = 86_400;

/// Makes a TCP connection to a host and port in place of this machine: a proxy, say.
pub type Dial = Arc<dyn Fn(String, u16) -> Dialling + Send + Sync>;
/// A connection that is being made.
pub type Dialling = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// Tests the server of a link. `unix` is the time (seconds since 1970), for time-limited credentials; `said` is
/// told what begins and how it came out.
pub async fn run(link: &Link, unix: u64, said: impl FnMut(Progress<'_>)) -> Report {
    run_by(link, unix, None, said).await
}

/// The same, TCP and TLS by whom `dial` asks for connections. UDP goes its own way.
pub async fn run_by(link: &Link, unix: u64, dial: Option<Dial>, said: impl FnMut(Progress<'_>)) -> Report {
    let mut check = Check { way: Way { link, dial }, link, unix, said, report: Report::default() };
    if let Some((server, transport, wire)) = check.reach().await {
        check.use_it(server, transport, wire).await;
    }
    check.report
}

/// A check under way.
struct Check<'l, F> {
    way: Way<'l>,
    link: &'l Link,
    unix: u64,
    said: F,
    report: Report,
}

impl<F: FnMut(Progress<'_>)> Check<'_, F> {
    fn begin(&mut self, name: StepName) {
        (self.said)(Progress::Begins(name));
    }

    fn note(&mut self, step: Step) {
        (self.said)(Progress::Done(&step));
        self.report.steps.push(step);
    }

    /// Name and transports. UDP is preferred, and tried first.
    async fn reach(&mut self) -> Option<(SocketAddr, Transport, Wire)> {
        self.begin(StepName::Resolve);
        let (server, step) = reach::resolve(&self.way).await;
        self.note(step);
        let server = server?;
        let mut best = None;
        for transport in self.link.transports() {
            self.begin(StepName::of(transport));
            let (outcome, step) = reach::connect(&self.way, server, transport).await;
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
        self.begin(StepName::Auth);
        let Some(credential) = self.link.credential(self.unix, CREDENTIAL_SECONDS) else {
            return self.note(Step::failed(
                StepName::Auth,
                "the link has neither USER:PASSWORD@ nor ?secret=: nothing more can be tested",
            ));
        };
        let mut client = Client::new(wire, Session::new(Some(credential)));
        let host = names();
        let begun = Instant::now();
        let (ufrag, guest) =
            (host.as_ref().map(|host| host.ufrag.as_str()), host.as_ref().map(|host| &host.guest));
        let allocated = client.allocate(ufrag, guest).await;
        let (allocated, auth, step) =
            steps::allocation(self.link, &client, allocated, elapsed_ms(begun), self.unix);
        self.note(auth);
        if let Some(step) = step {
            self.note(step);
        }
        let Some(allocated) = allocated else { return };
        self.begin(StepName::Echo);
        let other = reach::reconnect(&self.way, server, transport).await;
        let (echo, figures) = steps::echo(self.link, self.unix, &mut client, &allocated, other).await;
        self.note(echo);
        if let Some((loss, jitter)) = figures {
            (self.report.loss, self.report.jitter_ms) = (Some(loss), Some(jitter));
        }
        if let Some(host) = &host {
            self.begin(StepName::Doorbell);
            let doorbell = steps::doorbell(&mut client, &allocated, &host.ufrag, self.report.outside).await;
            self.note(doorbell);
            self.begin(StepName::Guest);
            let other = reach::reconnect(&self.way, server, transport).await;
            let guest = steps::guest(&mut client, &allocated, host, other).await;
            self.note(guest);
        }
        // The answer does not matter: an allocation that nobody refreshes ends by itself.
        let _ = client.refresh(0).await;
    }
}

/// Whether the test went through the network that friends come from: not from the relay's own machine, nor from
/// a private network around it.
fn is_outside(server: IpAddr, mapped: SocketAddr) -> bool {
    let public = PeerRules::default().permit(server);
    public && mapped.ip() != server && PeerRules::default().permit(mapped.ip())
}

fn elapsed_ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
