//! `p2pcall-relay serve`: starts the relay, tells its owner, and keeps it going until it is told to stop.

mod signals;
mod start;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, interval};

use crate::calendar::month;
use crate::cli::Options;
use crate::config;
use crate::journal::{Journal, Level};
use crate::metrics::{self, Gauges};
use crate::net::tls::CertificateStore;
use crate::net::{Relay, now};
use crate::program::{Failure, read_options};
use crate::server::Settings;
use crate::state::State;

use signals::{Signals, Wish};
pub(crate) use start::{best, certificate, credentials, prepare, print_links, settings, threads};

/// How often certificates are looked at.
const CERTIFICATE_SECONDS: u64 = 10;
/// How often the month's transfer is saved.
const SAVE_SECONDS: u64 = 60;

/// A relay that serves, and what has to be looked after.
struct Running {
    typed: Options,
    relay: Arc<Relay>,
    settings: Settings,
    certificate: Option<Arc<CertificateStore>>,
    state: State,
    journal: Journal,
    drain: Duration,
    draining: Arc<AtomicBool>,
    limit: Option<u64>,
}

/// Serves until a signal ends it.
pub(crate) async fn serve(typed: Options) -> Result<(), Failure> {
    // Before anything is said to be ready: a signal from then on is an orderly end.
    let mut signals = Signals::new()?;
    let prepared = prepare(&typed).await?;
    let journal = Journal::new(prepared.options.log_format.unwrap_or_default());
    let mut plan = prepared.plan;
    plan.events = Arc::new(move |event| journal.event(&event));
    let (settings, certificate) = (plan.settings.clone(), plan.certificate.clone());
    let metrics_at = prepared.options.metrics;
    let relay = Arc::new(Relay::start(plan)?);
    let limit = prepared.options.max_transfer.as_deref().map(config::transfer).transpose()?;
    relay.shared().budget.set(prepared.state.transfer(&month(now().unix)), limit);
    let drain = prepared
        .options
        .drain
        .as_deref()
        .map_or(Ok(Duration::from_secs(30)), |text| config::duration("drain", text))?;
    let draining = Arc::new(AtomicBool::new(false));
    if let Some(address) = metrics_at {
        serve_metrics(address, &relay, &draining).await?;
    }
    start::announce(&relay, &settings, &prepared.login, certificate.as_deref(), prepared.new_secret);
    for warning in relay.warnings() {
        journal.say(Level::Warn, warning);
    }
    signals::notify("READY=1");
    let running = Running {
        typed,
        relay,
        settings,
        certificate,
        state: prepared.state,
        journal,
        drain,
        draining,
        limit,
    };
    running.attend(&mut signals).await;
    running.save();
    Ok(())
}

async fn serve_metrics(
    address: SocketAddr,
    relay: &Arc<Relay>,
    draining: &Arc<AtomicBool>,
) -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::bind(address).await;
    let listener =
        listener.map_err(|error| Failure::run(format!("cannot serve metrics on {address}: {error}")))?;
    let (relay, draining) = (Arc::clone(relay), Arc::clone(draining));
    let source: metrics::Source = Arc::new(move || {
        let shared = relay.shared();
        let gauges = Gauges {
            allocations: shared.allocations(),
            transferred: shared.budget.used(),
            draining: draining.load(Ordering::Relaxed),
        };
        (relay.counters(), gauges)
    });
    tokio::spawn(metrics::serve(listener, source));
    Ok(())
}

impl Running {
    /// Until the end: seconds pass, signals come.
    async fn attend(&self, signals: &mut Signals) {
        let mut tick = interval(Duration::from_secs(1));
        let mut seconds = 0u64;
        let mut current_month = month(now().unix);
        loop {
            tokio::select! {
                wish = signals.next() => match wish {
                    Wish::End => break,
                    Wish::Reload => self.reload(),
                },
                _ = tick.tick() => {
                    seconds += 1;
                    self.each_second(seconds, &mut current_month);
                }
            }
        }
        self.drain(signals).await;
    }

    fn each_second(&self, seconds: u64, current_month: &mut String) {
        let today = month(now().unix);
        if today != *current_month {
            *current_month = today;
            self.relay.shared().budget.set(0, self.limit);
        }
        if seconds.is_multiple_of(CERTIFICATE_SECONDS) {
            self.reload_certificate();
        }
        if seconds.is_multiple_of(SAVE_SECONDS) {
            self.save();
        }
    }

    fn save(&self) {
        let saved = self.state.save_transfer(&month(now().unix), self.relay.shared().budget.used());
        if let Err(error) = saved {
            self.journal.say(Level::Warn, &format!("the month's transfer cannot be saved: {error}"));
        }
    }

    fn reload_certificate(&self) {
        match self.certificate.as_ref().map(|certificate| certificate.reload()) {
            Some(Ok(true)) => self.journal.say(Level::Info, "the certificate was replaced"),
            Some(Err(error)) => {
                self.journal.say(Level::Error, &format!("the old certificate stays: {error}"));
            }
            Some(Ok(false)) | None => {}
        }
    }

    /// SIGHUP: users, secrets, certificate, limits and peer rules are read again. An error leaves all as it was.
    fn reload(&self) {
        signals::notify("RELOADING=1");
        self.reload_certificate();
        match self.reread() {
            Ok(()) => self.journal.say(Level::Info, "the configuration was read again"),
            Err(failure) => {
                self.journal.say(Level::Error, &format!("nothing was changed: {}", failure.message));
            }
        }
        signals::notify("READY=1");
    }

    fn reread(&self) -> Result<(), Failure> {
        let options = read_options(&self.typed)?;
        let (credentials, _, _) = start::credentials(&options, &self.state)?;
        let mut settings = self.settings.clone();
        settings.limits = config::limits(&options);
        settings.peers.rules.deny.clone_from(&options.deny_peer);
        settings.peers.rules.allow.clone_from(&options.allow_peer);
        settings.peers.services = self.relay.services();
        settings.peers.services.extend(options.metrics.iter().map(SocketAddr::port));
        settings.listeners = self.relay.listeners().to_vec();
        settings.doorbell = !options.no_doorbell;
        settings.guest = !options.no_guest;
        settings.sha256 = options.sha256;
        let limit = options.max_transfer.as_deref().map(config::transfer).transpose()?;
        let shared = self.relay.shared();
        shared.budget.set(shared.budget.used(), limit.or(self.limit));
        shared.set_credentials(credentials);
        self.relay.set_settings(&Arc::new(settings));
        Ok(())
    }

    /// No one new; those in a call may end it. A second signal, or the time, ends all.
    async fn drain(&self, signals: &mut Signals) {
        signals::notify("STOPPING=1");
        self.draining.store(true, Ordering::Relaxed);
        let shared = self.relay.shared();
        shared.drain();
        let left = shared.allocations();
        if left > 0 {
            let seconds = self.drain.as_secs();
            self.journal
                .say(Level::Info, &format!("waiting up to {seconds} s for {left} allocations to end"));
        }
        let deadline = Instant::now() + self.drain;
        let mut tick = interval(Duration::from_millis(100));
        while shared.allocations() > 0 && Instant::now() < deadline {
            tokio::select! {
                Wish::End = signals.next() => break,
                _ = tick.tick() => {}
            }
        }
    }
}
